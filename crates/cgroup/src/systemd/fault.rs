//! What can go wrong between us and systemd.

use std::io;
use std::time::Duration;

/// Why systemd did not do what it was asked for: the cause below [`crate::Error::Systemd`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// An address that is not one of a socket of this machine (D-Bus Specification, "Server Addresses").
    #[error("the bus address {address:?} cannot be used: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answers at the socket.
    #[error(
        "cannot reach systemd at {address}: this needs a machine whose first process is systemd, and root's rights; \
         elsewhere use the cgroupfs driver"
    )]
    Connect {
        /// The socket.
        address: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The other end does not believe us to be who we are.
    #[error("systemd's bus does not let this user in: {answer:?}")]
    Authentication {
        /// The line that it answered.
        answer: String,
    },
    /// The connection broke.
    #[error("cannot {operation} systemd's bus")]
    Io {
        /// `read from` or `write to`.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The other end closed the connection.
    #[error("systemd's bus closed the connection without an answer")]
    Closed,
    /// There was no answer in time.
    #[error("systemd has not answered within {} ms: see systemctl list-jobs", waited.as_millis())]
    TimedOut {
        /// How long was waited.
        waited: Duration,
    },
    /// What came in is no message.
    #[error("systemd's bus sent what is no message of D-Bus: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It refused.
    #[error("systemd says: {message} ({name})")]
    Refused {
        /// The name of the error, such as `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// Its words.
        message: String,
    },
    /// It tried, and did not get it done.
    #[error("systemd's job ended with {result:?}: systemctl status {unit} and journalctl -u {unit} tell why")]
    Job {
        /// `failed`, `timeout`, `canceled`, `dependency`, `skipped`, …
        result: String,
        /// The unit.
        unit: String,
    },
    /// The unit is there, and its processes are elsewhere.
    #[error(
        "systemd put it elsewhere, at {found:?}: another unit of that name may end just now, or the hierarchies are \
         mounted in a way that systemd does not use"
    )]
    Elsewhere {
        /// `/proc/PID/cgroup` of a process of the unit.
        found: String,
    },
    /// The process that holds a new scope open could not be made.
    #[error("cannot make a process that holds the scope open")]
    StandIn {
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl BusError {
    /// Whether it is systemd's own error of this name.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name.strip_prefix("org.freedesktop.systemd1.") == Some(wanted))
    }
}
