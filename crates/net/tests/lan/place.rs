//! The network outside, and the host that has a link to it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ground::{Other, in_a_namespace, own, prefix};
use std::os::fd::AsFd as _;
use tinyd_net::link::{ChildKind, IpvlanMode, Links, Veth};
use tinyd_net::{EndpointSpec, EndpointState, LanDriver, NetworkDriver, NetworkSpec, NetworkState};

/// The neighbour's addresses; the first is the way to the rest of the world.
pub(crate) const NEIGHBOUR: [&str; 2] = ["10.99.0.1/24", "fd00:99::1/64"];
/// The host's own.
pub(crate) const HOST: &str = "10.99.0.2/24";

/// Runs in a namespace that is the host: its link `uplink0` is plugged into a switch that is a bridge of the neighbour's. A switch
/// that `reflects` sends packets back where they came from, as VEPA needs.
pub(crate) fn on_a_host(reflects: bool, work: impl FnOnce(&Other) + Send) {
    in_a_namespace(|| {
        let neighbour = Other::new();
        let mut there = Links::of(neighbour.netns.as_fd()).unwrap();
        there.make_bridge("switch", [2, 0x42, 9, 9, 9, 1], 1500).unwrap();
        let bridge = there.find("switch").unwrap().unwrap().index;
        for address in NEIGHBOUR {
            there.add_address(bridge, prefix(address)).unwrap();
        }
        let (host, mac) = (own(), [2, 0x42, 9, 9, 9, 2]);
        let cable = Veth {
            name: "port1",
            bridge,
            hairpin: reflects,
            mtu: 1500,
            peer: "uplink0",
            mac,
            netns: host.as_fd(),
        };
        there.make_veth(&cable).unwrap();
        let mut here = Links::here().unwrap();
        let uplink = here.find("uplink0").unwrap().unwrap().index;
        here.add_address(uplink, prefix(HOST)).unwrap();
        here.switch_on(uplink).unwrap();
        work(&neighbour);
    });
}

/// A network behind `uplink0`.
pub(crate) fn spec(options: &[(&str, &str)]) -> NetworkSpec {
    let options = [("parent", "uplink0")].iter().chain(options);
    let options: BTreeMap<_, _> = options.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    NetworkSpec { subnets: vec![prefix("10.99.0.0/24")], options, ..NetworkSpec::named("lan") }
}

pub(crate) fn both_families(options: &[(&str, &str)]) -> NetworkSpec {
    NetworkSpec { subnets: vec![prefix("10.99.0.0/24"), prefix("fd00:99::/64")], ..spec(options) }
}

pub(crate) fn endpoint(container: &str) -> EndpointSpec {
    EndpointSpec { container: container.to_owned(), gateway: true, ..Default::default() }
}

pub(crate) fn on(network: &NetworkState, driver: &LanDriver, name: &str, other: &Other) -> EndpointState {
    driver.attach(network, &endpoint(name), &other.netns).unwrap()
}

/// The names of the links of a namespace.
pub(crate) fn links(other: &Other) -> Vec<String> {
    let all = Links::of(other.netns.as_fd()).unwrap().list().unwrap();
    all.into_iter().map(|link| link.name).collect()
}

/// Whether this kernel has ipvlan: most have it as a module, the machine that this was written on has not.
pub(crate) fn has_ipvlan() -> bool {
    Links::here().unwrap().has_kind(ChildKind::Ipvlan(IpvlanMode::L2)).unwrap()
}

/// The addresses that are leased, as the files say.
pub(crate) fn leased(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.join("leases")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.is_symlink() => {
                    all.push(path.file_name().unwrap().to_str().unwrap().to_owned())
                }
                false => {}
            }
        }
    }
    all.sort();
    all
}
