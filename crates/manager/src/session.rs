//! A session over the packets of a monitor or an exec.

use crate::core::Core;
use crate::error::Error;
use crate::ids;
use crate::launcher::Link;
use crate::life::Ended;
use crate::store::Record;
use std::os::fd::BorrowedFd;
use tinyd_engine::{Input, Output, Result, Session};
use tinyd_runtime::client::{ClientError, Message};
use tinyd_runtime::events::EventPlan;
use tinyd_runtime::frame::{self, Kind, MAX_PAYLOAD};

/// A conversation with a command of this machine.
pub(crate) struct LocalSession {
    /// First digits of the container's id, for messages.
    container: String,
    link: Box<dyn Link>,
    left: Left,
}

/// What is told when somebody leaves a session whose command goes on.
pub(crate) struct Left {
    events: EventPlan,
    id: String,
    action: &'static str,
}

impl Left {
    /// For a container's own command.
    pub(crate) fn container(core: &Core, record: &Record) -> Self {
        Self { events: core.event_plan(record), id: record.id.clone(), action: "detach" }
    }

    /// For a further command, of which its events say more than that of the container's.
    pub(crate) fn further(events: EventPlan, record: &Record) -> Self {
        Self { events, id: record.id.clone(), action: "exec_detach" }
    }
}

impl LocalSession {
    /// The session.
    pub(crate) fn of(left: Left, link: Box<dyn Link>) -> Box<dyn Session> {
        Box::new(Self { container: ids::short(&left.id).to_owned(), link, left })
    }
}

fn broken(container: &str, source: ClientError) -> tinyd_engine::Error {
    Error::Launch { operation: "talk to", container: container.to_owned(), source }.into()
}

impl Session for LocalSession {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    fn send(&mut self, input: Input<'_>) -> Result<()> {
        let sent = match input {
            Input::Stdin(bytes) if bytes.len() > MAX_PAYLOAD => {
                let problem = format!("bytes are more than {MAX_PAYLOAD}, which is the most at once");
                return Err(Error::invalid("input of", bytes.len().to_string(), problem).into());
            }
            Input::Stdin(bytes) => self.link.send(Kind::Stdin, bytes),
            Input::StdinClosed => self.link.send(Kind::StdinClosed, &[]),
            Input::Resize(size) => self.link.send(Kind::Resize, &frame::resize(size.rows, size.columns)),
            Input::Detach => self.link.detach().inspect(|()| {
                self.left.events.tell(&self.left.id, self.left.action, &[]);
            }),
            Input::Signal(number) => self.link.send(Kind::Signal, &number.to_le_bytes()),
        };
        sent.map_err(|source| broken(&self.container, source))
    }

    fn receive(&mut self) -> Result<Option<Output<'_>>> {
        Ok(match self.link.receive().map_err(|source| broken(&self.container, source))? {
            Some(Message::Stdout(bytes)) => Some(Output::Stdout(bytes)),
            Some(Message::Stderr(bytes)) => Some(Output::Stderr(bytes)),
            Some(Message::Lost(count)) => Some(Output::Lost(count)),
            // Said once, before a session begins.
            Some(Message::Attached) => {
                let source = std::io::ErrorKind::InvalidData.into();
                return Err(broken(&self.container, ClientError::Talk { operation: "receive from", source }));
            }
            Some(Message::Exited(exit)) => Some(Output::Exited(Ended::from(exit).status())),
            None => None,
        })
    }

    fn max_input(&self) -> usize {
        MAX_PAYLOAD
    }
}
