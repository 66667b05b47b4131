//! What a container finds around itself: standard mounts, devices, hidden and protected paths, the files in /etc.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};
use tinyd_tests::proc::mounts::{self, Mount};
use tinyd_tests::{Container, Mode, in_both_modes, proc, require, roots};

const SLEEP: [&str; 3] = ["host", "sleep", "300"];

/// SECURITY.md §1.4.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A path of the container's root, as the host reaches it.
fn inside(container: &Container<'_>, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", container.pid))
}

/// The host's id of the container's root.
fn root_id(container: &Container<'_>) -> u32 {
    let ids = proc::status(container.pid, "Uid").unwrap();
    ids.split_whitespace().next().unwrap().parse().unwrap()
}

/// With a network of its own, and with the host's, whose /sys is made in another way.
fn with_each_network(mode: &Mode) -> [Container<'_>; 2] {
    ["none", "host"].map(|network| mode.start(["--net", network].into_iter().chain(SLEEP)))
}

/// The one mount at each of these places; the topmost where something lies over it.
fn mounts_of(container: &Container<'_>) -> BTreeMap<PathBuf, Mount> {
    let all = mounts::of(container.pid).unwrap();
    all.into_iter().map(|mount| (mount.point.clone(), mount)).collect()
}

#[test]
fn the_standard_mounts_are_there_with_their_options() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        let mounts = mounts_of(&container);
        let terminals = format!("gid={}", root_id(&container) + 5);
        let wanted: [(&str, &str, &[&str]); 7] = [
            ("/proc", "proc", &["rw", "nosuid", "nodev", "noexec"]),
            ("/dev", "tmpfs", &["rw", "nosuid", "mode=755", "size=65536k"]),
            ("/dev/pts", "devpts", &["rw", "nosuid", "noexec", "mode=620", "ptmxmode=666", &terminals]),
            ("/dev/shm", "tmpfs", &["rw", "nosuid", "nodev", "noexec", "size=65536k"]),
            ("/dev/mqueue", "mqueue", &["rw", "nosuid", "nodev", "noexec"]),
            ("/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]),
            (
                "/sys/fs/cgroup",
                if has_v1() { "tmpfs" } else { "cgroup2" },
                &["ro", "nosuid", "nodev", "noexec"],
            ),
        ];
        for (point, fs, options) in wanted {
            let mount =
                mounts.get(Path::new(point)).unwrap_or_else(|| panic!("nothing is mounted on {point}"));
            assert_eq!(mount.fs, fs, "{}", mount.line);
            for option in options {
                assert!(mount.has(option), "no {option}: {}", mount.line);
            }
        }
        // strictatime shows by the absence of the other two.
        let dev = &mounts[Path::new("/dev")];
        assert!(!dev.has("relatime") && !dev.has("noatime"), "{}", dev.line);
        let modes = ["/dev/shm", "/dev/mqueue", "/tmp"]
            .map(|path| inside(&container, path).metadata().unwrap().mode());
        assert_eq!(modes.map(|mode| format!("{:o}", mode & 0o7777)), ["1777", "1777", "1777"]);
        for path in ["/dev", "/dev/shm", "/dev/mqueue", "/tmp", "/etc", "/"] {
            assert_eq!(inside(&container, path).metadata().unwrap().uid(), root_id(&container), "{path}");
        }
    });
}

fn has_v1() -> bool {
    proc::cgroups::hierarchies().iter().any(|hierarchy| !hierarchy.v2)
}

#[test]
fn control_groups_are_seen_and_cannot_be_written() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        let groups: Vec<Mount> =
            mounts_of(&container).into_values().filter(|mount| mount.fs.starts_with("cgroup")).collect();
        assert!(!groups.is_empty());
        for mount in &groups {
            for option in ["ro", "nosuid", "nodev", "noexec"] {
                assert!(mount.options.iter().any(|found| found == option), "no {option}: {}", mount.line);
            }
            let output = container.exec(&[], &["mkdir", mount.point.join("x").to_str().unwrap()]);
            assert!(output.stderr().contains("Read-only file system"), "{output}");
            // Its own group is what it sees, not the host's.
            let procs =
                container.exec(&[], &["cat", mount.point.join("cgroup.procs").to_str().unwrap()]).ok();
            assert!(procs.text().lines().count() <= 3 && procs.text().starts_with('1'), "{procs}");
        }
        let own = container.exec(&[], &["cat", "/proc/1/cgroup"]).ok().text();
        assert!(!own.contains(&container.id), "{own}");
    });
}

