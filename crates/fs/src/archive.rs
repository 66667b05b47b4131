//! Archives of trees, as tar(1) reads and writes them, also compressed.
//!
//! *Out* ([`pack()`]): the POSIX format with extended headers (pax(1)), with holes and extended attributes in the form of GNU
//! tar, in the order of the names, so that the same tree gives the same bytes. *In* ([`unpack()`]): that, ustar, and GNU's own
//! format, from any tool.
//!
//! Both work on descriptors. What an archive says never leads out of the folder that it is unpacked into, whatever its names
//! are and whoever changes the tree meanwhile: names are resolved below that folder
//! ([`resolve`](crate::resolve), `RESOLVE_IN_ROOT`), and nothing is opened that was there before, only replaced. Packing
//! opens neither FIFOs nor devices, and follows no link. Nothing is executed and nothing is looked up in the tree:
//! compression is done here, owners are numbers.
//!
//! What programs would read differently is refused, not guessed at: contradicting headers, sizes of entries that have no
//! contents, several archives in one. An archive that is cut off is always an error, also where it is cut between two
//! entries.
//!
//! ```
//! use std::fs::{self, File};
//! use std::os::fd::AsFd as _;
//! use tinyd_fs::archive::{self, Compression, Pack, Unpack};
//!
//! # if !rustix::process::geteuid().is_root() { return Ok(()) }
//! # let folder = tempfile::tempdir()?;
//! # let (from, to) = (folder.path().join("from"), folder.path().join("to"));
//! fs::create_dir_all(from.join("a"))?;
//! fs::create_dir(&to)?;
//! fs::write(from.join("a/file"), "contents")?;
//! let options = Pack { compression: Compression::Zstd, ..Pack::default() };
//! let mut bytes = Vec::new();
//! archive::pack(File::open(&from)?.as_fd(), &[], &mut bytes, &options)?;
//! archive::unpack(&bytes[..], File::open(&to)?.as_fd(), &Unpack::default())?;
//! assert_eq!(fs::read(to.join("a/file"))?, b"contents");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contents;
mod encode;
mod header;
mod options;
mod pack;
mod pax;
mod place;
mod problem;
mod reader;
mod records;
mod room;
mod sparse;
mod stream;
#[cfg(test)]
mod tests;
mod unpack;
#[cfg(feature = "weakened")]
mod weakened;

pub use options::{Compression, Devices, Existing, LeftOut, Limits, Mounts, Pack, Summary, Unpack, Why};
pub use problem::Problem;
#[cfg(feature = "weakened")]
pub use weakened::follow_links;

use crate::{Error, Result, object};
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Writes an archive of what is in the folder `root`: of all of it (`what` is empty; the folder itself comes first, as `./`),
/// or of some paths in it, which are their names in the archive, too. Links on the way to these are followed inside the
/// folder; the last name of each, and what lies below it, is packed as it is.
///
/// # Errors
/// [`Error::Archive`] with the entry at hand; whatever was written by then is no archive.
pub fn pack(root: BorrowedFd<'_>, what: &[&Path], sink: impl Write, options: &Pack<'_>) -> Result<Summary> {
    object::require_proc().map_err(Error::path("look into", "/proc/thread-self/fd"))?;
    pack::pack(root, what, sink, options)
}

/// Unpacks an archive into the folder `into`. How it is compressed (gzip, zstd, or not at all) is seen by its first bytes.
///
/// Folders that are there are kept, and get the archive's owners and modes. Extended attributes of overlay file systems are
/// never taken from an archive: in a layer, they could show files that it does not have.
///
/// # Errors
/// [`Error::Archive`] with the entry and the place in the (unpacked) archive, and the [`Problem`]. What was unpacked by then
/// is there.
pub fn unpack(source: impl Read, into: BorrowedFd<'_>, options: &Unpack<'_>) -> Result<Summary> {
    object::require_proc().map_err(Error::path("look into", "/proc/thread-self/fd"))?;
    unpack::unpack(source, into, options)
}
