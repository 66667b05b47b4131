//! Linux control groups **v1, v2 and hybrid** behind one object-safe trait.
//!
//! A [`Host`] says which hierarchies are mounted, its [`CgroupDriver`] makes groups in all of them at once, and a
//! [`Cgroup`] is the handle on one: join it, limit it, watch it, freeze it, kill what is in it, remove it.
//!
//! **Invariants.** This crate never knows what a container is. It never guesses: what the host cannot do is an error
//! that names the missing controller and what to do about it. It never changes a group that it was not asked for;
//! below a path of the caller's it writes only what a limit needs.
//!
//! ```no_run
//! use tinyd_cgroup::{CgroupPath, Host, Limits, MemoryLimits};
//!
//! # fn main() -> tinyd_cgroup::Result<()> {
//! let driver = Host::detect()?.driver()?;
//! let limits = Limits {
//!     memory: MemoryLimits { limit_bytes: Some(64 << 20), ..Default::default() },
//!     pids_max: Some(100),
//!     ..Default::default()
//! };
//! let group = driver.create(&CgroupPath::new("example/one")?, &limits)?;
//! let join = group.join_handle()?; // a child joins by itself: `join.join(true)` before its exec
//! # drop(join);
//! group.kill()?;
//! group.remove()?;
//! # Ok(()) }
//! ```
#![deny(unsafe_code)]

mod adopt;
mod dir;
mod driver;
mod error;
mod flat;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod hugetlb;
mod hybrid;
mod join;
mod kill;
mod limits;
mod mountinfo;
mod oom;
mod path;
mod pids;
mod stats;
pub mod systemd;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tree;
mod v1;
mod v2;

pub use driver::{Cgroup, CgroupDriver, HierarchyVersion, HierarchyView, Version};
pub use error::{Error, Result};
pub use host::Host;
pub use join::{JoinError, JoinHandle};
pub use limits::{
    CpuLimits, DeviceAccess, DeviceKind, DeviceRule, HugetlbLimit, IoDeviceLimit, IoLimits, Limits,
    MemoryLimits, NetLimits, NetPriority, Setting,
};
pub use mountinfo::Hierarchy;
pub use oom::OomWatch;
pub use path::CgroupPath;
pub use stats::{CpuStats, IoStats, MemoryStats, PidsStats, Pressure, PressureStats, Stall, Stats};
