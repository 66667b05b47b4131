//! Commands in namespaces of their own, as the kernel shows them from outside and inside.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panic and says when it is skipped"
)]

use std::collections::BTreeSet;

use tinyd_ns::idmap::{self, IdMaps, Setgroups};
use tinyd_ns::launch::{Launch, LaunchError, Launched, Step};
use tinyd_ns::{Namespaces, join, pidfd};

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED (needs root)");
    }
    root
}

/// A shell that runs `script` and then stays, ended when this goes.
struct Staying(Launched);

impl Staying {
    fn new(launch: &Launch) -> Self {
        Self(launch.spawn().unwrap())
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = pidfd::send_signal(&self.0.pidfd, libc::SIGKILL);
        let _ = self.0.wait();
    }
}

fn sleep_in(namespaces: Namespaces) -> Staying {
    Staying::new(&Launch::new(namespaces, "sleep").args(["60"]))
}

/// The code that a shell in the namespaces exits with.
fn shell(namespaces: Namespaces, script: &str) -> u8 {
    Launch::new(namespaces, "sh").args(["-c", script]).spawn().unwrap().wait().unwrap().code()
}

fn differing(pid: u32) -> Namespaces {
    let own = std::process::id();
    Namespaces::all().iter().filter(|kind| kind.id_of(pid).unwrap() != kind.id_of(own).unwrap()).collect()
}

#[test]
fn the_default_set_isolates_five_kinds_and_no_other() {
    if !is_root() {
        return;
    }
    assert_eq!(differing(sleep_in(Namespaces::ISOLATED).0.pid), Namespaces::ISOLATED);
}

#[test]
fn each_of_the_eight_kinds_can_be_chosen_alone() {
    if !is_root() {
        return;
    }
    for kind in Namespaces::all() {
        assert_eq!(differing(sleep_in(kind).0.pid), kind, "{kind}");
    }
    assert_eq!(differing(sleep_in(Namespaces::all()).0.pid), Namespaces::all());
    assert_eq!(differing(sleep_in(Namespaces::empty()).0.pid), Namespaces::empty());
}

#[test]
fn the_command_is_process_one_and_proc_shows_its_own_alone() {
    if !is_root() {
        return;
    }
    assert_eq!(shell(Namespaces::ISOLATED, "exit $$"), 1);
    // The shell is the one process: the pattern is its own expansion.
    assert_eq!(shell(Namespaces::ISOLATED, r#"set -- /proc/[0-9]*; [ "$*" = /proc/1 ]"#), 0);
    assert_eq!(shell(Namespaces::UTS, r#"set -- /proc/[0-9]*; [ "$*" = /proc/1 ]"#), 1);
}

#[test]
fn mounts_are_private_inside() {
    if !is_root() {
        return;
    }
    let inside = sleep_in(Namespaces::MOUNT);
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", inside.0.pid)).unwrap();
    let propagation = |line: &str| line.split(" - ").next().unwrap().contains(" shared:");
    assert!(mounts.lines().any(|line| line.split(' ').nth(4) == Some("/")));
    assert!(!mounts.lines().any(propagation), "{mounts}");
}

#[test]
fn the_host_name_is_its_own() {
    if !is_root() {
        return;
    }
    let launch = Launch::new(Namespaces::UTS, "sh").args(["-c", r#"[ "$(uname -n)" = inside ]"#]);
    assert_eq!(launch.host_name("inside").spawn().unwrap().wait().unwrap().code(), 0);
    assert_ne!(rustix::system::uname().nodename().to_bytes(), b"inside");
}

#[test]
fn a_thread_that_joins_a_network_has_its_inode_and_its_links() {
    if !is_root() {
        return;
    }
    let script = "ip link add tnsjoin0 type veth peer name tnsjoin1 && exec sleep 60";
    let target = Staying::new(&Launch::new(Namespaces::NET, "sh").args(["-c", script]));
    let pid = target.0.pid;
    let links = |of: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(format!("/proc/{of}/net/dev")).unwrap();
        text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
    };
    for _ in 0..200 {
        if links(&pid.to_string()).len() == 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(links(&pid.to_string()).contains("tnsjoin0"));
    let by_pid = move || join::of_pid(pid, Namespaces::NET).unwrap();
    let by_path = move || join::of_path(format!("/proc/{pid}/ns/net"), Some(Namespaces::NET)).unwrap();
    for enter in [&by_pid as &(dyn Fn() + Sync), &by_path] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_ne!(links("thread-self"), links(&pid.to_string()));
                enter();
                let link = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).unwrap();
                assert_eq!(link("thread-self"), link(&pid.to_string()));
                assert_eq!(links("thread-self"), links(&pid.to_string()));
            });
        });
    }
    let wrong = join::of_path(format!("/proc/{pid}/ns/net"), Some(Namespaces::UTS)).unwrap_err();
    assert!(wrong.to_string().contains("not of the kind asked for"), "{wrong}");
}

