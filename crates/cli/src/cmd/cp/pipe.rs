//! Packing on one side while the other unpacks.

use crate::failure::Failure;
use crate::flow::{self, Flowed, Progress};
use std::os::fd::OwnedFd;

/// What came of one side: its remarks.
type Side = Result<Vec<String>, Failure>;

/// Does both at once, with a pipe between them, and gives their remarks; shows how far it is where somebody watches.
///
/// Where one side fails the other does, too: what is told is the failure that came first.
pub(super) fn piped(
    progress: Option<Progress<'_>>,
    pack: impl FnOnce(OwnedFd) -> Side + Send,
    unpack: impl FnOnce(OwnedFd) -> Side + Send,
) -> Result<Flowed<Vec<String>>, Failure> {
    let (packed, unpacked) = match progress {
        None => straight(pack, unpack)?,
        Some(progress) => match flow::between(progress, pack, unpack)? {
            Flowed::Done(both) => both,
            Flowed::CutOff(code) => return Ok(Flowed::CutOff(code)),
        },
    };
    match (packed, unpacked) {
        (Ok(mut notes), Ok(more)) => {
            notes.extend(more);
            Ok(Flowed::Done(notes))
        }
        // Whoever packs writes to nobody once the other has given up.
        (Err(packing), Err(unpacking)) if packing.is_broken_pipe() => Err(unpacking),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

/// Nobody counts what one writes and the other reads.
fn straight(
    pack: impl FnOnce(OwnedFd) -> Side + Send,
    unpack: impl FnOnce(OwnedFd) -> Side,
) -> Result<(Side, Side), Failure> {
    let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| Failure::failed("make a pipe", errno))?;
    std::thread::scope(|scope| {
        let packing = std::thread::Builder::new()
            .spawn_scoped(scope, || pack(to))
            .map_err(|error| Failure::failed("start a thread", error))?;
        let unpacked = unpack(from);
        match packing.join() {
            Ok(packed) => Ok((packed, unpacked)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
