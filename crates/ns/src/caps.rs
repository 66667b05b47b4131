//! Capability sets: what a process may do beyond what its user may (capabilities(7)).
//!
//! A launcher applies them in this order, every step being *child-side*:
//!
//! 1. [`drop_bounding`], while `CAP_SETPCAP` is still effective;
//! 2. [`keep_caps`]`(true)` if capabilities are to outlive the change to a user other than root;
//! 3. the change of groups and user;
//! 4. [`set()`], then [`set_ambient`].
//!
//! ```
//! use tinyd_ns::caps::{CapSet, Capability};
//!
//! let wanted = CapSet::PODMAN.with(Capability::NetRaw).without(Capability::Kill);
//! let possible = wanted.intersect(CapSet::bounding());
//! assert!(!possible.contains(Capability::Kill));
//! ```

mod capability;
mod set;
mod thread;

pub use capability::{Capability, UnknownCapability};
pub use set::{CapSet, Iter};
pub use thread::{CapSets, Suspended, drop_bounding, keep_caps, set, set_ambient, set_no_setuid_fixup};
