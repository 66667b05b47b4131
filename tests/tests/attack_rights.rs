//! Rights that a command must not have: capabilities that are handed down (A11), control groups (A13, A14), keys (A19).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::attack::counts;
use tinyd_tests::{Output, in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// CVE-2022-29162, 2022-24769, 2022-27649, 2022-27650: a program with inheritable file capabilities would get them.
#[test]
fn a11_no_capability_is_inheritable_or_ambient() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let look = ["grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"];
        let run = |options: &[&str]| mode.run(options.iter().copied().chain(["host"]).chain(look));
        let said = [
            run(&[]),
            run(&["-u", "1000:1000"]),
            run(&["--interactive"]),
            run(&["--security-opt", "no-new-privileges"]),
            container.exec(&[], &look),
            container.exec(&["-u", "1000:1000"], &look),
            container.exec(&["-u", "0"], &look),
            container.exec(&["-i"], &look),
        ];
        for output in said {
            let text = output.ok().stdout();
            assert_eq!(text, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
        }
    });
}

/// CVE-2023-25809.
#[test]
fn a13_control_groups_cannot_be_written() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let script = "cut -d' ' -f5,6 /proc/self/mountinfo | grep ^/sys/fs/cgroup | sed 's/^/mount /'; \
            for folder in $(cut -d' ' -f5 /proc/self/mountinfo | grep ^/sys/fs/cgroup); do \
            mkdir $folder/x 2>&1; touch $folder/x 2>&1; \
            (echo 1 > $folder/cgroup.procs) 2>&1; (echo -1 > $folder/pids.max) 2>&1; done; exit 0";
        for user in ["0", "1000"] {
            let run = mode.run(["-u", user, "host", "sh", "-c", script]).ok();
            assert_read_only(&run);
            assert_read_only(&container.exec(&["-u", user], &["sh", "-c", script]).ok());
        }
    });
}

#[track_caller]
fn assert_read_only(output: &Output) {
    let text = output.stdout();
    let (mounts, answers): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("mount "));
    assert!(!mounts.is_empty(), "{output}");
    for mount in mounts {
        let options = mount.rsplit(' ').next().unwrap();
        assert!(options.split(',').any(|option| option == "ro"), "{mount}");
    }
    let refused = ["Read-only file system", "Permission denied", "cannot create", "Directory nonexistent"];
    for answer in &answers {
        assert!(refused.iter().any(|word| answer.contains(word)), "{answer}: {output}");
    }
    assert!(answers.iter().any(|answer| answer.contains("Read-only file system")), "{output}");
}

/// CVE-2022-0492: whoever mounts a hierarchy of version 1 names a program that the host runs.
#[test]
fn a14_nobody_gets_at_a_release_agent() {
    require!(root);
    in_both_modes(|mode| {
        let bind = format!("{ATTACK}:/attack:ro");
        let container = mode.start(["-v", &bind, "host", "sleep", "300"]);
        for user in ["0", "1000"] {
            let run = mode.run(["-v", &bind, "-u", user, "host", "/attack", "namespaces"]).ok();
            for output in [run, container.exec(&["-u", user], &["/attack", "namespaces"]).ok()] {
                let answers = counts(&output.stdout());
                assert_eq!(answers.len(), 4, "{output}");
                // EPERM.
                assert!(answers.values().all(|errno| *errno == 1), "{output}");
            }
        }
        let script = "find /sys/fs/cgroup -name release_agent; \
            mkdir -p /tmp/x; for kind in cgroup cgroup2; do mount -t $kind -o none,name=x none /tmp/x && echo mounted; done; \
            mount -o remount,rw /sys/fs/cgroup && echo remounted; exit 0";
        let output = container.exec(&[], &["sh", "-c", script]).ok();
        assert_eq!(output.stdout(), "", "{output}");
        assert!(output.stderr().lines().count() >= 3, "the mounts were not even tried: {output}");
    });
}

/// A key of whoever starts a container is not the container's.
#[test]
fn a19_the_callers_keys_are_out_of_reach() {
    require!(root);
    in_both_modes(|mode| {
        let name = format!("key-of-{}", mode.env.tag());
        let with_key = [ATTACK, "with-key", &name];
        let own = mode.env.other([ATTACK, "key", &name]).under(with_key).output().ok();
        assert_eq!(own.text(), "key=the-hosts-own-key", "who has the key cannot read it: {own}");
        let bind = format!("{ATTACK}:/attack:ro");
        let words = ["run", "-d", "--userns", mode.userns(), "-v", &bind, "host", "sleep", "300"];
        let id = mode.env.cmd(words).under(with_key).output().ok().text();
        let words = ["run", "--rm", "--userns", mode.userns(), "-v", &bind, "host", "/attack", "key", &name];
        let run = mode.env.cmd(words).under(with_key).output().ok();
        let exec = mode.env.cmd(["exec", &id, "/attack", "key", &name]).under(with_key).output().ok();
        for output in [run, exec] {
            assert!(output.stdout().starts_with("no key: "), "{output}");
        }
    });
}

#[test]
fn a19_the_list_of_keys_is_empty() {
    require!(root);
    in_both_modes(|mode| {
        let name = format!("key-of-{}", mode.env.tag());
        let with_key = [ATTACK, "with-key", &name];
        let own = mode.env.other(["cat", "/proc/keys"]).under(with_key).output().ok();
        assert!(own.stdout().contains(&name), "the key is not listed where it should be: {own}");
        for user in ["0", "1000"] {
            let words = ["run", "--rm", "--userns", mode.userns(), "-u", user, "host", "cat", "/proc/keys"];
            let output = mode.env.cmd(words).under(with_key).output().ok();
            assert_eq!(output.stdout(), "", "{output}");
        }
    });
}
