//! Killing by a list of process ids, without ever hitting a process that took over a number.

use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;

/// Rounds against a group that goes on forking; a frozen one needs two.
const ROUNDS: usize = 200;

/// Descriptors held at a time: the usual limit is 1,024.
const BATCH: usize = 256;

/// Sends SIGKILL to every process that `list` names, until it names no new one.
///
/// A number can be taken over by a stranger between reading and signalling. So the process is pinned by a pidfd first
/// and signalled only when the list, read **again**, still names it: whoever has the number then is in the group.
pub(crate) fn kill_listed(group: &str, list: &dyn Fn() -> Result<BTreeSet<u32>>) -> Result<()> {
    let mut signalled = BTreeSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<u32> = list()?.difference(&signalled).copied().collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for batch in fresh.chunks(BATCH) {
            let mut pinned = Vec::with_capacity(batch.len());
            for &pid in batch {
                match i32::try_from(pid)
                    .ok()
                    .and_then(Pid::from_raw)
                    .map(|p| pidfd_open(p, PidfdFlags::empty()))
                {
                    Some(Ok(fd)) => pinned.push((pid, fd)),
                    None | Some(Err(Errno::SRCH)) => {}
                    Some(Err(e)) => return Err(Error::Signal { pid, source: e.into() }),
                }
            }
            let still = list()?;
            for (pid, fd) in pinned {
                if still.contains(&pid) {
                    match pidfd_send_signal(&fd, Signal::KILL) {
                        Ok(()) | Err(Errno::SRCH) => signalled.insert(pid),
                        Err(e) => return Err(Error::Signal { pid, source: e.into() }),
                    };
                }
            }
        }
    }
    Err(Error::StillForking { path: group.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn pure_kills_the_listed_and_spares_one_that_left_the_list() {
        let mut stays = Command::new("sleep").arg("100").spawn().unwrap();
        let mut leaves = Command::new("sleep").arg("100").spawn().unwrap();
        let round = Cell::new(0);
        let (kept, left) = (stays.id(), leaves.id());
        // The second process stands in the first list only, as if its number had been taken over since.
        let list = || {
            round.set(round.get() + 1);
            Ok(if round.get() == 1 { BTreeSet::from([kept, left]) } else { BTreeSet::from([kept]) })
        };
        let result = kill_listed("test", &list);
        let spared = leaves.try_wait().unwrap().is_none();
        leaves.kill().unwrap();
        leaves.wait().unwrap();
        let status = stays.wait().unwrap();
        result.unwrap();
        assert!(spared);
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn pure_a_process_that_is_gone_is_no_error() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let pid = child.id();
        let round = Cell::new(0);
        kill_listed("test", &|| {
            round.set(round.get() + 1);
            Ok(if round.get() < 3 { BTreeSet::from([pid]) } else { BTreeSet::new() })
        })
        .unwrap();
    }
}
