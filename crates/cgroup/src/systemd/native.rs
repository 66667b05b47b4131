//! The driver on the real kernel: with a systemd of the tests that really makes and moves, and with the real one.

use super::fake::{Answer, Fake, Seen};
use super::{Bus, Driver};
use crate::testing::{Running, eventually, must};
use crate::{
    Cgroup, CgroupDriver, CgroupPath, CpuLimits, DeviceRule, Error, Host, Limits, MemoryLimits, Version,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use zbus::Variant;

/// A name that no other test has.
fn name(word: &str) -> String {
    format!("tinydtest{}{word}", std::process::id())
}

fn path(text: &str) -> CgroupPath {
    must(CgroupPath::new(text))
}

fn is_gone(driver: &Driver, group: &CgroupPath) -> bool {
    matches!(driver.open(group), Err(Error::NotFound { .. }))
}

/// Newer kernels have the memory controller on v2 alone, and where systemd uses v1 it hands none on there.
fn without_memory_where_there_is_none(driver: &Driver, mut limits: Limits) -> Limits {
    if let Err(Error::MissingController { controller, .. }) = driver.validate(&limits) {
        assert_eq!((controller.as_str(), driver.version()), ("memory", Version::Hybrid));
        limits.memory = MemoryLimits::default();
    }
    limits
}

/// Whatever a case leaves is taken away, also when it fails.
struct Ground {
    driver: Driver,
    group: CgroupPath,
}

impl Ground {
    fn new(driver: Driver, words: &str) -> Self {
        Self { driver, group: path(words) }
    }

    fn create(&self, limits: &Limits) -> Box<dyn Cgroup> {
        must(self.driver.create(&self.group, limits))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Ok(group) = self.driver.open(&self.group) {
            let _ = group.kill();
            let _ = group.remove();
        }
    }
}

/// In the default slice, or in the root's (`-`), above which nothing is made. One process is allowed, and the stand-in is none of them.
fn scope_life(driver: Driver, slice: &str) {
    let limits = Limits {
        pids_max: Some(1),
        memory: MemoryLimits { limit_bytes: Some(64 << 20), ..Default::default() },
        ..Default::default()
    };
    let limits = without_memory_where_there_is_none(&driver, limits);
    let scope = name("life");
    let ground = Ground::new(driver, &format!("{slice}:t:{scope}"));
    let group = ground.create(&limits);
    let above = if slice.is_empty() { "system.slice/" } else { "" };
    assert_eq!(group.path().as_str(), format!("{above}t-{scope}.scope"));
    assert!(matches!(ground.driver.create(&ground.group, &limits), Err(Error::Exists { .. })));

    let mut cat = Running::inside(group.as_ref(), "cat", &[]);
    eventually("the stand-in has gone", || must(group.processes()) == [cat.pid()]);
    let told = must(group.limits());
    assert_eq!(told.pids_max, Some(1));
    if let Some(limit) = limits.memory.limit_bytes {
        assert_eq!(told.memory.limit_bytes, Some(limit));
    }
    // What looks after emptiness has had its time to be wrong.
    std::thread::sleep(Duration::from_millis(100));
    assert!(must(group.is_populated()) && cat.answers(Duration::from_millis(900)));

    // The path is all the state there is.
    let again = must(ground.driver.open(group.path()));
    must(again.freeze());
    assert!(must(again.is_frozen()) && !cat.answers(Duration::from_millis(100)));
    must(again.thaw());
    // Its parent, the machine's first process, takes its exit when it comes to that.
    eventually("the stand-in is not counted", || must(again.stats()).pids.current == Some(1));
    must(again.apply(&Limits { pids_max: Some(9), ..Default::default() }));
    assert_eq!(must(again.limits()).pids_max, Some(9));
    assert!(matches!(group.remove(), Err(Error::Remove { .. })), "what runs is not ended by a removal");
    assert_eq!(must(again.processes()), [cat.pid()]);
    must(again.kill());
    cat.output();
    must(again.remove());
    assert!(is_gone(&ground.driver, &ground.group));
    // The name is free again.
    must(ground.create(&Limits::default()).remove());
    assert!(is_gone(&ground.driver, &ground.group));
    must(again.remove());
}

/// Nobody joins: nothing stays.
fn scope_for_nobody(driver: Driver, slice: &str) {
    let ground = Ground::new(driver, &format!("{slice}:t:{}", name("nobody")));
    drop(ground.create(&Limits::default()));
    eventually("a scope without anybody ends", || is_gone(&ground.driver, &ground.group));

    let group = ground.create(&Limits::default());
    drop(must(group.join_handle()));
    eventually("so does one whose way in is closed", || is_gone(&ground.driver, &ground.group));

    // A CPU that no machine has: the kernel says so when the unit is there already.
    let cpus = CpuLimits { cpus: Some("4000".into()), ..Default::default() };
    let refused = Limits { cpu: cpus, ..Default::default() };
    assert!(ground.driver.create(&ground.group, &refused).is_err());
    assert!(is_gone(&ground.driver, &ground.group));
}

/// Below a scope are groups of our own.
fn below_a_scope(driver: Driver, slice: &str) {
    let ground = Ground::new(driver, &format!("{slice}:t:{}", name("below")));
    let scope = ground.create(&Limits::default());
    let below = |word: &str| must(scope.path().join(word));
    let cat = Running::outside("cat", &[]);
    must(scope.add_process(cat.pid()));
    eventually("the stand-in has gone", || must(scope.processes()) == [cat.pid()]);
    let inside = must(ground.driver.ensure(&below("inside")));
    must(inside.add_process(cat.pid()));
    let limits = Limits { pids_max: Some(3), ..Default::default() };
    let limited = must(ground.driver.create(&below("limited"), &limits));
    assert_eq!(must(limited.limits()).pids_max, Some(3));
    let held = Running::inside(limited.as_ref(), "cat", &[]);
    assert_eq!(must(ground.driver.children(scope.path())), ["inside", "limited"]);
    let mut all = [cat.pid(), held.pid()];
    all.sort_unstable();
    assert_eq!(must(scope.processes()), all);
    must(scope.kill());
    drop((cat, held));
    must(limited.remove());
    must(scope.remove());
    assert!(is_gone(&ground.driver, &ground.group));
}

/// A slice holds for what is in it.
fn slice_with_a_scope(driver: Driver, _: &str) {
    let slice = name("slice");
    let ground = Ground::new(driver, &format!("::{slice}.slice"));
    let whole = ground.create(&Limits { pids_max: Some(5), ..Default::default() });
    assert_eq!(must(whole.limits()).pids_max, Some(5));
    let inner = path(&format!("{slice}.slice:t:x"));
    let scope = must(ground.driver.create(&inner, &Limits::default()));
    assert_eq!(scope.path().as_str(), format!("{slice}.slice/t-x.scope"));
    assert_eq!(must(ground.driver.children(whole.path())), ["t-x.scope"]);
    let cat = Running::inside(scope.as_ref(), "cat", &[]);
    assert!(must(whole.processes()).contains(&cat.pid()));
    must(scope.kill());
    drop(cat);
    must(scope.remove());
    must(whole.remove());
    assert!(is_gone(&ground.driver, &ground.group));
}

/// As systemd does it: folders in the hierarchies that it uses, processes moved into them, and an end with the last one.
mod mover {
    use super::*;
    use std::io::ErrorKind;

    fn places(host: &Host, path: &str) -> Vec<PathBuf> {
        let used = ["cpu", "cpuacct", "memory", "pids", "blkio", "devices"];
        let hierarchies = host.hierarchies().iter().filter(|h| {
            h.controllers().iter().any(|c| used.contains(c))
                || ["name=systemd", "unified"].contains(&&*h.name())
        });
        // Its own first: that the others are gone is what a test waits for, and then it ends.
        let mut hierarchies: Vec<_> = hierarchies.collect();
        hierarchies.sort_by_key(|h| h.name() != "name=systemd");
        hierarchies.into_iter().map(|h| h.mountpoint().join(path)).collect()
    }

    fn slice_path(slice: &str) -> String {
        let stem = slice.strip_suffix(".slice").unwrap();
        let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
        ends.map(|end| format!("{}.slice", &stem[..end])).collect::<Vec<_>>().join("/")
    }

    fn take_away(places: &[PathBuf]) {
        for place in places {
            // Whoever has just ended is not out of all of them at once.
            let busy =
                || std::fs::remove_dir(place).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy);
            for _ in (0..100).take_while(|_| busy()) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn start(host: &Host, seen: &Seen) -> Answer {
        let path = match seen.property("Slice").map(|value| &**value) {
            Some(Variant::Str(slice)) if slice.as_str() == "-.slice" => seen.unit.clone(),
            Some(Variant::Str(slice)) => format!("{}/{}", slice_path(slice), seen.unit),
            _ => slice_path(&seen.unit),
        };
        let places = places(host, &path);
        if places[0].exists() {
            return Answer::Error("org.freedesktop.systemd1.UnitExists", "it is there");
        }
        let Some(Variant::Array(pids)) = seen.property("PIDs").map(|value| &**value) else {
            places.iter().for_each(|place| std::fs::create_dir_all(place).unwrap());
            return Answer::Done;
        };
        let [Variant::U32(pid)] = pids.inner() else { panic!("{pids:?}") };
        for place in &places {
            std::fs::create_dir_all(place).unwrap();
            std::fs::write(place.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        let own = host.hierarchies().iter().find(|h| h.name() == "unified").unwrap();
        let events = own.mountpoint().join(&path).join("cgroup.events");
        std::thread::spawn(move || {
            while std::fs::read_to_string(&events).is_ok_and(|text| text.contains("populated 1")) {
                std::thread::sleep(Duration::from_millis(1));
            }
            take_away(&places);
        });
        Answer::Done
    }

    /// Where a unit's groups are is looked for, for a stop has only its name.
    fn stop(host: &Host, unit: &str) -> Answer {
        let slices = [String::new(), format!("{}.slice", name("slice"))];
        let places: Vec<_> =
            slices.iter().flat_map(|slice| places(host, &format!("{slice}/{unit}"))).collect();
        if !places.iter().any(|place| place.is_dir()) {
            return Answer::Error("org.freedesktop.systemd1.NoSuchUnit", "it is not loaded");
        }
        take_away(&places);
        Answer::Done
    }

    pub(super) fn new() -> Option<Fake> {
        let host = Host::detect().ok().filter(|host| host.version() == Version::Hybrid)?;
        Some(Fake::new(move |seen| match seen.member.as_str() {
            "StartTransientUnit" => start(&host, seen),
            "StopUnit" => stop(&host, &seen.unit),
            _ => Answer::Done,
        }))
    }
}

/// A machine where a case can be played through by the tests' own systemd. It is seen where not.
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn with_mover(test: &str, case: fn(Driver, &str)) {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        return eprintln!("SKIPPED: {test} needs root");
    }
    if Path::new("/run/systemd/system").exists() {
        return eprintln!("SKIPPED: {test}: the real systemd would be in the way");
    }
    let Some(fake) = mover::new() else { return eprintln!("SKIPPED: {test}: the host is not hybrid") };
    case(must(Driver::new(&must(Host::detect()), must(Bus::direct(&fake.socket())))), "-");
}

#[test]
fn root_scope_life() {
    with_mover("root_scope_life", scope_life);
}

#[test]
fn root_scope_for_nobody() {
    with_mover("root_scope_for_nobody", scope_for_nobody);
}

#[test]
fn root_below_a_scope() {
    with_mover("root_below_a_scope", below_a_scope);
}

#[test]
fn root_slice_with_a_scope() {
    with_mover("root_slice_with_a_scope", slice_with_a_scope);
}

const REAL: &str = "needs systemd: cargo xtask vm-test --systemd";

fn real() -> Driver {
    assert!(Path::new("/run/systemd/system").exists(), "{REAL}");
    must(Driver::new(&must(Host::detect()), must(Bus::of_host(None))))
}

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_scope_life() {
    scope_life(real(), "");
}

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_scope_life_over_the_system_bus() {
    let bus = must(Bus::system("unix:path=/run/dbus/system_bus_socket"));
    scope_life(must(Driver::new(&must(Host::detect()), bus)), "");
}

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_scope_for_nobody() {
    scope_for_nobody(real(), "");
}

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_below_a_scope() {
    below_a_scope(real(), "");
}

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_slice_with_a_scope() {
    slice_with_a_scope(real(), "");
}

fn systemctl(words: &[&str]) -> String {
    let output = Command::new("systemctl").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// systemd knows the limits, and when it writes everything again they are what they were.
#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn systemd_keeps_the_limits_when_it_reloads() {
    let limits = Limits {
        cpu: CpuLimits {
            quota_us: Some(50_000),
            period_us: Some(200_000),
            shares: Some(512),
            ..Default::default()
        },
        memory: MemoryLimits {
            limit_bytes: Some(96 << 20),
            reservation_bytes: Some(8 << 20),
            ..Default::default()
        },
        pids_max: Some(20),
        devices: vec![DeviceRule::all(false), must("c 1:3 rwm".parse())],
        ..Default::default()
    };
    let driver = real();
    let limits = without_memory_where_there_is_none(&driver, limits);
    let scope = name("reload");
    let ground = Ground::new(driver, &format!("{0}.slice:t:{scope}", name("above")));
    let group = ground.create(&limits);
    let unit = format!("t-{scope}.scope");
    let script =
        "cat; test -w /dev/null && : >/dev/null && echo null; (: </dev/zero) 2>/dev/null || echo denied";
    let mut shell = Running::inside(group.as_ref(), "sh", &["-c", script]);
    eventually("the stand-in has gone", || {
        must(group.processes()).iter().all(|pid| *pid != 0 && is_of(*pid, shell.pid()))
    });
    let shown = systemctl(&[
        "show",
        &unit,
        "-p",
        "Delegate,TasksMax,CPUQuotaPerSecUSec,Slice,DevicePolicy,ActiveState",
    ]);
    for line in [
        "Delegate=yes",
        "TasksMax=20",
        "CPUQuotaPerSecUSec=250ms",
        "DevicePolicy=strict",
        "ActiveState=active",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
    }
    // A quota by itself is one of the period that there is.
    let quota = CpuLimits { quota_us: Some(100_000), ..Default::default() };
    must(group.apply(&Limits { cpu: quota, ..Default::default() }));
    let before = must(group.limits());
    assert_eq!((before.cpu.quota_us, before.cpu.period_us), (Some(100_000), Some(200_000)));
    let shown = systemctl(&["show", &unit, "-p", "CPUQuotaPerSecUSec"]);
    assert_eq!(shown.trim(), "CPUQuotaPerSecUSec=500ms");
    systemctl(&["daemon-reload"]);
    // Another unit of the slice makes systemd look at all that is there.
    systemctl(&["set-property", "--runtime", &unit, "CPUWeight=77"]);
    std::thread::sleep(Duration::from_millis(500));
    let after = must(group.limits());
    assert_eq!((after.pids_max, &after.memory), (before.pids_max, &before.memory));
    assert_eq!((after.cpu.quota_us, after.cpu.period_us), (before.cpu.quota_us, before.cpu.period_us));
    assert_eq!(shell.output(), "null\ndenied\n");
    must(group.kill());
    must(group.remove());
    assert!(is_gone(&ground.driver, &ground.group));
    let listed = systemctl(&["list-units", "--all", "--no-legend", &unit]);
    assert_eq!(listed.trim(), "", "systemd has forgotten it");
}

/// Whether a process is another one or its child.
fn is_of(pid: u32, parent: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let above = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).map(str::to_owned);
    pid == parent || above == Some(parent.to_string())
}
