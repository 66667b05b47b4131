//! The files that belong to no controller: freezing, and whether a group is populated.

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::flat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const FREEZE: &str = "cgroup.freeze";
const EVENTS: &str = "cgroup.events";
const TOO_OLD: &str = "use Linux 5.2 or newer";
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn freeze(dir: &Dir) -> Result<()> {
    dir.write_known("core", FREEZE, "1", TOO_OLD)?;
    if wait_frozen(dir, true)? {
        return Ok(());
    }
    // Half frozen is worse than running.
    dir.write(FREEZE, "0")?;
    Err(Error::Timeout { path: dir.path().to_owned(), state: "frozen", millis: PATIENCE.as_millis() })
}

pub(super) fn thaw(dir: &Dir) -> Result<()> {
    dir.write_known("core", FREEZE, "0", TOO_OLD)?;
    if wait_frozen(dir, false)? {
        return Ok(());
    }
    Err(Error::Timeout { path: dir.path().to_owned(), state: "thawed", millis: PATIENCE.as_millis() })
}

pub(super) fn is_frozen(dir: &Dir) -> Result<bool> {
    event(dir, &dir.read(EVENTS)?, "frozen")
}

pub(super) fn is_populated(dir: &Dir) -> Result<bool> {
    event(dir, &dir.read(EVENTS)?, "populated")
}

fn event(dir: &Dir, text: &str, key: &str) -> Result<bool> {
    match flat::values(text, [key])[0] {
        Some(value) => Ok(value != 0),
        None => Err(Error::Parse { path: dir.file(EVENTS), text: text.to_owned() }),
    }
}

/// The kernel notifies readers of cgroup.events by POLLPRI.
fn wait_frozen(dir: &Dir, wanted: bool) -> Result<bool> {
    let failed = |e: Errno| Error::Read { path: dir.file(EVENTS), source: e.into() };
    let file = dir.open_file(EVENTS, OFlags::RDONLY)?;
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 256];
    loop {
        let length = rustix::io::pread(&file, &mut buffer, 0).map_err(failed)?;
        if event(dir, &String::from_utf8_lossy(&buffer[..length]), "frozen")? == wanted {
            return Ok(true);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.as_millis().min(500) as i64 * 1_000_000 + 1 };
        match poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_events() {
        let (_folder, dir) = fake(&[(EVENTS, "populated 1\nfrozen 0\n")]);
        assert!(is_populated(&dir).unwrap());
        assert!(!is_frozen(&dir).unwrap());
        let (_folder, dir) = fake(&[(EVENTS, "populated 1\n")]);
        assert!(matches!(is_frozen(&dir), Err(Error::Parse { .. })));
    }

    #[test]
    fn pure_freeze_writes_waits_and_gives_up_thawed() {
        let (folder, dir) = fake(&[(EVENTS, "populated 1\nfrozen 1\n"), (FREEZE, "")]);
        freeze(&dir).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(FREEZE)).unwrap(), "1");

        let (folder, dir) = fake(&[(EVENTS, "populated 1\nfrozen 0\n"), (FREEZE, "")]);
        assert!(matches!(freeze(&dir), Err(Error::Timeout { state: "frozen", .. })));
        assert_eq!(std::fs::read_to_string(folder.path().join(FREEZE)).unwrap(), "0");

        let (_folder, dir) = fake(&[("cgroup.procs", "")]);
        assert!(freeze(&dir).unwrap_err().to_string().contains("Linux 5.2"));
    }
}
