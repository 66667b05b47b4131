//! The trait.

use crate::{
    Backup, Clones, Quota, Result, Scrub, Snapshots, Unmounting, VolumeDetails, VolumeInfo, VolumeSpec,
    VolumeState,
};
use std::path::PathBuf;

/// A kind of volume.
///
/// The life of a volume: [`validate`](Self::validate) → [`create`](Self::create) → for each container that uses it
/// [`mount`](Self::mount) … [`unmount`](Self::unmount) → [`remove`](Self::remove). Who uses a driver keeps what `create`
/// returns, on disk, before anything is built on it; a process that was restarted goes on from there. Who uses a volume is
/// derived from the containers that exist, and is never a count of the driver's own.
///
/// A driver gives a path of the host and stays out of the container: it is the runtime that shows the path inside, as a
/// detached mount attached to a descriptor. What may block for ever (a server that does not answer) ends with an error
/// within ten seconds.
///
/// What makes something is all or nothing; what takes away goes on past errors, and succeeds when it is gone already.
/// `testing::conformance` (feature `testing`) holds a driver to this. Abilities that not every driver has are traits of their
/// own: [`Snapshots`], [`Clones`], [`Quota`], [`Backup`], [`Scrub`].
pub trait VolumeDriver: Send + Sync {
    /// The word by which users ask for it: `local`, `bind`, `tmpfs`.
    fn name(&self) -> &str;

    /// Checks what is wanted against the driver's rules and this host, without any effect.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`], or the kernel's for a path that cannot be looked at.
    fn validate(&self, wanted: &VolumeSpec) -> Result<()>;

    /// Makes the volume.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); the kernel's.
    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState>;

    /// What is there of it now.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`] for another driver's volume; the kernel's.
    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo>;

    /// What only the driver can say of a volume that is there; nothing with most.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the plug-in's.
    fn details(&self, volume: &VolumeState) -> Result<VolumeDetails> {
        volume.expect_driver(self.name()).map(|()| VolumeDetails::default())
    }

    /// The volumes that the driver itself keeps, also those that nobody here has made; none with a driver that keeps no
    /// list.
    ///
    /// # Errors
    /// The kernel's, or the plug-in's.
    fn list(&self) -> Result<Vec<VolumeState>>;

    /// Makes the volume's data reachable on the host for one user, a container's id, and returns where. A second mount
    /// for the same user is the same mount.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's.
    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf>;

    /// The user is gone. What was mounted for the last one is unmounted.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's, collected.
    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()>;

    /// Removes the volume with the data that is the driver's own. That nobody uses it is the caller's to know.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's, collected.
    fn remove(&self, volume: &VolumeState) -> Result<()>;

    /// Those for whom it is mounted; none with a driver that mounts nothing for them. Whoever knows which of them still
    /// exist [`unmount`](Self::unmount)s it for the others after a crash.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's.
    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        volume.expect_driver(self.name()).map(|()| Vec::new())
    }

    /// What [`unmount`](Self::unmount) for a user is, for whoever cannot call the driver then; `None` where there is more to
    /// it, or nothing.
    fn unmounting(&self, _: &VolumeState) -> Option<Unmounting> {
        None
    }

    /// All of the volume is the folder at its path: who renames that away has removed it, but for the size that the file system may
    /// hold it to ([`tinyd_fs::project`]).
    fn is_plain(&self, _: &VolumeState) -> bool {
        false
    }

    /// To mount it is to ask another program or host, which may not answer.
    fn asks_others(&self, _: &VolumeState) -> bool {
        false
    }

    /// The options of a volume say where its data lies, which was there before: two volumes with the same are one.
    fn shows_what_is_named(&self) -> bool {
        false
    }

    /// What is written is gone once nobody uses the volume: there is no sense in filling one for later.
    fn forgets(&self) -> bool {
        false
    }

    /// The ability to keep states of a volume.
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    /// The ability to make a second volume of one at once.
    fn clones(&self) -> Option<&dyn Clones> {
        None
    }

    /// The ability to hold a volume to a size that can be changed.
    fn quota(&self) -> Option<&dyn Quota> {
        None
    }

    /// The ability to carry states of a volume to another place.
    fn backup(&self) -> Option<&dyn Backup> {
        None
    }

    /// The ability to find damage on the disk.
    fn scrub(&self) -> Option<&dyn Scrub> {
        None
    }
}
