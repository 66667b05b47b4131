//! Limits as properties of a unit (systemd.resource-control(5)), so that systemd keeps to them when it writes the group's
//! files again, and shows them.
//!
//! They are what systemd can say. What is exact, and what it has no word for, is written to the files afterwards.

use super::devices;
use super::manager::Properties;
use super::unit::Unit;
use super::wire::Value;
use crate::limits::{CpuLimits, Limits, MemoryLimits};
use crate::v2;
use crate::{HierarchyVersion, Result};

/// "infinity", and what takes a setting back.
const UNLIMITED: u64 = u64::MAX;

/// The kernel's own period, for a quota that comes without one.
const PERIOD: u64 = 100_000;

/// systemd counts in hundredths of a CPU: a part of one that is cut off would be less than was asked for.
const HUNDREDTH: u64 = 10_000;

/// What a unit is made with.
pub(super) fn of_new(
    unit: &Unit,
    stand_in: Option<u32>,
    limits: &Limits,
    version: HierarchyVersion,
) -> Result<Properties> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut properties = vec![
        ("Description", text(&format!("control group {}", unit.name()))),
        // Who makes it ends it: it has no part in the order of a shutdown's units.
        ("DefaultDependencies", Value::Bool(false)),
        ("CPUAccounting", Value::Bool(true)),
        ("MemoryAccounting", Value::Bool(true)),
        ("TasksAccounting", Value::Bool(true)),
        (
            if version == HierarchyVersion::V2 { "IOAccounting" } else { "BlockIOAccounting" },
            Value::Bool(true),
        ),
    ];
    if let Unit::Scope { slice, .. } = unit {
        properties.push(("Slice", text(slice)));
        // The files of the group, and groups below it, are ours to write.
        properties.push(("Delegate", Value::Bool(true)));
        // One that fails is forgotten, and its name is free again.
        properties.push(("CollectMode", text("inactive-or-failed")));
        properties.push(("PIDs", Value::Numbers(stand_in.into_iter().collect())));
    }
    if limits.pids_max.is_none() {
        // systemd has a limit of its own for units that say nothing.
        properties.push(("TasksMax", Value::U64(UNLIMITED)));
    }
    properties.extend(of(limits, version)?);
    Ok(properties)
}

/// What limits are to systemd.
pub(super) fn of(limits: &Limits, version: HierarchyVersion) -> Result<Properties> {
    let mut properties = Vec::new();
    let is_v2 = version == HierarchyVersion::V2;
    memory(&limits.memory, is_v2, &mut properties);
    cpu(&limits.cpu, is_v2, &mut properties);
    if let Some(max) = limits.pids_max {
        properties.push(("TasksMax", Value::U64(number(max))));
    }
    if let Some(weight) = limits.io.weight {
        properties.push(match is_v2 {
            true => ("IOWeight", Value::U64(v2::io_weight(weight))),
            false => ("BlockIOWeight", Value::U64(weight.into())),
        });
    }
    devices::policy(&limits.devices, version, &mut properties)?;
    // As with the files, what is said here counts more than what was said above.
    let files = limits.settings.iter().filter(|_| is_v2).filter_map(|setting| setting.v2.as_ref());
    let period = limits.cpu.period_us.unwrap_or(PERIOD);
    files.for_each(|(file, value)| properties.extend(of_file(file, value.trim(), period)));
    Ok(properties)
}

/// What a file of version 2 is to systemd, `period` being that of quotas that come without one; nothing where it has no word for
/// it, and so does not write it, and for values that it does not take: the kernel says what it thinks of them when they are
/// written.
fn of_file(file: &str, value: &str, period: u64) -> Properties {
    let amount = |name| match value {
        "max" => vec![(name, Value::U64(UNLIMITED))],
        _ => {
            let number = value.parse().ok().filter(|number: &u64| *number > 0);
            number.map(|number| (name, Value::U64(number))).into_iter().collect()
        }
    };
    match file {
        "cpu.weight" => amount("CPUWeight"),
        "cpu.max" => rate(value, period).unwrap_or_default(),
        "cpuset.cpus" => mask(value).map(|mask| ("AllowedCPUs", Value::Bytes(mask))).into_iter().collect(),
        "cpuset.mems" => {
            mask(value).map(|mask| ("AllowedMemoryNodes", Value::Bytes(mask))).into_iter().collect()
        }
        "io.weight" => {
            let weight = value.strip_prefix("default ").unwrap_or(value).parse();
            weight.map(|weight| ("IOWeight", Value::U64(weight))).into_iter().collect()
        }
        "memory.min" => amount("MemoryMin"),
        "memory.low" => amount("MemoryLow"),
        "memory.high" => amount("MemoryHigh"),
        "memory.max" => amount("MemoryMax"),
        "memory.swap.max" => amount("MemorySwapMax"),
        "pids.max" => amount("TasksMax"),
        _ => Vec::new(),
    }
}

