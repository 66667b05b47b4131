//! Rates on the host's disks.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The rates that a container is held to on one disk of the host. Only what is `Some` is set; 0 takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskRates {
    /// Absolute path of the disk's block device, such as `/dev/sda`: a whole disk, the kernel takes no partition.
    pub path: PathBuf,
    /// Major and minor number of that device; the engine looks them up where they are not given.
    pub number: Option<(u32, u32)>,
    /// Bytes read a second.
    pub read_bps: Option<u64>,
    /// Bytes written a second. Control groups of version 1 hold only direct and synchronous writes to it.
    pub write_bps: Option<u64>,
    /// Reads a second.
    pub read_iops: Option<u64>,
    /// Writes a second.
    pub write_iops: Option<u64>,
}

impl DiskRates {
    /// These rates with what is `Some` in others in their place, for each disk; disks that are new come last.
    pub(crate) fn merged(mut these: Vec<Self>, others: &[Self]) -> Vec<Self> {
        for other in others {
            match these.iter_mut().find(|one| one.path == other.path) {
                None => these.push(other.clone()),
                Some(one) => {
                    one.number = other.number.or(one.number);
                    one.read_bps = other.read_bps.or(one.read_bps);
                    one.write_bps = other.write_bps.or(one.write_bps);
                    one.read_iops = other.read_iops.or(one.read_iops);
                    one.write_iops = other.write_iops.or(one.write_iops);
                }
            }
        }
        these
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_keeps_what_is_not_given_anew() {
        let disk = |path: &str, read_bps, write_bps| DiskRates {
            path: path.into(),
            read_bps,
            write_bps,
            ..DiskRates::default()
        };
        let merged = DiskRates::merged(
            vec![disk("/dev/a", Some(1), Some(2))],
            &[disk("/dev/b", Some(3), None), disk("/dev/a", None, Some(0))],
        );
        assert_eq!(merged, [disk("/dev/a", Some(1), Some(0)), disk("/dev/b", Some(3), None)]);
    }
}
