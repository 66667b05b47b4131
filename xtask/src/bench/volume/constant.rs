//! A snapshot and a clone of much data, against those of little.

use anyhow::{Context, Result};
use tinyd_tests::{Env, packages, roots};

use super::super::contender::FRESH;
use super::super::spawner::Spawner;
use super::{Side, race, table};

const NOTES: &str = "\
Volumes of the driver btrfs, in one file; a container uses both meanwhile, so that the file is mounted already.
What a snapshot or clone made is removed after each, which is not timed.";

pub(super) fn run(env: &Env, spawner: &mut Spawner, rounds: usize) -> Result<()> {
    packages::ensure(&["/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs"], "btrfs-progs")?;
    let image = roots::busybox();
    for (volume, mebibytes) in [("bench-little", "16"), ("bench-much", "1024")] {
        env.tinyd(["volume", "create", "-d", "btrfs", volume]).ok();
        let fill = format!("dd if=/dev/zero of=/d/file bs=1M count={mebibytes} conv=fsync");
        let mount = format!("{volume}:/d");
        let image = image.to_string_lossy().into_owned();
        env.tinyd(["run", "--rm", "--net", "none", "-v", &mount, &image, "sh", "-c", &fill]).ok();
    }
    let mut user = vec!["run", "-d", "--net", "none", "--name", "bench-user"];
    user.extend(["-v", "bench-little:/little", "-v", "bench-much:/much"]);
    let image = image.to_string_lossy().into_owned();
    env.tinyd(user.into_iter().chain([&*image, "sleep", "100000"])).ok();
    let snapshot = |name, volume: &str| {
        let fresh = format!("at-{FRESH}");
        Side {
            name,
            words: env.cmd(["volume", "snapshot", "create", volume, &fresh]).words().to_vec(),
            after: Some(env.cmd(["volume", "snapshot", "rm", volume, &fresh]).words().to_vec()),
        }
    };
    let clone = |name, volume: &str| {
        let fresh = format!("{volume}-{FRESH}");
        Side {
            name,
            words: env.cmd(["volume", "clone", volume, &fresh]).words().to_vec(),
            after: Some(env.cmd(["volume", "rm", &fresh]).words().to_vec()),
        }
    };
    for (title, sides) in [
        ("a snapshot", [snapshot("of 16 MiB", "bench-little"), snapshot("of 1 GiB", "bench-much")]),
        ("a clone", [clone("of 16 MiB", "bench-little"), clone("of 1 GiB", "bench-much")]),
    ] {
        let times = race(spawner, &sides, rounds)?;
        table(title, rounds, &sides.each_ref().map(|side| side.name), &times, NOTES);
    }
    Ok(())
}

/// Takes away what was made, also when something failed: the file of a pool is nobody's own, and stays otherwise.
pub(super) fn end(env: &Env) -> Result<()> {
    env.tinyd(["rm", "-f", "bench-user"]);
    env.tinyd(["volume", "prune", "--all", "--force"]);
    let pool = env.root().join("volumes/btrfs/pool.btrfs");
    std::fs::remove_file(&pool).with_context(|| format!("cannot remove {}", pool.display()))
}
