//! Limits on block devices: `blkio` of v1, `io` of v2.

use super::invalid;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Input and output on block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoLimits {
    /// Relative weight, 10 to 1,000, as v1 counted. It works with the scheduler BFQ (both versions), which takes the number
    /// as it is, and with the cost model of v2, whose 1 to 10,000 are laid over it evenly; the administrator chooses either
    /// for each disk.
    pub weight: Option<u16>,
    /// Limits on single devices; a later one for the same device adds to those before.
    pub devices: Vec<IoDeviceLimit>,
}

/// Limits on one whole disk (the kernel takes no partition); −1 is unlimited. On v2 groups below share the rates with
/// the group; on v1 the kernel holds only the group's own processes to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoDeviceLimit {
    /// The disk's major number.
    pub major: u32,
    /// The disk's minor number.
    pub minor: u32,
    /// Relative weight on this disk, as [`IoLimits::weight`].
    pub weight: Option<u16>,
    /// Bytes read a second.
    pub read_bps: Option<i64>,
    /// Bytes written a second. Version 1 holds only direct and synchronous writes to it, as it does not know whose
    /// the pages are that are written back.
    pub write_bps: Option<i64>,
    /// Reads a second.
    pub read_iops: Option<i64>,
    /// Writes a second.
    pub write_iops: Option<i64>,
}

impl IoDeviceLimit {
    /// `major:minor`, the kernel's name for it.
    pub(crate) fn device(&self) -> Device {
        Device { major: self.major, minor: self.minor }
    }
}

/// A block device by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    major: u32,
    minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl IoLimits {
    pub(crate) fn wants_weight(&self) -> bool {
        self.weight.is_some() || self.devices.iter().any(|d| d.weight.is_some())
    }

    pub(crate) fn wants_rates(&self) -> bool {
        let rates = |d: &IoDeviceLimit| [d.read_bps, d.write_bps, d.read_iops, d.write_iops];
        self.devices.iter().any(|d| rates(d).iter().any(Option::is_some))
    }

    /// The entry for a device, made when there is none: files name a device once in each line.
    pub(crate) fn entry(&mut self, major: u32, minor: u32) -> &mut IoDeviceLimit {
        let at = self.devices.iter().position(|d| (d.major, d.minor) == (major, minor));
        let at = at.unwrap_or_else(|| {
            self.devices.push(IoDeviceLimit { major, minor, ..Default::default() });
            self.devices.len() - 1
        });
        &mut self.devices[at]
    }

    pub(super) fn check(&self) -> Result<()> {
        let weights = self.devices.iter().map(|d| d.weight).chain([self.weight]);
        for weight in weights.flatten() {
            if !(10..=1_000).contains(&weight) {
                return invalid("io weight", weight, "it must be 10 to 1000");
            }
        }
        for limit in &self.devices {
            for rate in [limit.read_bps, limit.write_bps].into_iter().flatten() {
                if rate != -1 && rate < 1 {
                    return invalid("io limit", rate, "it must be -1 or at least one byte a second");
                }
            }
            for rate in [limit.read_iops, limit.write_iops].into_iter().flatten() {
                if rate != -1 && !(1..=i64::from(u32::MAX)).contains(&rate) {
                    return invalid("io limit", rate, "it must be -1 or 1 to 4294967295 operations a second");
                }
            }
        }
        Ok(())
    }

    /// Sees that each device is a whole disk of this host. `sys` is `/sys/dev/block`; where it is not mounted, the
    /// kernel's own refusal comes later.
    pub(crate) fn check_present(&self, sys: &Path) -> Result<()> {
        if !sys.is_dir() {
            return Ok(());
        }
        for device in self.devices.iter().map(IoDeviceLimit::device) {
            let entry = sys.join(device.to_string());
            if !entry.exists() {
                return invalid("io device", device, "there is no such block device: see lsblk");
            }
            if entry.join("partition").exists() {
                return invalid("io device", device, "it is a partition: name the whole disk, see lsblk");
            }
        }
        Ok(())
    }
}

/// Two numbers with a colon between them.
pub(crate) fn parse_device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What the kernel means when it refuses a line about a device.
pub(crate) fn refused(path: &Path, value: &str, errno: rustix::io::Errno) -> Error {
    use rustix::io::Errno;
    let hint = match errno {
        Errno::NODEV | Errno::NXIO => "there is no such disk, or it is a partition: see lsblk",
        Errno::OPNOTSUPP => "the disk's scheduler has no weights: choose bfq in /sys/block/…/queue/scheduler",
        Errno::INVAL | Errno::RANGE => "the disk does not take such a value",
        _ => return Error::Write { path: path.to_owned(), value: value.to_owned(), source: errno.into() },
    };
    Error::Refused { path: path.to_owned(), value: value.into(), hint, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_refuses_what_no_kernel_takes() {
        let device = |d: IoDeviceLimit| IoLimits { weight: None, devices: vec![d] };
        for bad in [
            IoLimits { weight: Some(9), ..Default::default() },
            IoLimits { weight: Some(1001), ..Default::default() },
            device(IoDeviceLimit { weight: Some(0), ..Default::default() }),
            device(IoDeviceLimit { read_bps: Some(0), ..Default::default() }),
            device(IoDeviceLimit { write_bps: Some(-2), ..Default::default() }),
            device(IoDeviceLimit { read_iops: Some(0), ..Default::default() }),
            device(IoDeviceLimit { write_iops: Some(1 << 32), ..Default::default() }),
        ] {
            assert!(matches!(bad.check(), Err(Error::InvalidLimit { .. })), "{bad:?}");
        }
        let good = IoDeviceLimit { write_bps: Some(1 << 40), read_iops: Some(-1), ..Default::default() };
        device(good).check().unwrap();
        assert!(device(good).wants_rates() && !device(good).wants_weight());
    }

    #[test]
    fn pure_a_device_that_is_not_there_or_a_partition_is_named() {
        let sys = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(sys.path().join("8:0")).unwrap();
        std::fs::create_dir_all(sys.path().join("8:1")).unwrap();
        std::fs::write(sys.path().join("8:1/partition"), "1\n").unwrap();
        let on = |minor| {
            let mut io = IoLimits::default();
            io.entry(8, minor).read_bps = Some(5);
            io.entry(8, minor).write_bps = Some(6);
            assert_eq!(io.devices.len(), 1);
            io.check_present(sys.path()).map_err(|e| e.to_string())
        };
        assert_eq!(on(0), Ok(()));
        assert!(on(1).unwrap_err().contains("8:1: it is a partition"));
        assert!(on(2).unwrap_err().contains("8:2: there is no such block device"));
        assert_eq!(parse_device("8:16"), Some((8, 16)));
        assert_eq!(parse_device("Total"), None);
    }
}
