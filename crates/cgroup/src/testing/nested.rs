//! Groups below a group: they obey it, count for it, and go with it (M22, I15).

use super::{Ground, Running, eventually, must};
use crate::{CpuLimits, Limits, MemoryLimits};
use std::os::unix::process::ExitStatusExt;

pub(super) fn memory_of_the_parent_holds(ground: &Ground) {
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
        return;
    }
    let outer = ground.create("outer", &wanted);
    let inner = ground.group("outer/a/b");
    let mut greedy = Running::inside(&*inner, "tail", &["-n1", "/dev/zero"]);
    assert_eq!(must(greedy.0.wait()).signal(), Some(9));
    assert!(must(outer.oom_kills()) >= 1);
    let cache = std::env::temp_dir().join(format!("tinyd-cache-{}", ground.root));
    let script = format!("dd if=/dev/zero of={} bs=1M count=4 && echo done; read x", cache.display());
    let mut writer = Running::inside(&*inner, "sh", &["-c", &script]);
    let mut seen = 0;
    eventually("four MiB of cache are charged to the group above", || {
        let memory = must(outer.stats()).memory;
        let (Some(usage), Some(cache), Some(working)) =
            (memory.usage_bytes, memory.cache_bytes, memory.working_set_bytes)
        else {
            panic!("{memory:?}")
        };
        assert!(working <= usage && memory.shmem_bytes.is_some(), "{memory:?}");
        cache >= 4 << 20 && memory.peak_bytes.is_none_or(|peak| peak >= 4 << 20)
    });
    seen += writer.output().matches("done").count();
    let removed = std::fs::remove_file(&cache);
    assert_eq!(seen, 1);
    must(removed);
}

pub(super) fn pids_and_cpus_of_the_parent_hold(ground: &Ground) {
    let one = Limits { pids_max: Some(1), ..Default::default() };
    if ground.can(&one) {
        let outer = ground.create("pids", &one);
        let inner = ground.create("pids/inner", &Limits { pids_max: Some(100), ..Default::default() });
        let script = "/bin/true && echo forked";
        assert_eq!(Running::inside(&*inner, "sh", &["-c", script]).output(), "");
        assert_eq!(must(ground.driver.children(outer.path())), ["inner"]);
        let _inside = Running::inside(&*inner, "sleep", &["100"]);
        assert_eq!(must(outer.stats()).pids.current, Some(1), "groups below count");
    }
    let first =
        Limits { cpu: CpuLimits { cpus: Some("0".into()), ..Default::default() }, ..Default::default() };
    if ground.can(&first) {
        ground.create("cpus", &first);
        // A group that asks for nothing itself.
        let inner = ground.group("cpus/inner");
        let mut inside = Running::inside(&*inner, "grep", &["Cpus_allowed_list", "/proc/self/status"]);
        assert_eq!(inside.output().trim(), "Cpus_allowed_list:\t0");
    }
}

pub(super) fn killed_and_removed_as_one(ground: &Ground) {
    let outer = ground.group("outer");
    let names = ["outer/a", "outer/a/b", "outer/c"];
    let groups: Vec<_> = names.iter().map(|name| ground.group(name)).collect();
    let holding = groups.iter().filter(|group| Ground::inner_holds(&***group));
    let mut children: Vec<_> = holding.map(|group| Running::inside(&**group, "sleep", &["100"])).collect();
    assert_eq!(must(ground.driver.children(outer.path())), ["a", "c"]);
    assert!(children.len() >= 2);
    assert_eq!(must(outer.processes()).len(), children.len());
    must(outer.freeze());
    must(outer.kill());
    for child in &mut children {
        assert_eq!(must(child.0.wait()).signal(), Some(9));
    }
    must(outer.remove());
    for name in names {
        assert!(ground.driver.open(&ground.path(name)).is_err(), "{name}");
    }
}

/// Y04: two that are always busy on one CPU have it as 1:2.
pub(super) fn shares_divide_one_cpu(ground: &Ground) {
    let wanted = |shares| Limits {
        cpu: CpuLimits { shares: Some(shares), cpus: Some("0".into()), ..Default::default() },
        ..Default::default()
    };
    if !ground.can(&wanted(512)) {
        return;
    }
    let groups = [ground.create("half", &wanted(512)), ground.create("whole", &wanted(1024))];
    let _busy = groups.each_ref().map(|g| Running::inside(&**g, "sh", &["-c", "while :; do :; done"]));
    let used = || groups.each_ref().map(|g| must(g.stats()).cpu.usage_ns.unwrap_or(0) as f64);
    // From when both run.
    eventually("both run", || used().iter().all(|ns| *ns > 0.0));
    let before = used();
    let spent = || {
        let now = used();
        [now[0] - before[0], now[1] - before[1]]
    };
    eventually("two seconds of CPU time", || spent().iter().sum::<f64>() > 2e9);
    let [half, whole] = spent();
    let ratio = whole / half;
    // Wide, for an emulated processor has coarse ticks: only equal shares and a monopoly are out of it.
    assert!((1.3..3.5).contains(&ratio), "512:1024 shares gave 1:{ratio:.2}");
}
