//! Logs, as long as somebody reads them.

use super::Service;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tinyd_api::proto::LogEntry;
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Error, ErrorKind, Logs, LogsRequest};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

/// How many entries may be under way to a reader.
const UNDER_WAY: usize = 64;
/// A reader's thread does nothing deep.
const STACK: usize = 256 * 1024;

/// The entries of a log. Its end ends the thread that reads them.
pub(crate) struct Entries {
    entries: mpsc::Receiver<Result<LogEntry, Status>>,
    /// Closed with this.
    _wanted: OwnedFd,
}

impl Stream for Entries {
    type Item = Result<LogEntry, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.entries.poll_recv(context)
    }
}

impl Service {
    pub(super) async fn follow(&self, container: String, request: LogsRequest) -> Result<Entries, Status> {
        let logs = self.ask(move |engine| engine.logs(&container, &request)).await?;
        let failed = |error: std::io::Error| {
            status::of_error(&Error::with_source(ErrorKind::Internal, "read the log", &error))
        };
        let (unwanted, wanted) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let (sender, entries) = mpsc::channel(UNDER_WAY);
        // A thread of its own: one that waits for a silent container keeps none of those that verbs need.
        std::thread::Builder::new()
            .name("logs".to_owned())
            .stack_size(STACK)
            .spawn(move || pass_on(logs, &unwanted, &sender))
            .map_err(failed)?;
        Ok(Entries { entries, _wanted: wanted })
    }
}

fn pass_on(mut logs: Box<dyn Logs>, unwanted: &OwnedFd, sender: &mpsc::Sender<Result<LogEntry, Status>>) {
    loop {
        if let Some(changes) = logs.as_fd() {
            let mut fds = [
                PollFd::from_borrowed_fd(changes, PollFlags::IN),
                PollFd::from_borrowed_fd(unwanted.as_fd(), PollFlags::IN),
            ];
            let waited = rustix::io::retry_on_intr(|| poll(&mut fds, None));
            if waited.is_err() || !fds[1].revents().is_empty() {
                return;
            }
        }
        let next = match logs.next() {
            Ok(Some(entry)) => Ok(entry.into_wire()),
            Ok(None) => return,
            Err(error) => Err(status::of_error(&error)),
        };
        let last = next.is_err();
        if sender.blocking_send(next).is_err() || last {
            return;
        }
    }
}
