//! A container is alone: its namespaces, its first process, its mounts, its host name, its network.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tinyd_tests::proc::{self, mounts};
use tinyd_tests::{in_both_modes, require, roots, wait_until};

const SLEEP: [&str; 3] = ["host", "sleep", "300"];

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn a_container_has_namespaces_of_its_own() {
    require!(root);
    in_both_modes(|mode| {
        let (one, other) = (mode.start(SLEEP), mode.start(SLEEP));
        for kind in ["mnt", "net", "pid", "uts", "ipc", "cgroup", "user"] {
            let inodes = [
                proc::own_namespace(kind).unwrap(),
                proc::namespace(one.pid, kind).unwrap(),
                proc::namespace(other.pid, kind).unwrap(),
            ];
            let shared = kind == "user" && !mode.mapped;
            let different = if shared { 1 } else { 3 };
            assert_eq!(
                BTreeSet::from(inodes).len(),
                different,
                "{kind} of host and two containers: {inodes:?}"
            );
            let shown = one.inspect()["Namespaces"][kind].as_str().map(str::to_owned);
            let said = (!shared).then(|| format!("{kind}:[{}]", inodes[1]));
            assert_eq!(shown, said, "inspect says what the kernel says");
        }
    });
}

#[test]
fn an_exec_joins_all_namespaces_of_its_container() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        container.exec(&["-d"], &["sleep", "299"]).ok();
        let joined = container.process(&["sleep", "299"]);
        for kind in ["mnt", "net", "pid", "uts", "ipc", "cgroup", "user"] {
            let inode = |pid| proc::namespace(pid, kind).unwrap();
            assert_eq!(inode(joined), inode(container.pid), "{kind}");
        }
        let here = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert_eq!(here(joined), here(container.pid));
    });
}

#[test]
fn a_host_name_set_inside_stays_inside() {
    require!(root);
    require!(command "nsenter");
    let before = host_name();
    in_both_modes(|mode| {
        let container = mode.start(["--hostname", "quay", "host", "sleep", "300"]);
        assert_eq!(container.exec(&[], &["hostname"]).ok().text(), "quay");
        // The default rights do not let the container itself change it.
        assert_ne!(container.exec(&[], &["hostname", "pirate"]).code(), Some(0));
        assert_eq!(container.exec(&[], &["hostname"]).ok().text(), "quay");
        let pid = container.pid.to_string();
        for (file, value) in [("hostname", "moved"), ("domainname", "far.example")] {
            let write = format!("echo {value} > /proc/sys/kernel/{file}");
            mode.env.other(["nsenter", "-t", &pid, "-u", "sh", "-c", &write]).output().ok();
            let inside = container.exec(&[], &["cat", &format!("/proc/sys/kernel/{file}")]).ok().text();
            assert_eq!(inside, value);
            let outside = fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap();
            assert_ne!(outside.trim(), value, "it reached the host");
        }
        assert_eq!(host_name(), before);
    });
}

#[test]
fn the_name_of_a_container_that_did_not_ask_is_the_start_of_its_id() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        assert_eq!(container.exec(&[], &["hostname"]).ok().text(), container.id[..12]);
        assert_eq!(container.exec(&[], &["cat", "/etc/hostname"]).ok().text(), container.id[..12]);
    });
}

#[test]
fn the_users_command_is_process_one_and_sees_only_its_own_container() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "298"]);
        assert_eq!(proc::arguments(container.pid), ["sleep", "298"]);
        let inside = proc::status(container.pid, "NSpid").unwrap();
        assert_eq!(inside.split_whitespace().last(), Some("1"), "NSpid: {inside}");
        let program = fs::read_link(format!("/proc/{}/exe", container.pid)).unwrap();
        assert!(program.ends_with("sleep"), "{program:?}");
        let seen = container.exec(&[], &["sh", "-c", r"cat /proc/1/cmdline | tr '\0' ' '"]).ok();
        assert_eq!(seen.text(), "sleep 298");
        let listed = container.exec(&[], &["sh", "-c", "cd /proc; echo [0-9]*"]).ok().text();
        let listed: Vec<i32> = listed.split(' ').map(|pid| pid.parse().unwrap()).collect();
        assert!(listed.contains(&1) && listed.len() <= 3, "strangers are seen: {listed:?}");
        let tree = fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.pid)).unwrap();
        assert_eq!(tree, "", "an exec is nobody's child inside");
    });
}

