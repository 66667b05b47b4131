//! The harness tested on itself: the leak checker finds a leak of each kind, and cleans it up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::mount::{MountFlags, mount, mount_remount};
use tinyd_tests::leak::{Kind, Scope, Snapshot};
use tinyd_tests::proc::{self, cgroups, mounts};
use tinyd_tests::{Env, paths, remove, require, roots, wait_until};

/// An id as containers have it, which no other test has.
fn new_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{:016x}{:016x}", proc::own_pid(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A stand-in for the program that knows one verb: `rm -f ID`.
const PROGRAM: &str = r#"root=$2; shift 4; [ "$1" = rm ] && rm -rf "$root/containers/$3""#;

fn env() -> Env {
    Env::with_program_in(|files| {
        let path = files.join("tinyd");
        fs::write(&path, format!("#!/bin/sh\n{PROGRAM}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    })
}

fn found(env: &Env, kind: Kind) -> Vec<String> {
    let items = env.leaks_within(Duration::ZERO).into_iter();
    items.filter(|item| item.kind == kind).map(|item| item.what).collect()
}

/// What dropping said, when it failed.
fn drop_says(env: Env) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(env))).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("300");
    command
}

/// Kills and reaps a child of the test when it fails half-way.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_clean_test_ends_in_peace() {
    let env = env();
    assert_eq!(env.leaks_within(Duration::ZERO), []);
    let folder = env.files();
    assert_eq!(drop_says(env), None);
    assert!(!folder.exists());
}

#[test]
fn a_container_that_is_left_is_removed_by_the_program_and_is_no_leak() {
    let env = env();
    fs::create_dir(env.root().join("containers").join(new_id())).unwrap();
    assert_eq!(found(&env, Kind::File).len(), 1);
    assert_eq!(drop_says(env), None);
}

#[test]
fn a_mount_is_found_and_taken_away() {
    require!(root);
    let env = env();
    let point = env.files().join("mount");
    fs::create_dir(&point).unwrap();
    mount("none", &point, "tmpfs", MountFlags::empty(), None).unwrap();
    assert_eq!(found(&env, Kind::Mount).len(), 1);
    let said = drop_says(env).expect("the leak is reported");
    assert!(said.contains("mount: none on"), "{said}");
    assert!(!mounts::of_self().unwrap().iter().any(|mount| mount.point == point));
    assert!(!point.exists());
}

#[test]
fn a_folder_with_a_mount_is_never_removed_through_it() {
    require!(root);
    let env = env();
    let (kept, point) = (env.files().join("kept"), env.files().join("bound"));
    fs::create_dir(&kept).unwrap();
    fs::create_dir(&point).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    rustix::mount::mount_bind(&kept, &point).unwrap();
    assert!(remove::remove_tree(&env.files()).is_err());
    assert!(kept.join("file").exists());
    // A mount that is busy is detached all the same.
    mount_remount(&point, MountFlags::BIND | MountFlags::RDONLY, c"").unwrap();
    assert!(drop_says(env).is_some());
}

#[test]
fn a_cgroup_is_known_by_the_id_of_a_container_that_is_long_gone() {
    require!(root);
    require!(controller "pids");
    let env = env();
    let id = new_id();
    let container = env.root().join("containers").join(&id);
    fs::create_dir(&container).unwrap();
    fs::remove_dir(&container).unwrap();
    let parent = cgroups::hierarchy_of("pids").unwrap().mount.join(env.tag());
    let group = parent.join(&id);
    fs::create_dir_all(&group).unwrap();
    assert_eq!(found(&env, Kind::Cgroup).len(), 2);
    assert_eq!(cgroups::of_container(&id, "pids"), Some(group.clone()));
    let said = drop_says(env).expect("the leak is reported");
    assert!(said.contains(&format!("cgroup: {}", group.display())), "{said}");
    assert!(!parent.exists());
}

