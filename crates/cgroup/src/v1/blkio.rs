//! `blkio`: weights, rates and what was transferred (Documentation/admin-guide/cgroup-v1/blkio-controller.rst).

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::limits::io::{IoDeviceLimit, IoLimits, parse_device, refused};
use crate::stats::IoStats;

/// Of the scheduler CFQ, which Linux 5.0 took away, and of BFQ. The latter's are not in the hierarchy's root.
const WEIGHTS: [&str; 2] = ["blkio.weight", "blkio.bfq.weight"];
const BFQ: &str = "blkio.bfq.io_service_bytes";
const NO_WEIGHT: &str = "use a kernel with BFQ (CONFIG_BFQ_GROUP_IOSCHED), or set no weight";
const NO_RATES: &str = "use a kernel with CONFIG_BLK_DEV_THROTTLING, or set no rates";

const READ_BPS: &str = "blkio.throttle.read_bps_device";
const WRITE_BPS: &str = "blkio.throttle.write_bps_device";
const READ_IOPS: &str = "blkio.throttle.read_iops_device";
const WRITE_IOPS: &str = "blkio.throttle.write_iops_device";

pub(super) fn probe(root: &Dir, io: &IoLimits) -> Result<()> {
    if io.wants_rates() && !root.has(READ_BPS) {
        return Err(Error::MissingFile { controller: "blkio", file: READ_BPS.to_owned(), hint: NO_RATES });
    }
    if io.wants_weight() && !root.has(WEIGHTS[0]) && !root.has(BFQ) {
        return Err(no_weight());
    }
    Ok(())
}

fn no_weight() -> Error {
    Error::MissingFile { controller: "blkio", file: WEIGHTS[0].to_owned(), hint: NO_WEIGHT }
}

pub(super) fn write(dir: &Dir, io: &IoLimits) -> Result<()> {
    if let Some(weight) = io.weight {
        write_weight(dir, "", &weight.to_string())?;
    }
    for limit in &io.devices {
        let device = limit.device();
        if let Some(weight) = limit.weight {
            write_weight(dir, "_device", &format!("{device} {weight}"))?;
        }
        for (file, rate) in [
            (READ_BPS, limit.read_bps),
            (WRITE_BPS, limit.write_bps),
            (READ_IOPS, limit.read_iops),
            (WRITE_IOPS, limit.write_iops),
        ] {
            if let Some(rate) = rate {
                // Zero takes a rate away.
                let line = format!("{device} {}", rate.max(0));
                dir.write_known_or("blkio", file, &line, NO_RATES, refused)?;
            }
        }
    }
    Ok(())
}

fn write_weight(dir: &Dir, suffix: &str, value: &str) -> Result<()> {
    let name = WEIGHTS.iter().map(|name| format!("{name}{suffix}")).find(|name| dir.has(name));
    let name = name.ok_or_else(no_weight)?;
    dir.try_write(&name, value).map_err(|e| refused(&dir.file(&name), value, e))
}

pub(super) fn read(dir: &Dir) -> Result<IoLimits> {
    let mut io = IoLimits::default();
    for name in WEIGHTS {
        if let Some(text) = dir.read_if_there(name)? {
            io.weight = io.weight.or(text.trim().parse().ok());
        }
        each_device(dir, &format!("{name}_device"), |device, value| {
            io.entry(device.0, device.1).weight = value.parse().ok();
        })?;
    }
    let mut rate = |name, set: fn(&mut IoDeviceLimit, Option<i64>)| {
        each_device(dir, name, |device, value| set(io.entry(device.0, device.1), value.parse().ok()))
    };
    rate(READ_BPS, |limit, value| limit.read_bps = value)?;
    rate(WRITE_BPS, |limit, value| limit.write_bps = value)?;
    rate(READ_IOPS, |limit, value| limit.read_iops = value)?;
    rate(WRITE_IOPS, |limit, value| limit.write_iops = value)?;
    Ok(io)
}