/// `cpu.max`: a quota, and a period behind it where it is not the one that there is.
fn rate(value: &str, period: u64) -> Option<Properties> {
    let mut words = value.split_whitespace();
    let quota = words.next()?;
    let period =
        words.next().map_or(Ok(period), str::parse).ok().filter(|us| (1_000..=1_000_000).contains(us))?;
    let quota = if quota == "max" { -1 } else { quota.parse().ok().filter(|us| *us > 0)? };
    let mut properties = Vec::new();
    let limits = CpuLimits { quota_us: Some(quota), period_us: Some(period), ..Default::default() };
    cpu(&limits, true, &mut properties);
    Some(properties)
}

fn memory(memory: &MemoryLimits, is_v2: bool, properties: &mut Properties) {
    if let Some(limit) = memory.limit_bytes {
        properties.push((if is_v2 { "MemoryMax" } else { "MemoryLimit" }, Value::U64(number(limit))));
    }
    if !is_v2 {
        return;
    }
    if let Some(low) = memory.reservation_bytes {
        properties.push(("MemoryLow", Value::U64(number(low))));
    }
    match (memory.swap_bytes, memory.limit_bytes) {
        (Some(-1), _) => properties.push(("MemorySwapMax", Value::U64(UNLIMITED))),
        (Some(both), Some(limit)) => {
            properties.push(("MemorySwapMax", Value::U64(number(both).saturating_sub(number(limit)))));
        }
        // Only the files know the other number.
        (Some(_), None) | (None, _) => {}
    }
}

fn cpu(cpu: &CpuLimits, is_v2: bool, properties: &mut Properties) {
    if let Some(shares) = cpu.shares {
        properties.push(match is_v2 {
            true => ("CPUWeight", Value::U64(v2::weight(shares))),
            false => ("CPUShares", Value::U64(shares)),
        });
    }
    if let Some(quota) = cpu.quota_us {
        let period = cpu.period_us.unwrap_or(PERIOD);
        let per_second = match u64::try_from(quota) {
            Ok(quota) => quota.saturating_mul(1_000_000).div_ceil(period).div_ceil(HUNDREDTH) * HUNDREDTH,
            Err(_) => UNLIMITED,
        };
        properties.push(("CPUQuotaPerSecUSec", Value::U64(per_second)));
    }
    if let Some(period) = cpu.period_us {
        properties.push(("CPUQuotaPeriodUSec", Value::U64(period)));
    }
    // v1's cpuset systemd does not touch.
    for (name, list) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
        if let Some(mask) = list.as_deref().filter(|_| is_v2).and_then(mask) {
            properties.push((name, Value::Bytes(mask)));
        }
    }
}

/// −1 is unlimited; limits were checked, so there is no other negative number.
fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(UNLIMITED)
}

