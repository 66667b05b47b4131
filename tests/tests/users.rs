//! User ids: root in a container is nobody on the host, and what is written looks right on the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tinyd_tests::kill::kill;
use tinyd_tests::{Container, Env, in_both_modes, proc, require, roots};

const SLEEP: [&str; 3] = ["host", "sleep", "300"];

/// How many ids a container gets (DESIGN.md §5).
const RANGE: u64 = 65_536;

/// The lines of an id map: inside, outside, how many.
fn map(container: &Container<'_>, kind: &str) -> Vec<[u64; 3]> {
    let text = fs::read_to_string(format!("/proc/{}/{kind}_map", container.pid)).unwrap();
    let numbers =
        |line: &str| line.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<u64>>();
    text.lines().map(|line| numbers(line).try_into().unwrap()).collect()
}

/// Real, effective, saved and file system id on the host.
fn host_ids(pid: i32, field: &str) -> Vec<u64> {
    let text = proc::status(pid, field).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn each_container_leases_ids_of_its_own() {
    require!(root);
    require!(userns);
    let env = Env::new();
    // Without the option: this is the default.
    let containers = [0; 3].map(|_| Container::start(&env, ["run", "-d", "host", "sleep", "300"]));
    let mut ranges = Vec::new();
    for container in &containers {
        let uids = map(container, "uid");
        assert_eq!(uids, map(container, "gid"));
        let [[inside, outside, count]] = uids[..] else { panic!("{uids:?}") };
        assert_eq!((inside, count), (0, RANGE));
        assert!(outside >= RANGE, "it reaches into the host's own users: {outside}");
        ranges.push(outside);
    }
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0] + RANGE <= pair[1]), "they overlap: {ranges:?}");
}

#[test]
fn root_inside_is_not_root_on_the_host_unless_asked_for() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        let base = map(&container, "uid")[0][1];
        assert_eq!(base != 0, mode.mapped);
        container.exec(&["-d"], &["sleep", "301"]).ok();
        container.exec(&["-d", "-u", "1000:1001"], &["sleep", "302"]).ok();
        for (pid, uid, gid) in [
            (container.pid, 0, 0),
            (container.process(&["sleep", "301"]), 0, 0),
            (container.process(&["sleep", "302"]), 1000, 1001),
        ] {
            assert_eq!(host_ids(pid, "Uid"), [base + uid; 4]);
            assert_eq!(host_ids(pid, "Gid"), [base + gid; 4]);
            let groups = host_ids(pid, "Groups");
            assert!(groups.iter().all(|group| (base..base + RANGE).contains(group)), "{groups:?}");
        }
        assert_eq!(container.exec(&[], &["id", "-u"]).ok().text(), "0");
        assert_eq!(
            container.exec(&["-u", "1000:1001"], &["sh", "-c", "id -u; id -g"]).ok().text(),
            "1000\n1001"
        );
    });
}

#[test]
fn what_a_container_writes_stands_on_the_disk_in_its_own_numbers() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        let container = mode.start([image.to_str().unwrap(), "sleep", "300"]);
        let script = "echo r > /of-root; mkdir /shared; chmod 777 /shared; echo x > /tmp/owned; chown 33:44 /tmp/owned";
        container.exec(&[], &["sh", "-c", script]).ok();
        container.exec(&["-u", "1000:1000"], &["sh", "-c", "echo u > /shared/of-user"]).ok();
        let upper = container.folder().join("upper");
        for (path, owner) in [
            ("of-root", (0, 0)),
            ("shared", (0, 0)),
            ("shared/of-user", (1000, 1000)),
            ("tmp/owned", (33, 44)),
        ] {
            let meta = fs::metadata(upper.join(path)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), owner, "{path}");
        }
        let seen = container
            .exec(&[], &["stat", "-c", "%u:%g", "/of-root", "/shared/of-user", "/home/app", "/bin"])
            .ok();
        assert_eq!(seen.text(), "0:0\n1000:1000\n1000:1000\n0:0");
    });
}

#[test]
fn root_inside_has_no_power_over_the_hosts_processes_and_files() {
    require!(root);
    require!(userns);
    let env = Env::new();
    let secret = env.file("secret", "of the host's root");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let container = Container::start(&env, ["run", "-d", "host", "sleep", "300"]);
    let ids = host_ids(container.pid, "Uid")[0].to_string();
    // Even one that had got out would be nobody here: this is what a process of its id may do on the host.
    let escaped =
        ["setpriv", "--reuid", &ids, "--regid", &ids, "--clear-groups", "cat", secret.to_str().unwrap()];
    assert_ne!(env.other(escaped).output().code(), Some(0));
    let own = proc::own_pid().to_string();
    let escaped = ["setpriv", "--reuid", &ids, "--regid", &ids, "--clear-groups", "kill", "-0", &own];
    assert_ne!(env.other(escaped).output().code(), Some(0));
    // The host's root has its power over the container's.
    kill(container.pid);
    assert_eq!(env.tinyd(["wait", &container.id]).ok().text(), "137");
}