#[test]
fn no_mount_of_a_container_is_on_the_host() {
    require!(root);
    require!(command "nsenter");
    let host_proc = || -> Vec<String> {
        let mounts = mounts::of_self().unwrap().into_iter();
        mounts.filter(|mount| mount.point == Path::new("/proc")).map(|mount| mount.line).collect()
    };
    let before = host_proc();
    in_both_modes(|mode| {
        let container = mode.start(SLEEP);
        // A mount made later does not travel either.
        let source = format!("late-{}", mode.env.tag());
        let pid = container.pid.to_string();
        let users = if mode.mapped { vec!["-U"] } else { vec![] };
        let enter = ["nsenter", "-t", &pid, "-m"].into_iter().chain(users);
        mode.env.other(enter.chain(["mount", "-t", "tmpfs", &source, "/mnt"])).output().ok();
        let inside = mounts::of(container.pid).unwrap();
        assert!(inside.iter().any(|mount| mount.source == source));
        for mount in &inside {
            assert!(mount.propagation.is_empty(), "not private: {}", mount.line);
        }
        for mount in mounts::of_self().unwrap() {
            let ours = [mode.env.tag(), &container.id].iter().any(|word| mount.line.contains(word));
            assert!(!ours, "on the host: {}", mount.line);
        }
        assert_eq!(host_proc(), before, "the host's /proc changed");
    });
    assert!(Path::new("/proc/self/status").exists());
}

#[test]
fn nothing_of_the_old_root_can_be_reached() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        let decoy = mode.env.file("decoy", "of the host");
        let container = mode.start([image.to_str().unwrap(), "sleep", "300"]);
        let decoy = decoy.to_str().unwrap();
        for way in ["", "/proc/1/root", "/proc/self/root", "/..", "/proc/1/cwd/..", "/proc/1/cwd/../../.."] {
            let path = format!("{way}{decoy}");
            let output = container.exec(&[], &["cat", &path]);
            assert_ne!(output.code(), Some(0), "{path} can be read: {output}");
        }
        let mounts = mounts::of(container.pid).unwrap();
        let roots: Vec<_> = mounts.iter().filter(|mount| mount.point == Path::new("/")).collect();
        assert_eq!(roots.len(), 1, "{roots:?}");
        assert_eq!(roots[0].fs, "overlay");
        let made = ["overlay", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"];
        let mut foreign: Vec<_> = mounts.iter().filter(|mount| !made.contains(&mount.fs.as_str())).collect();
        foreign.sort_by_key(|mount| mount.point.clone());
        let points: Vec<_> = foreign.iter().map(|mount| mount.point.to_str().unwrap()).collect();
        assert_eq!(points, ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]);
        for mount in foreign {
            assert!(mount.root.contains(&container.id), "not the container's own: {}", mount.line);
        }
        assert!(!mounts.iter().any(|mount| mount.line.contains("put_old") || mount.line.contains("oldroot")));
    });
}

#[test]
fn without_a_network_there_is_a_loopback_that_is_up_and_nothing_else() {
    require!(root);
    in_both_modes(|mode| {
        for options in [vec!["host"], vec!["--net", "none", "host"]] {
            let container = mode.start(options.into_iter().chain(["sleep", "300"]));
            let table = fs::read_to_string(format!("/proc/{}/net/dev", container.pid)).unwrap();
            let links: Vec<_> = table.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
            assert_eq!(links.iter().map(|link| link.trim()).collect::<Vec<_>>(), ["lo"]);
            assert_eq!(container.exec(&[], &["ls", "/sys/class/net"]).ok().text(), "lo");
            // IFF_UP | IFF_LOOPBACK of netdevice(7).
            assert_eq!(container.exec(&[], &["cat", "/sys/class/net/lo/flags"]).ok().text(), "0x9");
            let local = fs::read_to_string(format!("/proc/{}/net/fib_trie", container.pid)).unwrap();
            assert!(local.contains("127.0.0.1"), "{local}");
            assert!(
                fs::read_to_string(format!("/proc/{}/net/route", container.pid)).unwrap().lines().count()
                    <= 1
            );
        }
    });
}

#[test]
fn the_hosts_network_is_the_hosts() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["--net", "host", "host", "sleep", "300"]);
        assert_eq!(proc::namespace(container.pid, "net").unwrap(), proc::own_namespace("net").unwrap());
        assert_ne!(proc::namespace(container.pid, "uts").unwrap(), proc::own_namespace("uts").unwrap());
        let names = |text: String| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
        let inside = names(container.exec(&[], &["ls", "/sys/class/net"]).ok().text());
        assert!(inside.contains("lo"), "{inside:?}");
        // The network's own files cannot be written, though it is the host's network.
        let output = container.exec(&[], &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        assert_ne!(output.code(), Some(0), "{output}");
        let output = container.exec(&[], &["sh", "-c", "echo x > /sys/class/net/lo/ifalias"]);
        assert_ne!(output.code(), Some(0), "{output}");
    });
}

#[test]
fn a_run_to_its_end_isolates_and_leaves_nothing() {
    require!(root);
    in_both_modes(|mode| {
        let output = mode.run(["host", "sh", "-c", "echo $$; readlink /proc/self/ns/pid; exit 7"]).fails(7);
        let text = output.stdout();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("1"));
        assert_ne!(lines.next().unwrap(), format!("pid:[{}]", proc::own_namespace("pid").unwrap()));
        wait_until("nothing of the container is left", || mode.env.leaks().is_empty());
    });
}
