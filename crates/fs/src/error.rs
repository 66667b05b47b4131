//! What can go wrong outside the children.

use std::io;
use std::path::PathBuf;

/// The result of this crate's functions, but for the child-side ones, which give an errno.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a file system failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a path.
    #[error("{operation} {}", path.display())]
    Path {
        /// What was done: `open`, `remove`, `idmap`, …
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An operation on a file system that is being put together.
    #[error("{operation} {file_system}")]
    FileSystem {
        /// `open`, `configure`, `create`, `mount`, …
        operation: &'static str,
        /// `overlay`, `tmpfs`, …
        file_system: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An overlay of more layers than the kernel takes.
    #[error(
        "an overlay of {layers} lower layers: the kernel takes {most}; put some of them together into one"
    )]
    TooManyLayers {
        /// How many were wanted.
        layers: usize,
        /// How many there may be.
        most: usize,
    },
    /// Options that do not fit into a system call.
    #[error("options of {bytes} bytes: {call}(2) takes {most}")]
    OptionsTooLong {
        /// The call.
        call: &'static str,
        /// How long they are.
        bytes: usize,
        /// How long they may be.
        most: usize,
    },
    /// A library that a program needs and the machine it is copied from does not have.
    #[error(
        "the library {library}, which {} needs, is not in {} (looked in {looked_in}): install it there",
        needed_by.display(),
        host.display()
    )]
    MissingLibrary {
        /// Its name.
        library: String,
        /// The program or library that needs it.
        needed_by: PathBuf,
        /// The file system that it was looked for in.
        host: PathBuf,
        /// The folders that were looked into.
        looked_in: String,
    },
    /// A file that is no program or library, or a damaged one.
    #[error("{} cannot be copied with what it needs", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A program of another package is not installed.
    #[error("the program {program} is missing: install {package}")]
    NoProgram {
        /// The program.
        program: &'static str,
        /// What it comes with.
        package: &'static str,
    },
    /// A program of another package failed.
    #[error("{program} failed: {said}")]
    ProgramFailed {
        /// The program.
        program: &'static str,
        /// What it had to say.
        said: String,
    },
    /// An archive could not be read or written.
    #[cfg(feature = "archive")]
    #[error("archive, at byte {offset}{}", if entry.as_os_str().is_empty() { String::new() } else { format!(", {}", entry.display()) })]
    Archive {
        /// The entry at hand; empty before the first and after the last one.
        entry: PathBuf,
        /// Where in the archive, before it is compressed, or after it was decompressed.
        offset: u64,
        /// What is wrong.
        #[source]
        problem: crate::archive::Problem,
    },
    /// A line of a mountinfo file that does not follow proc_pid_mountinfo(5).
    #[error("malformed line in mountinfo: {line:?}")]
    MountInfo {
        /// The line.
        line: String,
    },
}

impl Error {
    pub(crate) fn path<E: Into<io::Error>>(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Path { operation, path, source: source.into() }
    }

    pub(crate) fn file_system<E: Into<io::Error>>(
        operation: &'static str,
        file_system: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::FileSystem { operation, file_system, source: source.into() }
    }

    /// The system call's error beneath, for callers that decide by it.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Path { source, .. } | Self::FileSystem { source, .. } => Some(source),
            #[cfg(feature = "archive")]
            Self::Archive { problem, .. } => problem.io(),
            _ => None,
        }
    }
}
