//! Published ports, as rules.

use super::family::Family;
use super::rules::{HOST_PORTS, PORTS};
use super::saved::Line;
use crate::firewall::Publication;
use crate::{Protocol, PublishedPort};
use std::net::{IpAddr, SocketAddr};

/// The rule, behind `-A CHAIN`.
pub(super) fn rule(publication: &Publication) -> String {
    let Publication { port, to } = publication;
    let host = host(port).map(|host| format!("-d {host}{} ", Family::of(host).whole())).unwrap_or_default();
    let (protocol, number) = (port.protocol, port.host_port);
    let to = SocketAddr::new(*to, port.container_port);
    format!("{host}-p {protocol} -m {protocol} --dport {number} -j DNAT --to-destination {to}")
}

/// The ending of its chain. A rule of one address counts there: its chain is met before that of all of them.
pub(super) fn chain(publication: &Publication) -> &'static str {
    if host(&publication.port).is_some() { HOST_PORTS } else { PORTS }
}

fn host(port: &PublishedPort) -> Option<IpAddr> {
    port.host.filter(|host| !host.is_unspecified())
}

/// Whether both cannot be there at once.
pub(super) fn meet(one: &Publication, other: &Publication) -> bool {
    let key =
        |Publication { port, to }: &Publication| (to.is_ipv4(), port.protocol, port.host_port, host(port));
    key(one) == key(other)
}

/// What [`rule`] wrote, as a program of iptables(8) lists it. `None` for what it did not write.
pub(super) fn read(line: &Line) -> Option<Publication> {
    let (mut host, mut protocol, mut number, mut to) = (None, None, None, None::<SocketAddr>);
    let mut words = line.words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word {
            "-d" => {
                let address =
                    value.strip_suffix("/32").or_else(|| value.strip_suffix("/128")).unwrap_or(value);
                host = Some(address.parse::<IpAddr>().ok()?);
            }
            "-p" => protocol = Some(protocol_of(value)?),
            "--dport" => number = Some(value.parse().ok()?),
            "--to-destination" => to = Some(value.parse().ok()?),
            "-m" => protocol_of(value).map(drop)?,
            "-j" if value == "DNAT" => {}
            _ => return None,
        }
    }
    let to = to?;
    let port = PublishedPort { host, host_port: number?, container_port: to.port(), protocol: protocol? };
    Some(Publication { port, to: to.ip() })
}

/// By its name, or by its number where the host has no name for it.
fn protocol_of(word: &str) -> Option<Protocol> {
    match word {
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        "sctp" | "132" => Some(Protocol::Sctp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(host: Option<&str>, protocol: Protocol, to: &str) -> Publication {
        let host = host.map(|host| host.parse().unwrap());
        let port = PublishedPort { host, host_port: 8080, container_port: 80, protocol };
        Publication { port, to: to.parse().unwrap() }
    }

    fn line(text: &str) -> Line {
        Line::parse(&format!("-A chain {text}")).unwrap()
    }

    #[test]
    fn pure_a_publication_is_read_as_it_was_written() {
        let all = [
            publication(None, Protocol::Tcp, "10.99.0.2"),
            publication(None, Protocol::Sctp, "fd00::2"),
            publication(Some("127.0.0.1"), Protocol::Udp, "10.99.0.2"),
            publication(Some("2001:db8::1"), Protocol::Tcp, "fd00::2"),
        ];
        for one in all {
            assert_eq!(read(&line(&rule(&one))), Some(one), "{}", rule(&one));
        }
        assert_eq!(
            rule(&all[3]),
            "-d 2001:db8::1/128 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00::2]:80"
        );
        assert_eq!((chain(&all[2]), chain(&all[0])), (HOST_PORTS, PORTS));
    }

    #[test]
    fn pure_what_is_no_publication_is_left_out() {
        for text in [
            "-j DROP",
            "-p tcp -m tcp --dport 80 -j DNAT",
            "-p icmp -j DNAT --to-destination 10.0.0.2:80",
            "-s 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80",
            "-d 10.0.0.0/8 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80",
            "-p tcp -m tcp --dport 80:90 -j DNAT --to-destination 10.0.0.2:80",
            "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2",
        ] {
            assert_eq!(read(&line(text)), None, "{text}");
        }
    }

    #[test]
    fn pure_all_addresses_of_a_family_are_one_thing() {
        let any = publication(Some("0.0.0.0"), Protocol::Tcp, "10.99.0.2");
        let none = publication(None, Protocol::Tcp, "10.99.0.3");
        assert!(meet(&any, &none));
        assert!(!meet(&any, &publication(Some("127.0.0.1"), Protocol::Tcp, "10.99.0.2")));
        assert!(!meet(&any, &publication(None, Protocol::Udp, "10.99.0.2")));
        assert!(!meet(&any, &publication(None, Protocol::Tcp, "fd00::2")));
    }
}
