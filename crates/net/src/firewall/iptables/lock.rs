//! One who reads rules and changes them at a time: iptables(8) has nothing by which a change could depend on what was read.
//!
//! A program that changes rules holds the lock with whoever started it. It goes on when that one is killed, and who cleans up
//! then must not look before it has ended.

use rustix::fs::{FlockOperation, OFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How often a file that goes while it is waited for is made anew.
const PATIENCE: usize = 200;

/// The lock, for as long as this is there.
pub(super) struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// Waits for it. The file is made where it is not there, for root alone: whoever can open it could hold it for ever.
    pub(super) fn wait(path: &Path) -> io::Result<Self> {
        for _ in 0..PATIENCE {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            // (Its folder may go meanwhile.)
            if let Some(held) = Self::open(path, true)? {
                return Ok(held);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Waits for it where its file is there: where it is not, nobody holds it.
    pub(super) fn wait_if_there(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..PATIENCE {
            if let Some(held) = Self::open(path, false)? {
                return Ok(Some(held));
            }
            if !path.exists() {
                return Ok(None);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// `None` where the file that was waited for is not there any more.
    fn open(path: &Path, make: bool) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        options.create(make).truncate(false).write(true).mode(0o600).custom_flags(flags);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))?;
        let own = file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => {
                Ok(Some(Self { path: path.to_owned(), file }))
            }
            // Who held it before has removed it: somebody else may have the next one.
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another hold of the same lock, for a program.
    pub(super) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Lets go of it, and leaves no file.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn pure_one_at_a_time_holds_it_though_its_file_goes_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/lock");
        let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..50 {
                        let held = Held::wait(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                        if turn % 2 == 0 {
                            held.remove();
                        }
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 200);
        let held = Held::wait_if_there(&path).unwrap();
        let held = held.unwrap_or_else(|| Held::wait(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        held.remove();
        assert!(Held::wait_if_there(&path).unwrap().is_none() && !path.exists());
    }
    #[test]
    fn pure_a_program_that_has_it_holds_it_when_nobody_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Held::wait(&path).unwrap();
        let mut program = std::process::Command::new("/bin/sh");
        program.args(["-c", "sleep 0.3; : > done"]).current_dir(folder.path()).stdout(held.share().unwrap());
        let mut child = program.spawn().unwrap();
        // As when this process was killed: all of its descriptors are closed.
        drop((held, program));
        drop(Held::wait_if_there(&path).unwrap().unwrap());
        assert!(folder.path().join("done").exists(), "it was waited for no longer than its parent lived");
        child.wait().unwrap();
    }
}