/// Calls `found` for each line `major:minor value`.
fn each_device(dir: &Dir, name: &str, mut found: impl FnMut((u32, u32), &str)) -> Result<()> {
    for line in dir.read_if_there(name)?.unwrap_or_default().lines() {
        if let Some((device, value)) = line.split_once(' ')
            && let Some(device) = parse_device(device)
        {
            found(device, value);
        }
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<IoStats> {
    let [read_bytes, write_bytes] = sums(dir, "blkio.throttle.io_service_bytes")?;
    let [read_ops, write_ops] = sums(dir, "blkio.throttle.io_serviced")?;
    Ok(IoStats { read_bytes, write_bytes, read_ops, write_ops })
}

/// Reads and writes over all devices, from lines such as `8:0 Read 4096`. Linux before 4.17 counts no groups below.
fn sums(dir: &Dir, name: &str) -> Result<[Option<u64>; 2]> {
    let text = match dir.read_if_there(&format!("{name}_recursive"))? {
        Some(text) => text,
        None => match dir.read_if_there(name)? {
            Some(text) => text,
            None => return Ok([None; 2]),
        },
    };
    let mut sums = [0u64; 2];
    for line in text.lines() {
        let mut words = line.split(' ').skip(1);
        let at = match words.next() {
            Some("Read") => 0,
            Some("Write") => 1,
            _ => continue,
        };
        let value = words.next().and_then(|value| value.parse().ok()).unwrap_or(0);
        sums[at] = sums[at].saturating_add(value);
    }
    Ok(sums.map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs;

    const RATES: [&str; 4] = [READ_BPS, WRITE_BPS, READ_IOPS, WRITE_IOPS];

    #[test]
    fn pure_writes_only_what_is_set_and_reads_it_back() {
        let (folder, dir) = fake(&RATES.map(|name| (name, "")));
        let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let limit = IoDeviceLimit {
            major: 7,
            minor: 1,
            write_bps: Some(1 << 20),
            read_iops: Some(-1),
            ..Default::default()
        };
        let io = IoLimits { weight: None, devices: vec![limit] };
        write(&dir, &io).unwrap();
        assert_eq!(RATES.map(text), ["", "7:1 1048576", "7:1 0", ""]);
        fs::write(folder.path().join(READ_IOPS), "").unwrap();
        let found = read(&dir).unwrap();
        assert_eq!(found.devices, [IoDeviceLimit { read_iops: None, ..limit }]);
    }

    #[test]
    fn pure_the_weight_of_whichever_scheduler_there_is() {
        for name in WEIGHTS {
            let by_device = format!("{name}_device");
            let (folder, dir) = fake(&[(name, ""), (&by_device, "")]);
            let heavy = IoDeviceLimit { major: 8, weight: Some(300), ..Default::default() };
            let io = IoLimits { weight: Some(200), devices: vec![heavy] };
            write(&dir, &io).unwrap();
            let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!([text(name), text(&by_device)], ["200", "8:0 300"]);
            assert_eq!(read(&dir).unwrap(), io);
        }
        let (_folder, dir) = fake(&[("cgroup.procs", "")]);
        let io = IoLimits { weight: Some(200), ..Default::default() };
        let error = write(&dir, &io).unwrap_err().to_string();
        assert!(error.contains("blkio.weight") && error.contains("CONFIG_BFQ_GROUP_IOSCHED"), "{error}");
        assert_eq!(probe(&dir, &io).unwrap_err().to_string(), error);
        let limit = IoDeviceLimit { read_bps: Some(1), ..Default::default() };
        let error = probe(&dir, &IoLimits { weight: None, devices: vec![limit] }).unwrap_err();
        assert!(error.to_string().contains("CONFIG_BLK_DEV_THROTTLING"), "{error}");
        let (_folder, dir) = fake(&[(READ_BPS, ""), (BFQ, "")]);
        probe(&dir, &IoLimits { weight: Some(5), devices: vec![limit] }).unwrap();
    }

    #[test]
    fn pure_stats_are_summed_over_the_disks() {
        let bytes = "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:16 Read 5\nTotal 35\n";
        let (_folder, dir) = fake(&[
            ("blkio.throttle.io_service_bytes_recursive", bytes),
            ("blkio.throttle.io_service_bytes", "8:0 Read 1\n"),
            ("blkio.throttle.io_serviced", "8:0 Read 2\n8:0 Write 3\n"),
        ]);
        let expected =
            IoStats { read_bytes: Some(15), write_bytes: Some(20), read_ops: Some(2), write_ops: Some(3) };
        assert_eq!(stats(&dir).unwrap(), expected);
        let (_folder, dir) = fake(&[]);
        assert_eq!(stats(&dir).unwrap(), IoStats::default());
    }
}
