//! `--storage-size`: a limit of what a container writes to its root file system.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tinyd_tests::{Env, in_both_modes, kill, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn nothing_is_left(env: &Env) {
    wait_until("no loop device has a file of this test", || env.loop_files().is_empty());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("storage.ext4") && !mounts.contains("/storage "), "{mounts}");
}

/// W23.
#[test]
fn a_container_writes_as_much_as_it_may_and_no_more() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        // In the root, and in each tree below it, is room for one limit.
        let fill = "df -k / | awk 'NR==2 {print $2}'; dd if=/dev/zero of=/big bs=64k 2>&1; dd if=/dev/zero of=/tmp/x bs=64k count=20 2>&1; \
                    stat -c %s /big; rm /big /tmp/x; echo again > /file && cat /file";
        let seen = mode.run(["--storage-size", "48m", &image, "sh", "-c", fill]).ok().stdout();
        assert_eq!(seen.matches("No space left on device").count(), 2, "{seen}");
        let lines: Vec<&str> = seen.lines().collect();
        let shown: u64 = lines[0].parse().unwrap();
        assert!((30 << 10..=48 << 10).contains(&shown), "df shows the limit: {seen}");
        let big: u64 = lines[lines.len() - 2].parse().unwrap();
        assert!((20 << 20..48 << 20).contains(&big) && lines.last() == Some(&"again"), "{seen}");
        // The trees of the host's root share it.
        let seen = mode.run([
            "--storage-size",
            "32m",
            "host",
            "sh",
            "-c",
            "df -k --output=size / /usr; dd if=/dev/zero of=/usr/big bs=64k",
        ]);
        assert!(seen.stderr().contains("No space left"), "{seen}");
        let sizes: Vec<u64> =
            seen.stdout().lines().skip(1).map(|line| line.trim().parse().unwrap()).collect();
        assert!(sizes.len() == 2 && sizes[0] == sizes[1] && sizes[0] <= 32 << 10, "{seen}");
        nothing_is_left(env);
    });
}

/// W23.
#[test]
fn what_was_written_is_there_at_the_next_start_and_nothing_else_stays() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        let script = "cat /file; echo more >> /file; chown 33:44 /file; sleep 300";
        let container = mode.start(["--name", "c", "--storage-size", "64m", &image, "sh", "-c", script]);
        let written = || container.exec(&[], &["stat", "-c", "%s %u:%g", "/file"]);
        wait_until("it has written", || written().stdout() == "5 33:44\n");
        let inspected = container.inspect();
        assert_eq!(inspected["HostConfig"]["StorageOpt"]["size"], (64 << 20).to_string());
        let file = container.folder().join("storage.ext4");
        let meta = file.metadata().unwrap();
        assert_eq!(meta.len(), 64 << 20);
        assert!(meta.blocks() * 512 < 32 << 20, "it takes of the disk what is in it: {}", meta.blocks());
        assert_eq!(env.loop_files().len(), 1);
        // Nobody on the host sees what is in it.
        assert_eq!(fs::read_dir(container.folder().join("storage")).unwrap().count(), 0);
        env.tinyd(["stop", "-t", "0", "c"]).ok();
        nothing_is_left(env);
        env.tinyd(["start", "c"]).ok();
        wait_until("it has written again", || written().stdout() == "10 33:44\n");
        // Whoever is killed, nothing stays.
        let monitor = kill::monitor_of(env, "c");
        kill::kill(monitor);
        env.tinyd(["ps"]).ok();
        kill::await_new_monitor(env, "c", monitor);
        assert_eq!(written().ok().stdout(), "10 33:44\n");
        kill::kill(kill::monitor_of(env, "c"));
        for pid in container.pids() {
            kill::kill(pid);
        }
        nothing_is_left(env);
        // Other tools see it where `mount` puts it.
        let merged = env.tinyd(["mount", "c"]).ok().text();
        assert_eq!(fs::read_to_string(Path::new(&merged).join("file")).unwrap(), "more\nmore\n");
        env.tinyd(["umount", "c"]).ok();
        nothing_is_left(env);
        // At once after the end: what the kernel has not let go of yet is the same file system.
        for _ in 0..3 {
            env.tinyd(["start", "c"]).ok();
            env.tinyd(["kill", "c"]).ok();
            env.tinyd(["wait", "c"]).ok();
        }
        env.tinyd(["rm", "-f", "c"]).ok();
        assert!(!file.exists());
        nothing_is_left(env);
        env.assert_checked();
    });
}

#[test]
fn a_limit_that_cannot_be_had_is_refused_before_anything_is_made() {
    require!(root);
    let (env, image) = (Env::new(), image());
    for (size, part) in [("1m", "at least 16m"), ("much", "--storage-size"), ("0", "at least 16m")] {
        for verb in ["run", "create"] {
            let output = env.tinyd([verb, "--storage-size", size, &image, "true"]).fails(125);
            assert!(output.stderr().contains(part) && output.stderr().lines().count() == 1, "{output}");
        }
    }
    assert!(env.ids().is_empty());
}

/// Two devices of one file are two writers that know nothing of each other.
#[test]
fn a_file_that_somebody_has_a_device_of_gets_no_second_one() {
    require!(root);
    require!(command "losetup");
    let (env, image) = (Env::new(), image());
    env.tinyd(["create", "--name", "c", "--storage-size", "16m", &image, "true"]).ok();
    let id = env.ids().into_iter().next().unwrap();
    let file = env.root().join("containers").join(id).join("storage.ext4");
    let device = env.other(["losetup", "-f", "--show", file.to_str().unwrap()]).output().ok().text();
    let output = env.tinyd(["start", "c"]);
    env.other(["losetup", "-d", &device]).output().ok();
    let output = output.fails(125);
    assert!(output.stderr().contains(&device) && output.stderr().contains("busy"), "{output}");
    env.tinyd(["start", "-a", "c"]).ok();
    env.tinyd(["rm", "c"]).ok();
    nothing_is_left(&env);
}

#[test]
fn a_file_that_is_no_file_system_any_more_is_named() {
    require!(root);
    let (env, image) = (Env::new(), image());
    env.tinyd(["create", "--name", "c", "--storage-size", "16m", &image, "true"]).ok();
    let id = env.ids().into_iter().next().unwrap();
    let file = env.root().join("containers").join(id).join("storage.ext4");
    fs::write(&file, vec![0; 1 << 20]).unwrap();
    let output = env.tinyd(["start", "c"]).fails(125);
    assert!(output.stderr().contains("storage.ext4") && output.stderr().lines().count() == 1, "{output}");
    nothing_is_left(&env);
    env.tinyd(["rm", "c"]).ok();
    env.assert_checked();
}
