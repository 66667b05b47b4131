//! Packing on one side while the other unpacks.

use crate::failure::Failure;
use std::os::fd::OwnedFd;

/// Does both at once, with a pipe between them, and gives their remarks.
///
/// Where one side fails the other does, too: what is told is the failure that came first.
pub(super) fn piped(
    pack: impl FnOnce(OwnedFd) -> Result<Vec<String>, Failure> + Send,
    unpack: impl FnOnce(OwnedFd) -> Result<Vec<String>, Failure>,
) -> Result<Vec<String>, Failure> {
    let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| Failure::failed("make a pipe", errno))?;
    std::thread::scope(|scope| {
        let packing = std::thread::Builder::new()
            .spawn_scoped(scope, || pack(to))
            .map_err(|error| Failure::failed("start a thread", error))?;
        let unpacked = unpack(from);
        let packed = match packing.join() {
            Ok(packed) => packed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (packed, unpacked) {
            (Ok(mut notes), Ok(more)) => {
                notes.extend(more);
                Ok(notes)
            }
            // Whoever packs writes to nobody once the other has given up.
            (Err(packing), Err(unpacking)) if is_consequence(&packing) => Err(unpacking),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        }
    })
}

fn is_consequence(failure: &Failure) -> bool {
    failure.line().is_some_and(|line| line.contains("Broken pipe"))
}
