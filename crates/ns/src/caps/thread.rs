//! The capability sets of the calling thread. All functions here are child-side.

use rustix::io::{Errno, Result};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits,
    capability_is_in_ambient_set, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_keep_capabilities,
};

use super::{CapSet, Capability};

/// The highest number a capability can have in the kernel's 64-bit sets.
const LAST_BIT: u32 = 63;

/// The five capability sets of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapSets {
    /// What the thread and its programs can ever regain.
    pub bounding: CapSet,
    /// What counts in the kernel's checks.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// What stays across an exec of a program that has the same file capability.
    pub inheritable: CapSet,
    /// What stays across an exec of any program.
    pub ambient: CapSet,
}

impl CapSets {
    /// The sets of a container's process that was given `caps`: bounded by them, with all of them at hand if it is root
    /// and none otherwise.
    ///
    /// Inheritable and ambient are empty: engines that filled them let any user of a container gain what file
    /// capabilities name (CVE-2022-24769 and its kin).
    #[must_use]
    pub const fn container(caps: CapSet, root: bool) -> CapSets {
        let held = if root { caps } else { CapSet::EMPTY };
        CapSets {
            bounding: caps,
            effective: held,
            permitted: held,
            inheritable: CapSet::EMPTY,
            ambient: CapSet::EMPTY,
        }
    }

    /// The sets of the calling thread, of the capabilities this crate knows. Child-side.
    ///
    /// # Errors
    /// What capget(2) says.
    pub fn current() -> Result<CapSets> {
        let held = capabilities(None)?;
        let ambient = CapSet::all()
            .iter()
            .filter(|&cap| capability_is_in_ambient_set(CapSet::EMPTY.with(cap).to_kernel()) == Ok(true));
        Ok(CapSets {
            bounding: CapSet::bounding(),
            effective: CapSet::from_bits(held.effective.bits()),
            permitted: CapSet::from_bits(held.permitted.bits()),
            inheritable: CapSet::from_bits(held.inheritable.bits()),
            ambient: ambient.collect(),
        })
    }
}

/// Takes everything but `keep` out of the bounding set, capabilities unknown to this crate included. Child-side.
///
/// What is not there is not asked for, so that a thread without `CAP_SETPCAP` can still "drop" to the set it has.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn drop_bounding(keep: CapSet) -> Result<()> {
    for bit in (0..=LAST_BIT).filter(|bit| keep.bits() & 1 << bit == 0) {
        let cap = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(cap) {
            Ok(true) => remove_capability_from_bounding_set(cap)?,
            Ok(false) => {}
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Sets the permitted, effective and inheritable sets at once: capset(2). Child-side.
///
/// # Errors
/// `EPERM` if the sets would add to what the thread may have.
pub fn set(permitted: CapSet, effective: CapSet, inheritable: CapSet) -> Result<()> {
    let sets = CapabilitySets {
        effective: effective.to_kernel(),
        permitted: permitted.to_kernel(),
        inheritable: inheritable.to_kernel(),
    };
    set_capabilities(None, sets)
}

/// A capability that does not count for the calling thread while this lives. Child-side.
#[derive(Debug)]
pub struct Suspended {
    before: Option<CapabilitySets>,
}

impl Suspended {
    /// Takes it out of the effective set, if it is there. Where it cannot be taken out nothing is changed.
    pub fn begin(cap: Capability) -> Suspended {
        let cap = CapSet::EMPTY.with(cap).to_kernel();
        let held = capabilities(None).ok().filter(|held| held.effective.contains(cap));
        let less = |held: &CapabilitySets| CapabilitySets { effective: held.effective - cap, ..*held };
        Suspended { before: held.filter(|held| set_capabilities(None, less(held)).is_ok()) }
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // It is permitted still, so that this cannot fail.
            let _ = set_capabilities(None, before);
        }
    }
}

/// Makes `ambient` the ambient set. Child-side.
///
/// # Errors
/// `EPERM` for what is not both permitted and inheritable.
pub fn set_ambient(ambient: CapSet) -> Result<()> {
    clear_ambient_capability_set()?;
    for bit in 0..=LAST_BIT {
        if ambient.bits() & 1 << bit != 0 {
            configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << bit), true)?;
        }
    }
    Ok(())
}

/// Whether the permitted set outlives the change from root to another user (the effective one never does). Child-side.
///
/// The kernel forgets it at the next exec.
///
/// # Errors
/// `EPERM` if the secure bits lock it.
pub fn keep_caps(keep: bool) -> Result<()> {
    set_keep_capabilities(keep)
}

/// Whether the capabilities stay as they are when the thread's user ids, the file system's among them, change between
/// root and another. Child-side.
///
/// For a parent that makes files as a mapped root: without it, `setfsuid` to a user other than root takes away
/// `CAP_DAC_OVERRIDE`, `CAP_MKNOD` and the other file capabilities.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, or if the secure bits lock it.
pub fn set_no_setuid_fixup(enabled: bool) -> Result<()> {
    let mut bits = capabilities_secure_bits()?;
    bits.set(CapabilitiesSecureBits::NO_SETUID_FIXUP, enabled);
    set_capabilities_secure_bits(bits)
}

