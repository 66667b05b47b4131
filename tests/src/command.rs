//! Building a command line of the program under test.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::leak::MARK;
use crate::output::Output;
use crate::pty::Pty;
use crate::running::Running;

/// After this long a command is taken to hang, unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that has not been started.
#[derive(Debug, Clone)]
#[must_use]
pub struct Cmd {
    words: Vec<OsString>,
    tag: String,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<Vec<u8>>,
    piped: bool,
    limit: Duration,
}

/// Of the program under test: most tests are not about networks, and leave those of the machine as they are. A container gets
/// the network that it would get of a user where a test sets this to nothing.
pub const NO_NETWORK: (&str, &str) = ("TINYD_NETWORK", "none");

impl Cmd {
    pub(crate) fn new(words: Vec<OsString>, tag: &str) -> Cmd {
        Cmd {
            words,
            tag: tag.to_owned(),
            // Whoever runs the tests may have set the machine's own engine up.
            variables: [NO_NETWORK, ("TINYD_CONFIG", "/dev/null")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            folder: None,
            input: None,
            piped: false,
            limit: LIMIT,
        }
    }

    /// Gives these bytes on the standard input, which is `/dev/null` otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.input = Some(bytes.into());
        self
    }

    /// Keeps the standard input open as a pipe, for [`Running::send`].
    pub fn piped(mut self) -> Cmd {
        self.piped = true;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Cmd {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs it in this folder.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Cmd {
        self.folder = Some(folder.into());
        self
    }

    /// Runs it under another program: `under(["strace", "-f"])`.
    pub fn under<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Cmd {
        self.words = words.into_iter().map(Into::into).chain(self.words).collect();
        self
    }

    /// Lets it take this long.
    pub fn limit(mut self, limit: Duration) -> Cmd {
        self.limit = limit;
        self
    }

    /// Starts it with pipes for its streams.
    #[track_caller]
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        let wants_input = self.piped || self.input.is_some();
        command.stdin(if wants_input { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = self.shown();
        let child = command.spawn().unwrap_or_else(|err| panic!("cannot start {shown}: {err}"));
        let mut running = Running::new(shown, child, self.limit);
        if let Some(bytes) = &self.input {
            running.send(bytes);
        }
        if !self.piped {
            running.close_stdin();
        }
        running
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        self.spawn().wait()
    }

    /// The words of the command line, the program first.
    pub fn words(&self) -> &[OsString] {
        &self.words
    }

    /// Starts it on a terminal of this size.
    #[track_caller]
    pub fn pty(self, rows: u16, columns: u16) -> Pty {
        Pty::start(self, rows, columns)
    }

    pub(crate) fn time_limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn shown(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// The command without its streams. The developer's own settings for tinyd must not reach the program under test; which
    /// defences a weakened one is without (`cargo xtask weakened`) must.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command.env(MARK, &self.tag);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

fn is_setting(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("TINYD_") && name != "TINYD_WEAKEN"
}
