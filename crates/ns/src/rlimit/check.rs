//! Whether the caller may set a limit, and why not, in words: the kernel answers a bare EPERM for two reasons.

use super::{Rlimit, Shown, get};
use crate::caps::{CapSets, Capability};
use crate::rlimit::Resource;

/// The ceiling of every RLIMIT_NOFILE, whoever sets it.
const NR_OPEN: &str = "/proc/sys/fs/nr_open";

/// A limit that the caller cannot set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RlimitError {
    /// The soft limit is above the hard one.
    #[error("cannot set {0}: its soft limit is above its hard limit")]
    SoftAboveHard(Rlimit),
    /// It would raise the hard limit, which takes a capability.
    #[error(
        "cannot set {wanted}: the hard limit here is {}, and to raise it takes CAP_SYS_RESOURCE, which the caller does \
         not have; ask for that much at most, or raise the limit of whoever starts it",
        Shown(*have)
    )]
    AboveHard {
        /// What was asked for.
        wanted: Rlimit,
        /// The hard limit there is.
        have: Option<u64>,
    },
    /// More open files than the kernel gives any process.
    #[error("cannot set {wanted}: no process may have more than {most} files open (fs.nr_open)")]
    AboveNrOpen {
        /// What was asked for.
        wanted: Rlimit,
        /// The sysctl.
        most: u64,
    },
    /// The kernel says no, for no reason known here.
    #[error("cannot set {wanted}: {errno}")]
    Kernel {
        /// What was asked for.
        wanted: Rlimit,
        /// What setrlimit(2) says.
        errno: rustix::io::Errno,
    },
}

impl Rlimit {
    /// Whether the calling process may set the limit now.
    ///
    /// `CAP_SYS_RESOURCE` counts in the first user namespace alone: within another one the kernel may still refuse.
    ///
    /// # Errors
    /// [`RlimitError`], with the reason.
    pub fn check(&self) -> Result<(), RlimitError> {
        let wanted = *self;
        if above(self.soft, self.hard) {
            return Err(RlimitError::SoftAboveHard(wanted));
        }
        if self.resource == Resource::Nofile
            && let Some(most) = nr_open()
            && above(self.hard, Some(most))
        {
            return Err(RlimitError::AboveNrOpen { wanted, most });
        }
        let have = get(self.resource).hard;
        let may_raise = CapSets::current().is_ok_and(|sets| sets.effective.contains(Capability::SysResource));
        if above(self.hard, have) && !may_raise {
            return Err(RlimitError::AboveHard { wanted, have });
        }
        Ok(())
    }

    /// Sets the limit for the calling process.
    ///
    /// # Errors
    /// [`RlimitError`], with the reason.
    pub fn apply(&self) -> Result<(), RlimitError> {
        self.check()?;
        self.set().map_err(|errno| RlimitError::Kernel { wanted: *self, errno })
    }
}

pub(super) fn above(limit: Option<u64>, other: Option<u64>) -> bool {
    limit.unwrap_or(u64::MAX) > other.unwrap_or(u64::MAX)
}

fn nr_open() -> Option<u64> {
    std::fs::read_to_string(NR_OPEN).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::{self, CapSet};

    /// On a thread of its own: capabilities belong to threads.
    fn without_capabilities(body: impl FnOnce() + Send + 'static) {
        let confined = std::thread::spawn(|| {
            caps::set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY).unwrap();
            body();
        });
        confined.join().unwrap();
    }

    #[test]
    fn raising_a_limit_without_the_right_is_an_error_with_a_reason() {
        without_capabilities(|| {
            for &resource in Resource::ALL {
                let Some(hard) = get(resource).hard else { continue };
                if resource == Resource::Nofile && nr_open().is_some_and(|most| hard >= most) {
                    continue;
                }
                let wanted = Rlimit { resource, soft: Some(hard), hard: Some(hard + 1) };
                let error = wanted.apply().unwrap_err();
                assert_eq!(error, RlimitError::AboveHard { wanted, have: Some(hard) });
                let text = error.to_string();
                assert!(text.contains(resource.name()) && text.contains("CAP_SYS_RESOURCE"), "{text}");
                assert!(text.contains(&format!("is {hard},")), "{text}");
                assert!(wanted.set().is_err(), "the kernel agrees");
            }
        });
    }

    #[test]
    fn other_reasons_are_told_apart() {
        let wanted = Rlimit { resource: Resource::Core, soft: Some(2), hard: Some(1) };
        assert_eq!(wanted.check(), Err(RlimitError::SoftAboveHard(wanted)));
        let wanted = Rlimit { resource: Resource::Nofile, soft: Some(1), hard: None };
        assert_eq!(wanted.check(), Err(RlimitError::AboveNrOpen { wanted, most: nr_open().unwrap() }));
    }

    #[test]
    fn what_is_there_already_can_be_set_again() {
        without_capabilities(|| {
            for &resource in Resource::ALL {
                get(resource).apply().unwrap();
            }
        });
    }
}
