//! The abilities that a driver says it has.

use super::Ground;
use crate::{Error, VolumeSpec, VolumeState};
use std::fs;

/// More than a driver needs for itself.
const LIMIT: u64 = 64 << 20;

pub(super) fn a_snapshot_is_what_was_for_ever(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let Some(snapshots) = driver.snapshots() else { return };
    let volume = ground.create();
    write(ground, &volume, "old");
    assert_eq!(snapshots.snapshot(&volume, "one").expect("to keep it").name, "one");
    assert!(matches!(snapshots.snapshot(&volume, "one"), Err(Error::Invalid { .. })), "a name that is taken");
    assert!(matches!(snapshots.snapshot(&volume, "../one"), Err(Error::Invalid { .. })), "no name");
    write(ground, &volume, "new");
    snapshots.snapshot(&volume, "a-later-one").expect("to keep it");
    let names: Vec<_> =
        snapshots.snapshots(&volume).expect("to list them").into_iter().map(|kept| kept.name).collect();
    assert_eq!(names, ["one", "a-later-one"], "the oldest first");

    let path = snapshots.mount_snapshot(&volume, "one", "looker").expect("to look at it");
    assert_eq!(fs::read_to_string(path.join("data")).expect("what was kept"), "old");
    assert!(fs::write(path.join("data"), "x").is_err(), "a snapshot was changed");
    driver.unmount(&volume, "looker").expect("to end that");
    assert_eq!(read(ground, &volume), "new");

    for name in ["one", "a-later-one", "one"] {
        // By another process's driver.
        (ground.make)().snapshots().expect("as before").rollback(&volume, name).expect("to go back");
        assert_eq!(read(ground, &volume), if name == "one" { "old" } else { "new" });
        write(ground, &volume, "of no account");
    }
    assert!(matches!(snapshots.rollback(&volume, "none"), Err(Error::NoSnapshot { .. })));
    assert!(matches!(snapshots.mount_snapshot(&volume, "none", "looker"), Err(Error::NoSnapshot { .. })));
    assert_eq!(read(ground, &volume), "of no account");
    for _ in 0..2 {
        snapshots.remove_snapshot(&volume, "one").expect("to forget it, again too");
    }
    assert_eq!(snapshots.snapshots(&volume).expect("to list them").len(), 1);
    driver.remove(&volume).expect("to remove it with its snapshots");
    let anew = ground.create();
    assert!(snapshots.snapshots(&anew).expect("to list them").is_empty(), "those of a volume that is gone");
    driver.remove(&anew).expect("to remove it");
}

pub(super) fn a_clone_begins_as_its_origin_and_goes_its_own_way(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let Some(clones) = driver.clones() else { return };
    let origin = ground.create();
    write(ground, &origin, "both");
    let wanted = VolumeSpec { name: format!("{}-clone", ground.wanted.name), ..ground.wanted.clone() };
    let clone = clones.clone_volume(&origin, &wanted).expect("to clone it");
    assert_eq!((&*clone.driver, &clone.name), (driver.name(), &wanted.name));
    assert!(clones.clone_volume(&origin, &wanted).is_err(), "a name that is taken");
    assert_eq!(read(ground, &clone), "both");
    write(ground, &clone, "clone");
    assert_eq!(read(ground, &origin), "both");
    driver.remove(&origin).expect("to remove the origin");
    assert_eq!(read(ground, &clone), "clone");
    driver.remove(&clone).expect("to remove the clone");
}

pub(super) fn a_limit_that_was_set_is_told(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let Some(quota) = driver.quota() else { return };
    let volume = ground.create();
    assert!(
        matches!(quota.set_limit(&volume, Some(0)), Err(Error::Invalid { .. })),
        "a limit that nothing fits"
    );
    quota.set_limit(&volume, Some(LIMIT)).expect("to limit it");
    write(ground, &volume, "something");
    let usage = quota.usage(&volume).expect("its usage");
    assert_eq!(usage.limit, Some(LIMIT));
    assert!(usage.used < LIMIT, "{usage:?}");
    quota.set_limit(&volume, None).expect("to take the limit away");
    assert_eq!(quota.usage(&volume).expect("its usage").limit, None);
    driver.remove(&volume).expect("to remove it");
}

fn write(ground: &Ground<'_>, volume: &VolumeState, text: &str) {
    let driver = (ground.make)();
    let path = driver.mount(volume, "writer").expect("to mount it");
    fs::write(path.join("data"), text).expect("to write into it");
    driver.unmount(volume, "writer").expect("to unmount it");
}

fn read(ground: &Ground<'_>, volume: &VolumeState) -> String {
    let driver = (ground.make)();
    let path = driver.mount(volume, "reader").expect("to mount it");
    let text = fs::read_to_string(path.join("data")).expect("what was written");
    driver.unmount(volume, "reader").expect("to unmount it");
    text
}
