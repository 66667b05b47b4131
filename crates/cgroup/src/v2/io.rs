//! `io`: weights, rates and what was transferred.

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::limits::io::{IoLimits, parse_device, refused};
use crate::stats::IoStats;

const MAX: &str = "io.max";
/// Of the scheduler BFQ and of the cost model (`io.cost.qos`); a kernel may have both, and each disk uses one.
const WEIGHTS: [&str; 2] = ["io.bfq.weight", COST];
const COST: &str = "io.weight";
const NO_WEIGHT: &str =
    "use a kernel with BFQ (CONFIG_BFQ_GROUP_IOSCHED) or CONFIG_BLK_CGROUP_IOCOST, or set none";
const NO_RATES: &str = "use a kernel with CONFIG_BLK_DEV_THROTTLING, or set no rates";

pub(super) fn write(dir: &Dir, io: &IoLimits) -> Result<()> {
    if let Some(weight) = io.weight {
        write_weight(dir, "", weight)?;
    }
    for limit in &io.devices {
        let device = limit.device();
        if let Some(weight) = limit.weight {
            write_weight(dir, &format!("{device} "), weight)?;
        }
        let rates = [
            ("rbps", limit.read_bps),
            ("wbps", limit.write_bps),
            ("riops", limit.read_iops),
            ("wiops", limit.write_iops),
        ];
        let mut line = device.to_string();
        for (key, rate) in rates {
            if let Some(rate) = rate {
                let rate = if rate == -1 { "max".to_owned() } else { rate.to_string() };
                line = format!("{line} {key}={rate}");
            }
        }
        if line.contains('=') {
            dir.write_known_or("io", MAX, &line, NO_RATES, refused)?;
        }
    }
    Ok(())
}

/// `device` is empty for all of them.
fn write_weight(dir: &Dir, device: &str, weight: u16) -> Result<()> {
    let mut there = WEIGHTS.into_iter().filter(|name| dir.has(name)).peekable();
    if there.peek().is_none() {
        return Err(Error::MissingFile { controller: "io", file: WEIGHTS[1].to_owned(), hint: NO_WEIGHT });
    }
    there.try_for_each(|name| {
        let value = if name == COST { even(weight) } else { weight.into() };
        let value = format!("{device}{value}");
        dir.try_write(name, &value).map_err(|e| refused(&dir.file(name), &value, e))
    })
}

/// v1's 10 to 1,000 as the cost model's 1 to 10,000: evenly, end on end, as every other runtime has it.
pub(crate) fn even(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9_999 / 990
}

/// The inverse of [`even`], to the nearest.
fn of_even(weight: u64) -> u16 {
    let nearest = (weight.clamp(1, 10_000) - 1) * 990 + 9_999 / 2;
    u16::try_from(10 + nearest / 9_999).unwrap_or(u16::MAX)
}

pub(super) fn read(dir: &Dir) -> Result<IoLimits> {
    let mut io = IoLimits::default();
    for name in WEIGHTS {
        let Some(text) = dir.read_if_there(name)? else { continue };
        for line in text.lines() {
            // "default 100", "8:16 200", and from BFQ before Linux 5.4 the number alone.
            let (device, weight) = line.rsplit_once(' ').unwrap_or(("default", line));
            let weight = if name == COST { weight.parse().ok().map(of_even) } else { weight.parse().ok() };
            if device == "default" {
                io.weight = io.weight.or(weight);
            } else if let Some((major, minor)) = parse_device(device) {
                let limit = io.entry(major, minor);
                limit.weight = limit.weight.or(weight);
            }
        }
    }
    for line in dir.read_if_there(MAX)?.unwrap_or_default().lines() {
        let mut words = line.split(' ');
        let Some((major, minor)) = words.next().and_then(parse_device) else { continue };
        let limit = io.entry(major, minor);
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let value = if value == "max" { Some(-1) } else { value.parse().ok() };
            match key {
                "rbps" => limit.read_bps = value,
                "wbps" => limit.write_bps = value,
                "riops" => limit.read_iops = value,
                "wiops" => limit.write_iops = value,
                _ => {}
            }
        }
    }
    Ok(io)
}

