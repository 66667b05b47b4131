//! Limits of the command's processes (setrlimit(2)), as far as the parent has to do with them.
//!
//! The child sets them itself, last of all: it needs its own means until then. But to raise one above what it inherited
//! takes `CAP_SYS_RESOURCE` in the first user namespace, and a child with mapped ids has lost that as soon as it is in its
//! own. So its parent raises the hard limits, while the child waits to hear who it is to become.

use crate::{Failure, FailureKind};
use tinyd_ns::rlimit::{Rlimit, RlimitError};

/// Whether all of them can be had: asked before anything is made.
pub(crate) fn check(limits: &[Rlimit]) -> Result<(), Failure> {
    limits.iter().try_for_each(Rlimit::check).map_err(|error| refused(&error))
}

/// Raises those that are above what the child inherited. Before it is told its identity: with that it goes on to set them.
pub(crate) fn raise(limits: &[Rlimit], pid: u32) -> Result<(), Failure> {
    limits.iter().try_for_each(|limit| limit.raise_for_child(pid)).map_err(|error| refused(&error))
}

/// A limit that cannot be had.
pub(super) fn refused(error: &RlimitError) -> Failure {
    let kind = match error {
        RlimitError::AboveHard { .. } => FailureKind::Permission,
        RlimitError::Kernel { errno, .. } => super::explain::kind(*errno),
        _ => FailureKind::Invalid,
    };
    Failure::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_ns::caps::{CapSets, Capability};
    use tinyd_ns::rlimit::{Resource, get};

    /// A hard limit that there is, and one more.
    fn above() -> Option<Rlimit> {
        let own = get(Resource::Sigpending);
        let more = own.hard?.checked_add(1)?;
        Some(Rlimit { soft: own.soft, hard: Some(more), ..own })
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_the_reason_before_a_child_is_there() {
        let Some(limit) = above() else { return };
        let may = CapSets::current().unwrap().effective.contains(Capability::SysResource);
        match check(&[get(Resource::Core), limit]) {
            Ok(()) => assert!(may),
            Err(failure) => {
                assert!(!may);
                assert_eq!(failure.kind, FailureKind::Permission);
                for word in ["RLIMIT_SIGPENDING", "CAP_SYS_RESOURCE", "hard limit here is"] {
                    assert!(failure.message.contains(word), "{}", failure.message);
                }
            }
        }
        let files = Rlimit { resource: Resource::Nofile, soft: Some(1), hard: None };
        let failure = check(&[files]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains("fs.nr_open"), "{}", failure.message);
    }

    /// In the parent's code each of these calls stands before the next: what is raised after the child was told its identity
    /// would come too late.
    #[test]
    fn limits_are_checked_before_the_clone_and_raised_before_the_child_goes_on() {
        let order = |source: &str, words: &[&str]| {
            let places: Vec<_> = words.iter().map(|word| source.find(word).ok_or(*word).unwrap()).collect();
            assert!(places.is_sorted(), "{words:?} stand at {places:?}");
        };
        let launch = include_str!("../launch.rs");
        order(launch, &["limits::check(", "make_cgroup(request", "between::spawn(", "prepare_for(pid"]);
        order(launch, &["map_ids(plan, pid", "limits::raise(", "send_identity(channel, &identity)"]);
        let exec = include_str!("../exec/enter.rs");
        order(exec, &["limits::check(", ".spawn()", "limits::raise(", "launch::send_identity("]);
    }
}
