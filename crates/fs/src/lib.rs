//! Root file systems for containers.
//!
//! | module | what it is for |
//! |---|---|
//! | [`mount`] | mounts that are attached nowhere yet: made, changed, mapped to other ids, then attached to a descriptor |
//! | [`overlay`](mod@overlay) | a writable layer over read-only ones, also with ids mapped |
//! | [`host_root`] | a root file system made from this machine, without its secrets |
//! | [`minimal_root`] | a root of files of its own: programs copied with the libraries they need |
//! | [`dev`] | a minimal `/dev` |
//! | [`mask`] | paths that show nothing, or cannot be written |
//! | [`resolve`] | paths inside a root that cannot lead out of it |
//! | [`pivot`] | making a mount the root of the process |
//! | [`copy`] | a copy of a tree, with all that belongs to its files |
//! | `archive` | tar archives of trees, out and in (with the feature `archive`) |
//! | [`loop_file`] | a file that holds a file system, as a limit for what is written |
//! | [`project`] | folders that are held to a size by the file system they lie in |
//! | [`mountinfo`] | what is mounted |
//!
//! *Invariants:* no function follows a link out of a root, and nothing is mounted by a path below one: mounts are prepared
//! as detached descriptors and attached to descriptors; where the kernel has nothing but mount(2), it is given a descriptor
//! to mount on too. Nothing is attached in the host's own mount namespace, unless the caller names a folder there.
//! Functions marked *child-side* do not allocate and can stand between clone and exec.
//!
//! ```
//! use rustix::mount::MountAttrFlags;
//! use std::os::fd::AsFd;
//! use tinyd_fs::mount::DetachedMount;
//! use tinyd_fs::resolve;
//!
//! # if !rustix::process::geteuid().is_root() { return Ok(()) }
//! // A file system that nobody else sees, and that is gone with its descriptor.
//! let root = DetachedMount::new(c"tmpfs", [(c"mode", c"755")], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
//! let etc = resolve::ensure_dir(root.as_fd(), c"/a/b/c")?;
//! assert!(resolve::open(root.as_fd(), c"/../a/b").is_ok(), "`..` stops at the root");
//! # drop(etc);
//! # Ok::<(), rustix::io::Errno>(())
//! ```

#[cfg(feature = "archive")]
pub mod archive;
pub mod copy;
pub mod dev;
mod error;
mod folder;
pub mod host_root;
pub mod kernel_files;
#[cfg(test)]
mod listing;
pub mod loop_file;
pub mod mask;
pub mod minimal_root;
pub mod mount;
pub mod mountinfo;
mod object;
pub mod overlay;
pub mod pivot;
pub mod project;
mod remove;
pub mod resolve;
mod xattr;

pub use error::{Error, Result};
pub use remove::{remove_tree, remove_tree_in};