#[test]
fn nothing_but_the_containers_own_is_mounted_below_sys() {
    require!(root);
    in_both_modes(|mode| {
        for container in with_each_network(mode) {
            for mount in mounts::of(container.pid).unwrap() {
                if !mount.point.starts_with("/sys") {
                    continue;
                }
                let group = mount.fs.starts_with("cgroup");
                assert!(
                    group || ["sysfs", "tmpfs"].contains(&mount.fs.as_str()),
                    "the host's: {}",
                    mount.line
                );
                let own = format!("/tinyd/{}", container.id);
                assert!(!group || mount.root == own, "another's control groups: {}", mount.line);
            }
        }
    });
}

#[test]
fn hidden_paths_show_nothing() {
    require!(root);
    in_both_modes(|mode| with_each_network(mode).iter().for_each(assert_hidden));
}

fn assert_hidden(container: &Container<'_>) {
    let mut hidden = 0;
    for path in MASKED {
        let Ok(host) = fs::metadata(path) else { continue };
        hidden += 1;
        let shown = inside(container, path);
        if host.is_dir() {
            assert_eq!(fs::read_dir(&shown).unwrap().count(), 0, "{path}");
            let output = container.exec(&[], &["mkdir", &format!("{path}/x")]);
            assert!(output.stderr().contains("Read-only file system"), "{output}");
        } else {
            let device = fs::metadata(&shown).unwrap();
            assert!(device.file_type().is_char_device(), "{path}");
            assert_eq!((major(device.rdev()), minor(device.rdev())), (1, 3), "{path}");
        }
        let words = if host.is_dir() { ["ls", "-A", path] } else { ["cat", "--", path] };
        assert_eq!(container.exec(&[], &words).ok().stdout(), "", "{path}");
    }
    assert!(hidden >= 3, "this host has so few of them that the test says nothing");
    let said = container.inspect()["HostConfig"]["MaskedPaths"].clone();
    let said: Vec<&str> = said.as_array().unwrap().iter().filter_map(|path| path.as_str()).collect();
    assert!(MASKED.iter().all(|path| said.contains(path)), "{said:?}");
}

#[test]
fn protected_paths_can_be_read_and_not_written() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        let mounts = mounts_of(&container);
        for path in READ_ONLY.into_iter().filter(|path| Path::new(path).exists()) {
            let mount = mounts.get(Path::new(path)).unwrap_or_else(|| panic!("{path} is not protected"));
            for option in ["ro", "nosuid", "nodev", "noexec"] {
                assert!(mount.options.iter().any(|found| found == option), "no {option}: {}", mount.line);
            }
        }
        // This one belongs to the container's own network, whose root could write it.
        let ttl = "/proc/sys/net/ipv4/ip_default_ttl";
        let before = container.exec(&[], &["cat", ttl]).ok().text();
        let output = container.exec(&[], &["sh", "-c", &format!("echo 7 > {ttl}")]);
        assert!(output.code() != Some(0) && output.stderr().contains("Read-only file system"), "{output}");
        assert_eq!(container.exec(&[], &["cat", ttl]).ok().text(), before);
        let output = container.exec(&[], &["sh", "-c", "echo x > /sys/class/net/lo/ifalias"]);
        assert!(output.stderr().contains("Read-only file system"), "{output}");
        // And neither can be made writable again.
        for words in [["mount", "-o", "remount,rw", "/sys"], ["mount", "-o", "remount,bind,rw", "/proc/sys"]]
        {
            assert_ne!(container.exec(&[], &words).code(), Some(0), "{words:?}");
        }
        assert_ne!(container.exec(&[], &["umount", "/proc/sys"]).code(), Some(0));
    });
}

