//! One conformance suite for every driver. Behind the feature `testing`.

#![allow(clippy::expect_used, reason = "a suite reports trouble by panicking")]

mod abilities;

use crate::{Error, VolumeDriver, VolumeSpec, VolumeState};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Holds a driver to the contract of [`VolumeDriver`]. `wanted` is a volume that it can make here and whose data is not
/// there before; it is made and removed many times.
///
/// # Panics
/// With the assertion that failed.
pub fn conformance(make: &dyn Fn() -> Box<dyn VolumeDriver>, wanted: &VolumeSpec) {
    conformance_but(make, wanted, Exceptions::default());
}

/// What the nature of a driver excuses it from; in place of each it is held to what then goes for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exceptions {
    /// Another program knows the options: an unknown one is refused by `create`, not by `validate` already.
    pub options_are_judged_elsewhere: bool,
    /// What is written is seen by those who use it at the same time, and is gone after the last.
    pub data_goes_with_the_last_user: bool,
}

/// As [`conformance`], for a driver that is excused from something.
///
/// # Panics
/// With the assertion that failed.
pub fn conformance_but(make: &dyn Fn() -> Box<dyn VolumeDriver>, wanted: &VolumeSpec, but: Exceptions) {
    let unknown_options = match but.options_are_judged_elsewhere {
        false => unknown_options_are_refused,
        true => unknown_options_are_refused_by_create,
    };
    let data = match but.data_goes_with_the_last_user {
        false => what_is_written_is_seen_by_the_next_user,
        true => what_is_written_is_seen_by_the_others_and_goes_with_the_last,
    };
    let cases: &[fn(&Ground<'_>)] = &[
        validate_has_no_effect,
        unknown_options,
        data,
        taking_away_can_be_repeated,
        others_handles_are_refused,
        abilities::a_snapshot_is_what_was_for_ever,
        abilities::a_clone_begins_as_its_origin_and_goes_its_own_way,
        abilities::a_limit_that_was_set_is_told,
    ];
    for case in cases {
        case(&Ground { make, wanted });
    }
}

/// What a case works with.
struct Ground<'a> {
    make: &'a dyn Fn() -> Box<dyn VolumeDriver>,
    wanted: &'a VolumeSpec,
}

impl Ground<'_> {
    fn create(&self) -> VolumeState {
        let volume = (self.make)().create(self.wanted).expect("a volume that can be made");
        assert_eq!((&*volume.driver, &volume.name), ((self.make)().name(), &self.wanted.name));
        volume
    }
}

fn validate_has_no_effect(ground: &Ground<'_>) {
    let driver = (ground.make)();
    driver.validate(ground.wanted).expect("a volume that can be made");
    let volume = ground.create();
    assert!(driver.inspect(&volume).expect("to look at it").available);
    driver.remove(&volume).expect("to remove it");
    driver.validate(ground.wanted).expect("the same as before");
    assert!(!driver.inspect(&volume).expect("to look at what is gone").available);
}

fn unknown_options_are_refused(ground: &Ground<'_>) {
    let mut wanted = ground.wanted.clone();
    wanted.options = BTreeMap::from([("no-such-option".to_owned(), "1".to_owned())]);
    let driver = (ground.make)();
    let error = driver.validate(&wanted).expect_err("an option that no driver has");
    assert!(error.to_string().contains("no-such-option"), "{error}");
    assert!(driver.create(&wanted).is_err(), "validate refused what create makes");
}

fn unknown_options_are_refused_by_create(ground: &Ground<'_>) {
    let mut wanted = ground.wanted.clone();
    wanted.options.insert("no-such-option".to_owned(), "1".to_owned());
    let error = (ground.make)().create(&wanted).expect_err("an option that no driver has");
    assert!(error.to_string().contains("no-such-option"), "{error}");
    let kept = (ground.make)().list().expect("to list them");
    assert!(kept.iter().all(|volume| volume.name != wanted.name), "it was made in part");
}

fn what_is_written_is_seen_by_the_others_and_goes_with_the_last(ground: &Ground<'_>) {
    let volume = ground.create();
    let path = (ground.make)().mount(&volume, "first").expect("to mount it");
    assert_eq!((ground.make)().mount(&volume, "first").expect("to mount it again"), path);
    fs::write(path.join("data"), "shared").expect("to write into it");
    let path = (ground.make)().mount(&volume, "second").expect("to mount it for another");
    (ground.make)().unmount(&volume, "first").expect("to unmount it");
    assert_eq!(fs::read_to_string(path.join("data")).expect("what was written"), "shared");
    (ground.make)().unmount(&volume, "second").expect("to unmount it");
    let path = (ground.make)().mount(&volume, "third").expect("to mount it for another");
    assert!(!path.join("data").exists(), "the last one is gone, and the data is not");
    (ground.make)().unmount(&volume, "third").expect("to unmount it");
    (ground.make)().remove(&volume).expect("to remove it");
}

fn what_is_written_is_seen_by_the_next_user(ground: &Ground<'_>) {
    let volume = ground.create();
    // Each step by another process's driver, which knows nothing but the handle.
    let path = (ground.make)().mount(&volume, "first").expect("to mount it");
    assert_eq!((ground.make)().mount(&volume, "first").expect("to mount it again"), path);
    fs::write(path.join("data"), "kept").expect("to write into it");
    (ground.make)().unmount(&volume, "first").expect("to unmount it");
    let path = (ground.make)().mount(&volume, "second").expect("to mount it for another");
    assert_eq!(fs::read_to_string(path.join("data")).expect("what was written"), "kept");
    fs::remove_file(path.join("data")).expect("to remove it");
    (ground.make)().unmount(&volume, "second").expect("to unmount it");
    (ground.make)().remove(&volume).expect("to remove it");
}

fn taking_away_can_be_repeated(ground: &Ground<'_>) {
    let (driver, volume) = ((ground.make)(), ground.create());
    driver.mount(&volume, "one").expect("to mount it");
    for _ in 0..2 {
        driver.unmount(&volume, "one").expect("to unmount it, again too");
    }
    for _ in 0..2 {
        driver.remove(&volume).expect("to remove it, again too");
    }
}

fn others_handles_are_refused(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let foreign = VolumeState {
        driver: "somebody-else".to_owned(),
        name: "theirs".to_owned(),
        path: PathBuf::from("/nowhere"),
        made: Vec::new(),
        options: BTreeMap::new(),
    };
    let is_foreign = |error: Error| matches!(error, Error::Foreign { .. });
    assert!(driver.inspect(&foreign).is_err_and(is_foreign));
    assert!(driver.mount(&foreign, "one").is_err_and(is_foreign));
    assert!(driver.unmount(&foreign, "one").is_err_and(is_foreign));
    assert!(driver.users(&foreign).is_err_and(is_foreign));
    assert!(driver.remove(&foreign).is_err_and(is_foreign));
}

/// Whether a test that mounts must be left out, which it says.
#[cfg(test)]
pub(crate) fn needs_root() -> bool {
    use std::io::Write;
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        // Not captured: a test that did not run is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED (needs root)");
    }
    skip
}
