//! Limits: what the control groups of a container say, and that the kernel holds a command to it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use tinyd_tests::proc::cgroups;
use tinyd_tests::{
    Container, Need, check_need, eventually, in_both_modes, packages, require, roots, unserved,
};

const SLEEP: [&str; 3] = ["host", "sleep", "300"];

/// One limit in the words of either version: the file of v1, the file of v2.
const MEMORY: (&str, &str) = ("memory.limit_in_bytes", "memory.max");
const PIDS: (&str, &str) = ("pids.max", "pids.max");

fn is_v2(controller: &str) -> bool {
    cgroups::hierarchy_of(controller).unwrap().v2
}

fn value(container: &Container<'_>, controller: &str, files: (&str, &str)) -> String {
    let file = if is_v2(controller) { files.1 } else { files.0 };
    cgroups::value(&container.id, controller, file).unwrap_or_else(|| panic!("no {file}"))
}

/// Those of some controllers that this machine has; which it has not is said. Of kernels since 6.11 memory may be missing
/// on v1 (CONFIG_MEMCG_V1).
fn mounted(controllers: [&'static str; 3]) -> impl Iterator<Item = &'static str> {
    controllers.into_iter().filter(|controller| {
        let missing = check_need(Need::Controller(controller)).err();
        if let Some(reason) = &missing {
            let _ = writeln!(std::io::stderr(), "without it: {reason}");
        }
        missing.is_none()
    })
}

/// Quota and period as v2 words them.
fn cpu(container: &Container<'_>) -> String {
    if is_v2("cpu") {
        return cgroups::value(&container.id, "cpu", "cpu.max").unwrap();
    }
    let read = |file| cgroups::value(&container.id, "cpu", file).unwrap();
    format!("{} {}", read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
}

/// CPU time used so far.
fn cpu_used(container: &Container<'_>) -> Duration {
    if is_v2("cpu") {
        let stat = cgroups::value(&container.id, "cpu", "cpu.stat").unwrap();
        let used = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
        return Duration::from_micros(used.parse().unwrap());
    }
    Duration::from_nanos(cgroups::value(&container.id, "cpuacct", "cpuacct.usage").unwrap().parse().unwrap())
}

#[test]
fn a_containers_processes_stand_in_its_own_group_of_each_controller() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        container.exec(&["-d"], &["sleep", "301"]).ok();
        let executed = container.process(&["sleep", "301"]);
        for controller in mounted(["cpu", "memory", "pids"]) {
            let group = cgroups::of_container(&container.id, controller).unwrap();
            let top = cgroups::hierarchy_of(controller).unwrap().mount;
            assert_eq!(group, top.join("tinyd").join(&container.id));
            let mut members = cgroups::members(&group);
            members.sort_unstable();
            let mut wanted = vec![container.pid, executed];
            wanted.sort_unstable();
            assert_eq!(members, wanted, "{controller}");
            if !is_v2(controller) {
                let tasks = fs::read_to_string(group.join("tasks")).unwrap();
                assert!(tasks.lines().any(|line| line == container.pid.to_string()), "{tasks}");
            }
            for pid in [container.pid, executed] {
                assert_eq!(
                    cgroups::path_of(pid, if is_v2(controller) { "" } else { controller }).unwrap(),
                    format!("/tinyd/{}", container.id)
                );
            }
        }
        let monitor = container.inspect()["State"]["MonitorPid"].as_i64().unwrap();
        assert!(
            !container.pids().contains(&i32::try_from(monitor).unwrap()),
            "the monitor is limited by what it watches"
        );
        let said = container.inspect();
        assert_eq!(said["HostConfig"]["CgroupPath"], format!("/tinyd/{}", container.id));
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
        let gone = eventually(Duration::from_secs(5), || {
            cgroups::of_container(&container.id, "memory").is_none().then_some(())
        });
        assert!(gone.is_some(), "the group is still there");
    });
}

