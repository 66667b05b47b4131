//! Limits: written, read back, enforced.

use super::{Ground, Running, eventually, must};
use crate::{
    CpuLimits, DeviceRule, Error, HierarchyVersion, Host, HugetlbLimit, IoLimits, Limits, MemoryLimits,
    NetLimits, NetPriority, Version,
};
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
    // One of the shares that stand for a weight of v2, of which there are fewer: others come back as the nearest of these.
    let shares = cpu(CpuLimits { shares: Some(510), ..Default::default() });
    let weight = Limits { io: IoLimits { weight: Some(200), ..Default::default() }, ..Default::default() };
    let class =
        Limits { net: NetLimits { class_id: Some(0x10_0001), ..Default::default() }, ..Default::default() };
    let high = NetPriority { interface: "lo".into(), priority: 5 };
    let priority =
        Limits { net: NetLimits { priorities: vec![high], ..Default::default() }, ..Default::default() };
    let mut cases = vec![memory(100 * MIB), quota(20_000, 50_000), shares, pids(77), weight, class, priority];
    cases.extend(huge_pages(ground));
    for (number, wanted) in cases.into_iter().enumerate() {
        if !ground.can(&wanted) {
            continue;
        }
        let group = match ground.driver.create(&ground.path(&format!("g{number}")), &wanted) {
            Ok(group) => group,
            // Files that a v2 root does not have are only missed in a group.
            Err(Error::MissingFile { controller: "io", hint, .. }) if !hint.is_empty() => continue,
            Err(other) => panic!("{other}"),
        };
        let found = must(group.limits());
        // Where a group is only made when asked for, the others have nothing to compare with.
        let (found, wanted_whole) = (comparable(found, &wanted), wanted.clone().or(untouched.clone()));
        assert_eq!(found, comparable(wanted_whole, &wanted), "only what was set may differ");
        assert_ne!(found, untouched);
        let other = ground.group(&format!("later{number}"));
        must(other.apply(&wanted));
        assert_eq!(comparable(must(other.limits()), &wanted), found);
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

/// Without the sizes of huge pages and the class that were not asked for: a group is only made in their hierarchies
/// where one of them was.
fn comparable(mut found: Limits, wanted: &Limits) -> Limits {
    found.net.class_id = found.net.class_id.filter(|_| wanted.net.class_id.is_some());
    found.hugetlb.retain(|f| wanted.hugetlb.iter().any(|w| w.page_size == f.page_size));
    found
}

/// A limit on the pages that this kernel has. Not on a v2 hierarchy that stands beside v1: the driver for v2 alone
/// would change its root, which is not the test's.
fn huge_pages(ground: &Ground) -> Option<Limits> {
    if ground.driver.version() == Version::V2 && must(Host::detect()).version() == Version::Hybrid {
        return None;
    }
    let sizes = ["2MB", "1MB", "64KB", "1GB"].map(|page_size| Limits {
        hugetlb: vec![HugetlbLimit { page_size: page_size.into(), limit_bytes: 1 << 30 }],
        ..Default::default()
    });
    sizes.into_iter().find(|size| {
        let kib = match size.hugetlb[0].page_size.as_str() {
            "2MB" => 2048,
            "1MB" => 1024,
            "64KB" => 64,
            _ => 1 << 20,
        };
        std::path::Path::new(&format!("/sys/kernel/mm/hugepages/hugepages-{kib}kB")).exists()
            && ground.can(size)
    })
}

/// M19, M31: the kernel's own files say what was asked for, and an empty request writes nothing.
pub(super) fn files_hold_the_values(ground: &Ground) {
    let shares = cpu(CpuLimits { shares: Some(512), ..Default::default() });
    let reserved = Limits {
        memory: MemoryLimits { reservation_bytes: Some(32 * MIB), ..Default::default() },
        ..Default::default()
    };
    let cases: [(Limits, [(&str, &str); 2]); 6] = [
        (shares, [("cpu.shares", "512"), ("cpu.weight", "58")]),
        (quota(20_000, 50_000), [("cpu.cfs_quota_us", "20000"), ("cpu.max", "20000 50000")]),
        (memory(128 * MIB), [("memory.limit_in_bytes", "134217728"), ("memory.max", "134217728")]),
        (reserved, [("memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")]),
        (pids(77), [("pids.max", "77"), ("pids.max", "77")]),
        (
            memory_and_swap(128 * MIB, 160 * MIB),
            [("memory.memsw.limit_in_bytes", "167772160"), ("memory.swap.max", "33554432")],
        ),
    ];
    for (number, (wanted, files)) in cases.into_iter().enumerate() {
        if !ground.can(&wanted) {
            continue;
        }
        let plain = ground.group(&format!("plain{number}"));
        let limited = ground.create(&format!("limited{number}"), &wanted);
        let text = |group: &dyn crate::Cgroup| {
            let all = group.views().into_iter().flat_map(|v| files.map(|(file, _)| v.source.join(file)));
            all.filter_map(|path| std::fs::read_to_string(path).ok()).next().unwrap_or_default()
        };
        let found = text(&*limited);
        assert!(files.iter().any(|(_, value)| *value == found.trim()), "{files:?}: {found}");
        assert_ne!(text(&*plain), found);
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
    let io = Limits { io: IoLimits { weight: Some(200), ..Default::default() }, ..Default::default() };
    let class = Limits { net: NetLimits { class_id: Some(1), ..Default::default() }, ..Default::default() };
    let priorities = vec![NetPriority { interface: "lo".into(), priority: 1 }];
    let priority = Limits { net: NetLimits { priorities, ..Default::default() }, ..Default::default() };
    let devices = Limits { devices: vec![DeviceRule::all(false)], ..Default::default() };
    let pages = vec![HugetlbLimit { page_size: "2MB".into(), limit_bytes: 0 }];
    let pages = Limits { hugetlb: pages, ..Default::default() };
    for (name, limits) in [
        ("memory", memory(MIB)),
        ("cpu", quota(5000, 50_000)),
        ("pids", pids(5)),
        ("cpuset", list("0")),
        ("io", io),
        ("devices", devices),
        ("hugetlb", pages),
        ("net_cls", class),
        ("net_prio", priority),
    ] {
        let Err(error) = ground.driver.validate(&limits) else { continue };
        let (controller, hint) = match error {
            Error::MissingController { controller, hint } => (controller, hint),
            // The controller is there, and this kernel has no such limit: what a create would say too.
            Error::MissingFile { hint, .. } if name == "io" || name == "hugetlb" => {
                assert!(!hint.is_empty());
                continue;
            }
            other => panic!("{other}"),
        };
        assert!(controller == name || (name == "io" && controller == "blkio"), "{controller}");
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
    let files = views.iter().map(|view| match view.version {
        HierarchyVersion::V1 => view.source.join("memory.limit_in_bytes"),
        HierarchyVersion::V2 => view.source.join("memory.max"),
    });
    let Some(file) = files.into_iter().find(|file| file.exists()) else {
        panic!("no memory hierarchy in {views:?}");
    };
    let script = format!("cat '{}'; cat /proc/self/cgroup", file.display());
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
