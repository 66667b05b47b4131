//! Namespaces and the launch of processes on Linux: what stands between `clone3` and `execve`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`clone`](mod@clone) | a child in new namespaces, with a pidfd, born in its cgroup |
//! | [`join`](mod@join) | entering the namespaces of another process |
//! | [`launch`] | a command in new namespaces, from any process |
//! | [`isolate`] | private mounts, `/proc` and host name of new namespaces |
//! | [`idmap`] | user and group id maps of a user namespace |
//! | [`caps`] | capability sets |
//! | [`seccomp`] | OCI seccomp profiles compiled to small balanced filters |
//! | [`schedule`] | scheduling, the order of input and output, memory policy, personality |
//! | [`rlimit`] | resource limits |
//! | [`credentials`] | user, group and supplementary groups |
//! | [`process`] | no_new_privs, umask, dumpable, session keyring, descriptor hygiene |
//! | [`pidfd`] | signals and exits without a race over process numbers |
//! | [`exit_watch`] | exits of others on kernels that do not tell them by pidfd |
//! | [`pty`] | pseudo-terminals |
//! | [`socket`] | a packet socket that carries descriptors |
//!
//! *Invariants:* this crate never knows what a container is. What runs between clone and exec neither allocates nor takes
//! a lock: such functions are marked *child-side* and take prepared data.
//!
//! ```
//! use tinyd_ns::{Namespaces, clone::{Clone3, Cloned}};
//!
//! // As root: a child that is process 1 of its own PID namespace.
//! # if !rustix::process::geteuid().is_root() { return Ok(()) }
//! // SAFETY: this program has one thread, and the child only exits.
//! match unsafe { Clone3::new(Namespaces::PID).spawn() }? {
//!     Cloned::Child => tinyd_ns::process::exit_now(rustix::process::getpid().as_raw_nonzero().get()),
//!     Cloned::Parent { pidfd, .. } => assert_eq!(tinyd_ns::pidfd::wait(&pidfd)?.code(), 1),
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod caps;
pub mod clone;
pub mod credentials;
pub mod exit_watch;
pub mod idmap;
pub mod isolate;
pub mod join;
pub mod launch;
pub mod namespaces;
pub mod pidfd;
pub mod process;
pub mod pty;
pub mod rlimit;
pub mod schedule;
pub mod seccomp;
pub mod socket;

pub use namespaces::{NamespaceId, Namespaces, UnknownNamespace};
