//! The options that say what a container is connected to, and how it finds others.

use super::publish::{self, Published};
use crate::failure::Failure;
use crate::settings::{Settings, schema};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tinyd_engine::{Dns, ExtraHost, NetworkJoin, NetworkMode, PortMapping, PortProtocol};

/// What stands before the container whose network is shared.
const CONTAINER: &str = "container:";

/// The word for the address that the host has on the container's network.
const HOST_GATEWAY: &str = "host-gateway";

#[derive(clap::Args, Debug)]
pub(crate) struct NetworkOptions {
    /// The network to join: none, host, container:NAME, or a network with what it should have there, NAME[:ip=IP,ip6=IP,
    /// mac=MAC,alias=NAME,interface=NAME]; may be given again: the first is its way out (also --net) [$TINYD_NETWORK]
    /// [default: tinyd]
    #[arg(long, alias = "net", value_name = "NETWORK", value_parser = network)]
    network: Vec<Asked>,
    /// Its IPv4 address on the first network
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// Its IPv6 address on the first network
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// Its hardware address on the first network
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac_address: Option<Mac>,
    /// A further name by which others on its networks find it; may be given again
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// Lead a port of this machine, or a range, to one of the container: 8080:80, 127.0.0.1:53:53/udp, 8000-8009:80-89; 80
    /// alone takes any port of this machine that is free; may be given again
    #[arg(short, long, value_name = "[IP:]PORT:PORT[/PROTOCOL]", value_parser = publish::parse)]
    publish: Vec<Published>,
    /// Lead a free port of this machine to each port that --expose names
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// A port of the container that somebody may want to reach; may be given again
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = publish::exposed)]
    expose: Vec<publish::Exposed>,
    /// Ask this name server, in place of this machine's, for what is no name of its networks; may be given again
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// Look for names without dots in this domain, . for none; may be given again
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// An option of resolv.conf: ndots:2; may be given again
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Put a name into its /etc/hosts, host-gateway for this machine's address on its networks (on host, 127.0.0.1); may be
    /// given again
    #[arg(long, value_name = "NAME:IP", value_parser = host)]
    add_host: Vec<ExtraHost>,
}

/// What the options say, as far as it is a container's.
pub(super) struct Connected {
    pub(super) network: NetworkMode,
    pub(super) ports: Vec<PortMapping>,
    /// What is said of them.
    pub(super) note: Option<String>,
    pub(super) exposed: Vec<(u16, PortProtocol)>,
    pub(super) publish_all: bool,
    pub(super) dns: Dns,
}

impl NetworkOptions {
    /// Puts together what belongs together.
    pub(super) fn connected(self, settings: &Settings) -> Result<Connected, Failure> {
        let mut asked = self.network;
        if asked.is_empty() {
            asked.push(settings.parse_held(&schema::NETWORK, network)?);
        }
        let mut network = mode(asked)?;
        let asked = [
            (self.ip.is_some(), "--ip"),
            (self.ip6.is_some(), "--ip6"),
            (self.mac_address.is_some(), "--mac-address"),
            (!self.network_alias.is_empty(), "--network-alias"),
        ];
        match &mut network {
            NetworkMode::Networks(places) => {
                if let Some(first) = places.first_mut() {
                    first.addresses.extend(self.ip.map(IpAddr::from));
                    first.addresses.extend(self.ip6.map(IpAddr::from));
                    first.mac = self.mac_address.map(|mac| mac.0).or(first.mac);
                }
                for place in places {
                    place.aliases.extend(self.network_alias.iter().cloned());
                }
            }
            _ => {
                if let Some((_, option)) = asked.iter().find(|(asked, _)| *asked) {
                    return Err(Failure::Usage(format!("{option} needs a network of its own (--net NAME)")));
                }
            }
        }
        let mut published = self.publish;
        if self.publish_all {
            published.push(publish::all_exposed(&published, &self.expose));
        }
        let (ports, note) = publish::settle(published, settings)?;
        Ok(Connected {
            network,
            ports,
            note,
            exposed: self.expose.into_iter().flat_map(|exposed| exposed.0).collect(),
            publish_all: self.publish_all,
            dns: Dns {
                servers: self.dns,
                search: self.dns_search,
                options: self.dns_option,
                hosts: self.add_host,
            },
        })
    }
}

/// A word of `--network`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    None,
    Host,
    Container(String),
    Network(NetworkJoin),
}

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

/// One of those that stand alone, or places on networks.
fn mode(asked: Vec<Asked>) -> Result<NetworkMode, Failure> {
    let mut places = Vec::new();
    let many = asked.len() > 1;
    for one in asked {
        let alone = match one {
            Asked::Network(place) => {
                places.push(place);
                continue;
            }
            Asked::None => ("none", NetworkMode::None),
            Asked::Host => ("host", NetworkMode::Host),
            Asked::Container(name) => ("container:…", NetworkMode::Container(name)),
        };
        return match many {
            true => Err(Failure::Usage(format!("--net {} stands alone", alone.0))),
            false => Ok(alone.1),
        };
    }
    Ok(NetworkMode::Networks(places))
}

