//! The files of /etc that the engine writes for a container.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use tinyd_engine::Dns;
use tinyd_net::Namespace;

/// Where systemd-resolved lists the servers that its stub at 127.0.0.53 asks.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// What is in `hosts` where the host's own is none of the container's business.
const OWN_HOSTS: &str = "127.0.0.1\tlocalhost\n\
                         ::1\tlocalhost ip6-localhost ip6-loopback\n\
                         fe00::\tip6-localnet\n\
                         ff00::\tip6-mcastprefix\n\
                         ff02::1\tip6-allnodes\n\
                         ff02::2\tip6-allrouters\n";

/// `hosts` for a container that has these addresses, as far as they are known, and knows these others by name.
pub(crate) fn hosts(
    hostname: &str,
    netns: Namespace,
    addresses: &[IpAddr],
    others: &[(&str, IpAddr)],
) -> String {
    let mut text = match netns {
        Namespace::Host => read("/etc/hosts"),
        _ => OWN_HOSTS.to_owned(),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // Without a network of its own the container is reached at its loopback device alone.
    const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    for address in if addresses.is_empty() { &LOOPBACK } else { addresses } {
        text.push_str(&format!("{address}\t{hostname}\n"));
    }
    for (name, address) in others {
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text
}

/// Of the name servers that somebody chose for a container, those that the networks' own ask for it. What is on the container's
/// loopback device it reaches itself alone: with such a one all are its own to ask, in their order.
pub(crate) fn forwarders(dns: &Dns) -> &[IpAddr] {
    match dns.servers.iter().any(|server| server.to_canonical().is_loopback()) {
        true => &[],
        false => &dns.servers,
    }
}

/// `resolv.conf` for a container, which may want its own way. `servers` are those of its networks, which ask the chosen ones for
/// it; where there are none it asks those itself.
pub(crate) fn resolv_conf(netns: Namespace, servers: &[IpAddr], dns: &Dns) -> String {
    let text = of_networks(netns, servers);
    let own = if servers.is_empty() { &dns.servers[..] } else { &[] };
    if own.is_empty() && dns.search.is_empty() && dns.options.is_empty() {
        return text;
    }
    let mut lines: Vec<String> = own.iter().map(|server| format!("nameserver {server}")).collect();
    // A single dot is how one says that there are none.
    if !dns.search.is_empty() && dns.search != ["."] {
        lines.push(format!("search {}", dns.search.join(" ")));
    }
    if !dns.options.is_empty() {
        lines.push(format!("options {}", dns.options.join(" ")));
    }
    let chosen = |word: &str| match word {
        "nameserver" => !own.is_empty(),
        "search" | "domain" => !dns.search.is_empty(),
        "options" => !dns.options.is_empty(),
        _ => false,
    };
    let rest = text.lines().filter(|line| !line.split_ascii_whitespace().next().is_some_and(chosen));
    lines.extend(rest.map(str::to_owned));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn of_networks(netns: Namespace, servers: &[IpAddr]) -> String {
    let of_host = read("/etc/resolv.conf");
    match netns {
        Namespace::Host => of_host,
        _ if servers.is_empty() => reachable(&of_host, || read(UPSTREAM)),
        _ => asking(servers, &reachable(&of_host, || read(UPSTREAM))),
    }
}

/// The host's domains and options, with these servers for its own.
fn asking(servers: &[IpAddr], of_host: &str) -> String {
    // No more are ever asked.
    let servers = servers.iter().take(3).map(|server| format!("nameserver {server}\n"));
    let rest = of_host.lines().filter(|line| !line.trim_start().starts_with("nameserver"));
    servers.chain(rest.map(|line| format!("{line}\n"))).collect()
}

/// A host without these files is one whose containers get the generated part alone.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The host's servers; those that only the host itself can reach are replaced by the ones behind them.
fn reachable(of_host: &str, upstream: impl FnOnce() -> String) -> String {
    let local = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("nameserver")
            && words.next().is_some_and(|address| address.starts_with("127.") || address == "::1")
    };
    let lines = |text: &str| -> String {
        text.lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']) && !local(line))
            .fold(String::new(), |mut kept, line| {
                kept.push_str(line);
                kept.push('\n');
                kept
            })
    };
    if of_host.lines().any(|line| local(&line)) {
        let behind = upstream();
        if behind.lines().any(|line| line.trim_start().starts_with("nameserver") && !local(&line)) {
            return lines(&behind);
        }
    }
    lines(of_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_the_stub_is_replaced_by_what_is_behind_it() {
        let stub = "# made by resolved\nnameserver 127.0.0.53\noptions edns0\n\nsearch example\n";
        let behind = || "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch example\n".to_owned();
        assert_eq!(reachable(stub, behind), behind());
        // Without it nothing that cannot be reached is left.
        assert_eq!(reachable(stub, String::new), "options edns0\nsearch example\n");
        let plain = "; c\nnameserver 9.9.9.9\n";
        assert_eq!(reachable(plain, || panic!("not asked for")), "nameserver 9.9.9.9\n");
    }

    #[test]
    fn pure_a_networks_own_servers_stand_for_the_hosts() {
        let own = ["10.0.0.1".parse().unwrap()];
        assert_eq!(
            asking(&own, "nameserver 9.9.9.9\nsearch example\noptions ndots:2\n"),
            "nameserver 10.0.0.1\nsearch example\noptions ndots:2\n"
        );
    }

    #[test]
    fn pure_what_is_asked_for_stands_for_the_hosts_and_servers_for_those_that_the_networks_have_none() {
        let servers = ["10.0.0.1".parse().unwrap()];
        let with = |dns: Dns| resolv_conf(Namespace::Own, &servers, &dns);
        let chosen = Dns { servers: vec!["9.9.9.9".parse().unwrap()], ..Default::default() };
        let own = resolv_conf(Namespace::Own, &[], &chosen);
        assert_eq!(own.matches("nameserver").count(), 1, "{own}");
        assert!(own.starts_with("nameserver 9.9.9.9\n"), "{own}");
        let by_ours = with(chosen);
        assert!(by_ours.starts_with("nameserver 10.0.0.1\n") && !by_ours.contains("9.9.9.9"), "{by_ours}");
        let search = with(Dns { search: vec!["a.example".into(), "b.example".into()], ..Default::default() });
        assert!(search.contains("search a.example b.example\n"), "{search}");
        assert_eq!(search.matches("search").count(), 1, "{search}");
        assert!(search.contains("nameserver 10.0.0.1\n"), "{search}");
        let none = with(Dns { search: vec![".".into()], ..Default::default() });
        assert!(!none.contains("search"), "{none}");
        let options = with(Dns { options: vec!["ndots:2".into(), "rotate".into()], ..Default::default() });
        assert!(options.contains("options ndots:2 rotate\n"), "{options}");
    }

    #[test]
    fn pure_the_container_knows_its_own_name() {
        let own = hosts("box", Namespace::Own, &[], &[]);
        assert!(own.starts_with("127.0.0.1\tlocalhost\n") && own.ends_with("127.0.0.1\tbox\n"), "{own}");
        let addresses = ["10.0.0.2", "fd00::2"].map(|text| text.parse().unwrap());
        let own = hosts("box", Namespace::Own, &addresses, &[("db", addresses[0])]);
        assert!(own.ends_with("ip6-allrouters\n10.0.0.2\tbox\nfd00::2\tbox\n10.0.0.2\tdb\n"), "{own}");
        assert!(hosts("box", Namespace::Host, &[], &[]).ends_with("127.0.0.1\tbox\n"));
    }
}
