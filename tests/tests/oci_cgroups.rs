//! Control groups of a configuration: where they are, and what the kernel has for each limit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, require, wait_until};

fn is_v1() -> bool {
    Path::new("/sys/fs/cgroup/cpu/cpu.shares").exists()
}

/// The folder of a process's group of a controller.
fn group(pid: i32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        names.split(',').any(|name| name == controller).then(|| path.to_owned())
    });
    match own {
        Some(path) => Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/')),
        None => {
            let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
            let mount = Path::new("/sys/fs/cgroup/unified");
            let mount = if mount.exists() { mount } else { Path::new("/sys/fs/cgroup") };
            mount.join(path)
        }
    }
}

#[track_caller]
fn value(pid: i32, controller: &str, v1: &str, v2: &str) -> String {
    let file = group(pid, controller).join(if is_v1() { v1 } else { v2 });
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim().to_owned()
}

#[test]
fn a_path_is_taken_from_the_mount_point_whether_it_is_absolute_or_not() {
    require!(root);
    require!(program);
    require!(controller "pids");
    let env = Env::new();
    let oci = Oci::of(&env);
    for (name, slash) in [("absolute", "/"), ("relative", "")] {
        let path = format!("{}-{name}/inner", env.tag());
        let bundle = oci.bundle(name, &["sleep", "1000"], |config| {
            config["linux"]["cgroupsPath"] = json!(format!("{slash}{path}"));
        });
        // The same place each time.
        for _ in 0..2 {
            oci.create(&bundle).ok();
            let group = group(oci.pid(name), "pids");
            assert!(group.ends_with(&path) && group.exists(), "{}", group.display());
            assert!(
                fs::read_to_string(group.join("cgroup.procs")).unwrap().contains(&oci.pid(name).to_string())
            );
            oci.run(["delete", "--force", name]).ok();
            assert!(!group.exists());
            // What was made above it for it has gone as well.
            assert!(!group.parent().unwrap().exists());
        }
    }
    for (name, path) in [("up", "/a/../b"), ("odd", "/a\nb")] {
        let bundle = oci.bundle(name, &["true"], |config| config["linux"]["cgroupsPath"] = json!(path));
        oci.create(&bundle).fails(1);
    }
}

#[test]
fn a_group_that_somebody_uses_is_not_taken() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let first = oci.bundle("first", &["sleep", "1000"], |_| {});
    oci.launch(&first);
    let second = oci.bundle("second", &["true"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("/{}-first", env.tag()));
    });
    let refused = oci.create(&second).fails(1);
    assert!(refused.stderr().contains("first"), "{refused}");
    assert_eq!(oci.status("first"), "running");
    assert!(!oci.root().join("second").exists());
    oci.run(["delete", "--force", "first"]).ok();
}

/// A group of its own in each hierarchy that has one of these controllers, made ahead of a container; what is left of it goes with
/// this value.
struct Ahead {
    places: Vec<PathBuf>,
}

impl Ahead {
    fn new(name: &str) -> Ahead {
        let mut mounts = vec![PathBuf::from("/sys/fs/cgroup")];
        if is_v1() {
            mounts = ["cpu", "memory", "pids"].map(|name| Path::new("/sys/fs/cgroup").join(name)).to_vec();
        }
        let places: Vec<_> = mounts.iter().map(|mount| mount.join(name)).collect();
        let ahead = Ahead { places };
        for place in &ahead.places {
            if !is_v1() {
                fs::write(place.with_file_name("cgroup.subtree_control"), "+cpu +memory +pids").unwrap();
            }
            fs::create_dir(place).unwrap();
        }
        ahead
    }

    /// The folder of a controller.
    fn of(&self, controller: &str) -> &Path {
        let at = ["cpu", "memory", "pids"].iter().position(|name| *name == controller).unwrap();
        &self.places[if is_v1() { at } else { 0 }]
    }

    fn inodes(&self) -> Vec<u64> {
        self.places.iter().map(|place| fs::metadata(place).unwrap().ino()).collect()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        for place in &self.places {
            let _ = fs::remove_dir(place.join("theirs"));
            let _ = fs::remove_dir(place);
        }
    }
}

