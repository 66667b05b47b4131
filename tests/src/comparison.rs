//! The sandbox, compared with another engine's: what a program inside can see and do, fact by fact.
//!
//! A C program, the probe (`tests/probe`), runs inside a container and prints one fact a line. Its facts of Docker are kept
//! in `docs/sandbox/docker.txt` by `cargo xtask sandbox`; those of tinyd are compared with them, by that command and by the
//! test `comparison`, which needs no Docker. Each difference is *tighter* or *looser* than Docker's. A difference of which
//! no rule here can say that it is tighter counts as looser, so that nothing passes because nobody thought of it; the file
//! `docs/sandbox/accepted.toml` names those that are accepted, with the reason.

mod accepted;
mod calls;
mod facts;
mod files;
mod host;
mod lines;
mod mounts;
mod own;
mod probe;
mod rules;

pub use accepted::{Accepted, Entry};
pub use facts::Facts;
pub use files::{Access, Files};
pub use host::Host;
pub use lines::{Line, Verdict, compare};
pub use own::{ACCEPTED, DOCKER, docker, image, of_tinyd};
pub use probe::{build, host_namespaces};
