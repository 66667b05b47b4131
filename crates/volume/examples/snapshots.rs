//! Keeps the state of a volume, spoils the volume, and goes back.
//!
//! `cargo run -p tinyd-volume --example snapshots`, as root, with btrfs-progs installed. It makes all that it needs in a
//! folder of its own: the host needs no btrfs, only a kernel that has it.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::fs;
use tinyd_volume::{BtrfsDriver, BtrfsOptions, VolumeDriver, VolumeSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("tinyd-snapshots-{}", std::process::id()));
    // The first outlives everything; the second goes with the machine's run, /run/something.
    let driver = BtrfsDriver::new(folder.join("volumes"), folder.join("run"))
        .with_options(BtrfsOptions { size_bytes: Some(256 << 20), ..BtrfsOptions::default() });
    let done = work(&driver);
    // Nothing is mounted any more, so this removes the file with the volumes and an empty folder or two.
    fs::remove_file(folder.join("volumes/pool.btrfs"))?;
    for empty in ["volumes", "run/users", "run/mounts", "run", ""] {
        fs::remove_dir(folder.join(empty))?;
    }
    done
}

/// From here on it is the same with every driver that has the abilities that are asked for.
fn work(driver: &dyn VolumeDriver) -> Result<(), Box<dyn std::error::Error>> {
    let snapshots = driver.snapshots().ok_or("this driver keeps no snapshots")?;
    let mut wanted = VolumeSpec { size_bytes: Some(64 << 20), ..VolumeSpec::named("web") };
    wanted.options.insert("compress".into(), "zstd".into());
    let volume = driver.create(&wanted)?;

    let path = driver.mount(&volume, "container-1")?;
    fs::write(path.join("page"), "as it should be")?;
    let kept = snapshots.snapshot(&volume, "before-the-update")?;
    fs::write(path.join("page"), "spoilt")?;
    println!("{:?} was kept, and the page is {:?} now", kept.name, fs::read_to_string(path.join("page"))?);
    driver.unmount(&volume, "container-1")?;

    snapshots.rollback(&volume, "before-the-update")?;

    let path = driver.mount(&volume, "container-1")?;
    println!("after the rollback it is {:?}", fs::read_to_string(path.join("page"))?);
    if let Some(quota) = driver.quota() {
        let usage = quota.usage(&volume)?;
        println!("the volume holds {} of {} bytes", usage.used, usage.limit.unwrap_or(u64::MAX));
    }
    driver.unmount(&volume, "container-1")?;
    driver.remove(&volume)?;
    Ok(())
}
