//! The limits of a configuration, in the words of the control groups.

use super::spec::invalid;
use crate::Failure;
use crate::config::{
    BlockIo, DeviceAllowance, DeviceType, HugepageLimit, InterfacePriority, Network, Resources,
    ThrottleDevice,
};
use tinyd_cgroup::{
    DeviceAccess, DeviceKind, DeviceRule, HugetlbLimit, IoDeviceLimit, IoLimits, Limits, NetLimits,
    NetPriority, Setting,
};

/// What is 0 or empty where that is no limit is none: engines write so what nobody asked for. A negative quota, whichever it is,
/// is the kernel's word for none at all (`tg_set_cfs_quota` in kernel/sched/core.c).
pub(crate) fn limits(resources: &Resources) -> Result<Limits, Failure> {
    let mut limits = Limits { settings: settings(resources)?, ..Limits::default() };
    if let Some(cpu) = &resources.cpu {
        limits.cpu.quota_us = cpu.quota.filter(|us| *us != 0).map(|us| us.max(-1));
        limits.cpu.period_us = cpu.period.filter(|us| *us != 0);
        limits.cpu.shares = cpu.shares.filter(|shares| *shares != 0);
        limits.cpu.cpus = cpu.cpus.clone().filter(|list| !list.is_empty());
        limits.cpu.mems = cpu.mems.clone().filter(|list| !list.is_empty());
    }
    if let Some(memory) = &resources.memory {
        limits.memory.limit_bytes = memory.limit.filter(|bytes| *bytes != 0);
        limits.memory.swap_bytes = memory.swap.filter(|bytes| *bytes != 0);
        limits.memory.reservation_bytes = memory.reservation.filter(|bytes| *bytes != 0);
    }
    if let Some(pids) = &resources.pids {
        // That one is a limit: no further process at all.
        limits.pids_max = pids.limit;
    }
    limits.devices = devices(resources)?;
    limits.io = resources.block_io.as_ref().map(io).transpose()?.unwrap_or_default();
    limits.hugetlb = resources.hugepage_limits.iter().flatten().map(pages).collect::<Result<_, _>>()?;
    limits.net = resources.network.as_ref().map(net).unwrap_or_default();
    Ok(limits)
}

/// More than the kernel can count is no limit.
fn pages(wanted: &HugepageLimit) -> Result<HugetlbLimit, Failure> {
    let limit = wanted.limit.ok_or_else(|| invalid("linux.resources.hugepageLimits.limit", "is missing"))?;
    Ok(HugetlbLimit { page_size: wanted.page_size.clone(), limit_bytes: i64::try_from(limit).unwrap_or(-1) })
}

