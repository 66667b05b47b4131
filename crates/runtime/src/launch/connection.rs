//! The sender's part in a start: it connects the container's network namespace to something while the rest is prepared here.
//! This program knows nothing of networks; what takes a connection away when the container has ended it is told as steps.

use super::internal;
use crate::frame::{self, Kind};
use crate::{Connected, Failure, FailureKind};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use tinyd_ns::socket;

/// Lets the sender begin.
pub(super) fn offer(sender: BorrowedFd<'_>, pid: u32) -> Result<(), Failure> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))
        .map_err(|error| internal("open the container's network namespace", error))?;
    socket::send(sender, &[Kind::Namespace as u8], &[namespace.as_fd()])
        .map_err(|errno| internal("hand over the container's network namespace", errno))
}

/// Waits until it has done its part; gives what undoes it and what serves it.
pub(super) fn wait(sender: BorrowedFd<'_>) -> Result<Connected, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(FailureKind::Internal, "hear that the container is connected").caused_by(error)
    };
    let mut told = Vec::new();
    loop {
        let packet = socket::receive_whole(sender, drop).map_err(|errno| failed(&errno))?;
        match frame::parse(&packet) {
            Some((Kind::ConnectedPart, piece)) => told.extend_from_slice(piece),
            Some((Kind::Connected, piece)) => {
                told.extend_from_slice(piece);
                return serde_json::from_slice(&told).map_err(|error| failed(&error));
            }
            _ => return Err(Failure::not_connected()),
        }
    }
}
