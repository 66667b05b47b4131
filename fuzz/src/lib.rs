//! The bodies of the fuzz targets: each takes any bytes, and panics when a reader of this repository panics or breaks a
//! promise. A finding goes into `corpus/<target>/` together with what mends it.
//!
//! | target | reads | promise |
//! |---|---|---|
//! | [`mountinfo`] | `/proc/PID/mountinfo` | what is read is written and read again the same, by both readers |
//! | [`cgroup_files`] | the files of a group, v1 and v2 | no limit is invented: an answer, or an error that names the file |
//! | [`bundle`] | a bundle's `config.json` | a plan stays below `/proc/sys` and within what the kernel takes; nobody is user -1 |
//! | [`seccomp`] | a seccomp profile | a filter that the kernel accepts, the same after a way through JSON |
//! | [`protocol`] | packets between client, monitor and child; passwd and group | what is read is written the same |
//! | [`options`] | command lines | a second reading changes nothing; the command's own words are left alone |
#![forbid(unsafe_code)]

mod bundle;
mod cgroup_files;
mod mountinfo;
mod options;
mod protocol;
mod seccomp;

pub use bundle::bundle;
pub use cgroup_files::cgroup_files;
pub use mountinfo::mountinfo;
pub use options::options;
pub use protocol::protocol;
pub use seccomp::seccomp;

/// A target's body.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders.
pub const TARGETS: [(&str, Target); 6] = [
    ("bundle", bundle),
    ("cgroup_files", cgroup_files),
    ("mountinfo", mountinfo),
    ("options", options),
    ("protocol", protocol),
    ("seccomp", seccomp),
];
