//! What a command that has ended said, and how it ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The result of one command.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn new(command: String, status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Output {
        Output { command, status, stdout, stderr }
    }

    /// Requires the exit code 0.
    #[track_caller]
    pub fn ok(self) -> Output {
        assert!(self.status.success(), "expected success\n{self}");
        self
    }

    /// Requires this exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Output {
        assert_eq!(self.status.code(), Some(code), "expected the exit code {code}\n{self}");
        self
    }

    /// The exit code; `None` when a signal ended the command itself.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended the command itself.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// What stood on the standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same as bytes.
    pub fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// What stood on the standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The standard output without blanks and newlines at its ends: an id, a number, a single line.
    pub fn text(&self) -> String {
        self.stdout().trim().to_owned()
    }

    /// The standard output read as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|err| panic!("no JSON: {err}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "command: {}\nended: {}", self.command, self.status)?;
        writeln!(f, "stdout: {}", shown(&self.stdout))?;
        write!(f, "stderr: {}", shown(&self.stderr))
    }
}

/// The end of a long text says more about a failure than its start.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 8000;
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(MOST)..]).into_owned();
    if bytes.len() > MOST { format!("[{} bytes in all] …{text}", bytes.len()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32) -> Output {
        // The exit code stands in the second byte of a wait status.
        Output::new("it".into(), ExitStatus::from_raw(code << 8), b" {\"a\":1}\n".to_vec(), Vec::new())
    }

    #[test]
    fn reads_what_was_said() {
        let output = output(0).ok();
        assert_eq!(output.text(), "{\"a\":1}");
        assert_eq!(output.json()["a"], 1);
    }

    #[test]
    #[should_panic(expected = "expected the exit code 125")]
    fn the_wrong_code_fails() {
        output(1).fails(125);
    }

    #[test]
    #[should_panic(expected = "expected success")]
    fn a_failure_is_no_success() {
        output(1).ok();
    }
}
