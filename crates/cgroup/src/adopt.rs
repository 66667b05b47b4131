//! Whether a group that somebody else has made can be taken.

use crate::error::{Error, Result};
use crate::{Cgroup, Limits};

/// Sees that `there`, what the driver has found, is nobody's, and that the limits can be written to it.
pub(crate) fn check(there: Result<Box<dyn Cgroup>>, limits: &Limits) -> Result<()> {
    let group = match there {
        Ok(group) => group,
        Err(error) if error.is_not_found() => return limits.check_new(),
        Err(error) => return Err(error),
    };
    limits.check()?;
    let refused = |reason| Err(Error::NotFree { path: group.path().to_string(), reason });
    if group.is_populated()? {
        return refused("it has processes, or a group below it has: stop them, or take another group");
    }
    // Where nothing can freeze nothing is frozen.
    if matches!(group.is_frozen(), Ok(true)) {
        return refused("it is frozen, and so would be whatever joins it: thaw it first");
    }
    Ok(())
}
