//! Ports of the host that plugins lead to containers. They would take one from whoever has it without a word: so it is looked
//! at before.

use super::record::{Key, Record};
use crate::{Error, NetworkSpec, PublishedPort, Result, port};

/// Fills in those that are to be chosen; refuses those that a process or another container on such a network has.
pub(super) fn choose(
    network: &NetworkSpec,
    wanted: &[PublishedPort],
    others: &[(Key, Record)],
) -> Result<Vec<PublishedPort>> {
    let busy = |source| Error::Port { network: network.name.clone(), source: Box::new(source) };
    let others: Vec<_> =
        others.iter().flat_map(|(key, record)| record.ports.iter().map(move |port| (port, key))).collect();
    for port in wanted.iter().filter(|port| port.host_port != 0) {
        port::check_free(port).map_err(busy)?;
        if let Some((_, key)) = others.iter().find(|(other, _)| meet(port, other)) {
            return Err(Error::Invalid {
                network: network.name.clone(),
                what: format!("port {}/{}", port.host_port, port.protocol),
                problem: format!("is published already: it leads to the container {}", key.container).into(),
            });
        }
    }
    let mut ports = wanted.to_vec();
    for index in 0..ports.len() {
        let PublishedPort { host, host_port: 0, protocol, .. } = ports[index] else { continue };
        let is_taken = |number: u16| {
            let mut all = others.iter().map(|(other, _)| *other).chain(&ports);
            all.any(|other| other.host_port == number && other.protocol == protocol)
        };
        ports[index].host_port = port::choose_free(host, protocol, &is_taken).map_err(busy)?;
    }
    Ok(ports)
}

/// Whether a packet could be for both. No address is every address.
fn meet(one: &PublishedPort, other: &PublishedPort) -> bool {
    let host = |port: &PublishedPort| port.host.filter(|host| !host.is_unspecified());
    let apart = matches!((host(one), host(other)), (Some(one), Some(other)) if one != other);
    one.host_port == other.host_port && one.protocol == other.protocol && !apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn port(host: Option<&str>, host_port: u16, protocol: Protocol) -> PublishedPort {
        let host = host.map(|text| text.parse().unwrap());
        PublishedPort { host, host_port, container_port: 80, protocol }
    }

    #[test]
    fn pure_a_port_leads_to_one_container() {
        let any = port(None, 8080, Protocol::Tcp);
        for (other, meets) in [
            (any, true),
            (port(Some("0.0.0.0"), 8080, Protocol::Tcp), true),
            (port(Some("127.0.0.1"), 8080, Protocol::Tcp), true),
            (port(None, 8081, Protocol::Tcp), false),
            (port(None, 8080, Protocol::Udp), false),
        ] {
            assert_eq!(meet(&any, &other), meets, "{other:?}");
            assert_eq!(meet(&other, &any), meets, "{other:?}");
        }
        let one = port(Some("127.0.0.1"), 8080, Protocol::Tcp);
        assert!(!meet(&one, &port(Some("127.0.0.2"), 8080, Protocol::Tcp)));
    }

    #[test]
    fn pure_ports_are_chosen_and_what_others_have_is_refused() {
        let network = NetworkSpec::named("web");
        let wanted = [port(None, 0, Protocol::Tcp), port(None, 0, Protocol::Tcp)];
        let chosen = choose(&network, &wanted, &[]).unwrap();
        assert!(chosen[0].host_port != 0 && chosen[1].host_port != 0, "{chosen:?}");
        assert_ne!(chosen[0].host_port, chosen[1].host_port);
        let key = Key { container: "aaaa".into(), interface: "eth0".into() };
        let others = [(key, Record { ports: chosen.clone(), ..Default::default() })];
        let said = choose(&network, &chosen[1..], &others).unwrap_err().to_string();
        assert!(
            said.contains(&format!("port {}/tcp is published", chosen[1].host_port)) && said.contains("aaaa")
        );
    }
}
