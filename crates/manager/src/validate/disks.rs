//! Disks whose rates are limited: which device of the kernel's a path means.

use crate::error::{Error, Result};
use rustix::fs::FileType;
use std::path::Path;
use tinyd_engine::Resources;

/// Fills in the numbers of the disks, so that what was checked is what is limited, also at a later start.
pub(crate) fn resolve(resources: &mut Resources) -> Result<()> {
    for disk in &mut resources.disks {
        if !disk.path.is_absolute() {
            return Err(refused(&disk.path, "is not an absolute path"));
        }
        if disk.number.is_none() {
            disk.number = Some(number(&disk.path)?);
        }
    }
    Ok(())
}

fn number(path: &Path) -> Result<(u32, u32)> {
    let found = rustix::fs::stat(path).map_err(|errno| Error::file("look at the disk", path, errno))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::BlockDevice => Ok((rustix::fs::major(found.st_rdev), rustix::fs::minor(found.st_rdev))),
        _ => Err(refused(path, "is not a block device: rates are those of a whole disk, see lsblk")),
    }
}

fn refused(path: &Path, problem: &'static str) -> Error {
    Error::invalid("disk", path.display().to_string(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_engine::DiskRates;

    #[test]
    fn pure_only_block_devices_are_disks() {
        let resolved = |path: &str, number| {
            let disk = DiskRates { path: path.into(), number, ..DiskRates::default() };
            let mut resources = Resources { disks: vec![disk], ..Resources::default() };
            resolve(&mut resources).map(|()| resources.disks[0].number)
        };
        for (bad, word) in [("dev/null", "absolute"), ("/dev/null", "lsblk"), ("/no/such/disk", "/no/such")] {
            let error = resolved(bad, None).unwrap_err().line();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(resolved("/dev/sda", Some((8, 0))).unwrap(), Some((8, 0)));
    }
}
