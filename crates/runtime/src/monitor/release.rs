//! The steps that free what a container held of the host, once its command has ended.

use super::clock::now_ns;
use crate::Release;
use crate::events::{self, Event};
use crate::state::{self, RELEASE_FILE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::net::{AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tinyd_fs::{mountinfo, project};

/// How long a program has for its step. The exit is told only afterwards.
const PROGRAM_SECONDS: i64 = 10;

/// How long another may hold the list of a mount's users.
const LOCK: Duration = Duration::from_secs(12);

/// What is closed when nobody waits any more: who closes a socket by which nftables took something away waits until the
/// kernel has freed it, and that is as long as a container takes to start and to end.
#[must_use = "to be closed after the exit is told"]
#[derive(Debug, Default)]
pub(super) struct Unclosed(#[expect(dead_code, reason = "closed in its time")] BTreeMap<i32, OwnedFd>);

/// How long one that unmounts what a server has is waited for, which may have much to bring there still.
const ORDERLY: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// Does these steps for the container of that id: those of its connections, and then the others. Nothing stops at an error: what
/// is missing was released by someone else, and what cannot be released now is found by the engine's check. So the files of a
/// connection stay that say what is held for it, where a program failed that was to take that away.
pub(super) fn release(connections: &[Release], others: &[Release], id: &str) -> Unclosed {
    // One of each protocol: a container may have more ports than a process may have files.
    let mut sockets = BTreeMap::new();
    let mut is_held = false;
    for (index, step) in connections.iter().chain(others).enumerate() {
        is_held &= index < connections.len();
        let done = match step {
            Release::Unlink(_) | Release::Unpin(_) if is_held => Ok(()),
            Release::Unlink(path) => unlink(path, id),
            Release::Unpin(path) => unpin(path),
            Release::Name { names, name, id, renamed } => free_names(names, name, id, renamed),
            Release::Limit(folder) => project::release(folder).map_err(io::Error::other),
            Release::Rename(from, to) => fs::rename(from, to),
            Release::Tell { log, event, renamed } => {
                let mut event = Event { time_ns: now_ns(), ..(**event).clone() };
                event.is_of(renamed.as_deref());
                events::append(log, &event);
                Ok(())
            }
            Release::Netlink { protocol, packet } => {
                send_netlink(&mut sockets, *protocol, packet).map_err(Into::into)
            }
            Release::Unmount { point, users, user, program } => {
                unmount(point, users, user, program.as_deref())
            }
            Release::Run { program, arguments, environment, stdin, strict } => {
                run(program, arguments, environment, stdin, *strict)
            }
        };
        match step {
            Release::Run { .. } => is_held |= done.is_err(),
            // What is told last of a connection.
            Release::Tell { .. } => is_held = false,
            _ => {}
        }
    }
    Unclosed(sockets)
}

/// Removes a file. A link says whose it is, such as the one of an address: what is another's by now stays.
fn unlink(path: &Path, id: &str) -> io::Result<()> {
    match fs::read_link(path) {
        Ok(owner) if owner.as_os_str() != id => Ok(()),
        _ => fs::remove_file(path),
    }
}

/// The steps that take away what the container's network namespace is connected to: those that the sender of the start
/// told, or those that somebody wrote down since, when connections came or went.
pub(super) fn of_connections(run_dir: &Path, told: &[Release]) -> Vec<Release> {
    state::load(&run_dir.join(RELEASE_FILE)).ok().flatten().unwrap_or_else(|| told.to_vec())
}

/// The kernel has done what a packet says when it is sent. What it answers nobody reads, and it stops when there is no room.
fn send_netlink(
    sockets: &mut BTreeMap<i32, OwnedFd>,
    protocol: i32,
    packet: &[u8],
) -> rustix::io::Result<()> {
    let socket = match sockets.entry(protocol) {
        Entry::Occupied(socket) => socket.into_mut(),
        Entry::Vacant(place) => {
            let protocol = NonZero::new(protocol.cast_unsigned()).map(Protocol::from_raw);
            let flags = SocketFlags::CLOEXEC;
            place.insert(socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?)
        }
    };
    rustix::net::send(socket, packet, SendFlags::empty()).map(drop)
}

/// Frees the names of a container, the one that it was started with and the one that it was given since. What leads to another
/// one is that one's.
fn free_names(names: &Path, name: &str, id: &str, renamed: &Path) -> io::Result<()> {
    let given: Option<String> = state::load(renamed).ok().flatten();
    for name in given.as_deref().into_iter().chain([name]) {
        // Only a name becomes part of a path.
        if name.contains('/') {
            continue;
        }
        let link = names.join(name);
        if fs::read_link(&link).is_ok_and(|owner| owner == Path::new(id)) {
            fs::remove_file(link)?;
        }
    }
    Ok(())
}

/// Forgets a user, after the mount where it was the last one.
fn unmount(point: &Path, users: &Path, user: &str, program: Option<&Path>) -> io::Result<()> {
    let folder = File::open(users)?;
    let deadline = Instant::now() + LOCK;
    // Whoever has it may wait for a server.
    while let Err(errno) = flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        if errno != Errno::WOULDBLOCK || Instant::now() > deadline {
            return Err(errno.into());
        }
        sleep(Duration::from_millis(2));
    }
    let is_other = |entry: io::Result<fs::DirEntry>| entry.map_or(true, |entry| entry.file_name() != user);
    if !fs::read_dir(users)?.any(is_other) {
        match program {
            Some(program) => unmount_by(program, point)?,
            None => match rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                // Nothing is mounted there any more.
                Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            },
        }
    }
    fs::remove_file(users.join(user))
}

/// The same by a program. Whoever unmounts as the last waits in the kernel until the server has what was written, where no
/// signal reaches him: so it is neither ended nor waited for to the end. The mount is out of sight before the wait begins.
fn unmount_by(program: &Path, point: &Path) -> io::Result<()> {
    // No helper of the file system's, and no look at what is mounted, which would ask the server.
    let mut child = Command::new(program)
        .args(["-i", "-c", "-l"])
        .arg(point)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if poll(&mut [PollFd::new(&tinyd_ns::pidfd::open(child.id())?, PollFlags::IN)], Some(&ORDERLY))? > 0 {
        child.wait()?;
    }
    // Not what it says counts: nothing may have been mounted there any more.
    let mounts = mountinfo::read().map_err(io::Error::other)?;
    match mounts.iter().any(|mount| mount.mount_point == point) {
        true => Err(Errno::BUSY.into()),
        false => Ok(()),
    }
}

/// Lets go of what is bound to a file.
fn unpin(path: &Path) -> io::Result<()> {
    match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // Nothing is bound to it any more.
        Ok(()) | Err(Errno::INVAL) => fs::remove_file(path),
        Err(errno) => Err(errno.into()),
    }
}

