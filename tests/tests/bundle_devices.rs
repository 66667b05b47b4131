//! Devices of a bundle outside a file system in memory at `/dev`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use serde_json::{Value, json};
use tinyd_tests::bundle::{Bundle, run};
use tinyd_tests::{Env, in_both_modes, require, roots};

fn device(path: &str, minor: u32) -> Value {
    json!({ "path": path, "type": "c", "major": 1, "minor": minor, "fileMode": 0o640, "uid": 3, "gid": 4 })
}

fn add(config: &mut Value, device: Value) {
    let devices = &mut config["linux"]["devices"];
    match devices.as_array_mut() {
        Some(devices) => devices.push(device),
        None => *devices = json!([device]),
    }
}

fn without_dev(config: &mut Value) {
    let below = |mount: &Value| mount["destination"].as_str().unwrap().starts_with("/dev");
    config["mounts"].as_array_mut().unwrap().retain(|mount| !below(mount));
}

#[test]
fn a_device_lies_wherever_it_was_asked_for() {
    require!(root);
    in_both_modes(|mode| {
        let change = |config: &mut Value| {
            add(config, device("/data/deep/zero", 5));
            add(config, device("/dev/deep/zero", 5));
        };
        let script = "for d in /data/deep/zero /dev/deep/zero; do stat -c %F:%t:%T:%a:%u:%g $d; head -c 2 $d | od -An -tx1; done";
        let one = "character special file:1:5:640:3:4\n 00 00\n";
        assert_eq!(run(mode, change, script).ok().stdout(), one.repeat(2));
        let taken = |config: &mut Value| add(config, device("/etc/passwd", 5));
        let output = run(mode, taken, "echo ran").fails(125);
        assert!(output.stderr().contains("something else has its place"), "{output}");
        let fifo = |config: &mut Value| {
            add(config, json!({ "path": "/data/pipe", "type": "p", "major": 0, "minor": 0 }))
        };
        assert_eq!(run(mode, fifo, "stat -c %F:%a /data/pipe").ok().text(), "fifo:666");
    });
}

#[test]
fn what_every_container_has_is_there_without_a_dev_in_memory() {
    require!(root);
    in_both_modes(|mode| {
        let script = "for d in null zero full random urandom tty; do stat -c %t:%T:%a /dev/$d; done
            for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done
            echo x > /dev/null; head -c 1 /dev/zero | od -An -tx1; cat /proc/kcore | wc -c";
        let expected = "1:3:666\n1:5:666\n1:7:666\n1:8:666\n1:9:666\n5:0:666\n\
            /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n 00\n0\n";
        assert_eq!(run(mode, without_dev, script).ok().stdout(), expected);
        // They do not stay in the root.
        let image = roots::busybox();
        let words = ["--userns", mode.userns(), image.to_str().unwrap(), "true"];
        let bundle = Bundle::create(&mode.env, &words);
        bundle.edit(without_dev);
        mode.env.tinyd(["start", "-a", &bundle.id]).ok();
        mode.env.tinyd(["start", "-a", &bundle.id]).ok();
        let upper = mode.env.root().join("containers").join(&bundle.id).join("upper/dev");
        let null = fs::symlink_metadata(upper.join("null"));
        assert!(null.is_ok_and(|null| null.is_file() && null.len() == 0), "an empty file is left at most");
        mode.env.tinyd(["rm", &bundle.id]).ok();
    });
}

#[test]
fn a_dev_of_the_hosts_is_taken_as_it_is() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox();
    let script = "stat -c %t:%T /dev/null; ls /dev | grep -cx console; test -e /dev/fd; echo $?";
    let bundle = Bundle::create(&env, &["--userns", "host", image.to_str().unwrap(), "sh", "-c", script]);
    let folder = env.files().join("dev");
    fs::create_dir_all(&folder).unwrap();
    env.other(["mknod", folder.join("null").to_str().unwrap(), "c", "1", "3"]).output().ok();
    bundle.edit(|config| {
        without_dev(config);
        let bind = json!({ "destination": "/dev", "type": "bind", "source": folder, "options": ["rbind"] });
        config["mounts"].as_array_mut().unwrap().push(bind);
    });
    let output = env.tinyd(["start", "-a", &bundle.id]).ok();
    assert_eq!(output.stdout(), "1:3\n0\n1\n");
    env.tinyd(["rm", &bundle.id]).ok();
}