#[test]
fn a_group_that_is_there_is_used_as_it_is() {
    require!(root);
    require!(program);
    require!(controller "pids");
    require!(controller "memory");
    require!(controller "cpu");
    let env = Env::new();
    let oci = Oci::of(&env);
    let (quota, quota_set) =
        if is_v1() { ("cpu.cfs_quota_us", "50000") } else { ("cpu.max", "50000 100000") };
    let pids = |config: &mut Value| config["linux"]["resources"] = json!({ "pids": { "limit": 77 } });

    // As in a pod of an engine that has set limits: what the configuration says nothing of stays.
    let bundle = oci.bundle("one", &["sleep", "1000"], pids);
    let ahead = Ahead::new(&format!("{}-one", env.tag()));
    fs::write(ahead.of("cpu").join(quota), "50000").unwrap();
    let there = ahead.inodes();
    oci.launch(&bundle);
    let pid = oci.pid("one");
    assert_eq!(group(pid, "cpu"), ahead.of("cpu"));
    assert_eq!(ahead.inodes(), there);
    assert_eq!(value(pid, "cpu", quota, quota), quota_set);
    assert_eq!(value(pid, "pids", "pids.max", "pids.max"), "77");
    oci.run(["delete", "--force", "one"]).ok();
    assert!(ahead.places.iter().all(|place| !place.exists()), "what is empty goes with the container");

    // A process of somebody else's stays, and so does the group, in each hierarchy.
    let bundle = oci.bundle("two", &["sleep", "1000"], pids);
    let ahead = Ahead::new(&format!("{}-two", env.tag()));
    let there = ahead.inodes();
    oci.launch(&bundle);
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(ahead.of("pids").join("cgroup.procs"), other.id().to_string()).unwrap();
    for signal in ["TERM", "KILL"] {
        oci.run(["kill", "--all", "two", signal]).ok();
    }
    wait_until("it has stopped", || oci.status("two") == "stopped");
    let deleted = oci.run(["delete", "--force", "two"]);
    let (alive, stayed) =
        (other.try_wait().unwrap().is_none(), ahead.places.iter().all(|place| place.exists()));
    other.kill().unwrap();
    other.wait().unwrap();
    deleted.ok();
    assert!(alive && stayed, "alive: {alive}, stayed: {stayed}");
    assert_eq!(ahead.inodes(), there);
    assert!(!oci.root().join("two").exists());
    drop(ahead);

    // So do groups below it that were there before; the container's processes end, with a namespace of their own or without.
    let own = ["sh", "-c", "sleep 1001 & exec sleep 1000"];
    let bundle = oci.bundle("three", &own, |config| {
        pids(config);
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "pid");
    });
    let ahead = Ahead::new(&format!("{}-three", env.tag()));
    ahead.places.iter().for_each(|place| fs::create_dir(place.join("theirs")).unwrap());
    oci.launch(&bundle);
    let procs = ahead.of("pids").join("cgroup.procs");
    wait_until("both of its processes run", || fs::read_to_string(&procs).unwrap().lines().count() == 2);
    oci.run(["delete", "--force", "three"]).ok();
    assert_eq!(fs::read_to_string(&procs).unwrap(), "");
    assert!(ahead.places.iter().all(|place| place.join("theirs").exists()));
}

#[test]
fn a_start_that_fails_takes_no_group_of_others_with_it() {
    require!(root);
    require!(program);
    require!(controller "pids");
    require!(controller "memory");
    require!(controller "cpu");
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["/nothing/there"], |_| {});
    let ahead = Ahead::new(&format!("{}-one", env.tag()));
    ahead.places.iter().for_each(|place| fs::create_dir(place.join("theirs")).unwrap());
    let there = ahead.inodes();
    oci.create(&bundle).fails(1);
    assert_eq!(ahead.inodes(), there);
    assert!(ahead.places.iter().all(|place| place.join("theirs").exists()));
    assert!(!oci.root().join("one").exists());

    // One in which nobody ever was is given back.
    let bundle = oci.bundle("two", &["true"], |config| {
        config["linux"]["resources"] = json!({ "pids": { "limit": 5_000_000 } });
    });
    let ahead = Ahead::new(&format!("{}-two", env.tag()));
    let there = ahead.inodes();
    oci.create(&bundle).fails(1);
    assert_eq!(ahead.inodes(), there);
}

