//! The two traits, and the plain types that they exchange.

use crate::{CgroupPath, JoinHandle, Limits, OomWatch, Result, Stats};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a host mounts its hierarchies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// One hierarchy per controller (or several together), cgroups(7) "version 1".
    V1,
    /// One unified hierarchy.
    V2,
    /// v1 controllers, and a v2 hierarchy beside them.
    Hybrid,
}

/// The version of one hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HierarchyVersion {
    /// File system type `cgroup`.
    V1,
    /// File system type `cgroup2`.
    V2,
}

/// One hierarchy as a process inside a group would expect it below `/sys/fs/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HierarchyView {
    /// The folder's name: `memory`, `cpu,cpuacct`, `unified`, or empty where v2 is `/sys/fs/cgroup` itself.
    pub name: String,
    /// v1 or v2.
    pub version: HierarchyVersion,
    /// The group's directory on the host.
    pub source: PathBuf,
    /// Further names that link to `name`: `cpu` and `cpuacct` for `cpu,cpuacct`.
    pub links: Vec<String>,
}

/// Makes and finds groups in all hierarchies that one way of mounting has. Got from [`crate::Host::driver`].
///
/// The life of a group: [`validate`](Self::validate) → [`create`](Self::create) → [`Cgroup::join_handle`], by which
/// children join → [`Cgroup::kill`] → [`Cgroup::remove`]. A process that was restarted comes back to it by
/// [`open`](Self::open) with the same path: the path is all the state there is.
pub trait CgroupDriver: Send + Sync {
    /// Which way of mounting this driver serves.
    fn version(&self) -> Version;

    /// Makes the group, and the missing ones above it, in every hierarchy needed, and applies the limits.
    ///
    /// All or nothing: on an error every directory that was made is removed again.
    ///
    /// A group below another one obeys it and counts for it. On v2 the one above then holds no processes itself (the
    /// kernel's "no internal process constraint"): put them into the groups at the ends.
    ///
    /// # Errors
    /// [`crate::Error::Exists`] when it is there in any hierarchy; those of [`validate`](Self::validate); the kernel's.
    fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>>;

    /// Makes the group as [`create`](Self::create) does, or takes the one that is there as it is: in its folders, where only the limits
    /// that are set are written, beside those that its maker has set. It is made in the hierarchies in which it is missing.
    ///
    /// On an error every directory that was made is removed again; limits that were written to one that was there stay.
    ///
    /// # Errors
    /// [`crate::Error::NotFree`] when there are processes in it or below it, or it is frozen; those of
    /// [`validate`](Self::validate); the kernel's.
    fn adopt(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>>;

    /// Makes the group where it is missing, without limits: for groups that several processes share.
    ///
    /// # Errors
    /// The kernel's.
    fn ensure(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>>;

    /// A handle on a group that exists in at least one hierarchy.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    fn open(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>>;

    /// The names of the groups directly below `path`, over all hierarchies, sorted, each once; none when `path` does
    /// not exist.
    ///
    /// # Errors
    /// The kernel's.
    fn children(&self, path: &CgroupPath) -> Result<Vec<String>>;

    /// Removes `path` in each hierarchy in which it has neither processes nor children, and leaves it in the others:
    /// for shared parents, of which nobody knows who is the last. Safe against a concurrent `create` below it.
    ///
    /// # Errors
    /// The kernel's, but for "busy" and "not found".
    fn prune(&self, path: &CgroupPath) -> Result<()>;

    /// Checks limits against the kernel's ranges and against what this host has, before any effect.
    ///
    /// # Errors
    /// [`crate::Error::InvalidLimit`], [`crate::Error::MissingController`], [`crate::Error::MissingFile`],
    /// [`crate::Error::DeviceException`], [`crate::Error::DeviceFilter`].
    fn validate(&self, limits: &Limits) -> Result<()>;
}

/// A handle on one group, in all hierarchies in which it exists.
///
/// Dropping it does nothing to the group. Every method may fail with the kernel's error on a group that somebody else
/// removed; [`crate::Error::is_not_found`] tells.
pub trait Cgroup: Send + Sync {
    /// Its path below each hierarchy's root.
    fn path(&self) -> &CgroupPath;

    /// Descriptors, all close-on-exec, by which a single-threaded child joins by itself.
    ///
    /// # Errors
    /// The kernel's.
    fn join_handle(&self) -> Result<JoinHandle>;

    /// Changes the limits that are set; memory and memory+swap are written in the order that the kernel demands.
    /// Not all or nothing: what was written before an error stays.
    ///
    /// # Errors
    /// As for [`CgroupDriver::validate`], and the kernel's.
    fn apply(&self, limits: &Limits) -> Result<()>;

    /// The limits as the kernel holds them now; `None` where the host has no such controller. Device rules cannot be
    /// read back: they are empty.
    ///
    /// # Errors
    /// The kernel's.
    fn limits(&self) -> Result<Limits>;

    /// Moves a process in from outside. On v1 that waits for a grace period (about 10 ms): on the path of a start let
    /// the child use [`join_handle`](Self::join_handle) instead.
    ///
    /// # Errors
    /// The kernel's.
    fn add_process(&self, pid: u32) -> Result<()>;

    /// Moves a process out, to the parent group, alive. On v2 a parent that distributes controllers cannot hold
    /// processes: the nearest group above that can is taken then.
    ///
    /// # Errors
    /// The kernel's.
    fn remove_process(&self, pid: u32) -> Result<()>;

    /// The processes in it and in the groups below it, sorted, each once.
    ///
    /// # Errors
    /// The kernel's.
    fn processes(&self) -> Result<Vec<u32>>;

    /// Stops all of its processes and returns when they stand still.
    ///
    /// # Errors
    /// [`crate::Error::Timeout`] after two seconds, when it is thawed again; the kernel's.
    fn freeze(&self) -> Result<()>;

    /// Lets its processes go on.
    ///
    /// # Errors
    /// [`crate::Error::Timeout`] when a group above is frozen; the kernel's.
    fn thaw(&self) -> Result<()>;

    /// Whether all of its processes stand still.
    ///
    /// # Errors
    /// The kernel's.
    fn is_frozen(&self) -> Result<bool>;

    /// SIGKILL to all of its processes and those of the groups below, frozen ones too. Returns when the signals are
    /// sent, not when all are dead.
    ///
    /// # Errors
    /// The kernel's.
    fn kill(&self) -> Result<()>;

    /// Whether a living process is in it or below it.
    ///
    /// # Errors
    /// The kernel's.
    fn is_populated(&self) -> Result<bool>;

    /// What it uses and has used.
    ///
    /// # Errors
    /// The kernel's.
    fn stats(&self) -> Result<Stats>;

    /// How many of its processes the kernel killed for want of memory, since it was made.
    ///
    /// # Errors
    /// [`crate::Error::MissingController`] without the memory controller; the kernel's.
    fn oom_kills(&self) -> Result<u64>;

    /// Tells from now on when the group runs out of memory.
    ///
    /// # Errors
    /// [`crate::Error::MissingController`] without the memory controller; [`crate::Error::Watch`].
    fn watch_oom(&self) -> Result<OomWatch>;

    /// Removes it with the groups below it, in all hierarchies. "Not found" is success. Goes on past errors and
    /// collects them. Processes that have just exited keep a group busy for a moment: it tries again for one second.
    ///
    /// # Errors
    /// [`crate::Error::Remove`], or [`crate::Error::RemoveMany`] for several hierarchies.
    fn remove(&self) -> Result<()>;

    /// What a process inside would be shown below `/sys/fs/cgroup`.
    fn views(&self) -> Vec<HierarchyView>;
}
