//! A conversation between a client and a command.

use super::readiness::Readiness;
use super::{Service, need, read};
use std::result::Result;
use tinyd_api::proto::session_input::Message as In;
use tinyd_api::proto::session_output::Message as Out;
use tinyd_api::proto::{SessionInput, SessionOutput};
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{
    AttachRequest, Created, Error, ErrorKind, Input, Output, Session, StartRequest, Started, WindowSize,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// How many messages may be under way to the client before the command's output waits.
const UNDER_WAY: usize = 4;

/// The messages to the client.
pub(super) type Outputs = ReceiverStream<Result<SessionOutput, Status>>;

impl Service {
    /// Opens the session that the first message asks for, and carries it on.
    pub(super) async fn converse(&self, mut inputs: Streaming<SessionInput>) -> Result<Outputs, Status> {
        let first = inputs.message().await?.and_then(|first| first.message);
        let started = self.open(need(first, "session is asked for")?).await?;
        let session = started.session.ok_or_else(|| {
            status::of_error(&Error::new(ErrorKind::Internal, "the engine gave no session"))
        })?;
        let ready = Readiness::of(session.as_fd()).map_err(|error| {
            status::of_error(&Error::with_source(ErrorKind::Internal, "watch the session", &error))
        })?;
        let (outputs, stream) = mpsc::channel(UNDER_WAY);
        let opened = Created { id: started.id, notes: started.notes };
        // There is room for the first one.
        let _ = outputs.try_send(Ok(SessionOutput { message: Some(Out::Opened(opened.into_wire())) }));
        tokio::spawn(carry(session, ready, inputs, outputs));
        Ok(ReceiverStream::new(stream))
    }

    async fn open(&self, wanted: In) -> Result<Started, Status> {
        let attached = |window| -> Result<StartRequest, Status> {
            let window: Option<WindowSize> = read(window)?;
            Ok(StartRequest::attached(window))
        };
        match wanted {
            In::Run(run) => {
                let (spec, request) = (read(run.spec)?, attached(run.window)?);
                self.begin(move |engine| engine.run(&spec, &request)).await
            }
            In::Start(start) => {
                let request = attached(start.window)?;
                self.begin(move |engine| engine.start(&start.container, &request)).await
            }
            In::Exec(exec) => {
                let spec = read(exec.spec)?;
                self.begin(move |engine| {
                    let session = engine.exec(&exec.container, &spec)?;
                    Ok(Started { id: exec.container, notes: Vec::new(), session })
                })
                .await
            }
            In::Attach(attach) => {
                let request = AttachRequest { stdin: attach.stdin, window: read(attach.window)? };
                self.ask(move |engine| {
                    let session = engine.attach(&attach.container, &request)?;
                    Ok(Started { id: attach.container, notes: Vec::new(), session: Some(session) })
                })
                .await
            }
            In::Stdin(_) | In::StdinClosed(_) | In::Detach(_) | In::Resize(_) | In::Signal(_) => {
                need(None, "session is asked for")
            }
        }
    }
}

/// Carries messages both ways until the command has ended or the client is gone. Neither waits for the other for longer than
/// he himself wants it.
async fn carry(
    mut session: Box<dyn Session>,
    ready: Readiness,
    mut inputs: Streaming<SessionInput>,
    outputs: mpsc::Sender<Result<SessionOutput, Status>>,
) {
    let mut waiting = None;
    let mut listens = true;
    loop {
        let place = async {
            let place = outputs.reserve().await.ok()?;
            ready.readable().await.ok()?;
            Some(place)
        };
        tokio::select! {
            place = place => {
                let Some(place) = place else { break };
                let (output, last) = next(session.as_mut());
                match output {
                    Some(output) => place.send(output),
                    None => break,
                }
                if last {
                    break;
                }
            }
            writable = ready.writable(), if waiting.is_some() => {
                let message = waiting.take();
                let last = matches!(message, Some(In::Detach(_)));
                let sent = match (writable, message) {
                    (Ok(()), Some(message)) => send(session.as_mut(), message),
                    _ => Err(NoMoreInput),
                };
                if last {
                    break;
                }
                match sent {
                    Ok(rest) => waiting = rest,
                    // Whoever takes no more input is about to end, and says so.
                    Err(NoMoreInput) => listens = false,
                }
            }
            input = inputs.message(), if listens && waiting.is_none() => match input {
                Ok(Some(input)) => waiting = input.message,
                // The client has nothing more to say.
                Ok(None) => listens = false,
                Err(_gone) => break,
            },
            () = outputs.closed() => break,
        }
    }
    // The end of a session may have to be waited for.
    let _ = tokio::task::spawn_blocking(move || drop(session)).await;
}

/// What the command says next, and whether that was its last word.
fn next(session: &mut dyn Session) -> (Option<Result<SessionOutput, Status>>, bool) {
    let message = match session.receive() {
        Ok(Some(Output::Stdout(bytes))) => Out::Stdout(bytes.to_vec()),
        Ok(Some(Output::Stderr(bytes))) => Out::Stderr(bytes.to_vec()),
        Ok(Some(Output::Lost(count))) => Out::Lost(count),
        Ok(Some(Output::Exited(exit))) => {
            return (Some(Ok(SessionOutput { message: Some(Out::Exited(exit.into_wire())) })), true);
        }
        Ok(None) => return (None, true),
        Err(error) => return (Some(Err(status::of_error(&error))), true),
    };
    (Some(Ok(SessionOutput { message: Some(message) })), false)
}

/// The command takes no more.
struct NoMoreInput;

/// Sends a message, or as much of it as there is surely room for: who waits in here holds up everybody. Gives the rest.
fn send(session: &mut dyn Session, message: In) -> Result<Option<In>, NoMoreInput> {
    let mut rest = None;
    let sent = match message {
        In::Stdin(mut bytes) => {
            let more = bytes.split_off(bytes.len().min(session.max_input().max(1)));
            rest = (!more.is_empty()).then_some(In::Stdin(more));
            // Of none there would be no packet.
            if bytes.is_empty() { Ok(()) } else { session.send(Input::Stdin(&bytes)) }
        }
        In::StdinClosed(_) => session.send(Input::StdinClosed),
        In::Resize(size) => match WindowSize::from_wire(size) {
            Ok(size) => session.send(Input::Resize(size)),
            // A terminal of that size there is not.
            Err(_) => Ok(()),
        },
        In::Signal(number) => session.send(Input::Signal(number)),
        In::Detach(_) => session.send(Input::Detach),
        // Only the first message opens something.
        In::Run(_) | In::Start(_) | In::Exec(_) | In::Attach(_) => Ok(()),
    };
    sent.map(|()| rest).map_err(|_| NoMoreInput)
}
