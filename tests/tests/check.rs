//! `system check`: silent when all is well, and it finds and puts right whatever has no owner.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tinyd_tests::proc::{cgroups, mounts};
use tinyd_tests::{Env, eventually, proc, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// An id that no container has.
fn ghost(digit: char) -> String {
    format!("{:08x}{}", proc::own_pid(), digit.to_string().repeat(24))
}

/// Requires that the check finds exactly one thing about `object`, puts it right when it may, and finds nothing then. Lines
/// of others (the machine's cgroups are shared by all tests) do not count.
#[track_caller]
fn found_and_repaired(env: &Env, object: &str) {
    let about = |text: String| text.lines().filter(|line| line.contains(object)).count();
    let seen = env.tinyd(["system", "check"]).fails(1);
    assert_eq!(about(seen.stdout()), 1, "{seen}");
    assert!(seen.stderr().contains("--repair"), "{seen}");
    let again = env.tinyd(["system", "check"]).fails(1);
    assert_eq!(about(again.stdout()), 1, "looking changes nothing: {again}");
    let repaired = env.tinyd(["system", "check", "--repair"]);
    let line = repaired.stdout().lines().find(|line| line.contains(object)).map(str::to_owned);
    assert!(line.is_some_and(|line| line.ends_with("(repaired)")), "{repaired}");
    let after = env.tinyd(["system", "check"]);
    assert_eq!(about(after.stdout()), 0, "{after}");
}

/// What a check says of this test's own.
fn own(env: &Env) -> String {
    let text = env.tinyd(["system", "check"]).stdout();
    let ids = env.ids();
    let is_own = |line: &&str| line.contains(env.tag()) || ids.iter().any(|id| line.contains(id));
    text.lines().filter(is_own).collect()
}

#[test]
fn there_is_nothing_to_say_when_all_is_well() {
    require!(root);
    let env = Env::new();
    let image = image();
    assert_eq!(own(&env), "");
    env.tinyd(["create", "--name", "created", &image, "true"]).ok();
    env.tinyd(["run", "-d", "--name", "running", &image, "sleep", "300"]).ok();
    env.tinyd(["run", "--name", "ended", "host", "true"]).ok();
    env.tinyd(["run", "--rm", "host", "true"]).ok();
    assert_eq!(own(&env), "");
    env.tinyd(["system", "check", "--repair"]);
    assert_eq!(env.containers().len(), 3, "what has an owner stays");
    assert_eq!(env.tinyd(["exec", "running", "echo", "well"]).ok().text(), "well");
    env.tinyd(["start", "-a", "ended"]).ok();
    env.tinyd(["rm", "-f", "created", "running", "ended"]).ok();
    assert_eq!(own(&env), "");
}

#[test]
fn a_folder_without_a_record_is_found() {
    require!(root);
    let env = Env::new();
    env.tinyd(["ps"]).ok();
    let folder = env.root().join("containers").join(ghost('a'));
    fs::create_dir_all(folder.join("upper/deep/er")).unwrap();
    fs::write(folder.join("upper/file"), "x").unwrap();
    found_and_repaired(&env, &ghost('a'));
    assert!(!folder.exists());
}

#[test]
fn a_name_and_a_lease_of_nobody_are_found() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["create", "--name", "kept", &image, "true"]).ok();
    let name = env.root().join("names/stale");
    symlink(ghost('b'), &name).unwrap();
    found_and_repaired(&env, name.to_str().unwrap());
    assert!(name.symlink_metadata().is_err());
    env.tinyd(["create", "--name", "stale", &image, "true"]).ok();
    let ids = env.root().join("ids");
    let lease = fs::read_dir(&ids).unwrap().next().unwrap().unwrap().path();
    let number: u64 = lease.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let stale = ids.join((number + 1000).to_string());
    symlink(ghost('c'), &stale).unwrap();
    found_and_repaired(&env, stale.to_str().unwrap());
    assert!(stale.symlink_metadata().is_err() && lease.symlink_metadata().is_ok());
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout().lines().count(), 2);
}

#[test]
fn runtime_state_a_lock_and_an_unfinished_removal_are_found() {
    require!(root);
    let env = Env::new();
    env.tinyd(["ps"]).ok();
    let run = env.run_root().join("containers").join(ghost('d'));
    fs::create_dir(&run).unwrap();
    fs::write(run.join("state.json"), "{}").unwrap();
    found_and_repaired(&env, run.to_str().unwrap());
    assert!(!run.exists());
    let lock = env.run_root().join("locks").join(ghost('e'));
    fs::write(&lock, "").unwrap();
    found_and_repaired(&env, lock.to_str().unwrap());
    assert!(!lock.exists());
    // A removal is gone on with by whatever command comes next; what no removal makes is found.
    let trash = env.root().join("trash").join(ghost('f'));
    fs::create_dir_all(trash.join("upper/x")).unwrap();
    env.tinyd(["ps"]).ok();
    assert!(!trash.exists());
    let stray = env.root().join("trash/stray");
    fs::create_dir_all(stray.join("upper/x")).unwrap();
    found_and_repaired(&env, stray.to_str().unwrap());
    assert!(!stray.exists());
}