#[test]
fn limits_are_changed_in_the_words_of_other_runtimes() {
    require!(root);
    require!(program);
    require!(controller "memory");
    require!(controller "cpu");
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| {
        // Whichever it is, it is none.
        config["linux"]["resources"]["cpu"] = json!({ "quota": -7 });
    });
    oci.create(&bundle).ok();
    let pid = oci.pid("one");
    let is =
        |controller, v1, v2, expected: &str| assert_eq!(value(pid, controller, v1, v2), expected, "{v1}");
    let unlimited = if is_v1() { "-1" } else { "max 100000" };
    is("cpu", "cpu.cfs_quota_us", "cpu.max", unlimited);
    oci.run(["update", "--memory", "100M", "--memory-reservation=50mb", "one"]).ok();
    is("memory", "memory.limit_in_bytes", "memory.max", "104857600");
    is("memory", "memory.soft_limit_in_bytes", "memory.low", "52428800");
    let swap = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
    if group(pid, "memory").join(swap[usize::from(!is_v1())]).exists() {
        let none = if is_v1() { "9223372036854771712" } else { "max" };
        oci.run(["update", "--memory", "100M", "--memory-swap", "150M", "one"]).ok();
        is("memory", swap[0], swap[1], if is_v1() { "157286400" } else { "52428800" });
        oci.run(["update", "--memory=-1", "one"]).ok();
        is("memory", "memory.limit_in_bytes", "memory.max", none);
        is("memory", swap[0], swap[1], none);
    }
    // What is used already is not taken away from who does not want that.
    let file = env.files().join("memory.json");
    let below = json!({ "memory": { "limit": 4096, "checkBeforeUpdate": true } });
    fs::write(&file, below.to_string()).unwrap();
    let refused = oci.run(["update", "--resources", file.to_str().unwrap(), "one"]).fails(1);
    assert!(refused.stderr().contains("is below the"), "{refused}");
    oci.run(["update", "--memory", "100M", "one"]).ok();
    let refused = oci.run(["update", "--memory", "100X", "one"]).fails(2);
    assert!(refused.stderr().contains("--memory \"100X\""), "{refused}");
    if group(pid, "cpu").join(if is_v1() { "cpu.cfs_burst_us" } else { "cpu.max.burst" }).exists() {
        let burst = |expected| is("cpu", "cpu.cfs_burst_us", "cpu.max.burst", expected);
        oci.run(["update", "--cpu-quota", "50000", "--cpu-burst", "20000", "one"]).ok();
        burst("20000");
        oci.run(["update", "--cpu-burst", "0", "one"]).ok();
        burst("0");
    }
    oci.run(["update", "--cpu-quota=-3", "one"]).ok();
    is("cpu", "cpu.cfs_quota_us", "cpu.max", unlimited);
    // What it may open was said when it was made: a hook may have let it have more since, and engines send all that they know.
    if is_v1() {
        let allowed = || value(pid, "devices", "devices.list", "");
        let before = allowed();
        let file = env.files().join("resources.json");
        let none = json!({ "devices": [{ "allow": false, "access": "rwm" }], "cpu": { "quota": 50000 } });
        fs::write(&file, none.to_string()).unwrap();
        oci.run(["update", "--resources", file.to_str().unwrap(), "one"]).ok();
        is("cpu", "cpu.cfs_quota_us", "cpu.max", "50000");
        assert_eq!(allowed(), before);
    }
    oci.run(["delete", "--force", "one"]).ok();
}

#[test]
fn memory_processors_and_processes_are_limited_as_it_is_written() {
    require!(root);
    require!(program);
    require!(controller "memory");
    require!(controller "cpu");
    require!(controller "cpuset");
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| {
        let resources = &mut config["linux"]["resources"];
        resources["memory"] = json!({ "limit": 50 << 20, "reservation": 20 << 20, "swap": 70 << 20 });
        resources["cpu"] =
            json!({ "shares": 2048, "quota": 200_000, "period": 500_000, "cpus": "0", "mems": "0" });
        resources["pids"] = json!({ "limit": 1000 });
    });
    oci.create(&bundle).ok();
    let pid = oci.pid("one");
    let is =
        |controller, v1, v2, expected: &str| assert_eq!(value(pid, controller, v1, v2), expected, "{v1}");
    is("memory", "memory.limit_in_bytes", "memory.max", "52428800");
    is("memory", "memory.soft_limit_in_bytes", "memory.low", "20971520");
    // Memory and swap in one number, or swap alone.
    is(
        "memory",
        "memory.memsw.limit_in_bytes",
        "memory.swap.max",
        if is_v1() { "73400320" } else { "20971520" },
    );
    if is_v1() {
        is("cpu", "cpu.shares", "", "2048");
        is("cpu", "cpu.cfs_quota_us", "", "200000");
        is("cpu", "cpu.cfs_period_us", "", "500000");
    } else {
        is("cpu", "", "cpu.max", "200000 500000");
    }
    is("cpuset", "cpuset.cpus", "cpuset.cpus", "0");
    is("cpuset", "cpuset.mems", "cpuset.mems", "0");
    is("pids", "pids.max", "pids.max", "1000");
    oci.run(["delete", "--force", "one"]).ok();
}

#[test]
fn no_process_is_a_limit_of_processes_and_none_is_not() {
    require!(root);
    require!(program);
    require!(controller "pids");
    let env = Env::new();
    let oci = Oci::of(&env);
    let limits = [
        ("unlimited", "1.3.0", json!({ "limit": -1 }), "max"),
        ("unsaid", "1.3.0", json!({}), "max"),
        // The first one has to be born.
        ("zero", "1.3.0", json!({ "limit": 0 }), "1"),
        // Engines that write this mean none.
        ("old", "1.2.1", json!({ "limit": 0 }), "max"),
    ];
    for (name, version, pids, expected) in limits {
        let bundle = oci.bundle(name, &["sleep", "1000"], |config| {
            config["ociVersion"] = json!(version);
            config["linux"]["resources"]["pids"] = pids;
        });
        oci.create(&bundle).ok();
        assert_eq!(value(oci.pid(name), "pids", "pids.max", "pids.max"), expected, "{name}");
        oci.run(["delete", "--force", name]).ok();
    }
}

