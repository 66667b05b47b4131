//! Making, finding and removing groups.

use super::{Ground, Running, must};
use crate::{CpuLimits, Error, Limits};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

fn exists(sources: &[std::path::PathBuf]) -> Vec<bool> {
    sources.iter().map(|s| s.is_dir()).collect()
}

fn sources(group: &dyn crate::Cgroup) -> Vec<std::path::PathBuf> {
    group.views().into_iter().map(|v| v.source).collect()
}

pub(super) fn create_open_remove(ground: &Ground) {
    let group = ground.group("a");
    let places = sources(&*group);
    assert!(!places.is_empty());
    assert!(exists(&places).into_iter().all(|e| e), "{places:?}");
    assert!(places.iter().all(|p| p.ends_with(group.path().as_str())));
    assert!(!must(group.is_populated()));
    assert!(must(group.processes()).is_empty());

    let again = must(ground.driver.open(group.path()));
    assert_eq!(again.views(), group.views());
    assert_eq!(must(ground.driver.children(&ground.root)), ["a"]);
    must(ground.driver.ensure(&ground.path("b")));
    must(ground.driver.ensure(&ground.path("b")));
    assert_eq!(must(ground.driver.children(&ground.root)), ["a", "b"]);

    must(group.remove());
    assert!(exists(&places).into_iter().all(|e| !e), "{places:?}");
    must(group.remove());
    must(again.remove());
    assert!(matches!(ground.driver.open(&ground.path("a")), Err(Error::NotFound { .. })));
    assert!(must(ground.driver.children(&ground.path("a"))).is_empty());
    assert!(group.processes().map_or_else(|e| e.is_not_found(), |p| p.is_empty()));
}

pub(super) fn refuses_what_exists(ground: &Ground) {
    let group = ground.group("a");
    let again = ground.driver.create(group.path(), &Limits::default());
    assert!(matches!(again, Err(Error::Exists { .. })));
    assert!(exists(&sources(&*group)).into_iter().all(|e| e), "the refusal must not undo what was there");
}

fn inodes(places: &[std::path::PathBuf]) -> Vec<u64> {
    places.iter().map(|place| must(std::fs::metadata(place)).ino()).collect()
}

/// One that was made ahead keeps its folders, its limits and what is below it; another one is made.
pub(super) fn what_is_there_is_taken_as_it_is(ground: &Ground) {
    let mut before = Limits { pids_max: Some(77), ..Default::default() };
    if !ground.can(&before) {
        before = Limits::default();
    }
    let group = ground.create("a", &before);
    let places = sources(&*group);
    places.iter().for_each(|place| must(std::fs::create_dir(place.join("below"))));
    let (held, there) = (must(group.limits()), inodes(&places));
    let taken = must(ground.driver.adopt(group.path(), &Limits::default()));
    assert_eq!((sources(&*taken), inodes(&places)), (places.clone(), there.clone()));
    assert_eq!(must(taken.limits()), held);
    assert_eq!(must(ground.driver.children(group.path())), ["below"]);
    let shares = Limits { cpu: CpuLimits { shares: Some(512), ..Default::default() }, ..Default::default() };
    if ground.can(&shares) {
        let now = must(must(ground.driver.adopt(group.path(), &shares)).limits());
        // Version 2 has a coarser scale.
        assert!(now.cpu.shares.is_some_and(|shares| (500..=524).contains(&shares)), "{now:?}");
        assert_eq!((now.pids_max, now.cpu.quota_us), (held.pids_max, held.cpu.quota_us));
        assert_eq!(inodes(&places), there);
    }
    // What the kernel refuses takes nothing away.
    let impossible =
        Limits { cpu: CpuLimits { cpus: Some("8190".into()), ..Default::default() }, ..Default::default() };
    if ground.can(&impossible) {
        let refused = ground.driver.adopt(group.path(), &impossible);
        assert!(matches!(refused, Err(Error::Refused { .. })));
        assert_eq!(inodes(&places), there);
    }
    // In the last hierarchy alone: it is made in the others.
    let halves: Vec<_> = places.iter().map(|place| place.with_file_name("half")).collect();
    let [.., last] = halves.as_slice() else { panic!("no hierarchy") };
    must(std::fs::create_dir(last));
    let whole = must(ground.driver.adopt(&ground.path("half"), &Limits::default()));
    assert_eq!(sources(&*whole), halves);
    let new = must(ground.driver.adopt(&ground.path("p/q"), &before));
    assert_eq!(must(new.limits()).pids_max, held.pids_max);
}

