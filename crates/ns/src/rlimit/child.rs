//! Raising a limit for a child, which has lost the right to do it itself.

use super::check::above;
use super::{KernelLimit, Rlimit, RlimitError, get};
use rustix::process::{Pid, prlimit};

impl Rlimit {
    /// Raises the hard limit of a child that has the caller's own limits still, where this one's is above them
    /// (prlimit(2)). What the kernel enforces, the soft limit, stays: the child sets it when it is ready for it.
    ///
    /// A child in a user namespace of its own cannot do this: `CAP_SYS_RESOURCE` counts in the first one alone.
    ///
    /// # Errors
    /// [`RlimitError`], with the reason.
    pub fn raise_for_child(&self, pid: u32) -> Result<(), RlimitError> {
        let (wanted, have) = (*self, get(self.resource));
        if !above(self.hard, have.hard) {
            return Ok(());
        }
        self.check()?;
        let raised = KernelLimit { current: have.soft, maximum: self.hard };
        let done = match i32::try_from(pid).ok().and_then(Pid::from_raw) {
            Some(pid) => prlimit(Some(pid), self.resource.to_kernel(), raised).map(drop),
            None => Err(rustix::io::Errno::SRCH),
        };
        done.map_err(|errno| RlimitError::Kernel { wanted, errno })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Resource;
    use crate::rlimit::{Rlimit, RlimitError, get};
    use std::process::{Child, Command, Stdio};

    /// A program that waits for the end of its input.
    struct Waiting(Child);

    impl Waiting {
        fn start() -> Self {
            Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
        }

        /// Soft and hard limit, as /proc has them.
        fn limits(&self, line: &str) -> (String, String) {
            let text = std::fs::read_to_string(format!("/proc/{}/limits", self.0.id())).unwrap();
            let rest = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
            let mut words = rest.split_whitespace().map(str::to_owned);
            (words.next().unwrap(), words.next().unwrap())
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_childs_hard_limit_is_raised_or_the_reason_is_told_and_its_soft_one_stays() {
        const LINE: &str = "Max pending signals";
        let child = Waiting::start();
        let own = get(Resource::Sigpending);
        let before = child.limits(LINE);
        // What is not above is not touched: the child sets it.
        let lower = Rlimit { soft: Some(1), hard: Some(1), ..own };
        lower.raise_for_child(child.0.id()).unwrap();
        assert_eq!(child.limits(LINE), before);
        let Some(hard) = own.hard else { return };
        let higher = Rlimit { soft: Some(hard + 7), hard: Some(hard + 7), ..own };
        match higher.raise_for_child(child.0.id()) {
            Ok(()) => assert_eq!(child.limits(LINE), (before.0, (hard + 7).to_string())),
            Err(error) => {
                assert_eq!(error, RlimitError::AboveHard { wanted: higher, have: Some(hard) });
                assert_eq!(child.limits(LINE), before);
            }
        }
        assert_eq!(get(Resource::Sigpending), own, "the caller's own stays");
    }
}