/// What few bundles ask for, by the files that hold it.
fn settings(resources: &Resources) -> Result<Vec<Setting>, Failure> {
    let mut all = Vec::new();
    let mut add = |name: &str, v1: Option<(&str, String)>, v2: Option<(&str, String)>| {
        let owned = |(file, value): (&str, String)| (file.to_owned(), value);
        let name = format!("linux.resources.{name}");
        all.push(Setting { name, v1: v1.map(owned), v2: v2.map(owned) });
    };
    if let Some(cpu) = &resources.cpu {
        if let Some(burst) = cpu.burst.map(|us| us.to_string()) {
            add("cpu.burst", Some(("cpu.cfs_burst_us", burst.clone())), Some(("cpu.max.burst", burst)));
        }
        if let Some(idle) = cpu.idle {
            if !(0..=1).contains(&idle) {
                return Err(invalid("linux.resources.cpu.idle", format!("{idle} is neither 0 nor 1")));
            }
            let idle = idle.to_string();
            add("cpu.idle", Some(("cpu.idle", idle.clone())), Some(("cpu.idle", idle)));
        }
        if let Some(period) = cpu.realtime_period.filter(|us| *us != 0) {
            add("cpu.realtimePeriod", Some(("cpu.rt_period_us", period.to_string())), None);
        }
        if let Some(runtime) = cpu.realtime_runtime.filter(|us| *us != 0) {
            add("cpu.realtimeRuntime", Some(("cpu.rt_runtime_us", runtime.to_string())), None);
        }
    }
    if let Some(memory) = &resources.memory {
        if let Some(swappiness) = memory.swappiness {
            if swappiness > 100 {
                let problem = format!("{swappiness} is not between 0 and 100");
                return Err(invalid("linux.resources.memory.swappiness", problem));
            }
            add("memory.swappiness", Some(("memory.swappiness", swappiness.to_string())), None);
        }
        if memory.disable_oom_killer == Some(true) {
            add("memory.disableOOMKiller", Some(("memory.oom_control", "1".to_owned())), None);
        }
        if let Some(bytes) = memory.kernel_tcp {
            add("memory.kernelTCP", Some(("memory.kmem.tcp.limit_in_bytes", bytes.to_string())), None);
        }
        // Not `kernel`: it is counted with the rest since Linux 5.16, and by version 2 always, and that limit holds for it too.
        if memory.use_hierarchy == Some(false) {
            let problem = "what is below a group counts for it, since Linux 5.11 without a choice";
            return Err(invalid("linux.resources.memory.useHierarchy", problem));
        }
    }
    if let Some(io) = &resources.block_io {
        if let Some(weight) = io.leaf_weight {
            add("blockIO.leafWeight", Some(("blkio.leaf_weight", weight.to_string())), None);
        }
        for one in io.weight_device.iter().flatten() {
            if let Some(weight) = one.leaf_weight {
                let line = format!("{}:{} {weight}", one.major, one.minor);
                add("blockIO.weightDevice.leafWeight", Some(("blkio.leaf_weight_device", line)), None);
            }
        }
    }
    let mut devices: Vec<_> = resources.rdma.iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (device, limit) in devices {
        if device.is_empty() || device.contains(char::is_whitespace) {
            return Err(invalid("linux.resources.rdma", format!("{device:?} is no device")));
        }
        let part =
            |name: &str, most: Option<u32>| most.map(|most| format!(" {name}={most}")).unwrap_or_default();
        let (handles, objects) =
            (part("hca_handle", limit.hca_handles), part("hca_object", limit.hca_objects));
        if handles.is_empty() && objects.is_empty() {
            return Err(invalid(
                "linux.resources.rdma",
                format!("{device}: neither hcaHandles nor hcaObjects"),
            ));
        }
        let line = format!("{device}{handles}{objects}");
        add("rdma", Some(("rdma.max", line.clone())), Some(("rdma.max", line)));
    }
    let mut unified: Vec<_> = resources.unified.iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        add(&format!("unified: {file}"), None, Some((file, value.clone())));
    }
    Ok(all)
}

/// The rules, and what everybody may use besides; where there are none, or all is allowed, nothing is ruled.
fn devices(resources: &Resources) -> Result<Vec<DeviceRule>, Failure> {
    let mut rules = resources.devices.iter().flatten().map(device).collect::<Result<Vec<_>, _>>()?;
    if rules.last().is_some_and(|rule| *rule != DeviceRule::all(true)) {
        let missing: Vec<_> = everybodys_devices().filter(|rule| !rules.contains(rule)).collect();
        rules.extend(missing);
    }
    Ok(rules)
}