/// Runs a program to its end. One that takes too long is ended, with whatever it started in its process group.
fn run(
    program: &Path,
    arguments: &[String],
    environment: &[(String, String)],
    stdin: &[u8],
    strict: bool,
) -> io::Result<()> {
    // A file and not a pipe: a program that does not read it holds up nobody.
    let mut input = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    input.write_all(stdin)?;
    input.rewind()?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pidfd = tinyd_ns::pidfd::open(child.id())?;
    let limit = Timespec { tv_sec: PROGRAM_SECONDS, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit))? > 0;
    if !ended {
        // It is not reaped yet: the number of its group is its own.
        kill_process_group(Pid::from_child(&child), Signal::KILL)?;
    }
    let status = child.wait()?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) if !strict => Ok(()),
        _ => Err(io::Error::other(format!("{} ended with {status}", program.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn root_the_last_user_unmounts_and_no_other() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let [point, users] = mounted_for(place.path(), &["one", "two"]);
        let gone = |user: &str| {
            let user = user.to_owned();
            let step = Release::Unmount { point: point.clone(), users: users.clone(), user, program: None };
            let _ = release(&[], &[step], "1234");
            (point.join("file").exists(), fs::read_dir(&users).unwrap().count())
        };
        assert_eq!(gone("two"), (true, 1));
        // One that is gone already was the last of nobody.
        assert_eq!(gone("two"), (true, 1));
        assert_eq!(gone("one"), (false, 0));
        assert_eq!(gone("one"), (false, 0));
    }

    /// Something mounted, and the list of its users.
    fn mounted_for(place: &Path, all: &[&str]) -> [PathBuf; 2] {
        let [point, users] = ["data", "users"].map(|name| place.join(name));
        [&point, &users].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        for user in all {
            fs::write(users.join(user), "").unwrap();
        }
        rustix::mount::mount("none", &point, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        fs::write(point.join("file"), "").unwrap();
        [point, users]
    }

    #[test]
    fn root_who_unmounts_what_does_not_answer_is_waited_for_no_longer_than_is_bearable() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // One that takes it out of sight and does not come back, as one in the kernel; and one that does nothing.
        for (script, is_done) in
            [("umount -l \"$4\"; exec sleep 600", true), ("umount -l \"$4\"", true), ("exit 32", false)]
        {
            let place = tempfile::tempdir().unwrap();
            let [point, users] = mounted_for(place.path(), &["one"]);
            let program = place.path().join("umount");
            fs::write(&program, format!("#!/bin/sh\necho $$ > {}/pid\n{script}\n", place.path().display()))
                .unwrap();
            fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let (data, list, begun) = (point.clone(), users.clone(), Instant::now());
            let step = Release::Unmount { point, users, user: "one".to_owned(), program: Some(program) };
            let _ = release(&[], &[step], "1234");
            assert!(begun.elapsed() < Duration::from_secs(60));
            let left = (data.join("file").exists(), fs::read_dir(&list).unwrap().count());
            assert_eq!(left, if is_done { (false, 0) } else { (true, 1) }, "{script}");
            let pid = fs::read_to_string(place.path().join("pid")).unwrap();
            if let Some(pid) = Pid::from_raw(pid.trim().parse().unwrap()).filter(|_| script.contains("sleep"))
            {
                kill_process_group(pid, Signal::KILL).unwrap();
            }
            let _ = rustix::mount::unmount(&data, UnmountFlags::DETACH);
        }
    }

    #[test]
    fn names_are_freed_that_are_its_own() {
        let place = tempfile::tempdir().unwrap();
        let renamed = place.path().join("renamed.json");
        for (name, owner) in [("old", "id"), ("new", "id"), ("taken", "other"), ("kept", "id")] {
            std::os::unix::fs::symlink(owner, place.path().join(name)).unwrap();
        }
        let free = |name: &str| {
            let step = Release::Name {
                names: place.path().to_owned(),
                name: name.to_owned(),
                id: "id".to_owned(),
                renamed: renamed.clone(),
            };
            let _ = release(&[], &[step], "1234");
            let there = |name: &&str| place.path().join(name).is_symlink();
            ["old", "new", "taken", "kept"].into_iter().filter(there).collect::<Vec<_>>()
        };
        assert_eq!(free("old"), ["new", "taken", "kept"]);
        fs::write(&renamed, "\"new\"").unwrap();
        assert_eq!(free("taken"), ["taken", "kept"], "the old one is somebody else's by now");
    }

    fn shell(script: &str, environment: &[(&str, &str)], stdin: &str) -> Release {
        Release::Run {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            stdin: stdin.as_bytes().to_owned(),
            strict: false,
        }
    }

    #[test]
    fn a_program_gets_what_it_was_given_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let told = told.to_str().unwrap();
        let step = shell("{ cat; pwd; env; } > $TOLD", &[("TOLD", told)], "what it reads\n");
        let _ = release(&[], &[step], "1234");
        let text = fs::read_to_string(told).unwrap();
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("_=")).collect();
        lines.retain(|line| *line != "PWD=/" && !line.starts_with("SHLVL="));
        assert_eq!(lines, ["what it reads", "/", &format!("TOLD={told}")], "{text}");
    }

    #[test]
    fn what_says_that_it_is_anothers_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [own, others] = ["own", "others"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("1234", &own).unwrap();
        std::os::unix::fs::symlink("5678", &others).unwrap();
        let _ = release(&[&own, &others].map(|path| Release::Unlink(path.clone())), &[], "1234");
        assert!(own.symlink_metadata().is_err() && others.symlink_metadata().is_ok());
    }

    fn missing() -> Release {
        Release::Run {
            program: "/no/such/program".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            strict: false,
        }
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_stops_no_later_step() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let unlink = Release::Unlink(file.path().to_owned());
        let _ = release(&[], &[missing(), shell("exit 3", &[], ""), unlink], "1234");
        assert!(!file.path().exists());
    }

    #[test]
    fn what_says_that_something_is_held_stays_where_a_program_could_not_take_it_away() {
        let folder = tempfile::tempdir().unwrap();
        let strict = |step: &Release| match step.clone() {
            Release::Run { program, arguments, environment, stdin, .. } => {
                Release::Run { program, arguments, environment, stdin, strict: true }
            }
            other => other,
        };
        let one = shell("exit 1", &[], "");
        for (program, stays) in [
            (shell("exit 0", &[], ""), false),
            // What it was to take away was gone.
            (one.clone(), false),
            (strict(&one), true),
            (shell("exit 4", &[], ""), true),
            (shell("kill -9 $$", &[], ""), true),
            (missing(), true),
        ] {
            let [told, before, pin, record, next, other] =
                ["told", "before", "pin", "record", "next", "other"].map(|name| folder.path().join(name));
            for file in [&before, &pin, &record, &next, &other] {
                fs::write(file, "").unwrap();
            }
            let tell = Release::Tell {
                log: told.clone(),
                event: Box::new(Event::now("network", "disconnect", "web")),
                renamed: None,
            };
            let [before_step, record_step, next_step, other_step] =
                [&before, &record, &next, &other].map(|path| Release::Unlink(path.clone()));
            let later = shell(&format!("> {}/ran", folder.path().display()), &[], "");
            let steps = [
                before_step,
                program.clone(),
                later,
                Release::Unpin(pin.clone()),
                record_step,
                tell,
                next_step,
            ];
            let _ = release(&steps, &[other_step], "1234");
            let there = [&before, &pin, &record, &next, &other].map(|path| path.exists());
            assert_eq!(there, [false, stays, stays, false, false], "{program:?}");
            assert!(fs::remove_file(folder.path().join("ran")).is_ok(), "a later program runs all the same");
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let begun = std::time::Instant::now();
        let _ = release(&[shell(&script, &[], "")], &[], "1234");
        assert!(begun.elapsed().as_secs() >= PROGRAM_SECONDS as u64);
        let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        // It dies, and its parent reaps it, at their leisure.
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_dead = || state().is_empty() || state().contains(") Z");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is_dead() {
            assert!(std::time::Instant::now() < deadline, "{}", state());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
