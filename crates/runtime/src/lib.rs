//! Launches **one OCI bundle**: the container's first process, further commands in it, and the monitor that stays.
//!
//! The crate is both sides of one program. [`entry::main`] is `tinyd-runtime`, small and single-threaded, the only process
//! that ever clones; [`client`] is how an engine starts it and talks to it. Between them go [`Request`]s and the packets of
//! [`frame`]; what stays behind is [`state`].
//!
//! # From a request to a command
//!
//! | engine | launcher | monitor | init |
//! |---|---|---|---|
//! | posix_spawn, request → | | | |
//! | | finds the cgroups, clones → | is born in the monitors' cgroup | |
//! | waits | ends | FIFOs, socket, cgroup with limits; clone3 → | is born in the container's cgroup (v2) |
//! | | | writes id maps, `Mapped` → | joins v1 cgroups, cgroup namespace; waits |
//! | | | overlay, `/dev`, binds as detached mounts; looks up the user | root's ids, host name, `lo`; proc, sysfs, … |
//! | | | `Mounts`, `Identity` → | attaches, masks, pivots |
//! | | | ← `Terminal` | opens a terminal of its own devpts |
//! | | | | limits, session, seccomp, capabilities, user |
//! | | | ← `Ready` | exec |
//! | | | end of the socket: it runs; `state.json` | is the command |
//! | ← `Started` | | joins its v1 cgroups, syncs the bundle | |
//! | ⇄ streams | | ⇄ | |
//! | | | `exit.json`, then reaps; releases names | is gone |
//! | ← `Exited` | | unmounts, removes the cgroup, the trash | |
//!
//! A failure travels back the same way, as a [`Failure`] that names the step and its object, and whoever made something
//! takes it away.
//!
//! *Invariants:* no tokio, no clap, no TLS: a monitor lives beside every container. Between clone and exec nothing is
//! allocated. An exit is recorded before it is reaped. Nothing is mounted by a path inside the container's root.
//!
//! ```no_run
//! use tinyd_runtime::{Request, StartRequest, client};
//!
//! # fn example(request: StartRequest) -> Result<(), client::ClientError> {
//! let program = "/usr/libexec/tinyd/tinyd-runtime".as_ref();
//! let mut launched = client::launch(program, &Request::Start(Box::new(request)), None, None, &mut || {})?;
//! while let Some(message) = launched.connection.receive()? {
//!     if let client::Message::Exited(exit) = message {
//!         println!("ended with {}", exit.code);
//!     }
//! }
//! # Ok(()) }
//! ```

pub mod annotation;
pub mod client;
mod config;
mod defence;
pub mod entry;
pub mod events;
mod exec;
mod failure;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
pub mod heap;
mod identity;
mod init;
mod launch;
mod listener;
pub mod load;
mod monitor;
mod mount_verb;
mod oci;
mod plan;
mod prepare;
mod program;
pub mod quantity;
mod report;
mod request;
pub mod restart;
pub mod startup;
pub mod state;
pub mod sysctl;

/// Takes away, in this process, the defences that the environment names: for a program that resolves paths of containers
/// itself. Called before there are threads.
///
/// # Errors
/// The name that is none.
#[cfg(feature = "weakened")]
pub fn weaken() -> Result<(), String> {
    defence::choose()
}

pub use failure::{Failure, FailureKind};
pub use plan::everybodys_devices;
pub use request::{
    Companion, Connected, ExecRequest, LogSpec, MountRequest, OverlayMount, Release, Request, Rootfs,
    SecretFile, SecretMount, StartRequest, Storage,
};
