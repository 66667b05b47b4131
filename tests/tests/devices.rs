//! Which devices a container may use: everybody's, those it was given, and all of them for a privileged one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;
use tinyd_tests::{Env, Mode as Surroundings, in_both_modes, require};

/// Anybody may open it, and nothing happens.
const FUSE: &str = "/dev/fuse";

/// Whether a command inside can open a file for reading and for writing.
fn opens(mode: &Surroundings, options: &[&str], path: &str) -> [bool; 2] {
    let script = format!(
        "( exec 3<{path} ) 2>/dev/null && echo r || echo -; ( exec 3>>{path} ) 2>/dev/null && echo w || echo -"
    );
    let words = ["--rm"].iter().chain(options).copied().chain(["host", "sh", "-c", &script]);
    let text = mode.run(words).ok().text();
    ["r", "w"].map(|letter| text.lines().any(|line| line == letter))
}

#[test]
fn everybodys_devices_can_be_used_and_no_other_even_where_its_file_is() {
    require!(root);
    in_both_modes(|mode| {
        for name in ["null", "zero", "full", "random", "urandom"] {
            assert_eq!(opens(mode, &[], &format!("/dev/{name}")), [true; 2], "{name}");
        }
        // A node as somebody might have in a folder that is shared.
        let node = mode.env.files().join("fuse");
        mknodat(CWD, &node, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(10, 229)).unwrap();
        let bind = format!("{}:{FUSE}", node.display());
        assert_eq!(opens(mode, &["-v", &bind], FUSE), [false; 2]);
        // Nor by a command that comes later.
        let container = mode.start(["-v", &bind, "host", "sleep", "300"]);
        container.exec(&[], &["sh", "-c", "exec 3</dev/null"]).ok();
        let output = container.exec(&[], &["sh", "-c", &format!("exec 3<{FUSE}")]);
        assert!(output.code() != Some(0) && output.stderr().contains("Operation not permitted"), "{output}");
    });
}

#[test]
fn a_device_that_was_given_is_there_and_does_what_was_allowed() {
    require!(root);
    if !std::path::Path::new(FUSE).exists() {
        return tinyd_tests::skip("devices", "there is no /dev/fuse");
    }
    in_both_modes(|mode| {
        assert_eq!(opens(mode, &["--device", FUSE], FUSE), [true; 2]);
        assert_eq!(opens(mode, &["--device", "/dev/fuse:/dev/a/b:r"], "/dev/a/b"), [true, false]);
        let host = fs::metadata(FUSE).unwrap();
        let number = format!("{:x}:{:x}", rustix::fs::major(host.rdev()), rustix::fs::minor(host.rdev()));
        let options = ["--rm", "--device", FUSE, "host", "stat", "-c", "%t:%T %a %u:%g", FUSE];
        let expected = format!("{number} {:o} {}:{}", host.mode() & 0o7777, host.uid(), host.gid());
        assert_eq!(mode.run(options).ok().text(), expected);
        let container = mode.start(["--device", "/dev/fuse:/dev/x:rw", "host", "sleep", "300"]);
        let told = container.inspect()["HostConfig"]["Devices"].take();
        assert_eq!(
            told,
            json!([{"PathOnHost": FUSE, "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}])
        );
        // It stays with the container.
        mode.env.tinyd(["stop", "-t", "0", &container.id]).ok();
        mode.env.tinyd(["start", &container.id]).ok();
        container.exec(&[], &["sh", "-c", "exec 3<>/dev/x"]).ok();
    });
}

#[test]
fn what_is_no_device_is_refused_before_anything_is_made() {
    require!(root);
    let env = Env::new();
    for (option, said) in [
        ("/etc/passwd", "below /dev"),
        ("/etc/passwd:/dev/x", "is no device"),
        ("/dev/null:/etc/x", "below /dev"),
        ("/dev/null:/dev/../x", "below /dev"),
        ("/dev/null:/dev/pts/x", "the container's own"),
        ("/dev/none-such", "does not exist"),
        ("/dev/null:/dev/x:rx", "r, w and m"),
    ] {
        let output = env.tinyd(["run", "--rm", "--device", option, "host", "true"]).fails(125);
        assert!(output.stderr().contains(said) && output.stderr().lines().count() <= 2, "{option}: {output}");
    }
    assert!(env.containers().is_empty());
}

#[test]
fn a_node_that_was_made_inside_cannot_be_opened() {
    require!(root);
    if !std::path::Path::new(FUSE).exists() {
        return tinyd_tests::skip("devices", "there is no /dev/fuse");
    }
    let env = Env::new();
    let script = "mknod /tmp/n c 1 3 && mknod /tmp/f c 10 229 && exec 3</tmp/n && ! ( exec 3</tmp/f )";
    let words = ["run", "--rm", "--userns", "host", "--cap-add", "MKNOD", "host", "sh", "-c", script];
    let output = env.tinyd(words).ok();
    assert!(output.stderr().contains("Operation not permitted"), "{output}");
    let without = env.tinyd(["run", "--rm", "--userns", "host", "host", "mknod", "/tmp/n", "c", "1", "3"]);
    assert_ne!(without.code(), Some(0), "{without}");
}
