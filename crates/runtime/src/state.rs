//! What is kept of a container while it runs and after it: small files in its run-time folder, on tmpfs.
//!
//! | file | written | what it says |
//! |---|---|---|
//! | `state.json` | when the command runs | [`RunState`] |
//! | `exit.json` | when the command has ended, *before* it is reaped | [`ExitRecord`] |
//! | `exit.json.new` | when the command runs | room for the exit, so that it can be written when the file system is full |
//! | `release.json` | when connections came or went | a list of [`Release`](crate::Release), in place of what was told at the start |
//! | `companions.json` | with it | a list of [`Companion`](crate::Companion), likewise |
//! | `log-lost.json` | when output could not be logged | [`LostOutput`] |
//! | `monitor.sock` | before the start | the monitor's socket: `wait` and `attach` connect to it |
//! | `stdin`, `stdout`, `stderr` | before the start | FIFOs: the command's streams, where it has no terminal |
//!
//! Records are written whole, to a file beside, and renamed.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tinyd_ns::pidfd;

/// A process that cannot be mistaken for a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// As the host numbers it.
    pub pid: u32,
    /// Clock ticks between the machine's start and its own (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// The kernel's own number for it, where it has one: a tick is long enough for a process to end and for another one to
    /// get its number.
    #[serde(default)]
    pub unique: Option<u64>,
}

impl ProcessId {
    /// The identity of a process that runs now.
    pub fn of(pid: u32) -> io::Result<Self> {
        let fd = pidfd::open(pid)?;
        Ok(Self { pid, start_time: start_time(pid)?, unique: pidfd::unique_number(&fd) })
    }

    /// It runs still (a zombie counts: its exit was not taken).
    pub fn is_alive(self) -> bool {
        self.open().is_some()
    }

    /// A descriptor of it, if it is there still.
    pub fn open(self) -> Option<OwnedFd> {
        let fd = pidfd::open(self.pid).ok()?;
        // Checked after opening: from here on the descriptor cannot come to mean another process.
        self.is_of(&fd).then_some(fd)
    }

    /// How long it has been there, by the machine's own time.
    pub fn age(self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        let up =
            Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let begun = Duration::from_millis(self.start_time.saturating_mul(1000) / ticks);
        up.saturating_sub(begun)
    }

    /// Whether a descriptor that was opened by its number is of it, and not of a later process.
    pub fn is_of(self, pidfd: &OwnedFd) -> bool {
        self.is_same(pidfd).is_ok_and(|same| same)
    }

    /// Whether such a descriptor is certainly of a later process. Where that cannot be told, it is not.
    pub fn is_other(self, pidfd: &OwnedFd) -> bool {
        match self.is_same(pidfd) {
            Ok(same) => !same,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn is_same(self, pidfd: &OwnedFd) -> io::Result<bool> {
        match (self.unique, pidfd::unique_number(pidfd)) {
            (Some(known), Some(now)) => Ok(known == now),
            _ => Ok(start_time(self.pid)? == self.start_time),
        }
    }
}

/// Clock ticks between the machine's start and a process's.
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets, which may itself hold brackets and blanks.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat")))
}

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// Its first process.
    pub init: ProcessId,
    /// Its monitor.
    pub monitor: ProcessId,
    /// When the command was started, in nanoseconds since 1970.
    pub started_ns: i64,
    /// The machine's boot in which all this is true (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The command's own code, or 128+n when signal n ended it.
    pub code: u8,
    /// The kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// When the command was started, in nanoseconds since 1970.
    pub started_ns: i64,
    /// When it ended, in nanoseconds since 1970.
    pub finished_ns: i64,
}

/// Output that is in no log, because it could not be written: the disk was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostOutput {
    /// Bytes of the command.
    pub bytes: u64,
}

/// Name of the file that holds a [`LostOutput`], where something was lost.
pub const LOG_LOST_FILE: &str = "log-lost.json";
/// Name of the file that holds a [`RunState`].
pub const STATE_FILE: &str = "state.json";
/// Name of the file that holds an [`ExitRecord`].
pub const EXIT_FILE: &str = "exit.json";
/// Name of the file with the steps ([`Release`](crate::Release)) that take away what the container's network namespace is
/// connected to, once that is no longer what was told at the start.
pub const RELEASE_FILE: &str = "release.json";
/// Name of the file that holds the container's compiled seccomp filter.
pub const SECCOMP_FILE: &str = "seccomp.bpf";
/// Name of the file with the programs ([`Companion`](crate::Companion)) that serve the container's connections, once they are no
/// longer those that were told at the start. Whoever writes it connects to the monitor's socket, for the monitor to look.
pub const COMPANIONS_FILE: &str = "companions.json";
/// Name of the monitor's socket.
pub const SOCKET_FILE: &str = "monitor.sock";

/// Reads a record; `None` when there is none.
pub fn load<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a record whole: to a file beside it, which is then renamed. With `sync` it is on the disk afterwards.
pub fn store<T: Serialize>(path: &Path, record: &T, sync: bool) -> io::Result<()> {
    let beside = beside(path);
    let bytes = serde_json::to_vec(record)?;
    let written = (|| {
        // A configuration may hold secrets of the command's environment.
        // What is there already keeps its room until it has been written over: it may be all the room there is.
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(&beside)?;
        file.write_all(&bytes)?;
        file.set_len(bytes.len() as u64)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    if sync && let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Takes the room that a short record will need, so that it can be [stored](store) when the file system is full.
pub(crate) fn reserve(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside(path))?;
    file.write_all(&[b' '; 256])
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The machine's boot id.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(me.open().is_some());
        for unique in [None, me.unique] {
            let known = ProcessId { unique, ..me };
            assert!(known.is_alive());
            let other =
                ProcessId { start_time: me.start_time + 1, unique: unique.map(|number| number + 1), ..me };
            assert!(!other.is_alive());
            assert!(other.open().is_none());
        }
        // One that began within the same tick.
        if let Some(number) = me.unique {
            assert!(!ProcessId { unique: Some(number + 1), ..me }.is_alive());
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EXIT_FILE);
        assert_eq!(load::<ExitRecord>(&path).unwrap(), None);
        let record = ExitRecord { code: 137, oom_killed: true, started_ns: 1, finished_ns: 2 };
        store(&path, &record, true).unwrap();
        assert_eq!(load(&path).unwrap(), Some(record));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // What was there beside it is written over, and nothing of it stays.
        reserve(&path).unwrap();
        let shorter = ExitRecord { code: 1, oom_killed: false, started_ns: 1, finished_ns: 2 };
        store(&path, &shorter, false).unwrap();
        assert_eq!(load(&path).unwrap(), Some(shorter));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