/// `none`, `host`, `container:NAME` or `NAME[:KEY=VALUE,…]`; whether there is such a network is the engine's to say.
fn network(text: &str) -> Result<Asked, String> {
    if let Some(name) = text.strip_prefix(CONTAINER) {
        return match name {
            "" => Err("it does not say of which container".to_owned()),
            name => Ok(Asked::Container(name.to_owned())),
        };
    }
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    match name {
        "" => Err("it must be none, host, container:NAME or a network's name".to_owned()),
        "none" | "host" if !rest.is_empty() => Err(format!("nothing can be chosen on {name}")),
        "none" => Ok(Asked::None),
        "host" => Ok(Asked::Host),
        name => place(name, rest).map(Asked::Network),
    }
}

fn place(name: &str, options: &str) -> Result<NetworkJoin, String> {
    let mut place = NetworkJoin::on(name);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').ok_or_else(|| format!("{option:?} is not KEY=VALUE"))?;
        match key {
            "ip" | "ip6" | "ipv4_address" | "ipv6_address" => {
                place.addresses.push(value.parse().map_err(|_| format!("{value:?} is no address"))?);
            }
            "mac" => place.mac = Some(mac(value)?.0),
            "alias" => place.aliases.push(value.to_owned()),
            "interface" | "interface_name" => place.interface = Some(value.to_owned()),
            _ => return Err(format!("{key:?} is none of ip, ip6, mac, alias and interface")),
        }
    }
    Ok(place)
}

/// `02:42:ac:11:00:02`, with colons or dashes.
pub(crate) fn mac(text: &str) -> Result<Mac, String> {
    let octet = |text: &str| match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => u8::from_str_radix(text, 16).ok(),
        false => None,
    };
    let octets: Option<Vec<u8>> = text.split([':', '-']).map(octet).collect();
    let octets = octets.and_then(|octets| octets.try_into().ok());
    octets.map(Mac).ok_or_else(|| "it is not of the form 02:42:ac:11:00:02".to_owned())
}

/// `NAME:IP` or `NAME=IP`; an address of IPv6 may stand in brackets.
fn host(text: &str) -> Result<ExtraHost, String> {
    let (name, address) = text.split_once(['=', ':']).ok_or_else(|| "it is not NAME:IP".to_owned())?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address = match bare {
        HOST_GATEWAY => None,
        bare => Some(bare.parse().map_err(|_| format!("{bare:?} is no address, nor {HOST_GATEWAY}"))?),
    };
    Ok(ExtraHost { name: name.to_owned(), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names() {
        assert_eq!(network("none"), Ok(Asked::None));
        assert_eq!(network("host"), Ok(Asked::Host));
        assert_eq!(network("container:db"), Ok(Asked::Container("db".to_owned())));
        assert_eq!(network("n1"), Ok(Asked::Network(NetworkJoin::on("n1"))));
        for bad in
            ["", ":ip=10.0.0.2", "container:", "none:ip=10.0.0.2", "n1:ip", "n1:ip=x", "n1:colour=blue"]
        {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_none_is_named_it_is_the_default_or_what_was_set() {
        let of = |text: &str| Settings::of(&schema::NETWORK, text).parse_held(&schema::NETWORK, network);
        assert!(matches!(of(""), Ok(Asked::Network(place)) if place.network == "tinyd"));
        assert!(matches!(of("web:alias=a"), Ok(Asked::Network(place)) if place.aliases == ["a"]));
        assert!(matches!(of("none"), Ok(Asked::None)));
        let bad = of("container:").unwrap_err();
        assert!(matches!(bad, Failure::Usage(text) if text.starts_with("$TINYD_NETWORK is \"container:\"")));
    }

    #[test]
    fn a_place_says_what_it_should_have() {
        let asked =
            network("web:ip=10.9.0.5,ip6=fd00::5,mac=02:42:0a:09:00:05,alias=a,alias=b,interface=net0");
        let expected = NetworkJoin {
            network: "web".to_owned(),
            addresses: ["10.9.0.5", "fd00::5"].map(|text| text.parse().unwrap()).to_vec(),
            mac: Some([2, 0x42, 10, 9, 0, 5]),
            aliases: vec!["a".to_owned(), "b".to_owned()],
            interface: Some("net0".to_owned()),
        };
        assert_eq!(asked, Ok(Asked::Network(expected)));
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac("02-42-ac-11-00-02"), Ok(Mac([2, 0x42, 0xac, 0x11, 0, 2])));
        for bad in [
            "",
            "02:42:ac:11:00",
            "2:42:ac:11:00:02",
            "02:42:ac:11:00:zz",
            "02:42:ac:11:00:02:03",
            "02:42:ac:11:00:+2",
            "+2:42:ac:11:00:02",
            "02:42:ac:11:0:002",
        ] {
            assert!(mac(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_hosts() {
        let known = |name: &str, address: Option<&str>| {
            Ok(ExtraHost { name: name.to_owned(), address: address.map(|text| text.parse().unwrap()) })
        };
        assert_eq!(host("db:10.0.0.9"), known("db", Some("10.0.0.9")));
        assert_eq!(host("db=10.0.0.9"), known("db", Some("10.0.0.9")));
        assert_eq!(host("db:fd00::9"), known("db", Some("fd00::9")));
        assert_eq!(host("db:[fd00::9]"), known("db", Some("fd00::9")));
        assert_eq!(host("me:host-gateway"), known("me", None));
        assert!(host("db").is_err() && host("db:nowhere").is_err());
    }
}
