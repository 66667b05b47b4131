//! Places on networks, and how a container finds others by name.

use super::hostname;
use crate::error::{Error, Result};
use std::net::IpAddr;
use tinyd_engine::{ContainerSpec, Dns, NetworkJoin, NetworkMode};
use tinyd_net::link::MAX_NAME;

/// More are not looked at (resolv.conf(5)).
const MOST_SERVERS: usize = 3;

pub(super) fn check(spec: &ContainerSpec) -> Result<()> {
    dns(&spec.dns)?;
    match &spec.network {
        NetworkMode::None | NetworkMode::Host => Ok(()),
        NetworkMode::Container(word) if word.is_empty() => {
            Err(Error::invalid("network", "container:", "does not say of which container"))
        }
        NetworkMode::Container(_) => beside(spec),
        NetworkMode::Networks(places) => {
            if places.is_empty() {
                return Err(Error::invalid("network", "", "is missing"));
            }
            places.iter().try_for_each(join)?;
            links(places)
        }
    }
}

/// With another container's network nothing can be had that would stand in a file of that one's.
fn beside(spec: &ContainerSpec) -> Result<()> {
    const HOSTS: &str = "cannot be had with another container's network: the names in /etc/hosts are its own";
    const SERVERS: &str =
        "cannot be had with another container's network: what is in /etc/resolv.conf is its own";
    let Dns { servers, search, options, hosts } = &spec.dns;
    let asked = [
        ("host name", spec.hostname.clone(), HOSTS),
        ("name server", servers.first().map(ToString::to_string), SERVERS),
        ("search domain", search.first().cloned(), SERVERS),
        ("name server option", options.first().cloned(), SERVERS),
        ("host", hosts.first().map(|host| host.name.clone()), HOSTS),
    ];
    match asked.into_iter().find_map(|(field, value, problem)| Some((field, value?, problem))) {
        Some((field, value, problem)) => Err(Error::invalid(field, value, problem)),
        None => Ok(()),
    }
}

/// Of the links that are named in a container's places no two are of one name.
pub(crate) fn links<'a>(places: impl IntoIterator<Item = &'a NetworkJoin>) -> Result<()> {
    let mut links: Vec<_> = places.into_iter().filter_map(|place| place.interface.as_deref()).collect();
    links.sort_unstable();
    match links.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid("link", pair[0], "is named twice")),
        None => Ok(()),
    }
}

/// One place.
pub(crate) fn join(place: &NetworkJoin) -> Result<()> {
    if place.network.is_empty() {
        return Err(Error::invalid("network", "", "is empty"));
    }
    for (index, address) in place.addresses.iter().enumerate() {
        let refuse = |problem| Err(Error::invalid("address", address.to_string(), problem));
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            return refuse("is none that a container can have");
        }
        let same = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
        if place.addresses[..index].iter().any(same) {
            return refuse("is one too many: a place on a network has one of each family");
        }
    }
    if let Some(mac) = place.mac
        && (mac[0] & 1 == 1 || mac == [0; 6])
    {
        let text = mac.map(|byte| format!("{byte:02x}")).join(":");
        return Err(Error::invalid("hardware address", text, "is none of a single link"));
    }
    for alias in &place.aliases {
        hostname(alias).map_err(|_| {
            Error::invalid("alias", alias, "must be 1 to 64 letters, digits, '.', '-' or '_'")
        })?;
    }
    match &place.interface {
        Some(name) => link(name),
        None => Ok(()),
    }
}

/// A name that the kernel takes for a link, and that is no other link's of each namespace.
fn link(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/:%".contains(&byte);
    let good = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
    match good && ![".", "..", "lo", "all", "default"].contains(&name) {
        true => Ok(()),
        false => Err(Error::invalid("link", name, "is no name that a link can have")),
    }
}