#[test]
fn the_device_folder_holds_six_nodes_and_some_links() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        let dev = inside(&container, "/dev");
        let nodes = [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        ];
        for (name, first, second) in nodes {
            let node = fs::symlink_metadata(dev.join(name)).unwrap();
            assert!(node.file_type().is_char_device(), "{name}");
            assert_eq!((major(node.rdev()), minor(node.rdev())), (first, second), "{name}");
            assert_eq!(
                (node.mode() & 0o7777, node.uid(), node.gid()),
                (0o666, root_id(&container), root_id(&container)),
                "{name}"
            );
        }
        let links = [
            ("fd", "/proc/self/fd"),
            ("ptmx", "pts/ptmx"),
            ("stderr", "/proc/self/fd/2"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
        ];
        for (name, target) in links {
            assert_eq!(fs::read_link(dev.join(name)).unwrap(), Path::new(target), "{name}");
        }
        let mut found: Vec<String> = fs::read_dir(&dev)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.retain(|name| name != "core");
        found.sort();
        let mut wanted: Vec<&str> =
            nodes.iter().map(|node| node.0).chain(links.iter().map(|link| link.0)).collect();
        wanted.extend(["mqueue", "pts", "shm"]);
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        let script = "head -c 3 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c; echo x > /dev/null; \
                      echo x 2>/dev/null > /dev/full || echo full; echo y > /dev/stdout; mknod /dev/sda b 8 0";
        let output = container.exec(&[], &["sh", "-c", script]).fails(1);
        assert_eq!(output.stdout(), " 00 00 00\n9\nfull\ny\n");
        assert!(output.stderr().contains("Operation not permitted"), "{output}");
        let owner = container.exec(&[], &["stat", "-c", "%u:%g %a", "/dev/null"]).ok();
        assert_eq!(owner.text(), "0:0 666");
    });
}

#[test]
fn a_terminal_is_the_containers_own_console() {
    require!(root);
    in_both_modes(|mode| {
        let words = [
            "run",
            "-it",
            "--rm",
            "--name",
            "t",
            "--userns",
            mode.userns(),
            "host",
            "sh",
            "-c",
            "tty; read line",
        ];
        let mut pty = mode.env.pty(words, 24, 80);
        pty.expect("/dev/");
        let pid = mode.env.tinyd(["inspect", "t"]).ok().json()[0]["State"]["Pid"].as_i64().unwrap();
        let console = fs::metadata(format!("/proc/{pid}/root/dev/console")).unwrap();
        assert_eq!(major(console.rdev()), 136, "a slave of a pseudo terminal");
        let own = fs::read_dir(format!("/proc/{pid}/root/dev/pts")).unwrap().count();
        assert_eq!(own, 2, "one terminal and ptmx");
        pty.send("\n");
        pty.wait();
    });
}

/// As the roots of many systems have it: the link leads to a file that a service would write.
#[test]
fn a_link_to_nothing_is_followed_to_where_the_file_would_be() {
    require!(root);
    in_both_modes(|mode| {
        let image = roots::copy_of_busybox(&mode.env);
        let _ = fs::remove_file(image.join("etc/resolv.conf"));
        let link = "../run/systemd/resolve/stub-resolv.conf";
        std::os::unix::fs::symlink(link, image.join("etc/resolv.conf")).unwrap();
        let script =
            "cat /etc/resolv.conf; cmp /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf && echo same";
        let output = mode.run(["--rm", image.to_str().unwrap(), "sh", "-c", script]).ok();
        assert!(output.stdout().contains("nameserver ") && output.stdout().ends_with("same\n"), "{output}");
        assert!(!image.join("run/systemd").exists());
    });
}

#[test]
fn names_are_known_by_files_of_the_containers_own() {
    require!(root);
    let image = roots::busybox();
    let host = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].map(|path| fs::read(path).ok());
    in_both_modes(|mode| {
        for image in ["host", image.to_str().unwrap()] {
            let container = mode.start(["--hostname", "quay", image, "sleep", "300"]);
            let read = |path: &str| fs::read_to_string(inside(&container, path)).unwrap();
            assert_eq!(read("/etc/hostname"), "quay\n");
            let hosts = read("/etc/hosts");
            for name in ["localhost", "quay"] {
                let known = hosts.lines().any(|line| {
                    line.starts_with("127.0.0.1") && line.split_whitespace().any(|word| word == name)
                });
                assert!(known, "{name}: {hosts}");
            }
            assert!(read("/etc/resolv.conf").lines().any(|line| line.starts_with("nameserver ")));
            for path in ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"] {
                let meta = inside(&container, path).metadata().unwrap();
                assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o644, root_id(&container)), "{path}");
                container.exec(&[], &["sh", "-c", &format!("echo '# mine' >> {path}")]).ok();
                assert!(read(path).ends_with("# mine\n"));
            }
        }
        let other = mode.run(["host", "cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]).ok();
        assert!(!other.stdout().contains("# mine"), "{other}");
    });
    assert_eq!(["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].map(|path| fs::read(path).ok()), host);
    assert!(
        !image.join("etc/hosts").exists()
            || !fs::read_to_string(image.join("etc/hosts")).unwrap().contains("mine")
    );
}
