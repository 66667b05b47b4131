//! The limits of a configuration, in the words of the control groups.

use super::spec::invalid;
use crate::Failure;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxDeviceCgroup, LinuxDeviceType, LinuxNetwork, LinuxResources, LinuxThrottleDevice,
};
use tinyd_cgroup::{
    DeviceAccess, DeviceKind, DeviceRule, HugetlbLimit, IoDeviceLimit, IoLimits, Limits, NetLimits,
    NetPriority,
};

/// What is 0 or empty where that is no limit is none: engines write so what nobody asked for.
pub(crate) fn limits(resources: &LinuxResources) -> Result<Limits, Failure> {
    refuse_what_is_not_done(resources)?;
    let mut limits = Limits::default();
    if let Some(cpu) = resources.cpu() {
        limits.cpu.quota_us = cpu.quota().filter(|us| *us != 0);
        limits.cpu.period_us = cpu.period().filter(|us| *us != 0);
        limits.cpu.shares = cpu.shares().filter(|shares| *shares != 0);
        limits.cpu.cpus = cpu.cpus().clone().filter(|list| !list.is_empty());
        limits.cpu.mems = cpu.mems().clone().filter(|list| !list.is_empty());
    }
    if let Some(memory) = resources.memory() {
        limits.memory.limit_bytes = memory.limit().filter(|bytes| *bytes != 0);
        limits.memory.swap_bytes = memory.swap().filter(|bytes| *bytes != 0);
        limits.memory.reservation_bytes = memory.reservation().filter(|bytes| *bytes != 0);
    }
    if let Some(pids) = resources.pids() {
        limits.pids_max = Some(pids.limit()).filter(|count| *count != 0);
    }
    limits.devices = devices(resources)?;
    limits.io = resources.block_io().as_ref().map(io).transpose()?.unwrap_or_default();
    let pages = resources.hugepage_limits().iter().flatten();
    limits.hugetlb = pages
        .map(|one| HugetlbLimit { page_size: one.page_size().clone(), limit_bytes: one.limit() })
        .collect();
    limits.net = resources.network().as_ref().map(net).unwrap_or_default();
    Ok(limits)
}

fn refuse_what_is_not_done(resources: &LinuxResources) -> Result<(), Failure> {
    let leaf_weight = resources.block_io().as_ref().is_some_and(|io| {
        let of_a_device = io.weight_device().iter().flatten().any(|device| device.leaf_weight().is_some());
        io.leaf_weight().is_some() || of_a_device
    });
    let present = [
        ("blockIO.leafWeight", leaf_weight),
        ("rdma", resources.rdma().is_some()),
        ("unified", resources.unified().is_some()),
    ];
    match present.iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(invalid(
            &format!("linux.resources.{name}"),
            "is not supported by this version of tinyd-runtime",
        )),
        None => Ok(()),
    }
}

/// The rules, and what everybody may use besides; where there are none, or all is allowed, nothing is ruled.
fn devices(resources: &LinuxResources) -> Result<Vec<DeviceRule>, Failure> {
    let mut rules = resources.devices().iter().flatten().map(device).collect::<Result<Vec<_>, _>>()?;
    if rules.last().is_some_and(|rule| *rule != DeviceRule::all(true)) {
        let missing: Vec<_> = everybodys_devices().filter(|rule| !rules.contains(rule)).collect();
        rules.extend(missing);
    }
    Ok(rules)
}

/// The devices that everybody may use: null, zero, full, random, urandom, tty, ptmx and the terminals (136 is their
/// driver). The host's console is none of them: a container's is a terminal.
pub fn everybodys_devices() -> impl Iterator<Item = DeviceRule> {
    const ALL: [(u32, Option<u32>); 8] = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(2)),
        (136, None),
    ];
    ALL.into_iter()
        .map(|(major, minor)| DeviceRule::new(true, DeviceKind::Char, Some(major), minor, DeviceAccess::ALL))
}

