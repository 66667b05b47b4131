//! Published ports: numbers that there are, each of the host's once, and a network that they can lead to.

use crate::error::{Error, Result};
use crate::networks::name::{HOST, NONE};
use crate::ports::text;
use std::net::IpAddr;
use tinyd_engine::{ContainerSpec, NetworkMode, PortMapping};

/// Leads a port of the host to each that is exposed, and to which none leads yet.
pub(super) fn publish_exposed(spec: &mut ContainerSpec) {
    if !spec.publish_all {
        return;
    }
    for (container_port, protocol) in &spec.exposed {
        let is_it = |port: &PortMapping| (port.container_port, port.protocol) == (*container_port, *protocol);
        if !spec.ports.iter().any(is_it) {
            spec.ports.push(PortMapping {
                host_ip: None,
                host_port: None,
                container_port: *container_port,
                protocol: *protocol,
            });
        }
    }
}

pub(super) fn check(spec: &ContainerSpec) -> Result<()> {
    let Some(first) = spec.ports.first() else { return Ok(()) };
    let refuse =
        |port: &PortMapping, problem: String| Err(Error::invalid("published port", text(port), problem));
    match network(&spec.network) {
        Some(NONE) => return refuse(first, "leads nowhere: the network none has no link".to_owned()),
        // Others ignore it without a word, and whoever asked waits for a port that stays closed.
        Some(HOST) => {
            let problem =
                "has no use: on the network host every port of the container is one of this machine";
            return refuse(first, problem.to_owned());
        }
        None => {
            let problem =
                "has no use: the container's network is another's, whose ports are published with it";
            return refuse(first, problem.to_owned());
        }
        _ => {}
    }
    numbers(&spec.ports)
}

/// Refuses numbers that are none, and a port of the host that is given twice.
pub(crate) fn numbers(ports: &[PortMapping]) -> Result<()> {
    let refuse =
        |port: &PortMapping, problem: String| Err(Error::invalid("published port", text(port), problem));
    let zero = |port: &&PortMapping| port.container_port == 0 || port.host_port == Some(0);
    if let Some(port) = ports.iter().find(zero) {
        return refuse(port, "has a number that is none of 1 to 65535".to_owned());
    }
    match twice(ports) {
        Some((port, other)) => refuse(port, format!("is taken already, by {}", text(other))),
        None => Ok(()),
    }
}

/// The word for the first network; `None` where it is another container's.
fn network(mode: &NetworkMode) -> Option<&str> {
    match mode {
        NetworkMode::None => Some(NONE),
        NetworkMode::Host => Some(HOST),
        NetworkMode::Container(_) => None,
        NetworkMode::Networks(places) => places.first().map(|place| place.network.as_str()),
    }
}

/// A port of the host that is given twice, by the second and the first who take it.
fn twice(ports: &[PortMapping]) -> Option<(&PortMapping, &PortMapping)> {
    let mut sorted: Vec<(usize, &PortMapping)> = ports.iter().enumerate().collect();
    sorted.retain(|(_, port)| port.host_port.is_some());
    // There may be a whole range of them: only those with the same number are compared.
    sorted.sort_by_key(|(index, port)| (port.protocol, port.host_port, *index));
    sorted
        .chunk_by(|(_, one), (_, other)| (one.protocol, one.host_port) == (other.protocol, other.host_port))
        .find_map(|same| {
            same.iter().enumerate().find_map(|(index, (_, port))| {
                let earlier = same[..index].iter().find(|(_, other)| meet(port.host_ip, other.host_ip))?;
                Some((*port, earlier.1))
            })
        })
}

/// Whether two addresses of the host can be the same one.
fn meet(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.is_ipv4() == other.is_ipv4()
                && (one == other || one.is_unspecified() || other.is_unspecified())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_engine::PortProtocol;

    fn port(host_ip: Option<&str>, host_port: Option<u16>, protocol: PortProtocol) -> PortMapping {
        let host_ip = host_ip.map(|text| text.parse().unwrap());
        PortMapping { host_ip, host_port, container_port: 80, protocol }
    }

    fn said(network: NetworkMode, ports: &[PortMapping]) -> Option<String> {
        let spec = ContainerSpec { network, ports: ports.to_vec(), ..ContainerSpec::new("host", ["true"]) };
        check(&spec).err().map(|error| error.to_string())
    }

    #[test]
    fn pure_a_port_of_the_host_is_given_once() {
        const TCP: PortProtocol = PortProtocol::Tcp;
        let on = |ports: &[PortMapping]| said(NetworkMode::named("web"), ports);
        let any = port(None, Some(8080), TCP);
        let (four, six) = (port(Some("127.0.0.1"), Some(8080), TCP), port(Some("::1"), Some(8080), TCP));
        let all_four = port(Some("0.0.0.0"), Some(8080), TCP);
        let other = port(Some("127.0.0.2"), Some(8080), TCP);
        let udp = port(None, Some(8080), PortProtocol::Udp);
        for good in [
            &[any][..],
            &[any, udp],
            &[four, six, other],
            &[all_four, six],
            &[port(None, None, TCP), port(None, None, TCP)],
        ] {
            assert_eq!(on(good), None);
        }
        for bad in [&[any, any][..], &[any, four], &[six, any], &[four, all_four], &[udp, any, four]] {
            assert!(on(bad).is_some_and(|said| said.contains("taken already")), "{bad:?}");
        }
        let message = "published port \"127.0.0.1:8080:80\" is taken already, by 8080:80";
        assert_eq!(on(&[any, four]).as_deref(), Some(message));
        let range = |start: u16| (0..30_000).map(move |step| port(None, Some(start + step), TCP));
        assert_eq!(on(&range(1).chain(range(30_001)).collect::<Vec<_>>()), None);
        assert!(on(&range(1).chain(range(30_000)).collect::<Vec<_>>()).is_some());
    }

    #[test]
    fn pure_a_port_that_leads_nowhere_is_refused_with_the_reason() {
        let one = port(None, Some(8080), PortProtocol::Tcp);
        for (network, reason) in [
            (NetworkMode::None, "no link"),
            (NetworkMode::Host, "one of this machine"),
            (NetworkMode::named("none"), "no link"),
            (NetworkMode::named("host"), "one of this machine"),
        ] {
            assert!(said(network.clone(), &[one]).is_some_and(|said| said.contains(reason)), "{network:?}");
            assert_eq!(said(network, &[]), None);
        }
        let zero = PortMapping { container_port: 0, ..one };
        for bad in [zero, port(None, Some(0), PortProtocol::Udp)] {
            let said = said(NetworkMode::named("web"), &[bad]);
            assert!(said.is_some_and(|said| said.contains("1 to 65535")), "{bad:?}");
        }
    }
}