#[test]
fn memory_sizes_are_binary_and_need_no_other_limit() {
    require!(root);
    require!(controller "memory");
    in_both_modes(|mode| {
        for (options, wanted) in [
            (["-m", "150M"], "157286400"),
            (["--mem", "100m"], "104857600"),
            (["-mem", "500m"], "524288000"),
            (["--memory", "1g"], "1073741824"),
            (["-m", "8388608"], "8388608"),
        ] {
            let container = mode.start(options.into_iter().chain(SLEEP));
            assert_eq!(value(&container, "memory", MEMORY), wanted, "{options:?}");
            assert_eq!(container.inspect()["HostConfig"]["Memory"].to_string(), wanted);
            assert!(
                cpu(&container).starts_with(if is_v2("cpu") { "max " } else { "-1 " }),
                "{}",
                cpu(&container)
            );
        }
        let free = mode.start(SLEEP);
        let unlimited = value(&free, "memory", MEMORY);
        assert!(unlimited == "max" || unlimited.parse::<u64>().unwrap() > 1 << 60, "{unlimited}");
    });
}

#[test]
fn limits_hold_before_the_command_takes_its_first_step() {
    require!(root);
    require!(controller "memory");
    let image = roots::busybox();
    let (memory, pids) = match (is_v2("memory"), is_v2("pids")) {
        (true, true) => ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"),
        _ => ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/pids/pids.max"),
    };
    in_both_modes(|mode| {
        let image = image.to_str().unwrap();
        // Whatever races here would lose some time.
        for _ in 0..5 {
            let output = mode.run(["-m", "100m", "--pids-limit", "33", image, "cat", memory, pids]).ok();
            assert_eq!(output.stdout(), "104857600\n33\n");
        }
    });
}

#[test]
fn a_command_that_takes_more_memory_than_its_limit_is_killed_and_that_is_said() {
    require!(root);
    require!(controller "memory");
    let image = roots::busybox();
    in_both_modes(|mode| {
        let image = image.to_str().unwrap();
        let greedy = [
            "-m",
            "32M",
            "--name",
            "greedy",
            image,
            "dd",
            "if=/dev/zero",
            "of=/dev/null",
            "bs=200M",
            "count=1",
        ];
        let words = ["run", "--userns", mode.userns()].into_iter().chain(greedy);
        mode.env.tinyd(words).fails(137);
        let said = mode.env.tinyd(["inspect", "greedy"]).ok().json();
        assert_eq!(said[0]["State"]["OOMKilled"], true, "{}", said[0]["State"]);
        assert_eq!(said[0]["State"]["ExitCode"], 137);
        let table = mode.env.tinyd(["ps", "-a"]).ok().stdout();
        assert!(table.contains("STOPPED (137) OOM"), "{table}");
        // The same within its limit, and one that is merely killed, are told apart from it.
        mode.run(["-m", "64M", image, "dd", "if=/dev/zero", "of=/dev/null", "bs=16M", "count=1"]).ok();
        let killed = mode.start([image, "sleep", "300"]);
        mode.env.tinyd(["kill", &killed.id]).ok();
        mode.env.tinyd(["wait", &killed.id]).ok();
        assert_eq!(killed.inspect()["State"]["OOMKilled"], false);
    });
}

#[test]
fn options_behind_the_command_are_its_own_and_the_stress_tool_meets_the_limit() {
    require!(root);
    require!(controller "memory");
    packages::ensure(&["/usr/bin/stress"], "stress").unwrap();
    in_both_modes(|mode| {
        let stress = ["host", "stress", "--vm-bytes", "200m", "--vm-keep", "-m", "1"];
        let words =
            ["run", "--userns", mode.userns(), "-ti", "-m", "100m", "--name", "s"].into_iter().chain(stress);
        let mut pty = mode.env.pty(words, 24, 80);
        pty.expect("got signal 9");
        assert_eq!(pty.wait().0.code(), Some(1), "the tool itself says that its worker failed");
        let said = mode.env.tinyd(["inspect", "s"]).ok().json()[0].take();
        let args: Vec<_> =
            said["Config"]["Cmd"].as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
        assert_eq!(args, stress[1..]);
        assert_eq!(said["HostConfig"]["Memory"], 104_857_600);
        assert_eq!(said["State"]["OOMKilled"], true);
    });
}

