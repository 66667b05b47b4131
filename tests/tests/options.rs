//! Options of `run` that shape the command's surroundings: seen from inside, by the kernel, and in `inspect`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::time::{Duration, Instant};

use serde_json::json;
use tinyd_tests::{Mode, in_both_modes, proc, require};

/// What a command prints in a container with these options.
fn printed(mode: &Mode, options: &[&str], script: &str) -> String {
    let words = ["--rm"].iter().chain(options).copied().chain(["host", "sh", "-c", script]);
    mode.run(words).ok().text()
}

/// Requires that a request is refused with one line that says `text`, and that nothing is left of it.
fn refused(mode: &Mode, options: &[&str], text: &str) {
    let before = mode.env.containers();
    let output = mode.run(["--rm"].iter().chain(options).copied().chain(["host", "true"])).fails(125);
    assert!(output.stderr().contains(text) && output.stderr().lines().count() <= 2, "{options:?}: {output}");
    assert_eq!(mode.env.containers(), before);
}

#[test]
fn limits_of_processes_hold_for_run_and_exec() {
    require!(root);
    in_both_modes(|mode| {
        let options = ["--ulimit", "nofile=100:200", "--ulimit", "core=0"];
        assert_eq!(printed(mode, &options, "ulimit -Sn; ulimit -Hn; ulimit -Hc"), "100\n200\n0");
        let container = mode.start(options.into_iter().chain(["host", "sleep", "300"]));
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", container.pid)).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert!(line.split_ascii_whitespace().skip(3).take(2).eq(["100", "200"]), "{line}");
        assert_eq!(container.exec(&[], &["sh", "-c", "ulimit -Hn"]).ok().text(), "200");
        let said = container.inspect()["HostConfig"]["Ulimits"].take();
        assert_eq!(said[0], json!({"Name": "nofile", "Soft": 100, "Hard": 200}));
        refused(mode, &["--ulimit", "files=3"], "setrlimit");
        refused(mode, &["--ulimit", "nofile=5:3"], "above its hard one");
        refused(mode, &["--ulimit", "nofile"], "nofile=1024:2048");
    });
}

#[test]
fn kernel_settings_are_the_containers_own() {
    require!(root);
    in_both_modes(|mode| {
        let host = || std::fs::read_to_string("/proc/sys/kernel/shmmni").unwrap();
        let before = host();
        let options = ["--sysctl", "kernel.shmmni=77", "--sysctl", "net.ipv4.ip_default_ttl=33"];
        let script = "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_default_ttl";
        assert_eq!(printed(mode, &options, script), "77\n33");
        assert_eq!(host(), before);
        for bad in [
            "kernel.core_pattern=|/x",
            "vm.swappiness=1",
            "kernel.shm_rmid_forced=1\nkernel.core_pattern=|/x",
            "kernel.shm_rmid_forced=1+kernel.core_pattern=|/x/y\n",
            "kernel/shmmni=1",
        ] {
            refused(mode, &["--sysctl", bad], "kernel setting");
        }
        refused(mode, &["--net", "host", "--sysctl", "net.ipv4.ip_forward=1"], "the host's");
    });
}

