//! One daemon for each root: a lock that ends with the process, however it ends.

use crate::Error;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// The right to be the daemon of a root. The file stays: an unlinked lock would let two have "the same" one.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says at once who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let failed = |operation| move |source| Error::File { operation, path: path.to_owned(), source };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
            .map_err(|errno| failed("open the lock")(errno.into()))?;
        let mut file = File::from(file);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let _ = (&mut file).take(20).read_to_string(&mut pid);
                let pid = pid.chars().take_while(char::is_ascii_digit).collect();
                return Err(Error::Taken { lock: path.to_owned(), pid });
            }
            Err(errno) => return Err(failed("lock")(errno.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write"))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