/// What those may make who may make devices at all, as other engines expect: every node, which opens none of them.
pub(super) fn every_node(rules: &mut Vec<DeviceRule>) {
    if rules.last().is_some_and(|rule| *rule != DeviceRule::all(true)) {
        let kinds = [DeviceKind::Char, DeviceKind::Block];
        rules.extend(kinds.map(|kind| DeviceRule::new(true, kind, None, None, DeviceAccess::MKNOD)));
    }
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

fn device(rule: &DeviceAllowance) -> Result<DeviceRule, Failure> {
    const PROPERTY: &str = "linux.resources.devices";
    let kind = match rule.typ.unwrap_or(DeviceType::All) {
        DeviceType::All => DeviceKind::All,
        DeviceType::Block => DeviceKind::Block,
        DeviceType::Char | DeviceType::Unbuffered => DeviceKind::Char,
        DeviceType::Fifo => return Err(invalid(PROPERTY, "a FIFO is no device")),
    };
    // Left out and negative numbers are every number.
    let number = |n: Option<i64>| match n {
        Some(n) if n >= 0 => {
            u32::try_from(n).map(Some).map_err(|_| invalid(PROPERTY, format!("{n} is no number of a device")))
        }
        _ => Ok(None),
    };
    let access: DeviceAccess =
        rule.access.as_deref().unwrap_or("rwm").parse().map_err(|error| invalid(PROPERTY, error))?;
    Ok(DeviceRule::new(rule.allow, kind, number(rule.major)?, number(rule.minor)?, access))
}

fn io(block: &BlockIo) -> Result<IoLimits, Failure> {
    let mut io = IoLimits { weight: weight("weight", block.weight)?, ..IoLimits::default() };
    for (at, one) in block.weight_device.iter().flatten().enumerate() {
        let weight = weight(&format!("weightDevice[{at}].weight"), one.weight)?;
        limit_of(&mut io, one.major, one.minor)?.weight = weight;
    }
    type Rate = fn(&mut IoDeviceLimit) -> &mut Option<i64>;
    let rates: [(&Option<Vec<ThrottleDevice>>, Rate); 4] = [
        (&block.throttle_read_bps_device, |limit| &mut limit.read_bps),
        (&block.throttle_write_bps_device, |limit| &mut limit.write_bps),
        (&block.throttle_read_iops_device, |limit| &mut limit.read_iops),
        (&block.throttle_write_iops_device, |limit| &mut limit.write_iops),
    ];
    for (devices, rate) in rates {
        for one in devices.iter().flatten() {
            // The kernel's files of v1, whose words these are, take 0 for no limit.
            let wanted = if one.rate == 0 { -1 } else { i64::try_from(one.rate).unwrap_or(i64::MAX) };
            *rate(limit_of(&mut io, one.major, one.minor)?) = Some(wanted);
        }
    }
    Ok(io)
}

/// A weight; 0 is none.
fn weight(name: &str, weight: Option<u16>) -> Result<Option<u16>, Failure> {
    match weight.filter(|weight| *weight != 0) {
        Some(weight) if !(10..=1000).contains(&weight) => {
            let problem = format!("{weight} is not between 10 and 1000");
            Err(invalid(&format!("linux.resources.blockIO.{name}"), problem))
        }
        weight => Ok(weight),
    }
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

fn net(network: &Network) -> NetLimits {
    let priorities = network.priorities.iter().flatten();
    let priority =
        |one: &InterfacePriority| NetPriority { interface: one.name.clone(), priority: one.priority };
    NetLimits { class_id: network.class_id, priorities: priorities.map(priority).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Limits, Failure> {
        limits(&crate::plan::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn pure_every_limit_of_the_specification() {
        let found = read(
            r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3,
                 "access": "rw"}, {"allow": true, "type": "b", "major": -1, "access": "m"}],
                "memory": {"limit": 1, "swap": 2, "reservation": 3}, "pids": {"limit": 4},
                "cpu": {"quota": 5, "period": 6, "shares": 7, "cpus": "0", "mems": "1"},
                "blockIO": {"weight": 18, "weightDevice": [{"major": 9, "minor": 10, "weight": 11}],
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
        let mut devices = found.devices.clone();
        every_node(&mut devices);
        let added: Vec<_> = devices[rules.len()..].iter().map(ToString::to_string).collect();
        assert_eq!(added, ["c *:* m", "b *:* m"]);
        let all = read(r#"{"devices": [{"allow": true, "access": "rwm"}]}"#).unwrap();
        assert_eq!(all.devices, [DeviceRule::all(true)]);
        let mut none = Vec::new();
        every_node(&mut none);
        assert!(none.is_empty(), "where nothing is ruled nothing is added");
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
        assert_eq!(found.io, IoLimits { weight: Some(18), devices: vec![first, second] });
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
            (r#"{"cpu": {"idle": 2}}"#, "linux.resources.cpu.idle"),
            (r#"{"blockIO": {"weight": 9}}"#, "linux.resources.blockIO.weight: "),
            (r#"{"blockIO": {"weight": 1001}}"#, "linux.resources.blockIO.weight: "),
            (
                r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1}]}}"#,
                "linux.resources.blockIO.weightDevice[0].weight: ",
            ),
            (r#"{"memory": {"swappiness": 101}}"#, "linux.resources.memory.swappiness"),
            (r#"{"memory": {"useHierarchy": false}}"#, "linux.resources.memory.useHierarchy"),
            (r#"{"rdma": {"mlx5_1": {}}}"#, "linux.resources.rdma"),
            (
                r#"{"blockIO": {"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}}"#,
                "linux.resources.blockIO",
            ),
        ] {
            let failure = read(json).unwrap_err().to_string();
            assert!(failure.contains(name), "{json}: {failure}");
        }
    }

    #[test]
    fn pure_what_says_no_limit_is_none_and_what_says_nothing_is_nothing() {
        for (json, quota) in [
            ("-1", Some(-1)),
            ("-2", Some(-1)),
            ("-9223372036854775808", Some(-1)),
            ("0", None),
            ("999", Some(999)),
        ] {
            let found = read(&format!(r#"{{"cpu": {{"quota": {json}}}}}"#)).unwrap();
            assert_eq!(found.cpu.quota_us, quota, "{json}");
        }
        let io = r#"{"blockIO": {"weight": 0, "weightDevice": [{"major": 8, "minor": 0, "weight": 0}]}}"#;
        let io = read(io).unwrap().io;
        assert_eq!((io.weight, io.devices[0].weight), (None, None));
        // Nothing saved up is not the same as nothing said.
        let burst = read(r#"{"cpu": {"burst": 0}}"#).unwrap().settings;
        let written = |file: &str| Some((file.to_owned(), "0".to_owned()));
        assert_eq!((&burst[0].v1, &burst[0].v2), (&written("cpu.cfs_burst_us"), &written("cpu.max.burst")));
        assert!(read(r#"{"cpu": {}}"#).unwrap().settings.is_empty());
    }

    #[test]
    fn pure_what_few_bundles_ask_for_by_its_files() {
        let found = read(
            r#"{"cpu": {"burst": 1, "idle": 1, "realtimeRuntime": 2, "realtimePeriod": 3},
                "memory": {"swappiness": 4, "disableOOMKiller": true, "kernel": 5, "kernelTCP": 6, "useHierarchy": true,
                  "checkBeforeUpdate": true},
                "blockIO": {"leafWeight": 7, "weightDevice": [{"major": 8, "minor": 9, "leafWeight": 10}]},
                "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 11}, "a": {"hcaObjects": 1}},
                "unified": {"memory.high": "12", "io.max": "8:0 rbps=1\n8:16 rbps=2"}}"#,
        )
        .unwrap();
        let on = |file: fn(&Setting) -> &Option<(String, String)>| -> Vec<String> {
            found
                .settings
                .iter()
                .filter_map(|one| file(one).as_ref())
                .map(|(file, value)| format!("{file} {value}"))
                .collect()
        };
        let v1 = [
            "cpu.cfs_burst_us 1",
            "cpu.idle 1",
            "cpu.rt_period_us 3",
            "cpu.rt_runtime_us 2",
            "memory.swappiness 4",
            "memory.oom_control 1",
            "memory.kmem.tcp.limit_in_bytes 6",
            "blkio.leaf_weight 7",
            "blkio.leaf_weight_device 8:9 10",
            "rdma.max a hca_object=1",
            "rdma.max mlx5_1 hca_handle=3 hca_object=11",
        ];
        assert_eq!(on(|setting| &setting.v1), v1);
        let v2 = [
            "cpu.max.burst 1",
            "cpu.idle 1",
            "rdma.max a hca_object=1",
            "rdma.max mlx5_1 hca_handle=3 hca_object=11",
            "io.max 8:0 rbps=1\n8:16 rbps=2",
            "memory.high 12",
        ];
        assert_eq!(on(|setting| &setting.v2), v2);
    }
}
