//! Why something was not started, as it travels to whoever asked.

use serde::{Deserialize, Serialize};
use std::fmt;

const NOT_CONNECTED: &str = "the container was not connected to its network";

/// What a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The bundle or the request is wrong.
    Invalid,
    /// The command does not exist in the root file system.
    CommandNotFound,
    /// The command exists and cannot be executed.
    CommandNotExecutable,
    /// The container does not run.
    NotRunning,
    /// The container is paused.
    Paused,
    /// The host lacks something.
    Unsupported,
    /// A right is missing.
    Permission,
    /// Any other system call.
    Internal,
}

/// A failed start: what, on which object, why. Nothing is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// The operation and its object; lower case, no full stop.
    pub message: String,
    /// What lies beneath, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without causes.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: shorten(message.into()), causes: Vec::new(), hint: None }
    }

    /// The sender of a start did not connect the network namespace: why is for the sender to say.
    pub(crate) fn not_connected() -> Self {
        Self::new(FailureKind::Internal, NOT_CONNECTED)
    }

    /// Whether the sender's part, and nothing before it, is what failed.
    pub fn is_of_sender(&self) -> bool {
        self.message == NOT_CONNECTED
    }

    /// Adds the chain of an error beneath it.
    #[must_use]
    pub fn caused_by(mut self, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(source);
        while let Some(cause) = next {
            self.causes.push(shorten(cause.to_string()));
            next = cause.source();
        }
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Failure {
    /// All of it: message, causes, remedy. What is no text to be read, a line feed among it, is escaped: much of it is quoted.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        if let Some(hint) = &self.hint {
            line.push_str(&format!(" ({hint})"));
        }
        escape(&line)
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() || INVISIBLE.contains(&character) {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    escaped
}

/// What turns the direction of a line, or ends it.
const INVISIBLE: [char; 13] = [
    '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// A failure is one packet and one line: an argument of a megabyte in it helps nobody.
fn shorten(mut text: String) -> String {
    const MAX: usize = 512;
    if let Some((end, _)) = text.char_indices().nth(MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_failure_is_one_line_whatever_it_quotes() {
        let failure = Failure::new(FailureKind::Invalid, "a\nb")
            .caused_by(&std::io::Error::other("\u{1b}[2J\u{202e}é"));
        assert_eq!(failure.in_one_line(), "a\\nb: \\u{1b}[2J\\u{202e}é");
    }
}
