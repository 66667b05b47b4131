//! The right to serve a network's names, and in the same file who has it and what is served where.
//!
//! The file stays when its server ends: a network whose server once had to take another port than 53 keeps that one, for the
//! firewall leads there.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use tinyd_net::names::ServerSpec;
use tinyd_runtime::state::ProcessId;

/// The most that is read of a record.
const LONGEST: usize = 64 * 1024;

/// What is known of a server, also of one that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The server: monitors watch it.
    pub(super) process: ProcessId,
    /// Where it is asked.
    pub(super) listen: Vec<SocketAddr>,
    /// What it was started for.
    pub(super) network: ServerSpec,
}

/// The file, open.
#[derive(Debug)]
pub(super) struct Lock(File);

/// That of the network whose names are in a folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

impl Lock {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        Ok(Self(file.into()))
    }

    /// That of a network that has one: one that was removed stays so.
    pub(super) fn of_known(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?.into()))
    }

    /// False when somebody else holds it.
    pub(super) fn try_hold(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn give_back(&self) -> io::Result<()> {
        Ok(flock(&self.0, FlockOperation::Unlock)?)
    }

    /// What was written last; `None` where that is nothing, or is being written.
    pub(super) fn read(&self) -> Option<Record> {
        let mut text = vec![0; LONGEST];
        let length = self.0.read_at(&mut text, 0).ok()?;
        serde_json::from_slice(&text[..length]).ok()
    }

    /// In place, for the lock is the file's: whoever reads half of it takes it for nothing. (Emptied first, the file would have
    /// to be on the disk before it is closed, where the folder is on one.)
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        self.0.write_all_at(&text, 0)?;
        self.0.set_len(text.len() as u64)
    }
}

impl From<OwnedFd> for Lock {
    fn from(file: OwnedFd) -> Self {
        Self(file.into())
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_what_a_server_was_is_read_by_others_also_when_it_is_no_more() {
        let place = tempfile::tempdir().unwrap();
        let path = path(&place.path().join("web"));
        assert!(Lock::of_known(&path).is_err(), "there is no such network");
        let held = Lock::open(&path).unwrap();
        assert_eq!(held.read(), None);
        assert!(held.try_hold().unwrap());
        let mut record = Record {
            process: ProcessId::of(std::process::id()).unwrap(),
            listen: vec!["10.0.0.1:4000".parse().unwrap()],
            network: ServerSpec {
                listen: vec!["10.0.0.1:53".parse().unwrap()],
                folder: place.path().join("web"),
                subnets: vec!["10.0.0.0/24".parse().unwrap()],
                resolv_conf: "/etc/resolv.conf".into(),
                internal: false,
            },
        };
        held.write(&record).unwrap();
        let other = Lock::of_known(&path).unwrap();
        assert!(!other.try_hold().unwrap());
        assert_eq!(other.read().as_ref(), Some(&record));
        // A shorter one leaves nothing of a longer one.
        record.network.subnets.clear();
        held.write(&record).unwrap();
        assert_eq!(other.read().as_ref(), Some(&record));
        drop(held);
        assert!(other.try_hold().unwrap());
        assert_eq!(other.read(), Some(record));
    }
}
