//! The device nodes of a configuration.

use super::cstrings::c_path;
use super::spec::invalid;
use super::{MAX_PREPARED, MountPlan, MountSource, Stray, Strays};
use crate::Failure;
use crate::config::{Device, DeviceType};
use rustix::fs::{FileType, makedev};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tinyd_fs::dev::{Node, NodeKind, standard_nodes};
use tinyd_ns::idmap::{IdMaps, outside};

const PROPERTY: &str = "linux.devices";

/// Gives the nodes below `/dev` to the mount that is `/dev`, where there is one that is made for the container. The others are strays;
/// so are the nodes that every container has where somebody else's `/dev` has not brought its own.
pub(super) fn place(
    devices: &[Device],
    maps: Option<&IdMaps>,
    mounts: &mut [MountPlan],
) -> Result<Strays, Failure> {
    let mut strays = Strays::default();
    let is_dev =
        |mount: &&MountPlan| Path::new(OsStr::from_bytes(mount.target.to_bytes())) == Path::new("/dev");
    strays.links = !mounts
        .iter()
        .filter(is_dev)
        .any(|mount| matches!(mount.source, MountSource::Bind(_) | MountSource::Dev { .. }));
    if strays.links {
        let owner = maps.and_then(IdMaps::root).unwrap_or((0, 0));
        for node in standard_nodes(owner) {
            let target = Path::new("/dev").join(&node.path);
            add(&mut strays, &target, &node, false)?;
        }
    }
    let dev = mounts.iter_mut().find_map(|mount| match &mut mount.source {
        MountSource::Dev { nodes, .. } => Some(nodes),
        _ => None,
    });
    let mut below = Vec::new();
    for device in devices {
        let node = node(device, maps)?;
        match below_dev(&device.path).filter(|_| dev.is_some()) {
            Some(path) => below.push(Node { path, ..node }),
            None => add(&mut strays, &device.path, &node, true)?,
        }
    }
    if let Some(dev) = dev {
        *dev = below;
    }
    Ok(strays)
}

fn add(strays: &mut Strays, target: &Path, node: &Node, strict: bool) -> Result<(), Failure> {
    let name = strays.nodes.len().to_string();
    let expected = match node.kind {
        NodeKind::Block => (FileType::BlockDevice, makedev(node.major, node.minor)),
        NodeKind::Char => (FileType::CharacterDevice, makedev(node.major, node.minor)),
        NodeKind::Fifo => (FileType::Fifo, 0),
    };
    let stray = Stray {
        name: c_path(PROPERTY, Path::new(&name))?,
        target: c_path(PROPERTY, target)?,
        expected: strict.then_some(expected),
    };
    // One that every container has may be asked for in another way.
    if let Some(at) = strays.places.iter().position(|other| other.target == stray.target) {
        if let Some(old) = strays.nodes.get_mut(at) {
            *old = Node { path: old.path.clone(), ..node.clone() };
        }
        return Ok(());
    }
    if strays.places.len() == MAX_PREPARED {
        return Err(invalid(PROPERTY, format!("there are more than {MAX_PREPARED} outside of /dev")));
    }
    strays.nodes.push(Node { path: name.into(), ..node.clone() });
    strays.places.push(stray);
    Ok(())
}

fn node(device: &Device, maps: Option<&IdMaps>) -> Result<Node, Failure> {
    let path = &device.path;
    let refuse = |problem: String| Err(invalid(PROPERTY, format!("{}: {problem}", path.display())));
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
    if !path.is_absolute()
        || path.file_name().is_none()
        || !path.components().all(plain)
        || path == Path::new("/dev")
    {
        return refuse("is no path of a device".to_owned());
    }
    let kind = match device.typ {
        DeviceType::Block => NodeKind::Block,
        DeviceType::Char | DeviceType::Unbuffered => NodeKind::Char,
        DeviceType::Fifo => NodeKind::Fifo,
        DeviceType::All => return refuse("has no type".to_owned()),
    };
    let (Ok(major), Ok(minor)) = (u32::try_from(device.major), u32::try_from(device.minor)) else {
        return refuse(format!("{}:{} is no number of a device", device.major, device.minor));
    };
    let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    let owner = match maps {
        None => (uid, gid),
        Some(maps) => match (outside(&maps.users, uid), outside(&maps.groups, gid)) {
            (Some(uid), Some(gid)) => (uid, gid),
            _ => return refuse(format!("its owner {uid}:{gid} has no id in the container's user namespace")),
        },
    };
    let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
    Ok(Node { path: path.clone(), kind, major, minor, mode, owner })
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

    fn device(json: &str) -> Device {
        crate::plan::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn pure_nodes_are_the_containers_own_in_its_own_numbers() {
        let kvm = device(
            r#"{"path": "/dev/a/kvm", "type": "c", "major": 10, "minor": 232, "fileMode": 432, "gid": 7}"#,
        );
        let map = |outside| vec![IdRange { inside: 0, outside, length: 65_536 }];
        let maps = IdMaps { users: map(100_000), groups: map(200_000) };
        let node = node(&kvm, Some(&maps)).unwrap();
        assert_eq!((node.major, node.minor, node.mode), (10, 232, 0o660));
        assert_eq!(node.owner, (100_000, 200_007));
        assert_eq!(super::node(&kvm, None).unwrap().owner, (0, 7));
    }

    #[test]
    fn pure_what_cannot_be_a_node_is_refused_by_path() {
        for json in [
            r#"{"path": "x", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/../x", "type": "c", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/x", "type": "a", "major": 1, "minor": 3}"#,
            r#"{"path": "/dev/x", "type": "c", "major": -1, "minor": 3}"#,
        ] {
            let device = device(json);
            let failure = node(&device, None).unwrap_err().to_string();
            assert!(failure.contains(device.path.to_str().unwrap()), "{failure}");
            assert!(place(&[device], None, &mut []).is_err());
        }
    }

    #[test]
    fn pure_a_device_goes_where_it_can_be_opened() {
        let mount = |source| MountPlan { target: c"/dev".to_owned(), source };
        let memory = || MountSource::Dev {
            options: Vec::new(),
            attributes: rustix::mount::MountAttrFlags::empty(),
            propagation: None,
            nodes: Vec::new(),
        };
        let fuse = device(r#"{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}"#);
        let disk = device(r#"{"path": "/data/disk", "type": "b", "major": 8, "minor": 0}"#);
        let null = device(r#"{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 384}"#);
        let all = [fuse, disk, null];
        let mut mounts = [mount(memory())];
        let strays = place(&all, None, &mut mounts).unwrap();
        let MountSource::Dev { nodes, .. } = &mounts[0].source else { panic!("it is still /dev") };
        let below: Vec<_> = nodes.iter().map(|node| node.path.to_str().unwrap()).collect();
        assert_eq!(below, ["fuse", "null"]);
        let targets = |strays: &Strays| -> Vec<String> {
            strays.places.iter().map(|stray| stray.target.to_string_lossy().into_owned()).collect()
        };
        assert!(!strays.links);
        assert_eq!(targets(&strays), ["/data/disk"]);
        assert_eq!(strays.places[0].expected, Some((FileType::BlockDevice, makedev(8, 0))));

        let strays = place(&all, None, &mut []).unwrap();
        assert!(strays.links);
        let expected =
            ["null", "zero", "full", "random", "urandom", "tty", "fuse"].map(|name| format!("/dev/{name}"));
        assert_eq!(targets(&strays), [&expected[..], &["/data/disk".to_owned()]].concat());
        assert_eq!(
            strays.nodes[0].mode, 0o600,
            "what is asked for stands in place of what every container has"
        );
    }
}
