//! Volumes of the driver `local` that are held to a size, and those that are described in Docker's words.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::process::Signal;
use tinyd_tests::{Dice, Env, in_both_modes, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// What is mounted for an engine's volumes.
fn mounted(env: &Env) -> Vec<PathBuf> {
    let run = env.run_root().join("volumes");
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = all.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(&run)).collect()
}

/// I02's size, without a file system that must be made for it.
#[test]
fn a_local_volume_is_held_to_its_size_and_gone_with_all_of_it() {
    require!(root);
    require!(command "mkfs.ext4");
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        env.tinyd(["volume", "create", "--size", "64M", "data"]).ok();
        let shown = env.tinyd(["volume", "inspect", "data"]).ok().json();
        assert_eq!(
            (&shown[0]["Driver"], &shown[0]["Options"]["size"]),
            (&"local".into(), &"67108864".into())
        );
        let disk = env.root().join("volumes/local/_disks/data");
        assert!(disk.metadata().unwrap().blocks() * 512 < 16 << 20, "it takes what is in it");
        let container = mode.start(["-v", "data:/d", &image, "sleep", "300"]);
        container
            .exec(&[], &["sh", "-c", "dd if=/dev/zero of=/d/fits bs=1M count=40 && echo kept > /d/file"])
            .ok();
        let full = container.exec(&[], &["dd", "if=/dev/zero", "of=/d/more", "bs=1M", "count=40"]).fails(1);
        assert!(full.stderr().contains("No space left"), "{full}");
        container.exec(&[], &["rm", "/d/more"]).ok();
        assert_eq!(mounted(env).len(), 1);
        env.tinyd(["rm", "-f", &container.id]).ok();
        assert_eq!(mounted(env), Vec::<PathBuf>::new());
        // What was written outlives the container, and a copy has the same size.
        assert_eq!(mode.run(["-v", "data:/d", &image, "cat", "/d/file"]).ok().stdout(), "kept\n");
        env.tinyd(["volume", "clone", "data", "copy"]).ok();
        let shown = env.tinyd(["volume", "inspect", "-f", "{{.Options.size}}", "copy"]).ok();
        assert_eq!(shown.stdout(), "67108864\n");
        assert_eq!(mode.run(["-v", "copy:/d", &image, "cat", "/d/file"]).ok().stdout(), "kept\n");
        env.tinyd(["volume", "rm", "data", "copy"]).ok();
        assert_eq!(fs::read_dir(env.root().join("volumes/local")).unwrap().count(), 0);
        wait_until("no loop device is left", || env.loop_files().is_empty());
        // It is filled with what the image has, as any other one.
        env.tinyd(["volume", "create", "-o", "size=16m", "filled"]).ok();
        mode.run(["-v", "filled:/etc", &image, "grep", "root", "/etc/passwd"]).ok();
    });
}

#[test]
fn a_size_that_cannot_be_had_is_refused_before_anything_is_made() {
    require!(root);
    require!(command "mkfs.ext4");
    let env = Env::new();
    for (words, part) in [
        (&["--size", "1m"][..], "less than 8 MiB"),
        (&["--size", "900000g"], "MiB that are free at"),
        (&["-o", "size=much"], "is no size"),
        (&["--size", "16m", "-o", "size=32m"], "another size"),
    ] {
        let line = [&["volume", "create"][..], words, &["data"]].concat();
        let output = env.tinyd(line).fails(1);
        assert!(output.stderr().contains(part), "{output}");
        assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().stdout(), "");
    }
    let output = env.cmd(["volume", "create", "--size", "16m", "data"]).env("PATH", "/nowhere").output();
    assert_eq!(output.code(), Some(0), "where root has it, it is found: {output}");
}

#[test]
fn a_volume_with_a_size_whose_making_is_killed_is_taken_away() {
    require!(root);
    unserved!("who is killed is the client, and it makes nothing itself");
    require!(command "mkfs.ext4");
    let env = Env::new();
    let disk = env.root().join("volumes/local/_disks/data");
    let mut dice = Dice::new();
    let mut gone = 0;
    for round in 0..20 {
        let mut client = env.cmd(["volume", "create", "--size", "16m", "data"]).spawn();
        std::thread::sleep(std::time::Duration::from_micros(dice.below(60_000) as u64));
        if !client.has_ended() {
            client.signal(Signal::KILL);
        }
        client.wait();
        env.assert_checked();
        match env.tinyd(["volume", "ls", "-q"]).ok().text().as_str() {
            "" => gone += 1,
            whole => {
                assert_eq!(whole, "data", "round {round}");
                env.tinyd(["run", "--rm", "-v", "data:/d", &image(), "touch", "/d/x"]).ok();
            }
        }
        // Whoever comes next makes it, or finds it whole.
        env.tinyd(["volume", "create", "--size", "16m", "data"]).ok();
        assert!(disk.exists(), "round {round}");
        env.tinyd(["volume", "rm", "data"]).ok();
        assert!(!disk.exists() && mounted(&env).is_empty(), "round {round}");
    }
    assert!(gone > 0, "none was cut short");
}

/// Docker's driver `local` mounts whatever is asked for; ours are named for what they are.
#[test]
fn dockers_words_for_a_local_volume_get_what_they_mean() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        let local = |words: &[&str], name: &str| {
            let mut line = vec!["volume", "create", "-d", "local"];
            line.extend(words.iter().flat_map(|word| ["-o", word]));
            env.tinyd(line.into_iter().chain([name]))
        };
        let driver = |name: &str| env.tinyd(["volume", "inspect", "-f", "{{.Driver}}", name]).ok().text();

        let memory = ["type=tmpfs", "device=tmpfs", "o=size=1m,uid=1000,mode=0700"];
        local(&memory, "mem").ok();
        assert_eq!(driver("mem"), "tmpfs");
        let seen = mode.run(["-v", "mem:/m", &image, "stat", "-c", "%u %a", "/m"]).ok();
        assert_eq!(seen.stdout(), "1000 700\n");
        local(&memory, "mem").ok();
        let output = env.tinyd(["volume", "create", "-d", "local", "mem"]).fails(1);
        assert!(output.stderr().contains("\"mem\" already"), "{output}");

        let folder = env.files().join("shown");
        fs::create_dir(&folder).unwrap();
        let device = format!("device={}", folder.display());
        local(&["type=none", "o=bind", &device], "shown").ok();
        assert_eq!(driver("shown"), "bind");
        mode.run(["-v", "shown:/bin/new", &image, "sh", "-c", "echo seen > /bin/new/file"]).ok();
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "seen\n");
        fs::remove_file(folder.join("file")).unwrap();
        // What the host has is shown, and never filled.
        mode.run(["-v", "shown:/etc", &image, "true"]).ok();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::write(folder.join("kept"), "").unwrap();
        env.tinyd(["volume", "rm", "shown"]).ok();
        assert!(folder.join("kept").exists(), "the folder is the host's");

        local(&["type=nfs", "o=addr=192.0.2.1,rw,soft", "device=:/export"], "far").ok();
        let shown = env.tinyd(["volume", "inspect", "far"]).ok().json();
        assert_eq!(
            (&shown[0]["Driver"], &shown[0]["Options"]["device"]),
            (&"remote".into(), &"192.0.2.1:/export".into())
        );
        let output = local(&["type=ext4", "device=/dev/sdb1"], "disk").fails(1);
        assert!(output.stderr().contains("-o type=none -o o=bind -o device=/mnt/data"), "{output}");
    });
}
