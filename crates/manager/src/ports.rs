//! Published ports as they are shown.

use crate::core::Core;
use crate::store::Record;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tinyd_engine::{PortBinding, PortMapping, PortProtocol};

impl Core {
    /// The ports of the host that lead to a container. One that the host chooses is among them from the moment it is chosen, and as
    /// long as the container runs: the next run has another one, and this one may be anybody's.
    pub(crate) fn ports_of(&self, record: &Record, runs: bool) -> Vec<PortMapping> {
        let mut ports = if runs { self.all_ports_of(record) } else { record.spec.ports.clone() };
        ports.retain(|port| port.host_port.is_some());
        ports
    }

    /// All that were asked for, in that order; one that the host chooses has no number before it is chosen, and that of the last run
    /// where the container stands still.
    pub(crate) fn all_ports_of(&self, record: &Record) -> Vec<PortMapping> {
        let mut ports = record.spec.ports.clone();
        if ports.iter().any(|port| port.host_port.is_none())
            && let Ok(endpoints) = self.endpoints(&record.id)
        {
            // The driver keeps their order.
            let chosen = endpoints.iter().flat_map(|endpoint| &endpoint.state.ports);
            for (port, chosen) in ports.iter_mut().zip(chosen) {
                port.host_port = port.host_port.or(Some(chosen.host_port).filter(|number| *number > 0));
            }
        }
        ports
    }
}

/// `8080:80`, `127.0.0.1:8080:80`, `[::1]:53:53/udp`: as it would be asked for.
pub(crate) fn text(port: &PortMapping) -> String {
    let address = match port.host_ip {
        None => String::new(),
        Some(IpAddr::V4(address)) => format!("{address}:"),
        Some(IpAddr::V6(address)) => format!("[{address}]:"),
    };
    // Without the host's port it is for the host to choose.
    let host = match (port.host_port, address.is_empty()) {
        (Some(number), _) => format!("{number}:"),
        (None, false) => ":".to_owned(),
        (None, true) => String::new(),
    };
    let protocol = match port.protocol {
        PortProtocol::Tcp => String::new(),
        other => format!("/{other}"),
    };
    format!("{address}{host}{}{protocol}", port.container_port)
}

/// `80/tcp`.
fn inside(port: &PortMapping) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

/// What was asked for, in Docker's shape.
pub(crate) fn wanted(record: &Record) -> BTreeMap<String, Vec<PortBinding>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for port in &record.spec.ports {
        all.entry(inside(port)).or_default().push(PortBinding {
            host_ip: port.host_ip.map(|address| address.to_string()).unwrap_or_default(),
            host_port: port.host_port.map(|number| number.to_string()).unwrap_or_default(),
        });
    }
    all
}

/// Where the container is reached, in Docker's shape: all addresses of the host are one entry for each family that the
/// network has.
pub(crate) fn bindings(record: &Record, ports: &[PortMapping]) -> BTreeMap<String, Vec<PortBinding>> {
    let has_six = record
        .way_out()
        .is_some_and(|place| place.network.spec.subnets.iter().any(|one| one.address.is_ipv6()));
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for port in ports {
        let everywhere = if has_six { &["0.0.0.0", "::"][..] } else { &["0.0.0.0"] };
        let addresses = match port.host_ip {
            Some(address) => vec![address.to_string()],
            None => everywhere.iter().map(|&address| address.to_owned()).collect(),
        };
        let number = port.host_port.unwrap_or_default().to_string();
        let entries = addresses.into_iter().map(|host_ip| PortBinding { host_ip, host_port: number.clone() });
        all.entry(inside(port)).or_default().extend(entries);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{ENDPOINTS_FILE, Endpoint};
    use crate::testing::{self, FakeLauncher, record_with};
    use tinyd_net::{EndpointState, Protocol, PublishedPort};

    fn port(host_ip: Option<&str>, host_port: Option<u16>, protocol: PortProtocol) -> PortMapping {
        let host_ip = host_ip.map(|text| text.parse().unwrap());
        PortMapping { host_ip, host_port, container_port: 80, protocol }
    }

    #[test]
    fn pure_a_port_is_shown_as_it_is_asked_for() {
        for (port, shown) in [
            (port(None, Some(8080), PortProtocol::Tcp), "8080:80"),
            (port(None, Some(53), PortProtocol::Udp), "53:80/udp"),
            (port(Some("127.0.0.1"), Some(8080), PortProtocol::Tcp), "127.0.0.1:8080:80"),
            (port(Some("::1"), Some(9), PortProtocol::Sctp), "[::1]:9:80/sctp"),
            (port(None, None, PortProtocol::Tcp), "80"),
            (port(Some("::1"), None, PortProtocol::Tcp), "[::1]::80"),
        ] {
            assert_eq!(text(&port), shown);
        }
    }

    #[test]
    fn pure_one_that_the_host_is_to_choose_is_seen_when_it_is_chosen() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let record = record_with(&core.store, |record| {
            record.spec.ports = vec![
                port(None, Some(8080), PortProtocol::Tcp),
                port(None, None, PortProtocol::Tcp),
                port(Some("127.0.0.1"), Some(9), PortProtocol::Udp),
            ];
            record.places[0].network.spec.subnets =
                vec!["10.9.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
        });
        let of = |ip: &str, port: &str| PortBinding { host_ip: ip.to_owned(), host_port: port.to_owned() };
        let seen = bindings(&record, &core.ports_of(&record, true));
        assert_eq!(seen["80/tcp"], [of("0.0.0.0", "8080"), of("::", "8080")]);
        assert_eq!(seen["80/udp"], [of("127.0.0.1", "9")]);
        assert_eq!(wanted(&record)["80/tcp"], [of("", "8080"), of("", "")]);
        let number =
            |host_port| PublishedPort { host: None, host_port, container_port: 80, protocol: Protocol::Tcp };
        let state = EndpointState { ports: [8080, 32768, 9].map(number).to_vec(), ..Default::default() };
        std::fs::create_dir(core.store.run_dir(&record.id)).unwrap();
        let path = core.store.run_dir(&record.id).join(ENDPOINTS_FILE);
        tinyd_runtime::state::store(&path, &[Endpoint { network: "none".to_owned(), state }], false).unwrap();
        let texts = |runs| core.ports_of(&record, runs).iter().map(text).collect::<Vec<_>>();
        assert_eq!(texts(true), ["8080:80", "32768:80", "127.0.0.1:9:80/udp"]);
        // What was chosen for the last run is nobody's.
        assert_eq!(texts(false), ["8080:80", "127.0.0.1:9:80/udp"]);
    }
}
