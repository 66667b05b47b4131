//! What an engine does for who runs it for others, and for as long as he does.

use crate::{Engine, Result};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// An engine that a daemon can look after, and lay to rest. An ability of its own, for an engine that is reached over a wire is not
/// its client's to end.
pub trait Retire: Engine {
    /// As [`Engine::cleanup`]; and what was made and never started counts as stopped from then on, with the code 0 and the
    /// moment of this call as its end. It can be started as before.
    fn retire(&self, grace: Option<Duration>) -> Result<Vec<String>>;

    /// As [`Engine::apply_restart_policies`], where that has not been done since the machine started or all were
    /// [laid to rest](Self::retire); else nothing. Asks before each start whether it is to go on; where it is not, what is left is for the
    /// next call. Returns the ids of those that were started.
    fn revive(&self, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>>;

    /// Puts right what a monitor of this container left undone that was killed: it gets a new one, or what its policy wants after
    /// its end.
    fn look_after(&self, container: &str) -> Result<LookedAfter>;
}

/// What is to be waited for after a look at a container.
#[derive(Debug)]
pub enum LookedAfter {
    /// The end of the process that watches over it, by whose descriptor poll(2) tells of it.
    Monitor(OwnedFd),
    /// So much time: then there is something to be done.
    Later(Duration),
    /// Nothing: it stands still, or is gone.
    Nobody,
}
