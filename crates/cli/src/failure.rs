//! Why a verb failed, in one line, and the exit code that tells it to a script.

use std::fmt;

/// A verb's exit code, or why there is none.
pub(crate) type Outcome = Result<u8, Failure>;

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; the text says how.
    Usage(String),
    /// The engine refused or could not.
    Engine(tinyd_engine::Error),
    /// Something failed on the client's side.
    Failed(String),
    /// Every failure has been printed; the last one's exit code, as `run` would give it.
    Reported(u8),
}

impl Failure {
    /// Something failed on the client's side, and why.
    pub(crate) fn failed(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }

    /// What was written went to nobody: the failure is whoever should have read it.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.line().is_some_and(|line| line.contains("Broken pipe"))
    }

    /// The line for standard error; `None` when all was said.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Usage(text) | Self::Failed(text) => Some(text.clone()),
            Self::Engine(error) => Some(line_of(error)),
            Self::Reported(_) => None,
        }
    }
}

impl From<tinyd_engine::Error> for Failure {
    fn from(error: tinyd_engine::Error) -> Self {
        Self::Engine(error)
    }
}

/// An engine's error as one line: the message, what lies beneath it, and the remedy in parentheses.
pub(crate) fn line_of(error: &tinyd_engine::Error) -> String {
    let mut line = error.to_string();
    for cause in error.causes() {
        line.push_str(": ");
        line.push_str(cause);
    }
    if let Some(hint) = error.hint() {
        line.push_str(&format!(" ({hint})"));
    }
    line
}

/// How failures become exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// `run`, `create`, `start`, `exec`: 125, 126 and 127 leave the other numbers to the command.
    Command,
    /// The other verbs: 2 for usage, 1 for the rest.
    Management,
}

impl Codes {
    /// The exit code of a wrong command line.
    pub(crate) fn usage(self) -> u8 {
        match self {
            Self::Command => 125,
            Self::Management => 2,
        }
    }

    /// The exit code of a failure.
    pub(crate) fn of(self, failure: &Failure) -> u8 {
        match (self, failure) {
            (_, Failure::Usage(_)) => self.usage(),
            (Self::Management, _) => 1,
            (Self::Command, Failure::Engine(error)) => error.exit_code(),
            (Self::Command, Failure::Reported(code)) => *code,
            (Self::Command, Failure::Failed(_)) => 125,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_engine::{Error, ErrorKind};

    #[test]
    fn a_chain_is_one_line_with_its_remedy() {
        let source = std::io::Error::from_raw_os_error(13);
        let error =
            Error::with_source(ErrorKind::Permission, "open /var/lib/tinyd", &source).with_hint("be root");
        let line = line_of(&error);
        assert!(line.starts_with("open /var/lib/tinyd: "), "{line}");
        assert!(line.ends_with(" (be root)") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn codes_follow_the_verb() {
        let missing = || Failure::Engine(Error::new(ErrorKind::CommandNotFound, "x"));
        assert_eq!(Codes::Command.of(&missing()), 127);
        assert_eq!(Codes::Management.of(&missing()), 1);
        assert_eq!(Codes::Command.of(&Failure::Usage(String::new())), 125);
        assert_eq!(Codes::Management.of(&Failure::Usage(String::new())), 2);
        assert_eq!(Codes::Command.of(&Failure::Reported(126)), 126);
    }
}