#[test]
fn the_number_of_processes_is_limited_and_2048_when_nobody_says() {
    require!(root);
    require!(controller "pids");
    let count = "$n = 0; while (defined($p = fork)) { if (!$p) { sleep 100; exit } $n++ } print \"$n $!\\n\"";
    in_both_modes(|mode| {
        assert_eq!(value(&mode.start(SLEEP), "pids", PIDS), "2048");
        assert_eq!(value(&mode.start(["--pids-limit", "-1"].into_iter().chain(SLEEP)), "pids", PIDS), "max");
        let few = mode.start(["--pids-limit", "20"].into_iter().chain(SLEEP));
        assert_eq!(value(&few, "pids", PIDS), "20");
        assert_eq!(few.inspect()["HostConfig"]["PidsLimit"], 20);
        // The command itself is the first of the twenty.
        let output = mode.run(["--pids-limit", "20", "host", "perl", "-e", count]).ok();
        assert_eq!(output.text(), "19 Resource temporarily unavailable");
        // Of one that runs, an exec is counted as well.
        let output = few.exec(&[], &["perl", "-e", count]).ok();
        assert_eq!(output.text(), "18 Resource temporarily unavailable");
    });
}

#[test]
fn a_share_of_a_processor_is_written_down() {
    require!(root);
    require!(controller "cpu");
    in_both_modes(|mode| {
        for (options, wanted) in [
            (["--cpu", "10000"], "10000 100000"),
            (["--cpu", "100000"], "100000 100000"),
            (["--cpus", "1.5"], "150000 100000"),
        ] {
            let container = mode.start(options.into_iter().chain(SLEEP));
            assert_eq!(cpu(&container), wanted, "{options:?}");
            let said = &container.inspect()["HostConfig"];
            assert_eq!(format!("{} {}", said["CpuQuota"], said["CpuPeriod"]), wanted);
        }
    });
}

#[test]
fn a_busy_command_gets_no_more_than_its_share_of_a_processor() {
    require!(root);
    require!(controller "cpu");
    // A measurement, with margins for a machine that is busy with other tests; about a second for each.
    in_both_modes(|mode| {
        for (share, most) in [("25000", 0.40), ("10000", 0.20)] {
            let container = mode.start(["--cpu", share, "host", "sh", "-c", "while :; do :; done"]);
            let (before, start) = (cpu_used(&container), Instant::now());
            std::thread::sleep(Duration::from_secs(1));
            let (used, time) = (cpu_used(&container) - before, start.elapsed());
            let part = used.as_secs_f64() / time.as_secs_f64();
            assert!(part < most && part > 0.02, "--cpu {share}: {part:.2} of a processor");
            let throttled = cgroups::value(&container.id, "cpu", "cpu.stat").unwrap();
            let count = throttled.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap();
            assert!(count.parse::<u32>().unwrap() > 0, "{throttled}");
            mode.env.tinyd(["rm", "-f", &container.id]).ok();
        }
    });
}

#[test]
fn shares_and_sizes_outside_of_their_range_are_refused() {
    require!(root);
    in_both_modes(|mode| {
        for (options, words) in [
            (["--cpu", "9999"], ["10000", "100000"]),
            (["--cpu", "100001"], ["10000", "100000"]),
            (["--cpu", "abc"], ["abc", "10000"]),
            (["--mem", "1x"], ["1x", ""]),
            (["-m", "-5"], ["-5", ""]),
            (["-m", "1"], ["", ""]),
            (["--pids-limit", "0"], ["0", ""]),
            (["--cpus", "0"], ["0", ""]),
        ] {
            let output = mode.run(options.into_iter().chain(["host", "true"])).fails(125);
            assert!(words.iter().all(|word| output.stderr().contains(word)), "{output}");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
        }
        assert_eq!(mode.env.ids().len(), 0, "something was made");
    });
}

/// A script that runs a command where the hierarchies of control groups are mounted elsewhere, in a mount namespace of its
/// own: `$1` is the folder for them, the rest is the command.
const ELSEWHERE: &str = r#"
set -e
place=$1; shift
mount --make-rprivate /
awk '$(NF-2) ~ /^cgroup2?$/ { print $5 }' /proc/self/mountinfo | sort > "$place/list"
n=0
while read -r point; do
    n=$((n + 1)); mkdir "$place/odd place $n"
    mount --move "$point" "$place/odd place $n" 2>/dev/null || { mount --bind "$point" "$place/odd place $n"; umount "$point"; }
