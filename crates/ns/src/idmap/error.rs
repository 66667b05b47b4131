//! What can be wrong with a map, in words.

use std::io;

use super::Kind;

/// A map that cannot be read, or that the kernel does not take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdMapError {
    /// A text that is no range.
    #[error("{0:?} is no id range: three numbers are wanted, first id inside, first id outside, how many")]
    Form(String),
    /// A map without a range.
    #[error("the {0} id map is empty: a user namespace without one has no {0} at all")]
    Empty(Kind),
    /// More ranges than the kernel takes.
    #[error("the {kind} id map has {count} ranges, and the kernel takes {most} at most")]
    TooManyRanges {
        /// The map.
        kind: Kind,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A range of no id, or one that goes past the last id there can be.
    #[error("the range \"{range}\" of the {kind} id map is empty or goes past the last id, 4294967294")]
    Range {
        /// The map.
        kind: Kind,
        /// The range, as it would be written.
        range: String,
    },
    /// Two ranges that share ids on one side.
    #[error("the ranges \"{first}\" and \"{second}\" of the {kind} id map overlap")]
    Overlap {
        /// The map.
        kind: Kind,
        /// The one,
        first: String,
        /// and the other.
        second: String,
    },
    /// The kernel makes no user namespace.
    #[error("cannot make a user namespace for a map")]
    Namespace {
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel does not take the map.
    #[error("cannot write {map:?} as the {kind} id map of process {pid}{}", reason(source))]
    Write {
        /// The map.
        kind: Kind,
        /// The process in the new namespace.
        pid: u32,
        /// What was written.
        map: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// setgroups(2) could not be denied.
    #[error("cannot deny setgroups to process {pid}, without which an unprivileged caller cannot map groups")]
    Setgroups {
        /// The process in the new namespace.
        pid: u32,
        /// What the kernel says.
        source: io::Error,
    },
    /// A map could not be read back.
    #[error("cannot read {path}")]
    Read {
        /// The file in `/proc`.
        path: String,
        /// What the kernel says.
        source: io::Error,
    },
}

/// What `EPERM` means there (user_namespaces(7)).
fn reason(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            ": it has one already, or it names ids that the caller may not give away (its own one, or any with \
             CAP_SETUID or CAP_SETGID in the parent user namespace)"
        }
        _ => "",
    }
}

/// Errors of the kernel are equal when their numbers are.
impl PartialEq for IdMapError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
            && errno(self).map(io::Error::raw_os_error) == errno(other).map(io::Error::raw_os_error)
    }
}

fn errno(error: &IdMapError) -> Option<&io::Error> {
    match error {
        IdMapError::Write { source, .. }
        | IdMapError::Setgroups { source, .. }
        | IdMapError::Read { source, .. } => Some(source),
        _ => None,
    }
}

/// Keeps the kind of what the kernel said.
impl From<IdMapError> for io::Error {
    fn from(error: IdMapError) -> io::Error {
        let kind = errno(&error).map_or(io::ErrorKind::InvalidInput, io::Error::kind);
        io::Error::new(kind, error)
    }
}
