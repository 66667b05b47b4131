//! The daemon.

mod certificates;
mod grpc;
mod log;
mod socket;

pub use certificates::make_certificates;
