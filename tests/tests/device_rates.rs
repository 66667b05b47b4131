//! I09: rates on the host's disks: the kernel's file has them, and a command is held to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Container, Env, in_both_modes, require, skip};

const RATE: u64 = 1 << 20;

/// A file system on a disk of its own, over a file.
struct Disk {
    node: PathBuf,
    place: PathBuf,
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

impl Disk {
    /// `None`, visibly, where no loop device can be had.
    fn make(env: &Env) -> Option<Disk> {
        let (file, place) = (env.file("disk", ""), env.files().join("place"));
        fs::File::options().write(true).open(&file).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&file).output();
        let made = made.ok().filter(|made| made.status.success());
        let Some(made) = made else {
            skip(module_path!(), "no loop device can be had here");
            return None;
        };
        let disk = Disk { node: String::from_utf8(made.stdout).unwrap().trim().into(), place };
        let (node, place) = (disk.node.to_str().unwrap(), disk.place.to_str().unwrap());
        assert!(succeeds("mkfs.ext4", &["-q", node]) && succeeds("mount", &[node, place]));
        Some(disk)
    }

    /// `7:0`.
    fn number(&self) -> String {
        let number = fs::metadata(&self.node).unwrap().rdev();
        format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let words = |path: &Path| path.to_str().unwrap().to_owned();
        succeeds("umount", &[&words(&self.place)]);
        succeeds("losetup", &["-d", &words(&self.node)]);
    }
}

/// What the kernel's file says of the disk: bytes written a second.
fn written(container: &Container<'_>, disk: &Disk) -> Option<u64> {
    let v2 = cgroups::hierarchy_of("io").is_some_and(|hierarchy| hierarchy.v2);
    let (controller, file) = if v2 { ("io", "io.max") } else { ("blkio", "blkio.throttle.write_bps_device") };
    let text = cgroups::value(&container.id, controller, file).unwrap();
    let rest = text.lines().find_map(|line| line.strip_prefix(&format!("{} ", disk.number())))?;
    let word = if v2 { rest.split(' ').find_map(|word| word.strip_prefix("wbps="))? } else { rest };
    word.trim().parse().ok()
}

/// How long it takes to write 2 MiB past the page cache.
fn write(container: &Container<'_>) -> Duration {
    let start = Instant::now();
    container.exec(&[], &["dd", "if=/dev/zero", "of=/data/x", "bs=64k", "count=32", "oflag=direct"]).ok();
    start.elapsed()
}

#[test]
fn writing_takes_as_long_as_the_rate_says_and_another_rate_can_be_set() {
    require!(root);
    require!(program);
    require!(command "losetup");
    require!(command "mkfs.ext4");
    if cgroups::hierarchy_of("io").or_else(|| cgroups::hierarchy_of("blkio")).is_none() {
        skip(module_path!(), "neither io nor blkio is mounted");
        return;
    }
    in_both_modes(|mode| {
        let Some(disk) = Disk::make(&mode.env) else { return };
        let node = disk.node.display();
        let volume = format!("{}:/data", disk.place.display());
        let rate = format!("{node}:1m");
        let words = ["--device-write-bps", &rate, "-v", &volume, "host", "sleep", "300"];
        let container = mode.start(words);
        assert_eq!(written(&container, &disk), Some(RATE));
        let config = container.inspect()["HostConfig"].take();
        assert_eq!(config["BlkioDeviceWriteBps"], json!([{"Path": node.to_string(), "Rate": RATE}]));
        assert_eq!(config["BlkioDeviceReadIOps"], json!([]));
        // Only that it takes no less: how much longer is the machine's business.
        let took = write(&container);
        assert!(took > Duration::from_millis(1200), "2 MiB at 1 MiB/s took {took:?}");
        for (limit, wanted) in [(format!("{node}:0"), None), (format!("{node}:4m"), Some(4 * RATE))] {
            mode.env.tinyd(["update", "--device-write-bps", &limit, &container.id]).ok();
            assert_eq!(written(&container, &disk), wanted, "{limit}");
        }
        mode.env.tinyd(["stop", "-t", "1", &container.id]).ok();
        mode.env.tinyd(["start", &container.id]).ok();
        assert_eq!(written(&container, &disk), Some(4 * RATE), "a later start has it too");
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
    });
}

#[test]
fn what_is_no_disk_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    for (rate, said) in [
        ("/dev/null:1m", "not a block device"),
        ("/no/such/disk:1m", "/no/such/disk"),
        ("sda:1m", "/dev/sda:10m"),
        ("/dev/sda", "/dev/sda:10m"),
        ("/dev/sda:1x", "/dev/sda:10m"),
    ] {
        let output = env.tinyd(["run", "--rm", "--device-read-bps", rate, "host", "true"]).fails(125);
        assert!(output.stderr().contains(said), "{rate}: {output}");
        assert!(env.containers().is_empty());
    }
}