#[test]
fn a_process_is_known_by_its_environment() {
    let env = env();
    let child = Reaped(sleeper().env("TINYD_TEST", env.tag()).spawn().unwrap());
    wait_until("the process is found", || found(&env, Kind::Process).len() == 1);
    assert!(found(&env, Kind::Process)[0].contains("sleep"));
    let pid = i32::try_from(child.0.id()).unwrap();
    let said = drop_says(env).expect("the leak is reported");
    assert!(said.contains(&format!("process: {pid} sleep")), "{said}");
    assert!(!proc::is_alive(pid));
}

#[test]
fn a_process_is_known_by_its_cgroup_and_killed_though_it_is_frozen() {
    require!(root);
    require!(controller "freezer");
    let env = env();
    let group = cgroups::hierarchy_of("freezer").unwrap().mount.join(env.tag());
    fs::create_dir(&group).unwrap();
    let child = Reaped(sleeper().spawn().unwrap());
    fs::write(group.join("cgroup.procs"), child.0.id().to_string()).unwrap();
    if let Err(err) = fs::write(group.join("freezer.state"), "FROZEN") {
        // On v2 the file has another name.
        fs::write(group.join("cgroup.freeze"), "1").unwrap_or_else(|_| panic!("{err}"));
    }
    assert_eq!(found(&env, Kind::Process).len(), 1);
    assert!(drop_says(env).is_some());
    assert!(!proc::is_alive(i32::try_from(child.0.id()).unwrap()));
    assert!(!group.exists());
}

#[test]
fn files_sockets_and_descriptors_are_found() {
    let env = env();
    let lease = env.run_root().join("leases/65536");
    fs::create_dir_all(lease.parent().unwrap()).unwrap();
    fs::write(&lease, "").unwrap();
    assert_eq!(found(&env, Kind::File), [lease.display().to_string()]);
    let listener = UnixListener::bind(env.files().join("socket")).unwrap();
    assert_eq!(found(&env, Kind::Socket).len(), 1);
    let file = File::open(&lease).unwrap();
    let open: Vec<_> = found(&env, Kind::Descriptor);
    assert!(open.iter().any(|what| what.ends_with("leases/65536")), "{open:?}");
    let said = drop_says(env).expect("the leak is reported");
    for word in ["file: ", "socket: ", "descriptor: "] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    drop((listener, file));
}

#[test]
fn what_belongs_to_another_test_does_not_count() {
    let (mine, other) = (env(), env());
    fs::create_dir_all(other.run_root().join("leases/1")).unwrap();
    let child = Reaped(sleeper().env("TINYD_TEST", other.tag()).spawn().unwrap());
    wait_until("the process is found", || found(&other, Kind::Process).len() == 1);
    assert_eq!(mine.leaks_within(Duration::ZERO), []);
    assert!(drop_says(other).is_some());
    drop(child);
}

#[test]
fn links_tables_and_marked_processes_count_for_the_machine() {
    require!(root);
    require!(command "ip");
    require!(command "nft");
    let name = format!("tndlk{}", proc::own_pid());
    let run = |words: &[&str]| Command::new(words[0]).args(&words[1..]).status().unwrap().success();
    let before = Snapshot::take(&Scope::Machine);
    assert!(run(&["ip", "link", "add", &name, "type", "bridge"]));
    let table = run(&["nft", "add", "table", "inet", &name]);
    let child = Reaped(sleeper().env("TINYD_TEST", &name).spawn().unwrap());
    let pid = i32::try_from(child.0.id()).unwrap();
    wait_until("the program is executed", || {
        proc::arguments(pid).first().is_some_and(|name| name == "sleep")
    });
    let left = before.diff(&Snapshot::take(&Scope::Machine));
    assert!(run(&["ip", "link", "del", &name]));
    assert!(table && run(&["nft", "delete", "table", "inet", &name]));
    let has = |kind, what: &str| left.iter().any(|item| item.kind == kind && item.what.contains(what));
    assert!(has(Kind::Link, &name), "{left:?}");
    assert!(has(Kind::Table, &name), "{left:?}");
    assert!(has(Kind::Process, &pid.to_string()), "{left:?}");
}

