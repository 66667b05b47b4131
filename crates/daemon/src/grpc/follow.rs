//! Logs and events, as long as somebody reads them.

use super::Service;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tinyd_api::proto::{self, LogPiece};
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Error, ErrorKind, Events, EventsRequest, Logs, LogsRequest};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

/// How many messages may be under way to a reader.
const UNDER_WAY: usize = 64;
/// A reader's thread does nothing deep.
const STACK: usize = 256 * 1024;
/// Answers come before what very many follow: so much nicer than others such a thread is.
const NICER: i32 = 10;

/// Messages of something that is followed. Their end ends the thread that reads them.
pub(crate) struct Followed<M> {
    messages: mpsc::Receiver<Result<M, Status>>,
    /// Closed with this.
    _wanted: OwnedFd,
}

impl<M> Stream for Followed<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(context)
    }
}

/// What can be followed.
trait Source: Send + 'static {
    type Message: Send + 'static;

    /// Readable when there may be something new.
    fn changes(&self) -> Option<BorrowedFd<'_>>;

    /// The next message, where that has to be asked because the descriptor does not tell of what was there before.
    fn at_hand(&mut self) -> Option<tinyd_engine::Result<Option<Self::Message>>>;

    /// The next message; none at the end.
    fn next(&mut self) -> tinyd_engine::Result<Option<Self::Message>>;
}

/// A log, and how much of it is missing, as that was last told.
struct Log(Box<dyn Logs>, (u64, u64));

impl Source for Log {
    type Message = LogPiece;

    fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    fn at_hand(&mut self) -> Option<tinyd_engine::Result<Option<LogPiece>>> {
        None
    }

    fn next(&mut self) -> tinyd_engine::Result<Option<LogPiece>> {
        let entry = self.0.next()?;
        let (missed, unlogged) = (self.0.missed(), self.0.unlogged());
        let told = std::mem::replace(&mut self.1, (missed, unlogged)) == (missed, unlogged);
        let nothing = entry.is_none() && told;
        Ok((!nothing).then(|| LogPiece { entry: entry.map(Wire::into_wire), missed, unlogged }))
    }
}

impl Source for Box<dyn Events> {
    type Message = proto::Event;

    fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.as_fd()
    }

    fn at_hand(&mut self) -> Option<tinyd_engine::Result<Option<proto::Event>>> {
        Some(self.as_mut().try_next().map(|event| event.map(Wire::into_wire)))
    }

    fn next(&mut self) -> tinyd_engine::Result<Option<proto::Event>> {
        Ok(self.as_mut().next()?.map(Wire::into_wire))
    }
}

impl Service {
    pub(super) async fn follow_log(
        &self,
        container: String,
        request: LogsRequest,
    ) -> Result<Followed<LogPiece>, Status> {
        let until = request.until;
        let logs = self.ask(move |engine| engine.logs(&container, &request)).await?;
        followed(Log(logs, (0, 0)), until)
    }

    pub(super) async fn follow_events(
        &self,
        request: EventsRequest,
    ) -> Result<Followed<proto::Event>, Status> {
        let until = request.until;
        let events = self.ask(move |engine| engine.events(&request)).await?;
        followed(events, until)
    }
}

/// Follows it, to the moment after which nothing is wanted.
fn followed<S: Source>(source: S, until: Option<SystemTime>) -> Result<Followed<S::Message>, Status> {
    let failed = |error: std::io::Error| {
        status::of_error(&Error::with_source(ErrorKind::Internal, "follow what happens", &error))
    };
    let (unwanted, wanted) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let (sender, messages) = mpsc::channel(UNDER_WAY);
    // A thread of its own: one that waits for a silent container keeps none of those that verbs need.
    std::thread::Builder::new()
        .name("follow".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Of this thread alone, as Linux has it; it starts no program that would inherit it.
            let _ = rustix::process::nice(NICER);
            pass_on(source, until, &unwanted, &sender);
        })
        .map_err(failed)?;
    Ok(Followed { messages, _wanted: wanted })
}

fn pass_on<S: Source>(
    mut source: S,
    until: Option<SystemTime>,
    unwanted: &OwnedFd,
    sender: &mpsc::Sender<Result<S::Message, Status>>,
) {
    loop {
        let next = match await_next(&mut source, until, unwanted) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => return,
            Err(error) => Err(status::of_error(&error)),
        };
        let last = next.is_err();
        if sender.blocking_send(next).is_err() || last {
            return;
        }
    }
}

/// The next message, waiting for it; none at the end, and when nobody wants it any more.
fn await_next<S: Source>(
    source: &mut S,
    until: Option<SystemTime>,
    unwanted: &OwnedFd,
) -> tinyd_engine::Result<Option<S::Message>> {
    loop {
        let asked = source.at_hand().transpose()?;
        if let Some(Some(message)) = asked {
            return Ok(Some(message));
        }
        if let Some(changes) = source.changes() {
            let mut fds = [
                PollFd::from_borrowed_fd(changes, PollFlags::IN),
                PollFd::from_borrowed_fd(unwanted.as_fd(), PollFlags::IN),
            ];
            let waited = rustix::io::retry_on_intr(|| poll(&mut fds, until.map(left).as_ref()));
            if waited.is_err() || !fds[1].revents().is_empty() {
                return Ok(None);
            }
            // It may have been about nothing that is wanted.
            if asked.is_some() && until.is_none_or(|until| SystemTime::now() < until) {
                continue;
            }
        }
        return source.next();
    }
}

/// How long it is until then.
fn left(until: SystemTime) -> Timespec {
    let left = until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
