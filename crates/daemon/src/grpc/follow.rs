//! Logs and events, as long as somebody reads them.

use super::Service;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
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
/// What comes within so short a time is passed on together: nobody reads faster, and each time costs three programs a turn.
const TOGETHER: Duration = Duration::from_millis(10);

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

    /// The next message.
    fn next(&mut self) -> tinyd_engine::Result<Next<Self::Message>>;
}

/// What there is of something that is followed.
enum Next<M> {
    Message(M),
    /// Nothing by now.
    Later,
    End,
}

/// A log, and how much of it is missing, as that was last told.
struct Log(Box<dyn Logs>, (u64, u64));

impl Source for Log {
    type Message = LogPiece;

    fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    fn next(&mut self) -> tinyd_engine::Result<Next<LogPiece>> {
        let entry = self.0.next()?;
        let (missed, unlogged) = (self.0.missed(), self.0.unlogged());
        let told = std::mem::replace(&mut self.1, (missed, unlogged)) == (missed, unlogged);
        if entry.is_none() && told {
            return Ok(Next::End);
        }
        Ok(Next::Message(LogPiece { entry: entry.map(Wire::into_wire), missed, unlogged }))
    }
}

/// Events, and the moment after which none is wanted.
struct Happenings(Box<dyn Events>, Option<SystemTime>);

impl Source for Happenings {
    type Message = proto::Event;

    fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    fn next(&mut self) -> tinyd_engine::Result<Next<proto::Event>> {
        // Before the look: what was told until then is seen by it.
        let over = self.0.as_fd().is_none() || self.1.is_some_and(|until| SystemTime::now() >= until);
        // Not waiting for it: what made it readable may be nothing that is wanted, and its reader may leave meanwhile.
        Ok(match self.0.try_next()? {
            Some(event) => Next::Message(event.into_wire()),
            None if over => Next::End,
            None => Next::Later,
        })
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
        followed(Happenings(events, until), until)
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
    let mut woken = None::<Instant>;
    loop {
        if let Some(changes) = source.changes() {
            let comes = |time| comes(changes, unwanted, time);
            let mut came = comes(Some(Duration::ZERO));
            if matches!(came, Comes::Nothing) {
                let rest = woken.map_or(Duration::ZERO, |woken| TOGETHER.saturating_sub(woken.elapsed()));
                if !rest.is_zero() && leaves_within(unwanted, rest) {
                    return;
                }
                came = comes(until.map(left));
                woken = Some(Instant::now());
            }
            if matches!(came, Comes::Nobody) {
                return;
            }
        }
        let next = match source.next() {
            Ok(Next::Message(message)) => Ok(message),
            Ok(Next::Later) => continue,
            Ok(Next::End) => return,
            Err(error) => Err(status::of_error(&error)),
        };
        let last = next.is_err();
        if sender.blocking_send(next).is_err() || last {
            return;
        }
    }
}

enum Comes {
    /// Something new, maybe.
    Something,
    Nothing,
    /// The reader has left.
    Nobody,
}

/// What comes within a time, or at all.
fn comes(changes: BorrowedFd<'_>, unwanted: &OwnedFd, time: Option<Duration>) -> Comes {
    let mut fds = [PollFd::from_borrowed_fd(changes, PollFlags::IN), PollFd::new(unwanted, PollFlags::IN)];
    match rustix::io::retry_on_intr(|| poll(&mut fds, time.map(timespec).as_ref())) {
        Ok(0) => Comes::Nothing,
        Ok(_) if fds[1].revents().is_empty() => Comes::Something,
        Ok(_) | Err(_) => Comes::Nobody,
    }
}

/// Whether the reader leaves within a time, which passes otherwise.
fn leaves_within(unwanted: &OwnedFd, time: Duration) -> bool {
    let mut fds = [PollFd::new(unwanted, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timespec(time)))) != Ok(0)
}

/// How long it is until then.
fn left(until: SystemTime) -> Duration {
    until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::sync::Arc;
    use tinyd_engine::Event;

    /// Readable for ever, and nothing of it is wanted; waiting for what is would last as long.
    struct Unwanted {
        changes: OwnedFd,
        _alive: Arc<()>,
    }

    impl Events for Unwanted {
        fn as_fd(&self) -> Option<BorrowedFd<'_>> {
            Some(self.changes.as_fd())
        }

        fn next(&mut self) -> tinyd_engine::Result<Option<Event>> {
            loop {
                std::thread::park();
            }
        }

        fn try_next(&mut self) -> tinyd_engine::Result<Option<Event>> {
            Ok(None)
        }
    }

    /// Whether the thread that followed has ended, and dropped what it read.
    fn ended(alive: &Arc<()>) -> bool {
        let begun = Instant::now();
        while Arc::strong_count(alive) > 1 && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Arc::strong_count(alive) == 1
    }

    fn unwanted(alive: &Arc<()>) -> Box<dyn Events> {
        // A pipe without a writer is readable.
        let (changes, _) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        Box::new(Unwanted { changes, _alive: Arc::clone(alive) })
    }

    #[test]
    fn pure_who_leaves_is_noticed_whatever_happens_that_he_did_not_want() {
        let alive = Arc::new(());
        let followed = followed(Happenings(unwanted(&alive), None), None).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(followed);
        assert!(ended(&alive));
    }

    #[test]
    fn pure_after_the_moment_that_was_said_it_ends() {
        let alive = Arc::new(());
        let until = Some(SystemTime::now() + Duration::from_millis(20));
        let mut followed = followed(Happenings(unwanted(&alive), until), until).unwrap();
        assert!(followed.messages.blocking_recv().is_none());
        assert!(ended(&alive) && Some(SystemTime::now()) >= until);
    }
}
