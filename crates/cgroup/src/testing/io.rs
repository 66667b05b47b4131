//! Block devices: rates are held, transfers are counted.

use super::{Ground, Running, must};
use crate::{Cgroup, Error, IoDeviceLimit, IoLimits, Limits};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A disk of 8 MiB over a file, by losetup(8).
struct LoopDisk {
    node: PathBuf,
    file: PathBuf,
}

impl LoopDisk {
    /// `None`, visibly, where there are no loop devices.
    #[allow(clippy::print_stderr, reason = "a skip must be visible")]
    fn make(ground: &Ground) -> Option<Self> {
        let file = std::env::temp_dir().join(format!("tinyd-disk-{}", ground.root));
        must(std::fs::write(&file, vec![0; 8 << 20]));
        for _ in 0..20 {
            let free = Running::outside("losetup", &["-f"]).output();
            let node = PathBuf::from(free.trim());
            if free.is_empty() || !node.exists() {
                break;
            }
            // Another process may have been faster.
            let mut attach = Running::outside("losetup", &[free.trim(), &file.display().to_string()]);
            if must(attach.0.wait()).success() {
                return Some(Self { node, file });
            }
        }
        let _ = std::fs::remove_file(&file);
        eprintln!("SKIPPED: block devices: no loop device can be had here");
        None
    }

    fn limit(&self) -> IoDeviceLimit {
        let number = must(std::fs::metadata(&self.node)).rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        IoDeviceLimit { major, minor, ..Default::default() }
    }

    /// How long it takes a process of the group to write blocks past the page cache.
    fn write(&self, group: &dyn Cgroup, size: &str, count: u32) -> Duration {
        let target = self.node.display();
        let script =
            format!("dd if=/dev/zero of={target} bs={size} count={count} oflag=direct && echo written");
        let start = Instant::now();
        let output = Running::inside(group, "sh", &["-c", &script]).output();
        assert_eq!(output, "written\n");
        start.elapsed()
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let node = self.node.display().to_string();
        let _ = Running::outside("losetup", &["-d", &node]).output();
        let _ = std::fs::remove_file(&self.file);
    }
}

fn limits(limit: IoDeviceLimit) -> Limits {
    Limits { io: IoLimits { weight: None, devices: vec![limit] }, ..Default::default() }
}

/// I09. Only that it takes no less time than the rate says: how much longer is the machine's business.
pub(super) fn rates_are_held_and_counted(ground: &Ground) {
    let weightless = Limits { io: IoLimits { weight: None, ..Default::default() }, ..Default::default() };
    assert!(weightless.is_empty());
    let Err(Error::InvalidLimit { reason, .. }) = ground.driver.validate(&limits(IoDeviceLimit {
        major: 4095,
        read_bps: Some(1),
        ..Default::default()
    })) else {
        panic!("a disk that is not there was taken")
    };
    assert!(reason.contains("no such block device"), "{reason}");

    let Some(disk) = LoopDisk::make(ground) else { return };
    let slow = IoDeviceLimit { write_bps: Some(1 << 20), ..disk.limit() };
    if !ground.can(&limits(slow)) {
        return;
    }
    let group = ground.create("a", &limits(slow));
    let found = must(group.limits()).io.devices;
    assert_eq!(
        found.iter().map(|d| (d.major, d.minor, d.write_bps)).collect::<Vec<_>>(),
        [(slow.major, slow.minor, Some(1 << 20))]
    );
    let took = disk.write(&*group, "64k", 32);
    assert!(took > Duration::from_millis(1200), "2 MiB at 1 MiB/s took {took:?}");
    let io = must(group.stats()).io;
    assert!(io.write_bytes.is_some_and(|n| n >= 2 << 20) && io.write_ops.is_some_and(|n| n > 0), "{io:?}");
    assert!(io.read_bytes.is_some() && io.read_ops.is_some(), "{io:?}");

    // Operations a second instead; −1 takes the other one away.
    let few = IoDeviceLimit { write_bps: Some(-1), write_iops: Some(10), ..disk.limit() };
    must(group.apply(&limits(few)));
    let took = disk.write(&*group, "4k", 20);
    assert!(took > Duration::from_millis(1200), "20 writes at 10 a second took {took:?}");
    let none = IoDeviceLimit { write_iops: Some(-1), ..disk.limit() };
    must(group.apply(&limits(none)));
    let found = must(group.limits()).io.devices;
    assert!(found.iter().all(|d| d.write_bps.is_none_or(|r| r == -1)), "{found:?}");
    assert!(found.iter().all(|d| d.write_iops.is_none_or(|r| r == -1)), "{found:?}");

    // I15: a group below has the rate of the one above together with it, and counts for it. On v1 the kernel's rates
    // are flat, and some kernels only count for a group that has one: there it gets its own.
    let parent = ground.create("outer", &limits(slow));
    let flat = parent.views().iter().any(|v| v.name.split(',').any(|c| c == "blkio"));
    let own = if flat { limits(slow) } else { Limits::default() };
    let took = disk.write(&*ground.create("outer/inner", &own), "64k", 32);
    assert!(took > Duration::from_millis(1200), "2 MiB at 1 MiB/s from below took {took:?}");
    assert!(must(parent.stats()).io.write_bytes.is_some_and(|n| n >= 2 << 20), "groups below count");
}