fn dns(dns: &Dns) -> Result<()> {
    if let Some(server) = dns.servers.get(MOST_SERVERS) {
        return Err(Error::invalid(
            "name server",
            server.to_string(),
            "is one too many: three are asked at most",
        ));
    }
    let is_nobodys = |server: &IpAddr| server.is_unspecified() || server.is_multicast();
    if let Some(server) = dns.servers.iter().find(|server| is_nobodys(&server.to_canonical())) {
        return Err(Error::invalid("name server", server.to_string(), "is none that can be asked"));
    }
    let word =
        |text: &String| text.is_empty() || text.contains(|one: char| one.is_whitespace() || one.is_control());
    if let Some(domain) = dns.search.iter().find(|domain| word(domain)) {
        return Err(Error::invalid("search domain", domain, "is no domain"));
    }
    if let Some(option) = dns.options.iter().find(|option| word(option)) {
        return Err(Error::invalid("name server option", option, "is no word of resolv.conf"));
    }
    match dns.hosts.iter().find(|host| word(&host.name) || host.name.starts_with('#')) {
        Some(host) => Err(Error::invalid("host", &host.name, "is no name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_engine::ExtraHost;

    fn said(change: impl FnOnce(&mut NetworkJoin)) -> String {
        let mut place = NetworkJoin::on("web");
        change(&mut place);
        join(&place).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn pure_a_place_is_one_that_a_link_can_have() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(said(|place| place.addresses = vec![address("10.0.0.2"), address("fd00::2")]), "");
        for bad in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "::1", "ff02::1"] {
            assert!(said(|place| place.addresses = vec![address(bad)]).contains(bad), "{bad}");
        }
        let twice = said(|place| place.addresses = vec![address("10.0.0.2"), address("10.0.0.3")]);
        assert!(twice.contains("10.0.0.3") && twice.contains("too many"), "{twice}");
        assert!(said(|place| place.mac = Some([1, 0, 0, 0, 0, 1])).contains("01:00:00:00:00:01"));
        assert_eq!(said(|place| place.mac = Some([2, 0, 0, 0, 0, 1])), "");
        assert!(said(|place| place.aliases = vec!["a b".to_owned()]).contains("a b"));
        for bad in ["", "lo", "a/b", "sixteen-letters-x"] {
            assert!(said(|place| place.interface = Some(bad.to_owned())).contains("no name"), "{bad}");
        }
        assert_eq!(said(|place| place.interface = Some("net0".to_owned())), "");
        assert!(said(|place| place.network = String::new()).contains("empty"));
    }

    #[test]
    fn pure_names_are_those_of_resolv_conf_and_hosts() {
        let said = |dns: Dns| super::dns(&dns).err().map(|error| error.to_string()).unwrap_or_default();
        let server: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(said(Dns { servers: vec![server; 3], ..Dns::default() }), "");
        assert!(said(Dns { servers: vec![server; 4], ..Dns::default() }).contains("too many"));
        for bad in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.251", "::ffff:224.0.0.251"] {
            let servers = vec![bad.parse().unwrap()];
            assert!(said(Dns { servers, ..Dns::default() }).contains("none that can be asked"), "{bad}");
        }
        assert!(said(Dns { search: vec!["a\nnameserver".into()], ..Dns::default() }).contains("no domain"));
        assert!(said(Dns { options: vec![String::new()], ..Dns::default() }).contains("no word"));
        let hosts = vec![ExtraHost { name: "a b".into(), address: None }];
        assert!(said(Dns { hosts, ..Dns::default() }).contains("no name"));
    }

    #[test]
    fn pure_another_containers_network_comes_with_its_names() {
        let mut spec = ContainerSpec::new("host", ["true"]);
        spec.network = NetworkMode::Container("web".to_owned());
        assert!(check(&spec).is_ok());
        spec.hostname = Some("box".to_owned());
        assert!(check(&spec).unwrap_err().to_string().contains("another container's network"));
        spec.hostname = None;
        let host = ExtraHost { name: "db".to_owned(), address: None };
        for (dns, parts) in [
            (
                Dns { servers: vec!["9.9.9.9".parse().unwrap()], ..Dns::default() },
                ["9.9.9.9", "/etc/resolv.conf"],
            ),
            (Dns { search: vec![".".to_owned()], ..Dns::default() }, ["\".\"", "/etc/resolv.conf"]),
            (Dns { options: vec!["ndots:2".to_owned()], ..Dns::default() }, ["ndots:2", "/etc/resolv.conf"]),
            (Dns { hosts: vec![host], ..Dns::default() }, ["db", "/etc/hosts"]),
        ] {
            spec.dns = dns;
            let said = check(&spec).unwrap_err().to_string();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        spec.dns = Dns::default();
        spec.network = NetworkMode::Container(String::new());
        assert!(check(&spec).is_err());
    }
}
