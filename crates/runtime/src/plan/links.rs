//! Network devices of the host that move into the container.

use super::spec::invalid;
use crate::Failure;
use crate::config::Linux;
use tinyd_ns::Namespaces;

const PROPERTY: &str = "linux.netDevices";

/// A device that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// What it is called on the host.
    pub(crate) name: String,
    /// What it is called in the container; a template if it ends with [`NUMBER`].
    pub(crate) inside: String,
}

/// The end of a name that stands for the first number that is free.
pub(crate) const NUMBER: &str = "%d";

pub(super) fn plan(linux: &Linux, apart: Namespaces) -> Result<Vec<Link>, Failure> {
    let mut links: Vec<Link> = Vec::new();
    for (name, device) in linux.net_devices.iter().flatten() {
        let inside = device.name.as_deref().filter(|inside| !inside.is_empty()).unwrap_or(name);
        for name in [name.as_str(), inside] {
            if !is_name(name.strip_suffix(NUMBER).unwrap_or(name)) {
                return Err(invalid(PROPERTY, format!("{name:?} is no name of a device")));
            }
        }
        if !inside.ends_with(NUMBER) && links.iter().any(|other| other.inside == inside) {
            return Err(invalid(PROPERTY, format!("{inside} is the name of two devices")));
        }
        links.push(Link { name: name.clone(), inside: inside.to_owned() });
    }
    if !links.is_empty() && !apart.contains(Namespaces::NET) {
        return Err(invalid(PROPERTY, "there is no network namespace for them to move to"));
    }
    links.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(links)
}

/// As the kernel has it (`dev_valid_name`), without what it would take for a template.
fn is_name(name: &str) -> bool {
    let odd =
        |byte: u8| byte == b'/' || byte == b':' || byte == b'%' || byte == 0 || byte.is_ascii_whitespace();
    (1..16).contains(&name.len()) && name != "." && name != ".." && !name.bytes().any(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_devices_move_to_a_network_of_the_containers_own() {
        let of = |json: &str, apart| {
            let linux: Linux = crate::plan::read(format!(r#"{{"netDevices": {json}}}"#).as_bytes()).unwrap();
            plan(&linux, apart)
        };
        let found = of(r#"{"eth1": {"name": "lan"}, "eth0": {}}"#, Namespaces::NET).unwrap();
        let link = |name: &str, inside: &str| Link { name: name.into(), inside: inside.into() };
        assert_eq!(found, [link("eth0", "eth0"), link("eth1", "lan")]);
        let templates = of(r#"{"eth1": {"name": "lan%d"}, "eth0": {"name": "lan%d"}}"#, Namespaces::NET);
        assert_eq!(templates.unwrap(), [link("eth0", "lan%d"), link("eth1", "lan%d")]);
        assert!(of("{}", Namespaces::empty()).unwrap().is_empty());
        for (json, apart) in [
            (r#"{"eth0": {}}"#, Namespaces::IPC),
            (r#"{"eth0": {"name": "x"}, "eth1": {"name": "x"}}"#, Namespaces::NET),
            (r#"{"eth0": {"name": "a/b"}}"#, Namespaces::NET),
            (r#"{"eth0": {"name": ".."}}"#, Namespaces::NET),
            (r#"{"eth0": {"name": "%dlan"}}"#, Namespaces::NET),
            (r#"{"0123456789abcdef": {}}"#, Namespaces::NET),
        ] {
            assert!(of(json, apart).unwrap_err().to_string().contains("linux.netDevices"), "{json}");
        }
    }
}
