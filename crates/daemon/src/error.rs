//! Why a daemon does not start, or did not end well.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What failed, on what. The command line adds what lies beneath.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another daemon works on the same folders.
    Taken {
        /// The lock that it holds.
        lock: PathBuf,
        /// Its process, as it wrote it.
        pid: String,
    },
    /// The web page was to be shown to other machines.
    NotLoopback {
        /// Where.
        address: SocketAddr,
    },
    /// Nobody can listen there.
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Clients cannot be listened to.
    Clients {
        /// Where, and why.
        source: Box<tinyd_engine::Error>,
    },
    /// A file of the daemon's own.
    File {
        /// What was to be done.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A facility of the system: threads, signals, sockets that were passed on.
    System {
        /// What was to be done.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not all containers could be ended.
    Ending {
        /// What the engine says.
        source: Box<tinyd_engine::Error>,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken { lock, pid } if pid.is_empty() => {
                write!(f, "another daemon holds {}", lock.display())
            }
            Self::Taken { lock, pid } => {
                write!(f, "another daemon, process {pid}, holds {}", lock.display())
            }
            Self::NotLoopback { address } => {
                write!(f, "the web page has no users and no encryption and is not shown on {address}")
            }
            Self::Listen { address, .. } => write!(f, "listen on {address}"),
            Self::Clients { source } => {
                write!(f, "{source}")?;
                source.causes().iter().try_for_each(|cause| write!(f, ": {cause}"))
            }
            Self::File { operation, path, .. } => write!(f, "{operation} {}", path.display()),
            Self::System { operation, .. } => f.write_str(operation),
            Self::Ending { .. } => f.write_str("not all containers could be ended"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // What lies beneath those of clients is in their own text.
            Self::Taken { .. } | Self::NotLoopback { .. } | Self::Clients { .. } => None,
            Self::Listen { source, .. } | Self::File { source, .. } | Self::System { source, .. } => {
                Some(source)
            }
            Self::Ending { source } => Some(source.as_ref()),
        }
    }
}

impl Error {
    /// What to do about it, where that is known: one sentence without a full stop.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Taken { .. } => Some("end it first, or give this one another --root"),
            Self::NotLoopback { .. } => {
                Some("give --web an address of 127.0.0.0/8 or [::1], and reach it from elsewhere by ssh -L")
            }
            Self::Listen { .. } => Some("choose another place with --web ADDRESS:PORT, or --no-web"),
            Self::Clients { source } => source.hint(),
            _ => None,
        }
    }
}