#[cfg(test)]
mod tests {
    use rustix::process::Uid;
    use rustix::thread::set_thread_res_uid;

    use super::*;
    use crate::caps::Capability;

    /// Runs `body` on a thread of its own: capabilities, secure bits and, by the raw call, user ids belong to threads.
    fn as_root_thread(body: impl FnOnce() + Send + 'static) {
        if !effective().contains(Capability::Setpcap) {
            #[allow(clippy::print_stderr, reason = "a test without its privilege must be seen to be skipped")]
            {
                eprintln!("SKIPPED: needs CAP_SETPCAP");
            }
            return;
        }
        std::thread::spawn(body).join().unwrap();
    }

    fn effective() -> CapSet {
        CapSets::current().unwrap().effective
    }

    fn to_user_1000() {
        let user = Uid::from_raw(1000);
        set_thread_res_uid(user, user, user).unwrap();
    }

    #[test]
    fn the_sets_of_a_container() {
        let root = CapSets::container(CapSet::PODMAN, true);
        assert_eq!(
            (root.bounding, root.permitted, root.effective),
            (CapSet::PODMAN, CapSet::PODMAN, CapSet::PODMAN)
        );
        let user = CapSets::container(CapSet::PODMAN, false);
        assert_eq!(user, CapSets { bounding: CapSet::PODMAN, ..CapSets::default() });
        assert!(root.inheritable.is_empty() && root.ambient.is_empty());
    }

    #[test]
    fn drop_bounding_leaves_what_is_kept_and_can_be_repeated() {
        as_root_thread(|| {
            let keep = CapSet::PODMAN.intersect(CapSet::bounding());
            drop_bounding(keep).unwrap();
            assert_eq!(CapSet::bounding(), keep);
            set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY).unwrap();
            assert_eq!(drop_bounding(keep), Ok(()), "nothing to drop needs no right");
            assert_eq!(drop_bounding(CapSet::EMPTY), Err(Errno::PERM));
        });
    }

    #[test]
    fn capset_sets_all_three_and_gives_nothing_back() {
        as_root_thread(|| {
            let kill = CapSet::EMPTY.with(Capability::Kill);
            let two = kill.with(Capability::Chown);
            set(two, kill, two).unwrap();
            let now = CapSets::current().unwrap();
            assert_eq!((now.permitted, now.effective, now.inheritable), (two, kill, two));
            assert_eq!(set(two.with(Capability::NetRaw), kill, two), Err(Errno::PERM));
        });
    }

    #[test]
    fn one_that_is_suspended_comes_back_and_one_that_is_missing_does_not() {
        as_root_thread(|| {
            let before = CapSets::current().unwrap();
            drop({
                let suspended = Suspended::begin(Capability::Kill);
                assert_eq!(effective(), before.effective.without(Capability::Kill));
                suspended
            });
            assert_eq!(CapSets::current().unwrap(), before);
            let less = before.effective.without(Capability::Kill);
            set(before.permitted, less, CapSet::EMPTY).unwrap();
            drop(Suspended::begin(Capability::Kill));
            assert_eq!(effective(), less);
        });
    }

    #[test]
    fn ambient_is_replaced_and_needs_inheritable() {
        as_root_thread(|| {
            let kill = CapSet::EMPTY.with(Capability::Kill);
            let two = kill.with(Capability::Chown);
            set(two, two, two).unwrap();
            set_ambient(two).unwrap();
            assert_eq!(CapSets::current().unwrap().ambient, two);
            set_ambient(kill).unwrap();
            assert_eq!(CapSets::current().unwrap().ambient, kill);
            assert_eq!(set_ambient(kill.with(Capability::NetRaw)), Err(Errno::PERM));
        });
    }

    #[test]
    fn keep_caps_keeps_the_permitted_set_across_a_change_of_user() {
        as_root_thread(|| {
            let before = CapSets::current().unwrap();
            keep_caps(true).unwrap();
            to_user_1000();
            let after = CapSets::current().unwrap();
            assert_eq!((after.permitted, after.effective), (before.permitted, CapSet::EMPTY));
        });
        as_root_thread(|| {
            keep_caps(false).unwrap();
            to_user_1000();
            assert_eq!(CapSets::current().unwrap().permitted, CapSet::EMPTY);
        });
    }

    #[test]
    fn no_setuid_fixup_keeps_the_effective_set_too() {
        as_root_thread(|| {
            let before = effective();
            set_no_setuid_fixup(true).unwrap();
            to_user_1000();
            assert_eq!(effective(), before);
            set_no_setuid_fixup(false).unwrap();
            let root = Uid::ROOT;
            set_thread_res_uid(root, root, root).unwrap();
            to_user_1000();
            assert_eq!(effective(), CapSet::EMPTY);
        });
    }
}