#[test]
fn a_failing_test_is_cleaned_up_and_keeps_its_own_message() {
    let folder: std::cell::RefCell<PathBuf> = PathBuf::new().into();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let env = env();
        *folder.borrow_mut() = env.files();
        fs::create_dir_all(env.run_root().join("leases/1")).unwrap();
        panic!("the test's own trouble");
    }));
    let said = *panic.unwrap_err().downcast_ref::<&str>().unwrap();
    assert_eq!(said, "the test's own trouble");
    assert!(!folder.borrow().exists());
}

#[test]
fn a_command_gives_its_streams_and_its_code() {
    let env = env();
    let output = env.other(["sh", "-c", "cat; echo err >&2; exit 7"]).stdin("in").output().fails(7);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("in", "err\n"));
    let output = env.other(["sh", "-c", "head -c 10000000 /dev/zero; kill -9 $$"]).output();
    assert_eq!((output.stdout_bytes().len(), output.signal()), (10_000_000, Some(9)));
    // More than a pipe holds, to a program that answers while it reads.
    let output = env.other(["cat"]).stdin(vec![b'x'; 1_000_000]).output().ok();
    assert_eq!(output.stdout().len(), 1_000_000);
}

#[test]
fn a_command_that_hangs_and_an_output_that_is_held_are_failures() {
    let env = env();
    let slow = env.other(["sleep", "300"]).limit(Duration::from_millis(200));
    assert!(catch_unwind(AssertUnwindSafe(|| slow.output())).is_err());
    let holding = env.other(["sh", "-c", "sleep 300 & echo $!"]);
    let panic = catch_unwind(AssertUnwindSafe(|| holding.output())).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("somebody holds the output"), "{said}");
    assert!(drop_says(env).is_some(), "the sleeping process is a leak");
}

#[test]
fn a_running_command_is_talked_to() {
    let env = env();
    let mut running =
        env.other(["sh", "-c", "read a; echo got $a; echo bad >&2; read b; exit $b"]).piped().spawn();
    running.send("one\n");
    assert_eq!(running.expect("one\n"), "got one\n");
    running.expect_error("bad");
    running.send("3\n");
    running.wait().fails(3);
}

#[test]
fn a_terminal_has_a_size_a_session_and_signals() {
    require!(command "setsid");
    let env = env();
    let mut pty = env.other(["sh"]).pty(24, 80);
    pty.send("stty size; tty; echo\n");
    pty.expect("24 80");
    pty.expect("/dev/pts/");
    pty.send("trap 'echo res''ized' WINCH; echo re''ady\n");
    pty.expect("ready");
    pty.resize(50, 132);
    pty.send("\nstty size\n");
    pty.expect("resized");
    pty.expect("50 132");
    pty.send("sleep 301\n");
    pty.expect("sleep 301");
    wait_until("sleep runs", || proc::all_pids().iter().any(|pid| proc::arguments(*pid) == ["sleep", "301"]));
    pty.send([3]);
    pty.send("echo co''de $?\n");
    pty.expect("code 130");
    pty.send("exit 5\n");
    let (status, _) = pty.wait();
    assert_eq!(status.code(), Some(5));
}

#[test]
fn the_busybox_root_has_a_shell_and_a_user() {
    require!(root);
    let root = roots::busybox();
    let output =
        Command::new("chroot").arg(&root).args(["/bin/sh", "-c", "id -u app; echo ok"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1000\nok\n");
    assert!(root.starts_with(paths::cache()));
}

#[test]
fn the_debian_roots_have_their_programs() {
    require!(root);
    for (root, program) in [(roots::debian(), "bash"), (roots::redis(), "redis-server")] {
        let output = Command::new("chroot").arg(&root).args([program, "--version"]).output().unwrap();
        assert!(output.status.success(), "{program} in {}", root.display());
    }
}
