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

/// How long a program has for its step. The exit is told only afterwards.
const PROGRAM_SECONDS: i64 = 10;

/// How long another may hold the list of a mount's users.
const LOCK: Duration = Duration::from_secs(12);

/// What is closed when nobody waits any more: who closes a socket by which nftables took something away waits until the
/// kernel has freed it, and that is as long as a container takes to start and to end.
#[must_use = "to be closed after the exit is told"]
#[derive(Debug, Default)]
pub(super) struct Unclosed(#[expect(dead_code, reason = "closed in its time")] BTreeMap<i32, OwnedFd>);

/// Does these steps for the container of that id. Nothing stops at an error: what is missing was released by someone else, and
/// what cannot be released now is found by the engine's check.
pub(super) fn release<'a>(steps: impl IntoIterator<Item = &'a Release>, id: &str) -> Unclosed {
    // One of each protocol: a container may have more ports than a process may have files.
    let mut sockets = BTreeMap::new();
    for step in steps {
        let _ = match step {
            Release::Unlink(path) => unlink(path, id),
            Release::Name { names, name, id, renamed } => free_names(names, name, id, renamed),
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
            Release::Unmount { point, users, user } => unmount(point, users, user),
            Release::Run { program, arguments, environment, stdin } => {
                run(program, arguments, environment, stdin)
            }
        };
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
fn unmount(point: &Path, users: &Path, user: &str) -> io::Result<()> {
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
        match rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Nothing is mounted there any more.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    fs::remove_file(users.join(user))
}

/// Runs a program to its end. One that takes too long is ended, with whatever it started in its process group.
fn run(
    program: &Path,
    arguments: &[String],
    environment: &[(String, String)],
    stdin: &[u8],
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
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_last_user_unmounts_and_no_other() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let [point, users] = ["data", "users"].map(|name| place.path().join(name));
        [&point, &users].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        for user in ["one", "two"] {
            fs::write(users.join(user), "").unwrap();
        }
        rustix::mount::mount("none", &point, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        fs::write(point.join("file"), "").unwrap();
        let gone = |user: &str| {
            let user = user.to_owned();
            let _ = release(&[Release::Unmount { point: point.clone(), users: users.clone(), user }], "1234");
            (point.join("file").exists(), fs::read_dir(&users).unwrap().count())
        };
        assert_eq!(gone("two"), (true, 1));
        // One that is gone already was the last of nobody.
        assert_eq!(gone("two"), (true, 1));
        assert_eq!(gone("one"), (false, 0));
        assert_eq!(gone("one"), (false, 0));
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
            let _ = release(&[step], "1234");
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
        }
    }

    #[test]
    fn a_program_gets_what_it_was_given_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let told = told.to_str().unwrap();
        let _ = release(&[shell("{ cat; pwd; env; } > $TOLD", &[("TOLD", told)], "what it reads\n")], "1234");
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
        let _ = release(&[&own, &others].map(|path| Release::Unlink(path.clone())), "1234");
        assert!(own.symlink_metadata().is_err() && others.symlink_metadata().is_ok());
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_stops_no_later_step() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let missing = Release::Run {
            program: "/no/such/program".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
        };
        let _ =
            release(&[missing, shell("exit 3", &[], ""), Release::Unlink(file.path().to_owned())], "1234");
        assert!(!file.path().exists());
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let begun = std::time::Instant::now();
        let _ = release(&[shell(&script, &[], "")], "1234");
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
