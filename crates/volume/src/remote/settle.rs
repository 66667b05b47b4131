//! Where the programs belong that run as long as a mount: not where their caller lives, whose end or limits are nothing to the
//! containers that use the volume.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Tells the files that a program which writes `0` to each belongs there by: the lists of processes of a control group. It is
/// asked when one is started.
#[derive(Clone)]
pub(super) struct Settle(Arc<dyn Fn() -> Vec<PathBuf> + Send + Sync>);

impl Settle {
    pub(super) fn new(places: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static) -> Self {
        Self(Arc::new(places))
    }

    pub(super) fn places(&self) -> Vec<PathBuf> {
        (self.0)()
    }
}

impl fmt::Debug for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settle")
    }
}
