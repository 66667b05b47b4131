//! The end of an engine's work, for who runs it for others.

use crate::{Engine, Result};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// An engine whose containers can be laid to rest for good, as a daemon does that is told to end. An ability of its own, for
/// an engine that is reached over a wire is not its client's to end.
pub trait Retire: Engine {
    /// As [`Engine::cleanup`]; and what was made and never started counts as stopped from then on, with the code 0 and the
    /// moment of this call as its end. It can be started as before.
    fn retire(&self, grace: Option<Duration>) -> Result<Vec<String>>;

    /// As [`Engine::apply_restart_policies`], where that has not been done since the machine started or all were
    /// [laid to rest](Self::retire); else nothing. Returns the ids of those that were started.
    fn revive(&self) -> Result<Vec<String>>;

    /// Puts right what a monitor of this container left undone that was killed: it gets a new one, or what its policy wants after
    /// its end. Gives a descriptor of the process that watches over it now, which can be read when that has ended; `None` where
    /// nobody does, for it stands still or is gone.
    fn look_after(&self, container: &str) -> Result<Option<OwnedFd>>;
}
