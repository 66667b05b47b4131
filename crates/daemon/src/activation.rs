//! Sockets that a service manager has opened: sd_listen_fds(3).
//!
//! They are descriptors from 3 on, which are taken as copies by pidfd_getfd(2): that needs no promise that nobody else owns
//! them. The originals stay open until the process ends, as the service manager's own do.

use crate::Error;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::os::fd::{OwnedFd, RawFd};

const FIRST: RawFd = 3;

/// The sockets that were passed on, each with its name (`FileDescriptorName=` of systemd.socket(5)).
pub(crate) struct Passed(Vec<(String, OwnedFd)>);

impl Passed {
    /// Those of this process.
    pub(crate) fn take() -> Result<Self, Error> {
        let failed = |errno: rustix::io::Errno| Error::System {
            operation: "take a socket over",
            source: errno.into(),
        };
        let variable = |name| std::env::var(name).unwrap_or_default();
        let own = std::process::id();
        let names =
            wanted(&variable("LISTEN_PID"), &variable("LISTEN_FDS"), &variable("LISTEN_FDNAMES"), own);
        if names.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let me = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed)?;
        let take = |(name, fd)| {
            pidfd_getfd(&me, fd, PidfdGetfdFlags::empty()).map(|copy| (name, copy)).map_err(failed)
        };
        names.into_iter().zip(FIRST..).map(take).collect::<Result<_, _>>().map(Self)
    }

    /// The first of that name.
    pub(crate) fn named(&mut self, name: &str) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// The names of the sockets, in order; none where they are another process's.
fn wanted(pid: &str, count: &str, names: &str, own: u32) -> Vec<String> {
    if pid.parse() != Ok(own) {
        return Vec::new();
    }
    let count = count.parse::<usize>().unwrap_or(0).min(64);
    let mut names = names.split(':').map(str::to_owned);
    (0..count).map(|_| names.next().unwrap_or_else(|| "unknown".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_are_taken() {
        assert_eq!(wanted("7", "2", "web:grpc", 7), ["web", "grpc"]);
        assert_eq!(wanted("7", "2", "web", 7), ["web", "unknown"]);
        assert_eq!(wanted("8", "2", "web:grpc", 7), [""; 0]);
        assert_eq!(wanted("", "", "", 7), [""; 0]);
        assert_eq!(wanted("7", "-1", "web", 7), [""; 0]);
    }
}
