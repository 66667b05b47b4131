//! `freezer`: stopping all processes (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).

use crate::dir::Dir;
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

const STATE: &str = "freezer.state";
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn freeze(dir: &Dir) -> Result<()> {
    if reach(dir, "FROZEN")? {
        return Ok(());
    }
    // Half frozen is worse than running.
    dir.write(STATE, "THAWED")?;
    Err(Error::Timeout { path: dir.path().to_owned(), state: "frozen", millis: PATIENCE.as_millis() })
}

pub(super) fn thaw(dir: &Dir) -> Result<()> {
    if reach(dir, "THAWED")? {
        return Ok(());
    }
    Err(Error::Timeout { path: dir.path().to_owned(), state: "thawed", millis: PATIENCE.as_millis() })
}

pub(super) fn is_frozen(dir: &Dir) -> Result<bool> {
    Ok(dir.read(STATE)?.trim() == "FROZEN")
}

/// There is nothing to poll on. The state is written again each time: a process forked while the group was freezing
/// can be missed, and only another write looks for it.
fn reach(dir: &Dir, state: &str) -> Result<bool> {
    let end = Instant::now() + PATIENCE;
    let mut wait = Duration::from_micros(20);
    loop {
        dir.write(STATE, state)?;
        if dir.read(STATE)?.trim() == state {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_states() {
        let (_folder, dir) = fake(&[(STATE, "THAWED")]);
        assert!(!is_frozen(&dir).unwrap());
        freeze(&dir).unwrap();
        assert!(is_frozen(&dir).unwrap());
    }
}
