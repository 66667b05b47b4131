//! Who makes which mount, and when it is whose turn.
//!
//! The kernel lists the mounts of a namespace in the order in which they were made (since Linux 6.8; in that of their attachment
//! before), and whoever reads `mountinfo` expects that of the configuration there. The parent and the child, who otherwise make theirs
//! at the same time, then wait for one another; each knows the other's part from the plan.

use super::{MountPlan, MountSource};

/// A side of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// For what needs the host's rights or paths.
    Parent,
    /// For what belongs to the container's namespaces.
    Child,
}

impl MountPlan {
    /// Who makes it, one part after the other.
    pub(crate) fn makers(&self) -> &'static [Maker] {
        match &self.source {
            MountSource::New { .. } => &[Maker::Child],
            // A folder, and the hierarchies in it.
            MountSource::Cgroup { views, .. } if !MountSource::is_one_hierarchy(views) => {
                &[Maker::Child, Maker::Parent]
            }
            MountSource::Remount(_) => &[],
            _ => &[Maker::Parent],
        }
    }
}

/// Whose turn it is. It begins with the parent, who makes the root.
pub(crate) struct Turns {
    /// Nobody waits where no order is wanted.
    in_order: bool,
    whose: Maker,
}

impl Turns {
    pub(crate) fn begin(in_order: bool) -> Self {
        Self { in_order, whose: Maker::Parent }
    }

    /// Whether the turn passes to the maker of the next mount.
    pub(crate) fn pass_to(&mut self, maker: Maker) -> bool {
        let passes = self.in_order && self.whose != maker;
        self.whose = maker;
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_turns_pass_where_the_maker_changes() {
        let makers = [Maker::Parent, Maker::Child, Maker::Child, Maker::Parent, Maker::Child];
        let passed = |in_order| {
            let mut turns = Turns::begin(in_order);
            makers.map(|maker| turns.pass_to(maker))
        };
        assert_eq!(passed(true), [false, true, false, true, true]);
        assert_eq!(passed(false), [false; 5]);
    }
}
