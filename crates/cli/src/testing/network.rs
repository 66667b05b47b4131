//! The networks and ports of the scripted engine.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;
use tinyd_engine::{NetworkSummary, PortBinding};

/// One that every host has, and one that was made.
pub(super) fn summaries() -> Vec<NetworkSummary> {
    let none = NetworkSummary {
        id: "6e6f6e65000000000000000000000000".into(),
        name: "none".into(),
        driver: "none".into(),
        subnets: Vec::new(),
        internal: false,
        containers: 2,
        created: None,
        labels: BTreeMap::new(),
    };
    let web = NetworkSummary {
        id: "0123456789abcdef0123456789abcdef".into(),
        name: "web".into(),
        driver: "bridge".into(),
        subnets: ["10.9.0.0/24", "fd00::/64"].map(String::from).to_vec(),
        containers: 0,
        created: Some(UNIX_EPOCH),
        ..none.clone()
    };
    vec![none, web]
}

/// Where each container is reached.
pub(super) fn ports() -> BTreeMap<String, Vec<PortBinding>> {
    let of = |ip: &str, port: &str| PortBinding { host_ip: ip.to_owned(), host_port: port.to_owned() };
    BTreeMap::from([
        ("443/tcp".to_owned(), vec![of("0.0.0.0", "8443")]),
        ("53/udp".to_owned(), vec![of("127.0.0.1", "5353")]),
        ("80/tcp".to_owned(), vec![of("0.0.0.0", "8080"), of("::", "8080")]),
    ])
}