/// A list such as `0-2,7` as bits, the lowest byte first. None for what names more than any kernel has.
fn mask(list: &str) -> Option<Vec<u8>> {
    const MOST: usize = 8192;
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        if to >= MOST {
            return None;
        }
        for bit in from..=to {
            if mask.len() <= bit / 8 {
                mask.resize(bit / 8 + 1, 0);
            }
            mask[bit / 8] |= 1 << (bit % 8);
        }
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IoLimits;

    fn names(properties: &Properties) -> Vec<&'static str> {
        properties.iter().map(|(name, _)| *name).collect()
    }

    fn all() -> Limits {
        Limits {
            cpu: CpuLimits {
                quota_us: Some(50_000),
                period_us: Some(200_000),
                shares: Some(1024),
                cpus: Some("0-2,9".into()),
                mems: Some("0".into()),
            },
            memory: MemoryLimits {
                limit_bytes: Some(64 << 20),
                swap_bytes: Some(96 << 20),
                reservation_bytes: Some(1 << 20),
            },
            pids_max: Some(7),
            io: IoLimits { weight: Some(300), ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn pure_limits_in_systemds_words() {
        let v2 = of(&all(), HierarchyVersion::V2).unwrap();
        assert_eq!(
            v2,
            [
                ("MemoryMax", Value::U64(64 << 20)),
                ("MemoryLow", Value::U64(1 << 20)),
                ("MemorySwapMax", Value::U64(32 << 20)),
                ("CPUWeight", Value::U64(100)),
                ("CPUQuotaPerSecUSec", Value::U64(250_000)),
                ("CPUQuotaPeriodUSec", Value::U64(200_000)),
                ("AllowedCPUs", Value::Bytes(vec![7, 2])),
                ("AllowedMemoryNodes", Value::Bytes(vec![1])),
                ("TasksMax", Value::U64(7)),
                ("IOWeight", Value::U64(2930)),
            ]
        );
        let v1 = of(&all(), HierarchyVersion::V1).unwrap();
        assert_eq!(
            names(&v1),
            [
                "MemoryLimit",
                "CPUShares",
                "CPUQuotaPerSecUSec",
                "CPUQuotaPeriodUSec",
                "TasksMax",
                "BlockIOWeight"
            ]
        );
    }

    #[test]
    fn pure_unlimited_is_said_and_no_part_of_a_cpu_is_lost() {
        let limits = Limits {
            cpu: CpuLimits { quota_us: Some(-1), ..Default::default() },
            memory: MemoryLimits { limit_bytes: Some(-1), swap_bytes: Some(-1), ..Default::default() },
            pids_max: Some(-1),
            ..Default::default()
        };
        let properties = of(&limits, HierarchyVersion::V2).unwrap();
        assert_eq!(names(&properties), ["MemoryMax", "MemorySwapMax", "CPUQuotaPerSecUSec", "TasksMax"]);
        assert!(properties.iter().all(|(_, value)| *value == Value::U64(u64::MAX)));
        let odd =
            Limits { cpu: CpuLimits { quota_us: Some(33_333), ..Default::default() }, ..Default::default() };
        let properties = of(&odd, HierarchyVersion::V2).unwrap();
        assert_eq!(properties, [("CPUQuotaPerSecUSec", Value::U64(340_000))]);
    }

    #[test]
    fn pure_a_new_scope_is_held_by_its_stand_in_and_a_slice_by_nothing() {
        let scope = Unit::Scope { name: "a-b.scope".into(), slice: "a.slice".into() };
        let properties = of_new(&scope, Some(7), &Limits::default(), HierarchyVersion::V2).unwrap();
        for wanted in [
            ("PIDs", Value::Numbers(vec![7])),
            ("Delegate", Value::Bool(true)),
            ("Slice", Value::Text("a.slice".into())),
            ("TasksMax", Value::U64(u64::MAX)),
        ] {
            assert!(properties.contains(&wanted), "{wanted:?}");
        }
        let slice = Unit::Slice { name: "a.slice".into() };
        let properties = of_new(&slice, None, &all(), HierarchyVersion::V1).unwrap();
        for refused in ["PIDs", "Delegate", "Slice", "CollectMode", "IOAccounting"] {
            assert!(!names(&properties).contains(&refused), "{refused}");
        }
        assert_eq!(names(&properties).iter().filter(|name| **name == "TasksMax").count(), 1);
    }

    #[test]
    fn pure_files_that_systemd_writes_as_well_are_said_in_its_words() {
        for (file, value, expected) in [
            ("memory.high", "1048576", vec![("MemoryHigh", Value::U64(1 << 20))]),
            ("memory.swap.max", "max", vec![("MemorySwapMax", Value::U64(UNLIMITED))]),
            ("pids.max", "7", vec![("TasksMax", Value::U64(7))]),
            ("io.weight", "default 50", vec![("IOWeight", Value::U64(50))]),
            ("cpuset.cpus", "0-2", vec![("AllowedCPUs", Value::Bytes(vec![7]))]),
            (
                "cpu.max",
                "max",
                vec![
                    ("CPUQuotaPerSecUSec", Value::U64(UNLIMITED)),
                    ("CPUQuotaPeriodUSec", Value::U64(100_000)),
                ],
            ),
            (
                "cpu.max",
                "50000 200000",
                vec![
                    ("CPUQuotaPerSecUSec", Value::U64(250_000)),
                    ("CPUQuotaPeriodUSec", Value::U64(200_000)),
                ],
            ),
            ("memory.high", "much", vec![]),
            ("cpu.max", "", vec![]),
            ("cpu.max", "50000 0", vec![]),
            ("cpu.max", "-1", vec![]),
            ("pids.max", "0", vec![]),
            ("memory.max", "0", vec![]),
            ("io.weight", "8:0 50", vec![]),
            ("memory.oom.group", "1", vec![]),
        ] {
            assert_eq!(of_file(file, value, PERIOD), expected, "{file} {value}");
        }
        // What is said last counts.
        let high = ("memory.max".to_owned(), "max".to_owned());
        let settings = vec![crate::limits::Setting { name: "unified".into(), v1: None, v2: Some(high) }];
        let limits = Limits { settings, ..all() };
        let properties = of(&limits, HierarchyVersion::V2).unwrap();
        assert_eq!(properties.last(), Some(&("MemoryMax", Value::U64(UNLIMITED))));
        assert_eq!(of(&limits, HierarchyVersion::V1).unwrap(), of(&all(), HierarchyVersion::V1).unwrap());
    }

    #[test]
    fn pure_lists_become_bits() {
        assert_eq!(mask("0"), Some(vec![1]));
        assert_eq!(mask("8-9, 0"), Some(vec![1, 3]));
        assert_eq!((mask("0-4000000000"), mask("x")), (None, None));
    }
}
