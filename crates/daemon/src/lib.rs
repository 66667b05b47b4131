//! The daemon: a container engine that others can look at and reach, in front of any engine.
//!
//! It starts listeners (the services of the contract `tinyd.v1`, and the web page with its JSON and metrics), runs until a signal or [`Stop`] ends it, and then, unless it
//! is told otherwise, ends all containers in order. The engine is synchronous and is asked on threads that may block.
//!
//! *Invariant:* this crate holds the only copy of nothing. What it knows it asks the engine for, so that a daemon that is
//! killed takes no container and no exit code with it.
//!
//! ```no_run
//! # fn of(engine: std::sync::Arc<dyn tinyd_engine::Retire>) -> Result<(), tinyd_daemon::Error> {
//! use tinyd_daemon::{Daemon, Options};
//!
//! let options = Options { lock: Some("/var/lib/tinyd/daemon.lock".into()), ..Options::default() };
//! Daemon::open(engine, options)?.run()
//! # }
//! ```
mod activation;
mod asker;
mod awaited;
mod beginning;
mod certificates;
mod daemon;
mod ending;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod listeners;
mod lock;
mod log;
mod monitors;
mod notify;
mod places;
mod priority;
mod rules;
mod sampler;
mod socket;
mod starts;
mod stopping;
mod web;

pub use certificates::make_certificates;
pub use daemon::{Daemon, Options, WebOptions};
pub use error::Error;
pub use stopping::Stop;
