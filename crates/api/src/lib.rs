//! The gRPC contract of the container engine, `tinyd.v1`, and a client of it that is an engine itself.
//!
//! The contract lies in `proto/tinyd/v1`. Programs in Rust need not know it: [`Client`] implements
//! [`Engine`](tinyd_engine::Engine), so that whatever works with an engine of this process works with one of another.
//!
//! ```no_run
//! use tinyd_api::Client;
//! use tinyd_engine::{Engine, ListRequest};
//!
//! # fn main() -> Result<(), tinyd_engine::Error> {
//! let engine = Client::connect(&"unix:///run/tinyd/tinyd.sock".parse()?, None)?;
//! for container in engine.list(&ListRequest { all: true })? {
//!     println!("{} {}", container.id, container.status);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod address;
mod client;
pub mod status;
pub mod version;
pub mod wire;

pub use address::Address;
pub use client::{Client, Tls};

/// The messages and services, as they were compiled from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("tinyd.v1");

    /// All of it, as a `google.protobuf.FileDescriptorSet` without comments: for programs that show a contract or check one.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
}
