//! The engine's way to `tinyd-runtime`, as a trait, so that a test can make any step of it fail.

use std::os::fd::BorrowedFd;
use std::path::Path;
use tinyd_runtime::Request;
use tinyd_runtime::client::{self, ClientError, Connect, Connection, Meanwhile, Message};
use tinyd_runtime::frame::Kind;

/// Starts `tinyd-runtime` and finds monitors that run.
pub trait Launcher: Send + Sync {
    /// Starts `program` with a request and returns when the command runs. `keep` is held open until then, even if this
    /// process dies. `connect` does the engine's part of a start that asks for it, `meanwhile` what is to be done before
    /// the program knows of the request. A failure leaves nothing of the runtime's behind.
    ///
    /// # Errors
    /// Those of [`client::launch`].
    fn launch(
        &self,
        program: &Path,
        request: &Request,
        keep: Option<BorrowedFd<'_>>,
        connect: Option<Connect<'_>>,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Launch, ClientError>;

    /// The monitor of the container with this run-time folder; `None` when it has none.
    ///
    /// # Errors
    /// Those of [`client::connect`].
    fn connect(&self, run_dir: &Path) -> Result<Option<Box<dyn Link>>, ClientError>;
}

/// A command that runs.
pub struct Launch {
    /// Its first process, as the host numbers it.
    pub pid: u32,
    /// The conversation with it.
    pub link: Box<dyn Link>,
}

/// A conversation with a monitor or an exec.
pub trait Link: Send {
    /// Readable when [`receive`](Link::receive) has something; for poll(2) only.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Sends a packet.
    ///
    /// # Errors
    /// [`ClientError::Talk`].
    fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), ClientError>;

    /// Leaves, and what the conversation is about goes on.
    ///
    /// # Errors
    /// [`ClientError::Talk`].
    fn detach(&mut self) -> Result<(), ClientError> {
        self.send(Kind::Detach, &[])
    }

    /// The next packet, waiting for it; `None` when the other side went away.
    ///
    /// # Errors
    /// [`ClientError::Talk`].
    fn receive(&mut self) -> Result<Option<Message<'_>>, ClientError>;
}

/// The real one.
pub(crate) struct RuntimeLauncher;

impl Launcher for RuntimeLauncher {
    fn launch(
        &self,
        program: &Path,
        request: &Request,
        keep: Option<BorrowedFd<'_>>,
        connect: Option<Connect<'_>>,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Launch, ClientError> {
        let launched = client::launch(program, request, keep, connect, meanwhile)?;
        Ok(Launch { pid: launched.pid, link: Box::new(launched.connection) })
    }

    fn connect(&self, run_dir: &Path) -> Result<Option<Box<dyn Link>>, ClientError> {
        Ok(client::connect(run_dir)?.map(|connection| Box::new(connection) as Box<dyn Link>))
    }
}

impl Link for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Connection::as_fd(self)
    }

    fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), ClientError> {
        Connection::send(self, kind, payload)
    }

    fn detach(&mut self) -> Result<(), ClientError> {
        Connection::detach(self)
    }

    fn receive(&mut self) -> Result<Option<Message<'_>>, ClientError> {
        Connection::receive(self)
    }
}