#[test]
fn file_systems_in_memory_have_their_size_and_options() {
    require!(root);
    in_both_modes(|mode| {
        let options =
            ["--tmpfs", "/scratch:size=1m,mode=750", "--shm-size", "2m", "--tmpfs", "/run/x:exec,ro"];
        let seen = printed(mode, &options, "cat /proc/self/mountinfo");
        let line =
            |place: &str| seen.lines().find(|line| line.contains(&format!(" {place} "))).unwrap().to_owned();
        let scratch = line("/scratch");
        for word in ["nosuid", "nodev", "noexec", "tmpfs", "size=1024k", "mode=750"] {
            assert!(scratch.contains(word), "{word}: {scratch}");
        }
        assert!(line("/dev/shm").contains("size=2048k"), "{seen}");
        let run = line("/run/x");
        assert!(!run.contains("noexec") && run.contains(" ro,"), "{run}");
        let full = printed(mode, &options, "{ head -c 3000000 /dev/zero > /scratch/x; } 2>&1 || echo full");
        assert!(full.ends_with("full") && full.contains("No space left"), "{full}");
        // Whatever is in its place, everybody may write there, and nobody where it is read-only.
        let places =
            ["--tmpfs", "/scratch", "--tmpfs", "/etc:ro", "--tmpfs", "/dev/shm:size=1m", "--user", "1000"];
        let script = "touch /scratch/x /dev/shm/x && echo written; touch /etc/x 2> /dev/null || echo refused";
        let words = ["run", "--rm", "--userns", mode.userns()].into_iter().chain(places);
        let output = mode.env.tinyd(words.chain(["host", "sh", "-c", script])).ok();
        assert_eq!(output.stdout(), "written\nrefused\n");
        refused(mode, &["--tmpfs", "/x:huge=always"], "tmpfs option");
        refused(mode, &["--tmpfs", "x"], "absolute path");
        refused(mode, &["--tmpfs", "/proc/x"], "/proc");
        refused(mode, &["--tmpfs", "/x", "--tmpfs", "/x/"], "given twice");
    });
}

#[test]
fn privileges_and_system_calls_are_as_asked_for() {
    require!(root);
    in_both_modes(|mode| {
        let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'";
        assert_eq!(printed(mode, &[], status), "NoNewPrivs:0\nSeccomp:2");
        assert_eq!(
            printed(mode, &["--security-opt", "no-new-privileges"], status),
            "NoNewPrivs:1\nSeccomp:2"
        );
        assert_eq!(
            printed(mode, &["--security-opt", "seccomp=unconfined"], status),
            "NoNewPrivs:0\nSeccomp:0"
        );
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]
        });
        let file = mode.env.file("profile.json", profile.to_string());
        let option = format!("seccomp={}", file.display());
        let output = printed(mode, &["--security-opt", &option], "mkdir /tmp/x 2>&1 || true");
        assert!(output.contains("No space left"), "{output}");
        let broken = mode.env.file("broken.json", "{\"defaultAction\": 3}");
        refused(mode, &["--security-opt", &format!("seccomp={}", broken.display())], "seccomp profile");
        refused(mode, &["--security-opt", "seccomp=/nowhere"], "/nowhere");
        refused(mode, &["--security-opt", "apparmor=x"], "no-new-privileges");
    });
}

#[test]
fn a_container_is_asked_to_stop_in_its_own_way() {
    require!(root);
    in_both_modes(|mode| {
        let script = "trap 'exit 9' INT; trap '' TERM; while :; do sleep 0.1; done";
        let container = mode.start(["--stop-signal", "INT", "host", "sh", "-c", script]);
        container.process(&["sleep", "0.1"]);
        mode.env.tinyd(["stop", &container.id]).ok();
        assert_eq!(mode.env.tinyd(["wait", &container.id]).ok().text(), "9");
        let deaf = mode.start([
            "--stop-timeout",
            "1",
            "host",
            "sh",
            "-c",
            "trap '' TERM; while :; do sleep 0.1; done",
        ]);
        deaf.process(&["sleep", "0.1"]);
        let before = Instant::now();
        mode.env.tinyd(["stop", &deaf.id]).ok();
        assert!(before.elapsed() < Duration::from_secs(8), "the default of ten seconds was taken");
        assert_eq!(mode.env.tinyd(["wait", &deaf.id]).ok().text(), "137");
        refused(mode, &["--stop-signal", "32"], "signal");
        assert!(!proc::is_alive(deaf.pid));
    });
}

#[test]
fn labels_come_back_and_processors_are_those_that_were_named() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["-l", "a=b=c", "--label", "empty", "host", "sleep", "300"]);
        assert_eq!(container.inspect()["Config"]["Labels"], json!({"a": "b=c", "empty": ""}));
        assert_eq!(
            printed(mode, &["-cpuset", "0"], "grep Cpus_allowed_list /proc/self/status | cut -f2"),
            "0"
        );
        refused(mode, &["--cpuset-cpus", "4095"], "4095");
        refused(mode, &["--cpuset-cpus", "x"], "0-2,7");
    });
}
