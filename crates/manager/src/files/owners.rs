//! The numbers that owners of a container's files have, seen through its root, and those of the inside.

use crate::ids;
use crate::store::Record;
use tinyd_fs::copy::Owner;

/// Who has no number inside.
const NOBODY: u32 = 65534;

/// How they stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owners {
    /// The number of the inside's root, where that is not 0.
    root: Option<u32>,
}

impl Owners {
    /// They are the same.
    pub(super) const SAME: Self = Self { root: None };

    /// As a container's processes have them on the host.
    pub(super) fn of_processes(record: &Record) -> Self {
        Self { root: record.id_base() }
    }

    /// Who is root inside.
    pub(super) fn root(self) -> Option<u32> {
        self.root
    }

    /// The number inside of who is seen.
    pub(super) fn inside(self, seen: Owner) -> Owner {
        let Some(root) = self.root else { return seen };
        let one = |id: u32| id.checked_sub(root).filter(|id| *id < ids::RANGE).unwrap_or(NOBODY);
        Owner { uid: one(seen.uid), gid: one(seen.gid) }
    }

    /// The number that somebody of the inside is seen by.
    pub(super) fn seen(self, inside: Owner) -> Owner {
        let Some(root) = self.root else { return inside };
        let one = |id: u32| root + if id < ids::RANGE { id } else { NOBODY };
        Owner { uid: one(inside.uid), gid: one(inside.gid) }
    }
}
