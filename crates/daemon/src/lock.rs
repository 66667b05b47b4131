//! One daemon for each root: a lock that ends with the process, however it ends.

use crate::Error;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long who was started by a dead one may hold its lock.
const PATIENCE: Duration = Duration::from_millis(800);

/// The right to be the daemon of a root. The file stays: an unlinked lock would let two have "the same" one.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says at once who has it. Where that one is dead, a program that it was just starting has the lock for as long as
    /// it has not become that program.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let failed = |operation| move |source| Error::File { operation, path: path.to_owned(), source };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
            .map_err(|errno| failed("open the lock")(errno.into()))?;
        let mut file = File::from(file);
        let deadline = Instant::now() + PATIENCE;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != Errno::WOULDBLOCK {
                return Err(failed("lock")(errno.into()));
            }
            let mut text = String::new();
            let _ = file.rewind().and_then(|()| (&mut file).take(20).read_to_string(&mut text));
            let pid: String = text.chars().take_while(char::is_ascii_digit).collect();
            if !is_gone(&pid) || Instant::now() > deadline {
                return Err(Error::Taken { lock: path.to_owned(), pid });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write"))?;
        Ok(Self { _file: file })
    }
}

/// Whether there is no process of this number. What is no number is no dead one's.
fn is_gone(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_dead_ones_lock_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.lock");
        let first = Lock::take(&path).unwrap();
        // No process has the largest number there could be.
        std::fs::write(&path, "4194304\n").unwrap();
        let copy = first._file.as_fd().try_clone_to_owned().unwrap();
        drop(first);
        let starting = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(copy);
        });
        drop(Lock::take(&path).unwrap());
        starting.join().unwrap();
        // One that is there is not waited for.
        let first = Lock::take(&path).unwrap();
        let before = Instant::now();
        assert!(Lock::take(&path).is_err() && before.elapsed() < PATIENCE / 2);
        drop(first);
    }

    #[test]
    fn the_second_is_told_who_has_it_and_the_next_gets_it() {
        let path = std::env::temp_dir().join(format!("tinyd-daemon-{}.lock", std::process::id()));
        let first = Lock::take(&path).unwrap();
        let own = std::process::id().to_string();
        assert!(matches!(Lock::take(&path), Err(Error::Taken { pid, .. }) if pid == own));
        drop(first);
        drop(Lock::take(&path).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
