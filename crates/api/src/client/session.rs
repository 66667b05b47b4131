//! A conversation with a command that another process's engine runs.

use super::descriptor::{self, OwnEnd, TaskEnd};
use super::{Client, answered, read};
use crate::proto;
use crate::wire::Wire;
use proto::session_input::Message as In;
use proto::session_output::Message as Out;
use std::os::fd::BorrowedFd;
use tinyd_engine::{Created, Error, ErrorKind, Input, Output, Result, Session};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// The most bytes of one piece of input.
const MAX_INPUT: usize = 32 * 1024;
/// How many messages may be under way to the daemon before a sender waits.
const UNDER_WAY: usize = 4;

/// A session whose streams come from the daemon.
pub(super) struct RemoteSession {
    socket: OwnEnd<proto::SessionOutput>,
    /// The last message, for as long as its bytes are looked at.
    last: Option<Out>,
}

impl Client {
    /// Opens a session, and gives the container's id with remarks.
    pub(super) fn open_session(&self, open: In) -> Result<(Created, RemoteSession)> {
        let (own, task) = descriptor::pair(&self.runtime)?;
        let (input, requests) = mpsc::channel(UNDER_WAY);
        let opened = self.runtime.block_on(async {
            // The first message is under way before anything is answered; there is room for it.
            let _ = input.send(proto::SessionInput { message: Some(open) }).await;
            let mut outputs = answered(self.containers().session(ReceiverStream::new(requests)).await)?;
            let first = outputs.message().await.map_err(|status| crate::status::to_error(&status))?;
            match first.and_then(|first| first.message) {
                Some(Out::Opened(created)) => Ok((read(created)?, outputs)),
                _ => Err(Error::new(ErrorKind::Internal, "the daemon opened no session")),
            }
        });
        let (created, outputs) = opened?;
        self.runtime.spawn(carry(task, outputs, input))?;
        Ok((created, RemoteSession { socket: own, last: None }))
    }
}

/// Carries messages both ways until one side has nothing more to say. The call ends with this.
async fn carry(
    task: TaskEnd,
    outputs: Streaming<proto::SessionOutput>,
    input: mpsc::Sender<proto::SessionInput>,
) {
    let task = &task;
    let inputs = async move {
        // A place first: what cannot be sent on yet stays in the socket, whose sender then sees that it is full.
        let mut buffer = Vec::new();
        loop {
            let Ok(place) = input.reserve().await else {
                // The daemon listens no more; what it has to say is the other half's.
                return std::future::pending().await;
            };
            match task.receive(&mut buffer).await {
                Some(message) => place.send(message),
                None => return,
            }
        }
    };
    tokio::select! {
        () = inputs => {}
        () = task.pass_on(outputs) => {}
    }
}

impl Session for RemoteSession {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self, input: Input<'_>) -> Result<()> {
        let message = match input {
            Input::Stdin(bytes) if bytes.len() > MAX_INPUT => {
                let problem = format!(
                    "input of {} bytes is more than {MAX_INPUT}, which is the most at once",
                    bytes.len()
                );
                return Err(Error::new(ErrorKind::InvalidInput, problem));
            }
            Input::Stdin(bytes) => In::Stdin(bytes.to_vec()),
            Input::StdinClosed => In::StdinClosed(proto::Empty {}),
            Input::Resize(size) => In::Resize(size.into_wire()),
            Input::Signal(number) => In::Signal(number),
            Input::Detach => In::Detach(proto::Empty {}),
        };
        let last = matches!(message, In::Detach(_));
        self.socket.send(&proto::SessionInput { message: Some(message) })?;
        // The daemon ends the session when it has heard that; a client that was gone before would end the command.
        while last && self.socket.receive()?.is_some() {}
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<Output<'_>>> {
        self.last = match self.socket.receive()? {
            None => return Ok(None),
            Some(message) => message.message,
        };
        match &self.last {
            Some(Out::Stdout(bytes)) => Ok(Some(Output::Stdout(bytes))),
            Some(Out::Stderr(bytes)) => Ok(Some(Output::Stderr(bytes))),
            Some(Out::Lost(count)) => Ok(Some(Output::Lost(*count))),
            Some(Out::Exited(status)) => Ok(Some(Output::Exited(read(*status)?))),
            // A newer daemon may know more: it told its version, and it fits.
            Some(Out::Opened(_)) | None => Ok(Some(Output::Stdout(&[]))),
        }
    }

    fn max_input(&self) -> usize {
        MAX_INPUT
    }
}
