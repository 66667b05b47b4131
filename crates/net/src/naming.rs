//! What things on the host are called. A link's name has fifteen bytes at most, too few for a container's id.

use std::net::IpAddr;
use std::path::Path;

/// What the names of ports begin with.
const PORT: &str = "td";

/// The names of one driver.
pub(crate) struct Names {
    /// Drivers with other folders have other names.
    seed: u64,
}

impl Names {
    pub(crate) fn of(folder: &Path) -> Self {
        Self { seed: hash(FNV_BASIS, folder.as_os_str().as_encoded_bytes()) }
    }

    /// What the firewall calls its own.
    pub(crate) fn table(&self) -> String {
        format!("tinyd-{:08x}", fold(self.seed))
    }

    /// What is a network's own: its bridge, its folders.
    pub(crate) fn network(&self, network: &str) -> String {
        format!("tinyd-{:08x}", fold(hash(self.seed, network.as_bytes())))
    }

    /// The host's end of a container's link. Containers' ids are chance: their beginnings differ.
    pub(crate) fn port(&self, network: &str, container: &str) -> String {
        self.of_container(PORT, 9, network, container)
    }

    /// The link that its traffic is led over on the host, where it is limited. Ids are hexadecimal: it is no port's name.
    pub(crate) fn shaper(&self, network: &str, container: &str) -> String {
        self.of_container("tdr", 8, network, container)
    }

    /// Whether a link may be some container's end on the host.
    pub(crate) fn is_port(&self, link: &str) -> bool {
        link.starts_with(PORT)
    }

    fn of_container(&self, before: &str, length: usize, network: &str, container: &str) -> String {
        let start: String = container.chars().filter(char::is_ascii_alphanumeric).take(length).collect();
        let rest = fold(hash(hash(self.seed, network.as_bytes()), container.as_bytes()));
        format!("{before}{start}{:04x}", rest & 0xffff)
    }
}

/// The hardware address of whoever has an address: neighbours that knew an earlier owner need not learn anew.
pub(crate) fn mac(address: IpAddr) -> [u8; 6] {
    let octets = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => fold(hash(FNV_BASIS, &address.octets())).to_be_bytes(),
    };
    let [a, b, c, d] = octets;
    [0x02, 0x42, a, b, c, d]
}

// FNV-1a, 64 bits: it has to be the same in every build.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

fn fold(hash: u64) -> u32 {
    ((hash >> 32) ^ hash) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::MAX_NAME;
    use std::collections::BTreeSet;

    #[test]
    fn pure_names_fit_and_differ() {
        let (one, other) = (Names::of(Path::new("/run/tinyd/net")), Names::of(Path::new("/tmp/x/net")));
        let id = "0123456789abcdef0123456789abcdef";
        let names = [
            one.network("web"),
            one.network("db"),
            other.network("web"),
            one.port("web", id),
            one.port("db", id),
            other.port("web", id),
            one.port("web", "0123456789abcdef0123456789abcdee"),
            one.shaper("web", id),
            one.shaper("db", id),
        ];
        assert!(names.iter().all(|name| name.len() <= MAX_NAME), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn pure_a_hardware_address_is_local_and_follows_from_the_address() {
        assert_eq!(mac("10.208.0.2".parse().unwrap()), [2, 0x42, 10, 208, 0, 2]);
        let six = mac("fd00::2".parse().unwrap());
        assert_eq!(six[..2], [2, 0x42]);
        assert_ne!(six, mac("fd00::3".parse().unwrap()));
    }
}