pub(super) fn stats(dir: &Dir) -> Result<IoStats> {
    let Some(text) = dir.read_if_there("io.stat")? else { return Ok(IoStats::default()) };
    let mut sums = [0u64; 4];
    for (key, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
        if let Some(at) = ["rbytes", "wbytes", "rios", "wios"].iter().position(|k| *k == key) {
            sums[at] = sums[at].saturating_add(value.parse().unwrap_or(0));
        }
    }
    let [read_bytes, write_bytes, read_ops, write_ops] = sums.map(Some);
    Ok(IoStats { read_bytes, write_bytes, read_ops, write_ops })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use crate::limits::IoDeviceLimit;
    use std::fs;

    #[test]
    fn pure_writes_only_what_is_set() {
        let (folder, dir) = fake(&[(MAX, ""), (WEIGHTS[1], "")]);
        let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let limit =
            IoDeviceLimit { major: 8, read_bps: Some(1 << 20), write_iops: Some(-1), ..Default::default() };
        write(&dir, &IoLimits { weight: None, devices: vec![limit] }).unwrap();
        assert_eq!([text(MAX), text(WEIGHTS[1])], ["8:0 rbps=1048576 wiops=max", ""]);
        write(&dir, &IoLimits { weight: Some(50), devices: vec![] }).unwrap();
        assert_eq!(text(WEIGHTS[1]), "405");
        fs::write(folder.path().join(WEIGHTS[1]), "").unwrap();
        let heavy = IoDeviceLimit { major: 8, minor: 16, weight: Some(200), ..Default::default() };
        write(&dir, &IoLimits { weight: None, devices: vec![heavy] }).unwrap();
        assert_eq!(text(WEIGHTS[1]), "8:16 1920");
    }

    #[test]
    fn pure_each_scheduler_is_told_a_weight_on_its_own_scale() {
        for (weight, cost) in [(10, 1), (11, 11), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(even(weight), cost);
            let (folder, dir) = fake(&[(WEIGHTS[0], ""), (COST, "")]);
            let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
            let io = IoLimits { weight: Some(weight), devices: vec![] };
            write(&dir, &io).unwrap();
            assert_eq!([text(WEIGHTS[0]), text(COST)], [weight.to_string(), cost.to_string()]);
            let device = IoDeviceLimit { major: 8, weight: Some(weight), ..Default::default() };
            fs::write(folder.path().join(WEIGHTS[0]), "").unwrap();
            fs::write(folder.path().join(COST), "").unwrap();
            write(&dir, &IoLimits { weight: None, devices: vec![device] }).unwrap();
            assert_eq!([text(WEIGHTS[0]), text(COST)], [format!("8:0 {weight}"), format!("8:0 {cost}")]);
            assert_eq!(read(&dir).unwrap().devices, [device]);
        }
        for weight in 10..=1000 {
            assert_eq!(of_even(even(weight)), weight);
        }
    }

    #[test]
    fn pure_a_kernel_without_weights_or_rates_is_named() {
        let (_folder, dir) = fake(&[("cgroup.procs", "")]);
        let error = write(&dir, &IoLimits { weight: Some(5), devices: vec![] }).unwrap_err();
        assert!(error.to_string().contains("CONFIG_BLK_CGROUP_IOCOST"), "{error}");
        let limit = IoDeviceLimit { read_bps: Some(1), ..Default::default() };
        let error = write(&dir, &IoLimits { weight: None, devices: vec![limit] }).unwrap_err();
        assert!(error.to_string().contains("CONFIG_BLK_DEV_THROTTLING"), "{error}");
    }

    #[test]
    fn pure_reads_back() {
        let (_folder, dir) = fake(&[
            (MAX, "8:0 rbps=1048576 wbps=max riops=max wiops=120\n"),
            (WEIGHTS[1], "default 910\n8:16 1920\n"),
        ]);
        let io = read(&dir).unwrap();
        assert_eq!(io.weight, Some(100));
        let heavy = IoDeviceLimit { major: 8, minor: 16, weight: Some(200), ..Default::default() };
        let slow = IoDeviceLimit {
            major: 8,
            read_bps: Some(1 << 20),
            write_bps: Some(-1),
            read_iops: Some(-1),
            write_iops: Some(120),
            ..Default::default()
        };
        assert_eq!(io.devices, [heavy, slow]);
        let (_folder, dir) = fake(&[]);
        assert_eq!(read(&dir).unwrap(), IoLimits::default());
    }

    #[test]
    fn pure_stats_are_summed_over_the_disks() {
        let text =
            "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=7 dios=1\n8:0 rbytes=5 wbytes=0 rios=1 wios=0\n";
        let (_folder, dir) = fake(&[("io.stat", text)]);
        let expected =
            IoStats { read_bytes: Some(15), write_bytes: Some(20), read_ops: Some(2), write_ops: Some(2) };
        assert_eq!(stats(&dir).unwrap(), expected);
        let (_folder, dir) = fake(&[]);
        assert_eq!(stats(&dir).unwrap(), IoStats::default());
    }
}
