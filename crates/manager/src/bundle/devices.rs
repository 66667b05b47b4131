//! Device nodes, and the rules of which devices may be used.

use super::Host;
use crate::devices::Node;
use crate::store::Record;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use std::path::Path;
use tinyd_cgroup::{DeviceAccess, DeviceKind, DeviceRule};
use tinyd_ns::caps::{CapSet, Capability};

/// All that a container may do with devices.
pub(crate) fn rules(nodes: &[Node], capabilities: CapSet, privileged: bool) -> Vec<DeviceRule> {
    if privileged {
        return vec![DeviceRule::all(true)];
    }
    let mut rules = vec![DeviceRule::all(false)];
    if capabilities.contains(Capability::Mknod) {
        // Making a node is harmless where it cannot be opened, and archives hold some.
        let any = |kind| DeviceRule::new(true, kind, None, None, DeviceAccess::MKNOD);
        rules.extend([any(DeviceKind::Char), any(DeviceKind::Block)]);
    }
    rules.extend(tinyd_runtime::everybodys_devices());
    rules.extend(nodes.iter().map(Node::rule));
    rules
}

/// The rules in the specification's words.
pub(super) fn oci_rules(rules: &[DeviceRule]) -> Option<Vec<LinuxDeviceCgroup>> {
    let one = |rule: &DeviceRule| {
        let mut oci = LinuxDeviceCgroup::default();
        oci.set_allow(rule.allow)
            .set_typ((rule.kind != DeviceKind::All).then(|| kind(rule.kind)))
            .set_major(rule.major.map(i64::from))
            .set_minor(rule.minor.map(i64::from))
            .set_access(Some(rule.access.to_string()));
        oci
    };
    (!rules.is_empty()).then(|| rules.iter().map(one).collect())
}

/// The nodes that stand in `/dev` beside everybody's. A user who shows a `/dev` of his own has them there, or does not want
/// them.
pub(super) fn oci_nodes(record: &Record, host: &Host) -> Option<Vec<LinuxDevice>> {
    let is_dev = |target: &Path| target == Path::new("/dev");
    if record.spec.binds.iter().any(|bind| is_dev(&bind.target))
        || record.spec.volumes.iter().any(|mount| is_dev(&mount.target))
    {
        return None;
    }
    let one = |node: &Node| {
        let mut oci = LinuxDevice::default();
        oci.set_path(node.path.clone())
            .set_typ(kind(node.kind))
            .set_major(node.major.into())
            .set_minor(node.minor.into())
            .set_file_mode(Some(node.mode))
            .set_uid(Some(node.owner.0))
            .set_gid(Some(node.owner.1));
        oci
    };
    (!host.devices.is_empty()).then(|| host.devices.iter().map(one).collect())
}

fn kind(kind: DeviceKind) -> LinuxDeviceType {
    match kind {
        DeviceKind::All => LinuxDeviceType::A,
        DeviceKind::Block => LinuxDeviceType::B,
        DeviceKind::Char => LinuxDeviceType::C,
    }
}
