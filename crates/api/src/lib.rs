//! The gRPC contract.
#![forbid(unsafe_code)]

/// The messages and services, as they were compiled from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("tinyd.v1");
}