done < "$place/list"
[ "$n" -gt 0 ]
if awk '$(NF-2) ~ /^cgroup2?$/ { print $5 }' /proc/self/mountinfo | grep -q ^/sys; then exit 9; fi
exec "$@"
"#;

#[test]
fn hierarchies_are_found_wherever_they_are_mounted() {
    require!(root);
    require!(command "unshare");
    in_both_modes(|mode| {
        let place = mode.env.files().join("cgroups");
        fs::create_dir(&place).unwrap();
        let memory = mounted(["memory", "cpu", "pids"]).any(|controller| controller == "memory");
        let run = ["run", "-d", "--userns", mode.userns(), "--pids-limit", "44", "--cpu", "30000"];
        let run = run.into_iter().chain(memory.then_some(["-m", "64m"]).into_iter().flatten());
        let under = ["unshare", "-m", "sh", "-c", ELSEWHERE, "sh", place.to_str().unwrap()];
        let id = mode.env.cmd(run.chain(SLEEP)).under(under).output().ok().text();
        assert!(fs::read_to_string(place.join("list")).unwrap().lines().count() > 0);
        let file = |controller, files: (&str, &str)| {
            cgroups::value(&id, controller, if is_v2(controller) { files.1 } else { files.0 }).unwrap()
        };
        if memory {
            assert_eq!(file("memory", MEMORY), "67108864");
        }
        assert_eq!(file("pids", PIDS), "44");
        assert_eq!(file("cpu", ("cpu.cfs_quota_us", "cpu.max")).split(' ').next(), Some("30000"));
        // The usual place serves the same container.
        assert_eq!(mode.env.tinyd(["exec", &id, "echo", "in"]).ok().text(), "in");
    });
}

#[test]
fn a_group_that_cannot_be_made_is_an_error_that_names_it() {
    require!(root);
    require!(command "unshare");
    unserved!("the mounts that it changes are those of the client");
    in_both_modes(|mode| {
        let mount = cgroups::hierarchy_of("pids").unwrap().mount;
        let script =
            format!("mount --make-rprivate / && mount -o remount,bind,ro {} && exec \"$@\"", mount.display());
        let words = ["run", "--rm", "--userns", mode.userns(), "--pids-limit", "64", "host", "true"];
        let output =
            mode.env.cmd(words).under(["unshare", "-m", "sh", "-c", &script, "sh"]).output().fails(125);
        assert!(output.stderr().contains(mount.join("tinyd").to_str().unwrap()), "{output}");
        assert!(output.stderr().to_lowercase().contains("read-only file system"), "{output}");
        assert_eq!(mode.env.containers().len(), 0);
        assert!(
            Path::new(&mount).join("tinyd").metadata().is_ok_and(|found| found.is_dir())
                || !mount.join("tinyd").exists()
        );
        mode.env.assert_clean();
    });
}

#[test]
fn weights_divide_a_processor_in_their_proportion() {
    require!(root);
    in_both_modes(|mode| {
        // Both on one processor, on which there is not enough for two.
        let busy = ["host", "taskset", "-c", "0", "sh", "-c", "while :; do :; done"];
        let light = mode.start(["-cpushare", "512"].iter().chain(&busy).copied());
        let heavy = mode.start(["--cpu-shares", "1024"].iter().chain(&busy).copied());
        let shares = ("cpu.shares", "cpu.weight");
        if !is_v2("cpu") {
            assert_eq!(value(&light, "cpu", shares), "512");
            assert_eq!(value(&heavy, "cpu", shares), "1024");
        }
        let before = (cpu_used(&light), cpu_used(&heavy));
        std::thread::sleep(Duration::from_millis(1500));
        // A processor that is shared itself, as an emulated one is, comes in large pieces: they even out.
        let mut last = String::new();
        let even = eventually(Duration::from_secs(15), || {
            let used = (cpu_used(&light) - before.0, cpu_used(&heavy) - before.1);
            let ratio = used.1.as_secs_f64() / used.0.as_secs_f64();
            last = format!("{used:?}, 1 to {ratio:.2}");
            (1.5..2.7).contains(&ratio).then_some(())
        });
        assert!(even.is_some(), "512 to 1024 shares had {last}");
    });
}
