//! What can go wrong with a volume.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

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
    /// A name that no snapshot of the volume has.
    #[error("volume {volume:?} has no snapshot {name:?}")]
    NoSnapshot {
        /// The volume's name.
        volume: String,
        /// What was asked for.
        name: String,
    },
    /// A volume plugin did not do what it was asked for.
    #[error("the volume plugin {plugin} ({}){} {problem}; {remedy}", socket.display(), for_volume(volume))]
    Plugin {
        /// Its name.
        plugin: String,
        /// Where it listens.
        socket: PathBuf,
        /// The volume, if it was about one.
        volume: String,
        /// What it did instead, with what it said.
        problem: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// What a server has could not be mounted.
    #[error("volume {volume:?}: {server} {problem}; {remedy}")]
    Remote {
        /// Its name.
        volume: String,
        /// The server, and what of it.
        server: String,
        /// What happened, with what the program said that mounts it.
        problem: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The host has no program for a kind of server.
    #[error(
        "volume {volume:?} of type {kind} needs the program {program}, which is not on this host: \
         install it (Debian's package {package})"
    )]
    NoHelper {
        /// Its name.
        volume: String,
        /// `nfs`, `sshfs`.
        kind: &'static str,
        /// `mount.nfs`, `sshfs`.
        program: &'static str,
        /// Debian's package.
        package: &'static str,
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
    /// An operation on a volume that has no path of its own, or not at that moment.
    #[error("{operation} volume {volume:?}")]
    Volume {
        /// `make`, `take a snapshot of`, `roll back`.
        operation: &'static str,
        /// The volume's name.
        volume: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A program that is needed is not installed.
    #[error("{program} is not installed: install the package {package}")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// The distribution's package that has it.
        package: &'static str,
    },
    /// A program did not do what it was run for.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it had to say.
        said: String,
    },
    /// Something else of the file system that a volume is.
    #[error(transparent)]
    FileSystem(Box<tinyd_fs::Error>),
}

impl From<tinyd_fs::Error> for Error {
    fn from(error: tinyd_fs::Error) -> Self {
        match error {
            tinyd_fs::Error::Path { operation, path, source } => Self::Path { operation, path, source },
            tinyd_fs::Error::NoProgram { program, package } => Self::NoProgram { program, package },
            tinyd_fs::Error::ProgramFailed { program, said } => Self::Program { program, said },
            other => Self::FileSystem(Box::new(other)),
        }
    }
}

impl Error {
    pub(crate) fn path(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Path { operation, path: path.into(), source: source.into() }
    }

    pub(crate) fn volume(
        operation: &'static str,
        volume: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Volume { operation, volume: volume.into(), source: source.into() }
    }
}

/// Whether there is anything at a path. What cannot be looked at is not gone: who takes it for that leaves it behind.
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::path("look for", path, error))
}

fn for_volume(volume: &str) -> String {
    match volume.is_empty() {
        true => String::new(),
        false => format!(", asked about the volume {volume:?},"),
    }
}
