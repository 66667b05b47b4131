//! What a copy takes over beside the contents.

use super::{Fault, Owner};
use crate::object::Object;
use crate::xattr;
use rustix::fs::{FileType, Stat, Timespec, Timestamps};

/// Gives `to` what `from` has. In this order: changing the owner takes setuid and capabilities away, and an access control
/// list changes the mode.
pub(super) fn take_over(
    from: &Object<'_>,
    stat: &Stat,
    to: &Object<'_>,
    map: &dyn Fn(Owner) -> Owner,
) -> Result<(), Fault> {
    let owner = map(Owner { uid: stat.st_uid, gid: stat.st_gid });
    to.set_owner(owner.uid, owner.gid).map_err(Fault::of("give an owner to"))?;
    for name in from.xattrs().map_err(Fault::of("read the attributes of"))? {
        if !xattr::belongs(name.to_bytes()) {
            continue;
        }
        let value = from.xattr(&name).map_err(Fault::of("read the attributes of"))?;
        let Some(mut value) = value else { continue };
        xattr::map_ids(name.to_bytes(), &mut value, map);
        to.set_xattr(&name, &value).map_err(Fault::of("set the attributes of"))?;
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        to.set_mode(stat.st_mode).map_err(Fault::of("set the mode of"))?;
    }
    to.set_times(&times(stat)).map_err(Fault::of("set the times of"))
}

/// Takes away what the target's folder has of its own: its default access control list would be inherited by every entry.
pub(super) fn clear(to: &Object<'_>) -> Result<(), Fault> {
    for name in to.xattrs().map_err(Fault::of("read the attributes of"))? {
        if xattr::belongs(name.to_bytes()) {
            to.remove_xattr(&name).map_err(Fault::of("clear the attributes of"))?;
        }
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}