#[test]
fn maps_of_many_ranges_are_read_back() {
    if !is_root() {
        return;
    }
    let users = idmap::parse("0 1000 1\n1 100000 65535\n70000 300000 5").unwrap();
    let maps = IdMaps { groups: idmap::parse("0 1001 1\n1 200000 10").unwrap(), users };
    let launch = Launch::new(Namespaces::USER, "sleep").args(["60"]).id_maps(maps.clone());
    let inside = Staying::new(&launch);
    assert_eq!(IdMaps::read(inside.0.pid).unwrap(), maps);
    assert_eq!(idmap::setgroups(inside.0.pid).unwrap(), Setgroups::Allowed);
    let status = std::fs::read_to_string(format!("/proc/{}/status", inside.0.pid)).unwrap();
    for line in ["Uid:\t1000\t1000\t1000\t1000", "Gid:\t1001\t1001\t1001\t1001"] {
        assert!(status.lines().any(|shown| shown == line), "no {line:?} in {status}");
    }
    assert!(
        matches!(maps.write(inside.0.pid), Err(idmap::IdMapError::Write { .. })),
        "maps are written once"
    );
}

#[test]
fn an_unprivileged_writer_maps_itself_and_gives_up_setgroups() {
    if !is_root() {
        return;
    }
    let unprivileged = std::thread::spawn(|| {
        tinyd_ns::credentials::become_user(1000, 1000, &[]).unwrap();
        // A change of user takes the process's own files in /proc away from it, until an exec, which is not wanted here.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
        let inside = Staying::new(&Launch::new(Namespaces::USER, "sleep").args(["60"]));
        (IdMaps::read(inside.0.pid).unwrap(), idmap::setgroups(inside.0.pid).unwrap())
    });
    assert_eq!(unprivileged.join().unwrap(), (IdMaps::root_as(1000, 1000), Setgroups::Denied));
}

#[test]
fn what_does_not_start_says_why() {
    let error = Launch::new(Namespaces::empty(), "tinyd-no-such-program").spawn().unwrap_err();
    assert!(
        matches!(&error, LaunchError::Child { step: Step::Exec, source, .. } if source.raw_os_error() == Some(libc::ENOENT)),
        "{error:?}"
    );
    let error = Launch::new(Namespaces::empty(), "/etc/passwd").spawn().unwrap_err();
    assert!(
        matches!(&error, LaunchError::Child { step: Step::Exec, source, .. } if source.raw_os_error() == Some(libc::EACCES)),
        "{error:?}"
    );
    let error = Launch::new(Namespaces::empty(), "true").host_name("x").spawn().unwrap_err();
    assert!(matches!(error, LaunchError::NoNamespaceFor { kind: Namespaces::UTS, .. }), "{error:?}");
    let error = Launch::new(Namespaces::empty(), "true").args(["a\0b"]).spawn().unwrap_err();
    assert!(matches!(error, LaunchError::Nul(_)), "{error:?}");
}
