//! The device nodes of a configuration.

use super::spec::invalid;
use super::{MountPlan, MountSource};
use crate::Failure;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use std::path::{Component, Path, PathBuf};
use tinyd_fs::dev::{Node, NodeKind};
use tinyd_ns::idmap::{IdMaps, outside};

const PROPERTY: &str = "linux.devices";

/// Gives the nodes to the mount that is `/dev`: they can be opened there and nowhere else.
pub(super) fn place(
    devices: &[LinuxDevice],
    maps: Option<&IdMaps>,
    mounts: &mut [MountPlan],
) -> Result<(), Failure> {
    if devices.is_empty() {
        return Ok(());
    }
    let dev = mounts.iter_mut().find_map(|mount| match &mut mount.source {
        MountSource::Dev { nodes, .. } => Some(nodes),
        _ => None,
    });
    let nodes =
        dev.ok_or_else(|| invalid(PROPERTY, "there is no file system in memory at /dev to hold them"))?;
    *nodes = devices.iter().map(|device| node(device, maps)).collect::<Result<_, _>>()?;
    Ok(())
}

fn node(device: &LinuxDevice, maps: Option<&IdMaps>) -> Result<Node, Failure> {
    let path = device.path();
    let refuse = |problem: String| Err(invalid(PROPERTY, format!("{}: {problem}", path.display())));
    let Some(below) = below_dev(path) else {
        return refuse("is no path below /dev".to_owned());
    };
    let kind = match device.typ() {
        LinuxDeviceType::B => NodeKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => NodeKind::Char,
        LinuxDeviceType::P => NodeKind::Fifo,
        LinuxDeviceType::A => return refuse("has no type".to_owned()),
    };
    let (Ok(major), Ok(minor)) = (u32::try_from(device.major()), u32::try_from(device.minor())) else {
        return refuse(format!("{}:{} is no number of a device", device.major(), device.minor()));
    };
    let (uid, gid) = (device.uid().unwrap_or(0), device.gid().unwrap_or(0));
    let owner = match maps {
        None => (uid, gid),
        Some(maps) => match (outside(&maps.users, uid), outside(&maps.groups, gid)) {
            (Some(uid), Some(gid)) => (uid, gid),
            _ => return refuse(format!("its owner {uid}:{gid} has no id in the container's user namespace")),
        },
    };
    let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
    Ok(Node { path: below, kind, major, minor, mode, owner })
}

/// The path seen from `/dev`, where it is one of plain names.
fn below_dev(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("/dev").ok()?;
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !below.as_os_str().is_empty()).then(|| below.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_ns::idmap::IdRange;

    fn device(json: &str) -> LinuxDevice {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn pure_nodes_are_the_containers_own_in_its_own_numbers() {
        let kvm = device(
            r#"{"path": "/dev/a/kvm", "type": "c", "major": 10, "minor": 232, "fileMode": 432, "gid": 7}"#,
        );
        let map = |outside| vec![IdRange { inside: 0, outside, length: 65_536 }];
        let maps = IdMaps { users: map(100_000), groups: map(200_000) };
        let node = node(&kvm, Some(&maps)).unwrap();
        assert_eq!((node.path.to_str(), node.major, node.minor, node.mode), (Some("a/kvm"), 10, 232, 0o660));
        assert_eq!(node.owner, (100_000, 200_007));
        assert_eq!(super::node(&kvm, None).unwrap().owner, (0, 7));
    }

    #[test]
    fn pure_what_cannot_be_a_node_is_refused_by_path() {
        for json in [
            r#"{"path": "/etc/x", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/../x", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/x", "type": "a", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/x", "type": "c", "major": -1, "minor": 3}"#,
        ] {
            let device = device(json);
            let failure = node(&device, None).unwrap_err().to_string();
            assert!(failure.contains(device.path().to_str().unwrap()), "{failure}");
            assert!(place(&[device], None, &mut []).unwrap_err().to_string().contains("/dev"));
        }
    }
}