fn device(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, Failure> {
    const PROPERTY: &str = "linux.resources.devices";
    let kind = match rule.typ().unwrap_or_default() {
        LinuxDeviceType::A => DeviceKind::All,
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
        LinuxDeviceType::P => return Err(invalid(PROPERTY, "a FIFO is no device")),
    };
    // Left out and negative numbers are every number.
    let number = |n: Option<i64>| match n {
        Some(n) if n >= 0 => {
            u32::try_from(n).map(Some).map_err(|_| invalid(PROPERTY, format!("{n} is no number of a device")))
        }
        _ => Ok(None),
    };
    let access: DeviceAccess =
        rule.access().as_deref().unwrap_or("rwm").parse().map_err(|error| invalid(PROPERTY, error))?;
    Ok(DeviceRule::new(rule.allow(), kind, number(rule.major())?, number(rule.minor())?, access))
}

fn io(block: &LinuxBlockIo) -> Result<IoLimits, Failure> {
    let mut io = IoLimits { weight: block.weight().filter(|weight| *weight != 0), ..IoLimits::default() };
    for one in block.weight_device().iter().flatten() {
        limit_of(&mut io, one.major(), one.minor())?.weight = one.weight();
    }
    type Rate = fn(&mut IoDeviceLimit) -> &mut Option<i64>;
    let rates: [(&Option<Vec<LinuxThrottleDevice>>, Rate); 4] = [
        (block.throttle_read_bps_device(), |limit| &mut limit.read_bps),
        (block.throttle_write_bps_device(), |limit| &mut limit.write_bps),
        (block.throttle_read_iops_device(), |limit| &mut limit.read_iops),
        (block.throttle_write_iops_device(), |limit| &mut limit.write_iops),
    ];
    for (devices, rate) in rates {
        for one in devices.iter().flatten() {
            // The kernel's files of v1, whose words these are, take 0 for no limit.
            let wanted = if one.rate() == 0 { -1 } else { i64::try_from(one.rate()).unwrap_or(i64::MAX) };
            *rate(limit_of(&mut io, one.major(), one.minor())?) = Some(wanted);
        }
    }
    Ok(io)
}

/// The limits of one device, which the specification spreads over several lists.
fn limit_of(io: &mut IoLimits, major: i64, minor: i64) -> Result<&mut IoDeviceLimit, Failure> {
    let number = |n: i64| {
        u32::try_from(n)
            .map_err(|_| invalid("linux.resources.blockIO", format!("{n} is no number of a device")))
    };
    let (major, minor) = (number(major)?, number(minor)?);
    let at = match io.devices.iter().position(|one| (one.major, one.minor) == (major, minor)) {
        Some(at) => at,
        None => {
            io.devices.push(IoDeviceLimit { major, minor, ..IoDeviceLimit::default() });
            io.devices.len() - 1
        }
    };
    Ok(&mut io.devices[at])
}

fn net(network: &LinuxNetwork) -> NetLimits {
    let priorities = network.priorities().iter().flatten();
    let priority = |one: &oci_spec::runtime::LinuxInterfacePriority| NetPriority {
        interface: one.name().clone(),
        priority: one.priority(),
    };
    NetLimits { class_id: network.class_id(), priorities: priorities.map(priority).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Limits, Failure> {
        limits(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn pure_every_limit_of_the_specification() {
        let found = read(
            r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3,
                 "access": "rw"}, {"allow": true, "type": "b", "major": -1, "access": "m"}],
                "memory": {"limit": 1, "swap": 2, "reservation": 3}, "pids": {"limit": 4},
                "cpu": {"quota": 5, "period": 6, "shares": 7, "cpus": "0", "mems": "1"},
                "blockIO": {"weight": 8, "weightDevice": [{"major": 9, "minor": 10, "weight": 11}],
                  "throttleReadBpsDevice": [{"major": 9, "minor": 10, "rate": 12}],
                  "throttleWriteIOPSDevice": [{"major": 9, "minor": 13, "rate": 14}]},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 15}],
                "network": {"classID": 16, "priorities": [{"name": "lo", "priority": 17}]}}"#,
        )
        .unwrap();
        let rules: Vec<_> = found.devices.iter().map(|rule| (rule.allow, rule.to_string())).collect();
        let expected = [(false, "a *:* rwm"), (true, "c 1:3 rw"), (true, "b *:* m")];
        assert_eq!(rules[..3], expected.map(|(allow, text)| (allow, text.to_owned())));
        assert_eq!(rules.len(), 3 + everybodys_devices().count());
        let all = read(r#"{"devices": [{"allow": true, "access": "rwm"}]}"#).unwrap();
        assert_eq!(all.devices, [DeviceRule::all(true)]);
        assert_eq!(
            (found.memory.limit_bytes, found.memory.swap_bytes, found.memory.reservation_bytes),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!(
            (found.pids_max, found.cpu.quota_us, found.cpu.period_us, found.cpu.shares),
            (Some(4), Some(5), Some(6), Some(7))
        );
        assert_eq!((found.cpu.cpus.as_deref(), found.cpu.mems.as_deref()), (Some("0"), Some("1")));
        let first =
            IoDeviceLimit { major: 9, minor: 10, weight: Some(11), read_bps: Some(12), ..Default::default() };
        let second = IoDeviceLimit { major: 9, minor: 13, write_iops: Some(14), ..Default::default() };
        assert_eq!(found.io, IoLimits { weight: Some(8), devices: vec![first, second] });
        assert_eq!(found.hugetlb, [HugetlbLimit { page_size: "2MB".into(), limit_bytes: 15 }]);
        assert_eq!(found.net.class_id, Some(16));
        assert_eq!(found.net.priorities, [NetPriority { interface: "lo".into(), priority: 17 }]);
    }

    #[test]
    fn pure_what_no_group_can_hold_is_refused_by_name() {
        for (json, name) in [
            (r#"{"devices": [{"allow": true, "type": "p"}]}"#, "linux.resources.devices"),
            (r#"{"devices": [{"allow": true, "type": "c", "access": "x"}]}"#, "linux.resources.devices"),
            (
                r#"{"devices": [{"allow": true, "type": "c", "major": 4294967296}]}"#,
                "linux.resources.devices",
            ),
            (r#"{"blockIO": {"leafWeight": 5}}"#, "linux.resources.blockIO.leafWeight"),
            (
                r#"{"blockIO": {"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}}"#,
                "linux.resources.blockIO",
            ),
            (r#"{"unified": {}}"#, "linux.resources.unified"),
        ] {
            let failure = read(json).unwrap_err().to_string();
            assert!(failure.contains(name), "{json}: {failure}");
        }
    }
}
