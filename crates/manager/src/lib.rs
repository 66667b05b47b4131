//! The container engine: [`LocalEngine`] makes, starts, watches and removes containers from the calling process.
//!
//! It implements [`tinyd_engine::Engine`], verb by verb, over parts that are traits ([`Parts`]): sources of images, kinds
//! of networks and of volumes, the host's control groups, and the way to `tinyd-runtime`, which alone makes namespaces and
//! mounts. There is no daemon, and this
//! crate keeps nothing in memory that it would miss: the truth is in the engine's folders and in the kernel. Whatever a
//! killed command left is put right by the next one that meets it.
//!
//! *Invariants:* this crate never prints, never parses a command line, and never names a concrete driver outside its
//! default wiring. It never enters a container's file system: what is inside is touched by the runtime alone.
//!
//! ```no_run
//! use tinyd_engine::{ContainerSpec, Engine, StartRequest};
//! use tinyd_manager::LocalEngine;
//!
//! # fn main() -> tinyd_engine::Result<()> {
//! let engine = LocalEngine::builder().open()?;
//! let spec = ContainerSpec::new("host", ["echo", "Hello World"]).removed_on_exit();
//! let ended = engine.run(&spec, &StartRequest::attached(None))?.collect()?;
//! assert_eq!((ended.stdout.as_slice(), ended.exit.code), (&b"Hello World\n"[..], 0));
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod anew;
mod attach;
mod builder;
mod bundle;
mod capabilities;
mod cgroups;
mod check;
mod cleanup;
mod config;
mod connection;
mod containers;
mod core;
mod create;
mod devices;
mod ended;
mod engine;
mod erase;
mod error;
mod events;
mod exec;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod ids;
mod image;
mod info;
mod inspect;
mod intent;
mod kill;
mod launch;
mod launcher;
mod life;
mod list;
mod locate;
mod lock;
mod logs;
mod mount;
mod names;
mod networks;
mod order;
mod parts;
mod pause;
mod places;
mod points;
mod ports;
mod prepare;
mod process;
mod recover;
mod remove;
mod rename;
mod resolve;
mod restart;
mod run;
mod secrets;
mod selftest;
mod session;
mod spare;
mod start;
mod stats;
mod stop;
mod storage;
mod store;
mod takeover;
#[cfg(test)]
mod testing;
mod time;
mod top;
mod update;
mod userns;
mod validate;
mod version;
mod volumes;
mod wait;
mod wiring;

pub use builder::EngineBuilder;
pub use engine::LocalEngine;
pub use error::Error;
pub use image::{Image, ImageSource, Tree};
pub use launcher::{Launch, Launcher, Link};
pub use parts::Parts;
pub use selftest::{Case, MEMORY_TOLERANCE_PERCENT, PROCESSOR_TOLERANCE_PERCENT, SelfTest, selftest};
/// Ranges that bridged networks are made of ([`EngineBuilder::address_pools`]): `"10.208.0.0/12:22".parse()`.
pub use tinyd_net::pool::Pool as AddressPool;
