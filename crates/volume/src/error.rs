//! What can go wrong with a volume.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a volume failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of what is wanted breaks a rule of the driver.
    #[error("{what} {value:?} {problem}")]
    Invalid {
        /// Which part: `mount source`, `volume option`.
        what: &'static str,
        /// What it is.
        value: String,
        /// The rule, in a clause that follows it.
        problem: Cow<'static, str>,
    },
    /// A handle of another driver.
    #[error("volume {volume:?} belongs to the driver {owner}, not to {driver}")]
    Foreign {
        /// The volume's name or path.
        volume: String,
        /// Whose it is.
        owner: String,
        /// Who was asked.
        driver: String,
    },
    /// An operation on a file or folder.
    #[error("{operation} {}", path.display())]
    Path {
        /// `resolve the mount source`, `make the mount source`, `remove`.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn path(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Path { operation, path: path.into(), source: source.into() }
    }
}
