//! What can be watched: want of memory, and pressure.

use super::{Ground, Running, eventually, must};
use crate::{Error, HierarchyVersion, Limits, MemoryLimits, OomWatch};
use rustix::event::{PollFd, Timespec, poll};
use std::os::unix::process::ExitStatusExt;

fn readable(watch: &OomWatch, seconds: i64) -> bool {
    let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
    must(poll(&mut [PollFd::new(watch, watch.interest())], Some(&timeout))) == 1
}

pub(super) fn oom_is_told_of(ground: &Ground) {
    let mut wanted = Limits {
        memory: MemoryLimits {
            limit_bytes: Some(16 << 20),
            swap_bytes: Some(16 << 20),
            ..Default::default()
        },
        ..Default::default()
    };
    if !ground.can(&wanted) {
        wanted.memory.swap_bytes = None;
    }
    if !ground.can(&wanted) {
        let group = ground.group("a");
        assert!(matches!(group.watch_oom(), Err(Error::MissingController { .. })));
        return;
    }
    let group = ground.create("a", &wanted);
    let mut watch = must(group.watch_oom());
    assert!(!must(watch.take()));
    let mut calm = Running::inside(&*group, "true", &[]);
    must(calm.0.wait());
    assert!(!must(watch.take()), "nothing was short of memory");
    for round in 1..3 {
        let mut greedy = Running::inside(&*group, "tail", &["-n1", "/dev/zero"]);
        // Events of another kind may come first.
        let mut told = false;
        while !told && readable(&watch, 20) {
            told = must(watch.take());
        }
        assert!(told, "round {round}");
        assert_eq!(must(greedy.0.wait()).signal(), Some(9));
        eventually("the kill is counted", || must(group.oom_kills()) >= round);
        // What came while the killed one was dying.
        must(watch.take());
        assert!(!must(watch.take()), "told twice");
    }
    must(group.remove());
    assert!(!must(watch.take()), "a removal is no want of memory");
}

/// Eight that want the CPU in a group are more than any machine here has.
pub(super) fn pressure_is_shown(ground: &Ground) {
    let group = ground.group("a");
    let views = group.views();
    let file =
        views.iter().find(|v| v.version == HierarchyVersion::V2).map(|v| v.source.join("cpu.pressure"));
    let there = file.is_some_and(|file| std::fs::read(file).is_ok());
    let pressure = must(group.stats()).pressure;
    assert_eq!([pressure.cpu, pressure.memory, pressure.io].map(|p| p.is_some()), [there; 3]);
    if !there {
        return;
    }
    let script = "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait";
    let _busy = Running::inside(&*group, "sh", &["-c", script]);
    eventually("time was lost to waiting for a CPU", || {
        must(group.stats()).pressure.cpu.is_some_and(|cpu| cpu.some.total_us > 0)
    });
    must(group.kill());
}