#[test]
fn rules_for_devices_are_applied_in_their_order() {
    require!(root);
    require!(program);
    require!(controller "devices");
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "mknod /tmp/d c 10 229 && echo made; head -c 1 /dev/zero > /dev/null && echo zero; \
                  for n in 1 2; do cat /tmp/b$n > /dev/null 2> /tmp/why; grep -c 'not permitted' /tmp/why; done";
    let output = oci.look("one", script, |config| {
        let tmp = json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" });
        config["mounts"].as_array_mut().unwrap().push(tmp);
        for set in ["bounding", "permitted", "effective"] {
            config["process"]["capabilities"][set] = json!(["CAP_MKNOD"]);
        }
        config["linux"]["resources"]["devices"] = json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm" },
            { "allow": true, "type": "b", "major": 7, "access": "r" },
            { "allow": false, "type": "b", "major": 7, "access": "r" },
        ]);
        config["linux"]["devices"] = json!([
            { "path": "/tmp/b1", "type": "b", "major": 7, "minor": 100 },
            { "path": "/tmp/b2", "type": "b", "major": 259, "minor": 77 },
        ]);
    });
    // A later rule takes back what an earlier one gives; and what none gives is not to be had.
    assert_eq!(output.ok().stdout(), "made\nzero\n1\n1\n");
    if !is_v1() {
        return;
    }
    let bundle = oci.bundle("list", &["sleep", "1000"], |config| {
        config["linux"]["resources"]["devices"] = json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" },
            { "allow": true, "type": "b", "major": 8, "minor": 20, "access": "rw" },
            { "allow": true, "type": "b", "major": 10, "minor": 200, "access": "r" },
        ]);
    });
    oci.create(&bundle).ok();
    let list = value(oci.pid("list"), "devices", "devices.list", "");
    assert!(list.starts_with("c 10:229 rw\nb 8:20 rw\nb 10:200 r\n"), "{list}");
    oci.run(["delete", "--force", "list"]).ok();
}

/// A disk of this machine.
fn disk() -> Option<(u64, u64)> {
    let disks = fs::read_dir("/sys/block").ok()?.flatten();
    disks.into_iter().find_map(|disk| {
        let size: u64 = fs::read_to_string(disk.path().join("size")).ok()?.trim().parse().ok()?;
        let numbers = fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = numbers.trim().split_once(':')?;
        (size > 0).then_some((major.parse().ok()?, minor.parse().ok()?))
    })
}

#[test]
fn rates_of_a_disk_are_limited_each_by_itself() {
    require!(root);
    require!(program);
    require!(controller if is_v1() { "blkio" } else { "io" });
    let env = Env::new();
    let oci = Oci::of(&env);
    let (major, minor) = disk().expect("a machine has a disk");
    let rate = |rate: u32| json!([{ "major": major, "minor": minor, "rate": rate }]);
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| {
        config["linux"]["resources"]["blockIO"] = json!({
            "throttleReadBpsDevice": rate(102_400), "throttleWriteBpsDevice": rate(204_800),
            "throttleReadIOPSDevice": rate(100), "throttleWriteIOPSDevice": rate(200),
        });
    });
    oci.create(&bundle).ok();
    let pid = oci.pid("one");
    if is_v1() {
        for (file, expected) in
            [("read_bps", 102_400), ("write_bps", 204_800), ("read_iops", 100), ("write_iops", 200)]
        {
            let file = format!("blkio.throttle.{file}_device");
            assert_eq!(value(pid, "blkio", &file, ""), format!("{major}:{minor} {expected}"), "{file}");
        }
    } else {
        let expected = format!("{major}:{minor} rbps=102400 wbps=204800 riops=100 wiops=200");
        assert_eq!(value(pid, "io", "", "io.max"), expected);
    }
    oci.run(["delete", "--force", "one"]).ok();
    let wrong: [(&str, &str, Value); 2] = [
        ("page", "hugepageLimits", json!([{ "pageSize": "3MB", "limit": 3_145_728 }])),
        ("rate", "blockIO", json!({ "throttleReadBpsDevice": [{ "major": -1, "minor": 0, "rate": 1 }] })),
    ];
    for (name, part, value) in wrong {
        let bundle = oci.bundle(name, &["true"], |config| config["linux"]["resources"][part] = value);
        oci.create(&bundle).fails(1);
        assert!(!oci.root().join(name).exists(), "{name}");
    }
}