/// Takes away what a test made in the cgroup file systems when it fails half-way.
struct Groups(Vec<PathBuf>);

impl Drop for Groups {
    fn drop(&mut self) {
        self.0.iter().for_each(|group| drop(fs::remove_dir(group)));
    }
}

#[test]
fn a_cgroup_of_a_container_of_this_root_that_is_gone_is_found() {
    require!(root);
    require!(controller "pids");
    let env = Env::new();
    let image = image();
    // The parent is there while a container runs.
    env.tinyd(["run", "-d", "--name", "c1", &image, "sleep", "300"]).ok();
    let id = env.tinyd(["create", "--name", "gone", &image, "true"]).ok().text();
    let own = env.tinyd(["inspect", "-f", "{{.Id}}", "c1"]).ok().text();
    let beside = |controller| cgroups::of_container(&own, controller).map(|group| group.with_file_name(&id));
    let groups = Groups(["pids", "memory"].into_iter().filter_map(beside).collect());
    groups.0.iter().for_each(|group| fs::create_dir(group).unwrap());
    assert!(!groups.0.is_empty());
    env.tinyd(["rm", "gone"]).ok();
    assert!(groups.0.iter().all(|group| !group.exists()), "it goes with its container");
    let ghosts = Groups(groups.0.iter().map(|group| group.with_file_name(ghost('9'))).collect());
    // All tests share the machine's groups: a repair of another one may come first.
    let found = eventually(Duration::from_secs(20), || {
        ghosts.0.iter().filter(|group| !group.exists()).for_each(|group| fs::create_dir(group).unwrap());
        let line = format!("cgroup tinyd/{}: has no processes and no monitor", ghost('9'));
        let seen = env.tinyd(["system", "check"]);
        let repaired = env.tinyd(["system", "check", "--repair"]);
        let is_found = seen.code() == Some(1) && seen.stdout().lines().any(|found| found == line);
        let line = format!("{line} (repaired)");
        (is_found && repaired.stdout().lines().any(|found| found == line)).then_some(())
    });
    assert!(found.is_some());
    assert!(ghosts.0.iter().all(|group| !group.exists()));
    assert_eq!(env.tinyd(["exec", "c1", "echo", "well"]).ok().text(), "well", "what runs goes on");
}

/// Undoes a mount of the test when it fails half-way.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

fn is_mounted(path: &Path) -> bool {
    mounts::of_self().unwrap().iter().any(|mount| mount.point == path)
}

#[test]
fn a_mount_in_a_containers_folder_is_found() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["create", "--name", "c1", &image(), "true"]).ok().text();
    let point = env.root().join("containers").join(&id).join("upper");
    rustix::mount::mount("none", &point, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
    let mounted = Mounted(point.clone());
    assert!(is_mounted(&point));
    found_and_repaired(&env, point.to_str().unwrap());
    assert!(!is_mounted(&point));
    drop(mounted);
    let merged = env.tinyd(["mount", "c1"]).ok().text();
    assert!(is_mounted(Path::new(&merged)));
    assert_eq!(own(&env), "", "what was mounted on request is wanted");
    env.tinyd(["system", "check", "--repair"]);
    assert!(is_mounted(Path::new(&merged)));
    env.tinyd(["umount", "c1"]).ok();
    assert!(!is_mounted(Path::new(&merged)));
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_left_to_the_user() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["create", "--name", "c1", &image(), "true"]).ok().text();
    let record = env.root().join("containers").join(&id).join("container.json");
    fs::write(&record, "{\"half").unwrap();
    let seen = env.tinyd(["system", "check", "--repair"]).fails(1);
    let line = seen.stdout().lines().find(|line| line.contains(&id)).unwrap().to_owned();
    assert!(line.contains("tinyd rm"), "it says what to do: {line}");
    assert!(record.exists(), "the user's data is not thrown away");
    env.tinyd(["rm", &id]).ok();
    assert_eq!(own(&env), "");
    env.tinyd(["create", "--name", "c1", &image(), "true"]).ok();
}

/// The client is killed in the middle of its work, many times at moments of chance; the next command puts it right.
#[test]
fn what_a_killed_client_leaves_is_put_right_by_the_next_command() {
    require!(root);
    let env = Env::new();
    let image = image();
    for round in 0..30_u64 {
        let running = env.cmd(["run", "-d", "--rm", "--name", "c1", &image, "true"]).spawn();
        std::thread::sleep(Duration::from_micros(round * 700));
        drop(running);
        wait_until("the name can be used again", || {
            env.tinyd(["rm", "-f", "c1"]);
            env.tinyd(["ps", "-aq"]).ok().stdout().is_empty()
        });
    }
    assert_eq!(own(&env), "");
    env.tinyd(["run", "--rm", "--name", "c1", &image, "true"]).ok();
    env.assert_clean();
}
