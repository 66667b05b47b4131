//! Limits: written, read back, enforced.

use super::{Ground, Running, eventually, must};
use crate::{CpuLimits, Error, HierarchyVersion, Limits, MemoryLimits};
use std::os::unix::process::ExitStatusExt;

const MIB: i64 = 1 << 20;

fn memory(limit: i64) -> Limits {
    Limits { memory: MemoryLimits { limit_bytes: Some(limit), ..Default::default() }, ..Default::default() }
}

fn memory_and_swap(limit: i64, swap: i64) -> Limits {
    let mut limits = memory(limit);
    limits.memory.swap_bytes = Some(swap);
    limits
}

fn cpu(cpu: CpuLimits) -> Limits {
    Limits { cpu, ..Default::default() }
}

fn quota(quota_us: i64, period_us: u64) -> Limits {
    cpu(CpuLimits { quota_us: Some(quota_us), period_us: Some(period_us), ..Default::default() })
}

fn pids(max: i64) -> Limits {
    Limits { pids_max: Some(max), ..Default::default() }
}

/// Y12, Y13, Y19: set, apply, remove; only what is set is written.
pub(super) fn written_and_read_back(ground: &Ground) {
    let untouched = must(ground.group("untouched").limits());
    let shares = cpu(CpuLimits { shares: Some(512), ..Default::default() });
    let cases = [memory(100 * MIB), quota(20_000, 50_000), shares, pids(77)];
    for (number, wanted) in cases.into_iter().enumerate() {
        if !ground.can(&wanted) {
            continue;
        }
        let group = ground.create(&format!("g{number}"), &wanted);
        let found = must(group.limits());
        assert_eq!(found, wanted.clone().or(untouched.clone()), "only what was set may differ");
        assert_ne!(found, untouched);
        let other = ground.group(&format!("later{number}"));
        must(other.apply(&wanted));
        assert_eq!(must(other.limits()), found);
        must(group.remove());
    }
    if ground.can(&quota(-1, 100_000)) {
        let group = ground.create("quota", &quota(20_000, 50_000));
        must(group.apply(&quota(-1, 100_000)));
        assert_eq!(must(group.limits()).cpu.quota_us, Some(-1));
    }
    if ground.can(&pids(-1)) {
        let group = ground.create("pids", &pids(5));
        must(group.apply(&pids(-1)));
        assert_eq!(must(group.limits()).pids_max, Some(-1));
    }
}

pub(super) fn memory_and_swap_up_and_down(ground: &Ground) {
    if !ground.can(&memory_and_swap(MIB, MIB)) {
        return;
    }
    let group = ground.create("a", &memory_and_swap(32 * MIB, 48 * MIB));
    let now = || {
        let memory = must(group.limits()).memory;
        (memory.limit_bytes, memory.swap_bytes)
    };
    assert_eq!(now(), (Some(32 * MIB), Some(48 * MIB)));
    for (limit, swap) in [(64, 128), (16, 16), (200, 200), (8, 300)] {
        must(group.apply(&memory_and_swap(limit * MIB, swap * MIB)));
        assert_eq!(now(), (Some(limit * MIB), Some(swap * MIB)));
    }
    must(group.apply(&memory_and_swap(-1, -1)));
    assert_eq!(now(), (Some(-1), Some(-1)));
    assert!(matches!(group.apply(&memory_and_swap(2 * MIB, MIB)), Err(Error::InvalidLimit { .. })));
    let lone =
        Limits { memory: MemoryLimits { swap_bytes: Some(MIB), ..Default::default() }, ..Default::default() };
    assert!(matches!(ground.driver.create(&ground.path("b"), &lone), Err(Error::InvalidLimit { .. })));
}

pub(super) fn missing_controllers_are_named(ground: &Ground) {
    ground.group("here");
    let list = |list: &str| cpu(CpuLimits { cpus: Some(list.into()), ..Default::default() });
    for (name, limits) in
        [("memory", memory(MIB)), ("cpu", quota(5000, 50_000)), ("pids", pids(5)), ("cpuset", list("0"))]
    {
        let Err(error) = ground.driver.validate(&limits) else { continue };
        let Error::MissingController { controller, hint } = error else { panic!("{error}") };
        assert_eq!(controller, name);
        assert!(!hint.is_empty());
        let result = ground.driver.create(&ground.path("a"), &limits);
        assert!(matches!(result, Err(Error::MissingController { .. })));
        let group = must(ground.driver.open(&ground.path("here")));
        assert!(matches!(group.apply(&limits), Err(Error::MissingController { .. })));
    }
    assert!(matches!(ground.driver.validate(&pids(-7)), Err(Error::InvalidLimit { .. })));
    assert!(matches!(ground.driver.create(&ground.path("a"), &pids(-7)), Err(Error::InvalidLimit { .. })));
    assert_eq!(must(ground.driver.children(&ground.root)), ["here"]);
}

