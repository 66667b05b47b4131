//! One error for all verbs, which travels over a wire unchanged.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a verb.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a verb failed, in the terms a caller acts on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The request itself is wrong; nothing was done.
    InvalidInput,
    /// No such container, image or network.
    NotFound,
    /// A prefix that fits several containers.
    Ambiguous,
    /// A name that is taken.
    Conflict,
    /// The container is in a state in which this cannot be done.
    WrongState,
    /// The caller lacks a right.
    Permission,
    /// The host lacks what was asked for.
    Unsupported,
    /// The container's command does not exist in its root file system.
    CommandNotFound,
    /// The container's command exists and cannot be executed.
    CommandNotExecutable,
    /// Everything else: a system call failed.
    Internal,
}

/// What failed, on what object, why, and what to do about it.
///
/// `Display` gives the message; [`causes`](Error::causes) what lies beneath it, outermost first, and
/// [`hint`](Error::hint) the remedy. An error of the client's own side keeps no other source than these texts, so that it
/// is the same whether the engine runs in this process or in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Error {
    /// An error of the given kind; the message is lower case, without a full stop, and names the object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// As [`new`](Error::new), with the chain of another error beneath it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut error = Self::new(kind, message);
        let mut next = Some(source);
        while let Some(cause) = next {
            error.causes.push(cause.to_string());
            next = cause.source();
        }
        error
    }

    /// As [`new`](Error::new), with the texts of errors beneath it, outermost first: one that was told elsewhere.
    pub fn with_causes(kind: ErrorKind, message: impl Into<String>, causes: Vec<String>) -> Self {
        Self { causes, ..Self::new(kind, message) }
    }

    /// Adds what the user can do about it: one sentence without a full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The kind, by which callers decide.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The texts of the errors beneath this one, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code of `run`, `create`, `start` and `exec` for this error, as Docker's: 127 where the command was not
    /// found, 126 where it cannot be executed, 125 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::CommandNotFound => 127,
            ErrorKind::CommandNotExecutable => 126,
            _ => 125,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_chain_of_its_source() {
        let source = std::io::Error::from_raw_os_error(2);
        let error = Error::with_source(ErrorKind::Internal, "open config.json", &source);
        assert_eq!(error.to_string(), "open config.json");
        assert_eq!(error.causes().len(), 1);
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn commands_that_do_not_run_have_codes_of_their_own() {
        assert_eq!(Error::new(ErrorKind::CommandNotFound, "x").exit_code(), 127);
        assert_eq!(Error::new(ErrorKind::CommandNotExecutable, "x").exit_code(), 126);
    }
}
