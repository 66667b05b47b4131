//! A container's folder below `--root`: what was asked for, and what the kernel calls it.
//!
//! | file | what it is |
//! |---|---|
//! | `config.json` | the bundle's, as it was when the container was created: later changes to it have no effect |
//! | `container.json` | a [`Record`] |
//! | `start`, `told` | the FIFOs of the [gate](crate::init::Gate), until it is started |
//! | `seccomp.bpf` | its compiled filter |
//! | `notify` | a folder that its command sees, with the socket at which it says that it is [ready](super::notify) |
//!
//! The folder itself is locked (flock(2)) by whoever changes it.

use super::Context;
use super::cgroup;
use crate::launch::internal;
use crate::plan::Bundle;
use crate::state::{self, ProcessId};
use crate::{Failure, FailureKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Names of the files.
pub(super) const CONFIG: &str = "config.json";
const RECORD: &str = "container.json";
pub(super) const START: &str = "start";
pub(super) const TOLD: &str = "told";

/// The longest id.
const MAX_ID: usize = 1024;

/// What is kept of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    /// Its control group, as the driver calls it.
    pub(super) cgroup: String,
    /// Groups above it that were made for it.
    #[serde(default)]
    pub(super) above: Vec<String>,
    /// What there was of it before.
    #[serde(default)]
    pub(super) found: Option<cgroup::Found>,
    /// The group is a unit of systemd.
    pub(super) systemd: bool,
    /// Its commands have the session keyring of whoever starts them, and none of its own.
    #[serde(default)]
    pub(super) inherits_keyring: bool,
    /// Nanoseconds since 1970.
    pub(super) created_ns: i64,
    /// Its first process; `None` until there is one.
    pub(super) init: Option<ProcessId>,
    /// That one was not known to be in the container's root: whoever joined it might be in the host's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) half_made: bool,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    /// The specification's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn has_process(self) -> bool {
        matches!(self, Self::Created | Self::Running | Self::Paused)
    }
}

/// A container.
pub(super) struct Container {
    pub(super) folder: PathBuf,
    pub(super) record: Record,
}

impl Container {
    /// Makes the folder of a new one and locks it; until the record has a process it is being created.
    pub(super) fn reserve(context: &Context, record: Record) -> Result<(Self, Lock), Failure> {
        let folder = folder(context, &record.id)?;
        let failed = |error| internal(&format!("make {}", folder.display()), error);
        DirBuilder::new().recursive(true).mode(0o711).create(&context.root).map_err(failed)?;
        match rustix::fs::mkdir(&folder, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let problem = format!("container with the given id {:?} already exists", record.id);
                return Err(Failure::new(FailureKind::Invalid, problem));
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        let container = Self { folder, record };
        let lock = container.lock()?;
        container.save()?;
        Ok((container, lock))
    }

    /// Finds one.
    pub(super) fn open(context: &Context, id: &str) -> Result<Self, Failure> {
        let folder = folder(context, id)?;
        let missing = || Failure::new(FailureKind::NotRunning, format!("container {id:?} does not exist"));
        // A link is no folder of ours, wherever it leads.
        if !folder.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(missing());
        }
        let record = state::load(&folder.join(RECORD))
            .map_err(|error| internal(&format!("read {}", folder.join(RECORD).display()), error))?
            .ok_or_else(missing)?;
        Ok(Self { folder, record })
    }

    /// Removes the folder of one that has no record: whoever made or removed it was killed at that, before there was more or after it
    /// was taken away. Tells whether there was one.
    pub(super) fn clear_remains(context: &Context, id: &str) -> Result<bool, Failure> {
        let folder = folder(context, id)?;
        let failed = |errno: Errno| internal(&format!("lock {}", folder.display()), errno);
        let lock = match lock(&folder) {
            Ok(lock) => lock,
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(false),
            Err(errno) => return Err(failed(errno)),
        };
        // Whoever was at it has written its record meanwhile.
        if folder.join(RECORD).exists() {
            return Ok(false);
        }
        remove(&folder)?;
        drop(lock);
        Ok(true)
    }

