//! What can be wrong with an archive.

use std::io;

/// Why an archive could not be read or written on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It ends before its end is marked.
    #[error("the archive is cut off here: what was unpacked is not all of it; get a whole one")]
    Truncated,
    /// Something follows that is not padding.
    #[error(
        "after the archive's end there is more, which is no padding: several archives in one are not read"
    )]
    Trailing,
    /// It is compressed in a way that is not read.
    #[error("it is compressed by {0}, which is not read: decompress it first, or use gzip or zstd")]
    Compression(&'static str),
    /// A header whose sum is another one.
    #[error("this is no header of a tar archive, or a damaged one (its checksum is wrong)")]
    Checksum,
    /// A field that is no number, or one out of range.
    #[error("the header's {0} is no number, or none that fits")]
    Number(&'static str),
    /// An extension header that does not follow pax(1), or is longer than anything honest.
    #[error("the extended header is malformed or longer than {most} bytes")]
    Extension {
        /// What is read at most.
        most: u64,
    },
    /// Two headers that say different things of the same entry, so that readers would not agree on what the archive holds.
    #[error(
        "the headers contradict each other about this entry ({0}): programs would read this archive differently"
    )]
    Ambiguous(&'static str),
    /// A kind of entry that is not known.
    #[error("entries of the type {:?} are not known", char::from(*.0))]
    Kind(u8),
    /// A header for all entries with something in it that would change them.
    #[error("global headers that set {0:?} are not supported: write the archive without")]
    Global(String),
    /// A map of holes that makes no sense.
    #[error("the map of the holes of this file contradicts its size")]
    Sparse,
    /// A name with `..` in it, or an empty one.
    #[error(
        "its name, or that of the file it is a link to, could lead elsewhere ({0:?}); such archives are not unpacked"
    )]
    Name(String),
    /// Device nodes were not asked for.
    #[error("it is a device node, and making such was not allowed")]
    Device,
    /// It lies on a file system of the kernel's own.
    #[error(
        "it is no data but what the kernel shows of itself (procfs, sysfs, control groups): read it inside, by exec"
    )]
    Kernel,
    /// There is something of another kind in its place.
    #[error("there is {there} in its place, and replacing such was not allowed")]
    InTheWay {
        /// What is there.
        there: &'static str,
    },
    /// More than was allowed.
    #[error("it holds more than the {most} {what} that are allowed")]
    Limit {
        /// Of what: bytes or entries.
        what: &'static str,
        /// How many are allowed.
        most: u64,
    },
    /// The archive could not be read.
    #[error("read the archive")]
    Read(#[source] io::Error),
    /// The archive could not be written.
    #[error("write the archive")]
    Write(#[source] io::Error),
    /// A file could not be read, or not be made.
    #[error("{operation} the file")]
    File {
        /// `open`, `create`, `write`, …
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Problem {
    pub(crate) fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Read(source) | Self::Write(source) | Self::File { source, .. } => Some(source),
            _ => None,
        }
    }

    pub(super) fn file<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::File { operation, source: source.into() }
    }
}
