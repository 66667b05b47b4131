//! Rates on the host's disks, in Docker's words.

use super::limits;
use std::path::PathBuf;
use tinyd_engine::DiskRates;

/// A disk and a rate.
type Rate = (PathBuf, u64);

/// Rates on disks.
#[derive(clap::Args, Debug)]
pub(crate) struct DiskOptions {
    /// Most bytes a second read from a disk: /dev/sda:10m; 0 for no limit (repeatable, as are the three others)
    #[arg(long, value_name = "DISK:SIZE", value_parser = bytes)]
    device_read_bps: Vec<Rate>,
    /// Most bytes a second written to a disk
    #[arg(long, value_name = "DISK:SIZE", value_parser = bytes)]
    device_write_bps: Vec<Rate>,
    /// Most reads a second from a disk: /dev/sda:100
    #[arg(long, value_name = "DISK:N", value_parser = operations)]
    device_read_iops: Vec<Rate>,
    /// Most writes a second to a disk
    #[arg(long, value_name = "DISK:N", value_parser = operations)]
    device_write_iops: Vec<Rate>,
}

impl DiskOptions {
    /// An entry for each disk, in the order in which they are named.
    pub(crate) fn into_rates(self) -> Vec<DiskRates> {
        let mut all: Vec<DiskRates> = Vec::new();
        let mut set = |list: Vec<Rate>, field: fn(&mut DiskRates) -> &mut Option<u64>| {
            for (path, rate) in list {
                let at = all.iter().position(|disk| disk.path == path).unwrap_or_else(|| {
                    all.push(DiskRates { path, ..DiskRates::default() });
                    all.len() - 1
                });
                *field(&mut all[at]) = Some(rate);
            }
        };
        set(self.device_read_bps, |disk| &mut disk.read_bps);
        set(self.device_write_bps, |disk| &mut disk.write_bps);
        set(self.device_read_iops, |disk| &mut disk.read_iops);
        set(self.device_write_iops, |disk| &mut disk.write_iops);
        all
    }
}

fn bytes(text: &str) -> Result<Rate, String> {
    let parts = disk(text).and_then(|(path, rate)| Some((path, limits::memory(rate).ok()?)));
    parts.ok_or_else(|| "it must be a disk and a size, such as /dev/sda:10m".to_owned())
}

fn operations(text: &str) -> Result<Rate, String> {
    let number = |rate: &str| rate.parse::<u32>().ok().map(u64::from);
    let parts = disk(text).and_then(|(path, rate)| Some((path, number(rate)?)));
    parts.ok_or_else(|| "it must be a disk and a number of operations, such as /dev/sda:100".to_owned())
}

/// The names of some disks hold colons themselves.
fn disk(text: &str) -> Option<(PathBuf, &str)> {
    let (path, rate) = text.rsplit_once(':')?;
    path.starts_with('/').then(|| (PathBuf::from(path), rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_and_its_rate() {
        assert_eq!(bytes("/dev/sda:10m"), Ok(("/dev/sda".into(), 10 << 20)));
        assert_eq!(bytes("/dev/disk/by-path/pci-0:1:0"), Ok(("/dev/disk/by-path/pci-0:1".into(), 0)));
        assert_eq!(operations("/dev/sda:100"), Ok(("/dev/sda".into(), 100)));
        for bad in ["/dev/sda", "sda:1", "/dev/sda:", "/dev/sda:-1", "/dev/sda:1x", ":1"] {
            assert!(bytes(bad).is_err_and(|said| said.contains("/dev/sda:10m")), "{bad}");
            assert!(operations(bad).is_err_and(|said| said.contains("/dev/sda:100")), "{bad}");
        }
        assert!(operations("/dev/sda:1m").is_err());
    }

    #[test]
    fn each_disk_has_one_entry() {
        let rate = |path: &str, rate| (PathBuf::from(path), rate);
        let options = DiskOptions {
            device_read_bps: vec![rate("/dev/a", 1), rate("/dev/b", 2)],
            device_write_bps: vec![],
            device_read_iops: vec![rate("/dev/b", 3)],
            device_write_iops: vec![rate("/dev/a", 4), rate("/dev/a", 5)],
        };
        let disk = |path: &str| DiskRates { path: path.into(), ..DiskRates::default() };
        let a = DiskRates { read_bps: Some(1), write_iops: Some(5), ..disk("/dev/a") };
        let b = DiskRates { read_bps: Some(2), read_iops: Some(3), ..disk("/dev/b") };
        assert_eq!(options.into_rates(), [a, b]);
    }
}