pub(super) fn cpuset_is_seeded_and_can_come_later(ground: &Ground) {
    let first = cpu(CpuLimits { cpus: Some("0".into()), ..Default::default() });
    if !ground.can(&first) {
        return;
    }
    // Without the list of memory nodes copied down, v1 refuses the process.
    let group = ground.create("deep/er/a", &first);
    let mut inside = Running::inside(&*group, "grep", &["Cpus_allowed_list", "/proc/self/status"]);
    assert_eq!(inside.output().trim(), "Cpus_allowed_list:\t0");

    let later = ground.group("later");
    let mut running =
        Running::inside(&*later, "sh", &["-c", "read x; grep Cpus_allowed_list /proc/self/status"]);
    must(later.apply(&first));
    assert_eq!(must(later.limits()).cpu.cpus.as_deref(), Some("0"));
    assert_eq!(running.output().trim(), "Cpus_allowed_list:\t0");
    must(later.remove());
    must(group.remove());
}

/// Y16: the process reads its own limit, as its very first act.
pub(super) fn active_before_the_process_runs(ground: &Ground) {
    let wanted = memory(64 * MIB);
    if !ground.can(&wanted) {
        return;
    }
    let group = ground.create("a", &wanted);
    let views = group.views();
    let Some(view) = views.iter().find(|v| v.name.split(',').any(|c| c == "memory") || v.name.is_empty())
    else {
        panic!("no memory hierarchy in {views:?}");
    };
    let file = match view.version {
        HierarchyVersion::V1 => "memory.limit_in_bytes",
        HierarchyVersion::V2 => "memory.max",
    };
    let script = format!("cat {}; cat /proc/self/cgroup", view.source.join(file).display());
    let output = Running::inside(&*group, "sh", &["-c", &script]).output();
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("67108864"));
    let inside = lines.filter(|l| l.ends_with(group.path().as_str())).count();
    assert_eq!(inside, views.len(), "in every hierarchy:\n{output}");
}

pub(super) fn quota_throttles(ground: &Ground) {
    if !ground.can(&quota(5000, 50_000)) {
        return;
    }
    let group = ground.create("a", &quota(5000, 50_000));
    let _busy = Running::inside(&*group, "sh", &["-c", "while :; do :; done"]);
    eventually("the busy loop is throttled", || {
        let cpu = must(group.stats()).cpu;
        cpu.throttled_periods.is_some_and(|n| n > 0) && cpu.throttled_ns.is_some_and(|n| n > 0)
    });
}

pub(super) fn pids_are_held(ground: &Ground) {
    if !ground.can(&pids(1)) {
        return;
    }
    let group = ground.create("a", &pids(1));
    let script = "/bin/true && echo forked; read x";
    let mut shell = Running::inside(&*group, "sh", &["-c", script]);
    let stats = must(group.stats()).pids;
    assert_eq!((stats.current, stats.limit), (Some(1), Some(1)));
    assert_eq!(shell.output(), "", "a fork beyond the limit must fail");
    must(group.apply(&pids(10)));
    assert_eq!(Running::inside(&*group, "sh", &["-c", script]).output(), "forked\n");
}

pub(super) fn oom_kill_is_counted(ground: &Ground) {
    let wanted = if ground.can(&memory_and_swap(16 * MIB, 16 * MIB)) {
        memory_and_swap(16 * MIB, 16 * MIB)
    } else {
        memory(16 * MIB)
    };
    if !ground.can(&wanted) {
        return;
    }
    let group = ground.create("a", &wanted);
    assert_eq!(must(group.oom_kills()), 0);
    let mut small = Running::inside(&*group, "sleep", &["100"]);
    assert!(must(group.stats()).memory.usage_bytes.is_some_and(|used| used > 0));
    must(small.0.kill());
    must(small.0.wait());
    assert_eq!(must(group.oom_kills()), 0, "a plain SIGKILL is no OOM");
    // One line without an end, kept whole in memory.
    let mut greedy = Running::inside(&*group, "tail", &["-n1", "/dev/zero"]);
    assert_eq!(must(greedy.0.wait()).signal(), Some(9));
    assert!(must(group.oom_kills()) >= 1);
    assert_eq!(must(group.stats()).oom_kills, Some(must(group.oom_kills())));
}