    /// Removes its folder, the record last: as long as that is there, all of this can be done again.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name() != RECORD) {
            remove(&entry.path())?;
        }
        remove(&self.folder)
    }

    /// All that there are, by their ids.
    pub(super) fn all(context: &Context) -> Vec<Self> {
        let entries = std::fs::read_dir(&context.root).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names.iter().filter_map(|name| Self::open(context, name).ok()).collect()
    }

    /// Writes the record.
    pub(super) fn save(&self) -> Result<(), Failure> {
        let path = self.folder.join(RECORD);
        state::store(&path, &self.record, false)
            .map_err(|error| internal(&format!("write {}", path.display()), error))
    }

    /// The configuration that it was created with.
    pub(super) fn bundle(&self) -> Result<Bundle, Failure> {
        Bundle::load(&self.folder).map(Bundle::of_another_engine)
    }

    /// Waits for the lock.
    pub(super) fn lock(&self) -> Result<Lock, Failure> {
        lock(&self.folder).map_err(|errno| internal(&format!("lock {}", self.folder.display()), errno))
    }

    /// A descriptor of its first process, if that has not ended.
    pub(super) fn process(&self) -> Option<OwnedFd> {
        let pidfd = self.record.init?.open()?;
        (!has_ended(&pidfd)).then_some(pidfd)
    }

    /// Where it is in its life, as the kernel has it.
    pub(super) fn status(&self) -> Status {
        if self.record.init.is_none() {
            return if self.is_locked() { Status::Creating } else { Status::Stopped };
        }
        if self.process().is_none() {
            return Status::Stopped;
        }
        if self.record.half_made && self.is_locked() {
            return Status::Creating;
        }
        // A host that cannot freeze has no group that is frozen.
        if cgroup::open(&self.record).is_ok_and(|group| group.is_frozen().unwrap_or(false)) {
            return Status::Paused;
        }
        if self.waits() { Status::Created } else { Status::Running }
    }

    fn is_locked(&self) -> bool {
        open(&self.folder).is_ok_and(|folder| flock(&folder, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Whether its first process waits to be started: then it has the FIFO open.
    fn waits(&self) -> bool {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(self.folder.join(START), flags, Mode::empty()).is_ok()
    }

    pub(super) fn pid(&self) -> u32 {
        self.record.init.map_or(0, |init| init.pid)
    }
}

/// A folder's lock, until this goes.
pub(super) struct Lock(#[allow(dead_code, reason = "it is held, not used")] OwnedFd);

/// Opens a folder, behind no link.
pub(super) fn open(folder: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty())
}

fn lock(folder: &Path) -> rustix::io::Result<Lock> {
    let folder = open(folder)?;
    rustix::io::retry_on_intr(|| flock(&folder, FlockOperation::LockExclusive))?;
    Ok(Lock(folder))
}

fn remove(path: &Path) -> Result<(), Failure> {
    tinyd_fs::remove_tree(path).map_err(|error| {
        Failure::new(FailureKind::Internal, format!("remove {}", path.display())).caused_by(&error)
    })
}

/// Whether a process has ended, whoever its parent is.
pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
    wait_for_end(pidfd, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// Waits so long for its end.
pub(super) fn wait_for_end(pidfd: &OwnedFd, patience: Timespec) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&patience))).is_ok_and(|ready| ready > 0)
}

/// An id is the name of a folder.
fn folder(context: &Context, id: &str) -> Result<PathBuf, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    let is_folder = matches!(id, "" | "." | "..");
    if is_folder || id.len() > MAX_ID || !id.chars().all(is_plain) {
        let problem = format!("{id:?} is no container id: letters, digits and _ + - . are");
        return Err(Failure::new(FailureKind::Invalid, problem));
    }
    Ok(context.root.join(Path::new(id)))
}
