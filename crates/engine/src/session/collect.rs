//! A command as a function: all that it wrote, and how it ended.

use super::{Output, Session};
use crate::{Error, ErrorKind, ExitStatus, Result, Started};

/// All that a command wrote, and how it ended. (All that came, where one attached to it later and was too slow.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Its standard output; with a terminal, all that it wrote.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub exit: ExitStatus,
}

impl Collected {
    /// Receives until the session ends, and keeps all of it in memory: for commands that write little.
    ///
    /// The session's end comes after its last message: of a container that is removed on exit nothing is left then.
    ///
    /// # Errors
    /// Those of [`Session::receive`], and [`ErrorKind::Internal`] when the session ended and the command had not.
    pub fn of(session: &mut dyn Session) -> Result<Self> {
        let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), None);
        while let Some(output) = session.receive()? {
            match output {
                Output::Stdout(bytes) => stdout.extend_from_slice(bytes),
                Output::Stderr(bytes) => stderr.extend_from_slice(bytes),
                Output::Lost(_) => {}
                Output::Exited(status) => exit = Some(status),
            }
        }
        let message = "the session ended before the command: its monitor was killed";
        let exit = exit.ok_or_else(|| Error::new(ErrorKind::Internal, message))?;
        Ok(Self { stdout, stderr, exit })
    }
}

impl Started {
    /// Waits for the command's end and gives all that it wrote, as [`Collected::of`] does.
    ///
    /// # Errors
    /// Those of `Collected::of`, and [`ErrorKind::InvalidInput`] when it was started without a session.
    pub fn collect(self) -> Result<Collected> {
        let Some(mut session) = self.session else {
            let message =
                format!("container {} was started without a session, which has its output", self.id);
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_hint("start it with StartRequest::attached, or read its logs"));
        };
        Collected::of(&mut *session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;
    use std::os::fd::{AsFd as _, BorrowedFd};

    const EXIT: ExitStatus = ExitStatus { code: 7, oom_killed: false, unknown: false, host_restarted: false };

    /// A session that was recorded.
    struct Tape(std::fs::File, std::vec::IntoIter<Output<'static>>);

    impl Tape {
        fn started(messages: Vec<Output<'static>>) -> Started {
            let file = std::fs::File::open("/dev/null").unwrap();
            let session = Box::new(Self(file, messages.into_iter()));
            Started { id: "1".to_owned(), notes: Vec::new(), session: Some(session) }
        }
    }

    impl Session for Tape {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        fn send(&mut self, _: Input<'_>) -> Result<()> {
            Ok(())
        }

        fn receive(&mut self) -> Result<Option<Output<'_>>> {
            Ok(self.1.next())
        }

        fn max_input(&self) -> usize {
            1
        }
    }

    #[test]
    fn the_streams_are_put_together_and_the_exit_is_kept() {
        let messages = vec![
            Output::Stdout(b"a"),
            Output::Stderr(b"x"),
            Output::Stdout(b"b"),
            Output::Stderr(b"y"),
            Output::Exited(EXIT),
        ];
        let collected = Tape::started(messages).collect().unwrap();
        assert_eq!(collected, Collected { stdout: b"ab".to_vec(), stderr: b"xy".to_vec(), exit: EXIT });
    }

    #[test]
    fn without_an_exit_or_a_session_there_is_an_error() {
        let lost = Tape::started(vec![Output::Stdout(b"a")]).collect().unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Internal);
        let detached = Started { id: "1".to_owned(), notes: Vec::new(), session: None };
        let error = detached.collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.hint().is_some());
    }
}
