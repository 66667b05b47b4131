//! Joining, listing, moving, freezing.

use super::{Ground, Running, eventually, must};
use crate::Error;
use std::time::Duration;

pub(super) fn join_handle_is_close_on_exec_and_complete(ground: &Ground) {
    let group = ground.group("a");
    let held = must(group.join_handle());
    assert_eq!(
        held.v2_dir().is_some(),
        group.views().iter().any(|v| v.version == crate::HierarchyVersion::V2)
    );
    for (index, view) in group.views().iter().enumerate() {
        assert!(
            held.describe(index).starts_with(&view.source.display().to_string()),
            "{}",
            held.describe(index)
        );
    }
    let mut child = Running::inside(&*group, "ls", &["-l", "/proc/self/fd"]);
    let open = child.output();
    assert!(!open.contains("tasks") && !open.contains("cgroup"), "inherited:\n{open}");
}

pub(super) fn added_listed_and_moved_out(ground: &Ground) {
    let group = ground.group("shared/a");
    let nested = ground.group("shared/a/b");
    let mut cat = Running::outside("cat", &[]);
    must(nested.add_process(cat.pid()));
    assert_eq!(must(group.processes()), [cat.pid()]);
    assert!(must(group.is_populated()) && must(nested.is_populated()));
    let where_is = |pid: u32| must(std::fs::read_to_string(format!("/proc/{pid}/cgroup")));
    let lines = where_is(cat.pid()).lines().filter(|l| l.ends_with(nested.path().as_str())).count();
    assert_eq!(lines, nested.views().len(), "in every hierarchy");

    // M21: to the parent, alive.
    must(nested.remove_process(cat.pid()));
    assert!(must(nested.processes()).is_empty());
    assert!(cat.answers(Duration::from_millis(900)));
    assert!(!where_is(cat.pid()).contains("shared/a/b"));
    let stranger = Running::outside("cat", &[]);
    assert!(matches!(nested.remove_process(stranger.pid()), Err(Error::NotMember { .. })));
    assert!(!where_is(stranger.pid()).contains("shared"));
    assert!(group.add_process(u32::MAX >> 1).is_err());
}

pub(super) fn freeze_and_thaw(ground: &Ground) {
    let group = ground.group("a");
    assert!(!must(group.is_frozen()));
    let mut cat = Running::inside(&*group, "cat", &[]);
    assert!(cat.answers(Duration::from_millis(900)));
    must(group.freeze());
    assert!(must(group.is_frozen()));
    assert!(!cat.answers(Duration::from_millis(100)), "a frozen process answered");
    must(group.freeze());
    must(group.thaw());
    assert!(!must(group.is_frozen()));
    assert!(cat.answers(Duration::from_millis(900)));
    must(group.thaw());
}

pub(super) fn cpu_time_is_counted(ground: &Ground) {
    let group = ground.group("a");
    let before = must(group.stats()).cpu.usage_ns;
    if before.is_none() {
        return;
    }
    let _busy = Running::inside(&*group, "sh", &["-c", "while :; do :; done"]);
    eventually("50 ms of CPU time", || {
        let cpu = must(group.stats()).cpu;
        cpu.usage_ns > before.map(|b| b + 50_000_000)
            && cpu.user_ns.is_some_and(|n| n > 0)
            && cpu.system_ns.is_some()
    });
}