pub(super) fn what_has_processes_or_is_frozen_is_not_taken(ground: &Ground) {
    let refused = |path: &str| {
        let refused = ground.driver.adopt(&ground.path(path), &Limits::default());
        assert!(matches!(refused, Err(Error::NotFree { .. })), "{path}");
    };
    let used = ground.group("used");
    let mut inside = Running::inside(&*used, "cat", &[]);
    refused("used");
    assert!(inside.answers(Duration::from_millis(900)), "it was left alone");
    let _below = Running::inside(&*ground.group("above/below"), "cat", &[]);
    refused("above");
    let frozen = ground.group("frozen");
    must(frozen.freeze());
    refused("frozen");
    must(frozen.thaw());
    must(ground.driver.adopt(frozen.path(), &Limits::default()));
}

/// The group is there in the last hierarchy only: creation fails there, and takes the others back.
pub(super) fn a_failure_leaves_nothing(ground: &Ground) {
    let places: Vec<_> = sources(&*ground.group("model")).iter().map(|p| p.with_file_name("half")).collect();
    let [rest @ .., last] = places.as_slice() else { panic!("no hierarchy") };
    must(std::fs::create_dir(last));
    assert!(matches!(
        ground.driver.create(&ground.path("half"), &Limits::default()),
        Err(Error::Exists { .. })
    ));
    assert!(exists(rest).into_iter().all(|e| !e), "{rest:?}");
    assert!(last.is_dir());
    must(must(ground.driver.open(&ground.path("half"))).remove());
    assert!(!last.is_dir());

    // A value that only the kernel can refuse, after the directories are made: parents go too.
    let impossible =
        Limits { cpu: CpuLimits { cpus: Some("8190".into()), ..Default::default() }, ..Default::default() };
    if ground.can(&impossible) {
        assert!(matches!(ground.driver.create(&ground.path("p/q"), &impossible), Err(Error::Refused { .. })));
        assert_eq!(must(ground.driver.children(&ground.root)), ["model"]);
    }
}

/// Y15: what is absent is made; another failure is an error, and not "absent".
pub(super) fn odd_paths_are_errors(ground: &Ground) {
    ground.group("a");
    let file = ground.path("a/cgroup.procs");
    for result in [
        ground.driver.open(&file),
        ground.driver.ensure(&file),
        ground.driver.ensure(&ground.path("a/cgroup.procs/b")),
    ] {
        match result {
            Err(Error::Open { .. } | Error::Make { .. }) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a file was taken for a group"),
        }
    }
}

pub(super) fn nested_groups_go_with_their_parent(ground: &Ground) {
    let outer = ground.group("outer");
    for nested in ["outer/a/b/c", "outer/a/d", "outer/e"] {
        ground.group(nested);
    }
    let places = sources(&*outer);
    must(outer.remove());
    assert!(exists(&places).into_iter().all(|e| !e), "{places:?}");
}

pub(super) fn prune_spares_what_is_used(ground: &Ground) {
    let group = ground.group("shared/a");
    let shared = ground.path("shared");
    must(ground.driver.prune(&shared));
    assert_eq!(must(ground.driver.children(&shared)), ["a"]);
    must(group.remove());
    must(ground.driver.prune(&shared));
    assert!(matches!(ground.driver.open(&shared), Err(Error::NotFound { .. })));
    must(ground.driver.prune(&shared));
}

/// Two that come and go below one parent, which each tries to remove when it leaves.
pub(super) fn survives_a_parent_that_vanishes(ground: &Ground) {
    std::thread::scope(|scope| {
        for name in ["x", "y"] {
            scope.spawn(move || {
                for round in 0..100 {
                    let group = ground.group(&format!("race/{name}{round}"));
                    must(group.remove());
                    must(ground.driver.prune(&ground.path("race")));
                }
            });
        }
    });
    must(ground.driver.prune(&ground.path("race")));
    assert!(matches!(ground.driver.open(&ground.path("race")), Err(Error::NotFound { .. })));
}
