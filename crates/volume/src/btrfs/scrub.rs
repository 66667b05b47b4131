//! Reading everything and comparing it with its checksums (CRC32C, as mkfs.btrfs chooses).

use super::{BtrfsDriver, ioctl};
use crate::{Error, Result, Scrub, ScrubReport};
use rustix::io::Errno;

impl Scrub for BtrfsDriver {
    fn verify(&self) -> Result<ScrubReport> {
        let mut report = ScrubReport::default();
        let Some(pool) = self.places.open()? else { return Ok(report) };
        let failed = |errno| Error::path("scrub the btrfs at", &self.places.place, errno);
        for device in 1..=ioctl::last_device(pool.root()).map_err(failed)? {
            let found = match ioctl::scrub(pool.root(), device) {
                Ok(found) => found,
                // One that was taken away.
                Err(Errno::NODEV) => continue,
                Err(errno) => return Err(failed(errno)),
            };
            report.bytes += found.data_bytes + found.tree_bytes;
            report.checksum_errors += found.csum_errors + found.verify_errors + found.super_errors;
            report.read_errors += found.read_errors;
            report.corrected += found.corrected_errors;
            report.uncorrectable += found.uncorrectable_errors;
        }
        Ok(report)
    }
}
