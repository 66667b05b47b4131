//! A set of capabilities as one word.

use std::fmt;

use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use super::{Capability, UnknownCapability};

/// A set of capabilities: bit *n* is the capability of number *n*.
///
/// Bits that no [`Capability`] of this crate names (those of a newer kernel) are kept by [`from_bits`](Self::from_bits),
/// and shown by none of the iterating functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// No capability.
    pub const EMPTY: CapSet = CapSet(0);

    /// The eleven that Podman gives a container: enough for a system's own programs, neither raw sockets nor device
    /// nodes nor the audit log.
    pub const PODMAN: CapSet = CapSet::EMPTY
        .with(Capability::Chown)
        .with(Capability::DacOverride)
        .with(Capability::Fsetid)
        .with(Capability::Fowner)
        .with(Capability::Setgid)
        .with(Capability::Setuid)
        .with(Capability::Setfcap)
        .with(Capability::Setpcap)
        .with(Capability::NetBindService)
        .with(Capability::SysChroot)
        .with(Capability::Kill);

    /// The fourteen that Docker and containerd give.
    pub const DOCKER: CapSet =
        CapSet::PODMAN.with(Capability::Mknod).with(Capability::NetRaw).with(Capability::AuditWrite);

    /// What a container has when nothing is said: [`PODMAN`](Self::PODMAN).
    pub const DEFAULT: CapSet = CapSet::PODMAN;

    /// Every capability this crate knows.
    #[must_use]
    pub const fn all() -> CapSet {
        CapSet((1 << Capability::ALL.len()) - 1)
    }

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> CapSet {
        CapSet(bits)
    }

    /// The bits, as `CapEff` of `/proc/self/status` shows them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of the named capabilities (see [`Capability::from_name`]).
    ///
    /// # Errors
    /// [`UnknownCapability`] for the first name that is none.
    pub fn from_names<I>(names: I) -> Result<CapSet, UnknownCapability>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        names.into_iter().map(|name| Capability::from_name(name.as_ref())).collect()
    }

    /// The bounding set of the calling thread, up to the last capability that both the kernel and this crate know.
    ///
    /// Child-side. It asks once for each capability, which is faster than reading `/proc/self/status` and needs no `/proc`.
    #[must_use]
    pub fn bounding() -> CapSet {
        let mut set = CapSet::EMPTY;
        for &cap in Capability::ALL {
            match capability_is_in_bounding_set(CapSet::EMPTY.with(cap).to_kernel()) {
                Ok(true) => set.insert(cap),
                Ok(false) => {}
                // EINVAL: past the last capability of this kernel.
                Err(_) => break,
            }
        }
        set
    }

    /// This set and `cap`.
    #[must_use]
    pub const fn with(self, cap: Capability) -> CapSet {
        CapSet(self.0 | 1 << cap.number())
    }

    /// This set without `cap`.
    #[must_use]
    pub const fn without(self, cap: Capability) -> CapSet {
        CapSet(self.0 & !(1 << cap.number()))
    }

    /// Adds `cap`.
    pub const fn insert(&mut self, cap: Capability) {
        *self = self.with(cap);
    }

    /// Takes `cap` away.
    pub const fn remove(&mut self, cap: Capability) {
        *self = self.without(cap);
    }

    /// Whether `cap` is in the set.
    #[must_use]
    pub const fn contains(self, cap: Capability) -> bool {
        self.0 & 1 << cap.number() != 0
    }

    /// Whether there is no capability in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersect(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }

    /// The capabilities in the order of their numbers.
    #[must_use]
    pub const fn iter(self) -> Iter {
        Iter { set: self, next: 0 }
    }

    pub(super) const fn to_kernel(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }
}

/// The capabilities of a [`CapSet`], made by [`CapSet::iter`].
#[derive(Debug, Clone)]
pub struct Iter {
    set: CapSet,
    next: usize,
}

impl Iterator for Iter {
    type Item = Capability;

    fn next(&mut self) -> Option<Capability> {
        loop {
            let cap = *Capability::ALL.get(self.next)?;
            self.next += 1;
            if self.set.contains(cap) {
                return Some(cap);
            }
        }
    }
}

impl IntoIterator for CapSet {
    type Item = Capability;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl FromIterator<Capability> for CapSet {
    fn from_iter<I: IntoIterator<Item = Capability>>(caps: I) -> CapSet {
        caps.into_iter().fold(CapSet::EMPTY, CapSet::with)
    }
}

/// The names, with commas between: `CAP_CHOWN,CAP_KILL`.
impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, cap) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(cap.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapSet({:#018x} {self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sets_have_the_documented_masks() {
        assert_eq!(CapSet::PODMAN.bits(), 0x0000_0000_8004_05fb);
        assert_eq!(CapSet::DOCKER.bits(), 0x0000_0000_a804_25fb);
        assert_eq!((CapSet::PODMAN.iter().count(), CapSet::DOCKER.iter().count()), (11, 14));
        assert_eq!(CapSet::all().bits(), 0x0000_01ff_ffff_ffff);
        assert!(CapSet::EMPTY.is_empty());
    }

    #[test]
    fn set_operations() {
        let mut set = CapSet::from_names(["kill", "CAP_CHOWN"]).unwrap();
        assert_eq!(set.to_string(), "CAP_CHOWN,CAP_KILL");
        set.insert(Capability::NetRaw);
        set.remove(Capability::Kill);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Capability::Chown, Capability::NetRaw]);
        assert_eq!(set.intersect(CapSet::PODMAN).to_string(), "CAP_CHOWN");
        assert_eq!(set.difference(CapSet::PODMAN).to_string(), "CAP_NET_RAW");
        assert_eq!(set.union(CapSet::PODMAN), CapSet::PODMAN.with(Capability::NetRaw));
        assert_eq!(set.into_iter().collect::<CapSet>(), set);
        assert!(CapSet::from_names(["CHOWN", "NOPE"]).is_err());
    }

    #[test]
    fn the_bounding_set_is_the_one_proc_shows() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let shown = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
        let shown = u64::from_str_radix(shown.trim(), 16).unwrap();
        assert_eq!(CapSet::bounding(), CapSet::from_bits(shown).intersect(CapSet::all()));
    }
}
