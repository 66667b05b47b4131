//! A container of the test, and the conversation with the program in it.

use super::Case;
use super::cases::{Kind, PERIOD};
use crate::process::readable_by;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use tinyd_engine::{
    BindMount, ContainerSpec, Engine, Error, ErrorKind, Input, Output, RemoveRequest, Result, Session,
    StartRequest, UserNamespace,
};
use tinyd_runtime::load::{self, Order, Report};

/// Where the program is inside.
const PROGRAM: &str = "/tinyd-load";

/// A container that runs.
pub(super) struct Cell {
    kind: Kind,
    id: String,
    session: Box<dyn Session>,
    /// What it has said and that is no whole line yet.
    said: Vec<u8>,
    /// What it complained about.
    complaints: Vec<u8>,
    pub(super) case: Case,
}

impl Cell {
    pub(super) fn start(engine: &dyn Engine, kind: Kind, memory: u64, program: &str) -> Result<Self> {
        let spec = spec(kind, memory, program, true);
        let request = StartRequest::attached(None);
        let started = match engine.run(&spec, &request) {
            // A host that does not count swap.
            Err(error) if error.kind() == ErrorKind::Unsupported && spec.resources.memory_swap.is_some() => {
                engine.run(&self::spec(kind, memory, program, false), &request)
            }
            started => started,
        };
        let started = started.map_err(|error| about(kind, "start", &error))?;
        let (id, session) = (started.id, started.session);
        let session = session.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("the engine gave no session with {}", kind.name()))
        })?;
        let case = Case {
            name: kind.name().to_owned(),
            resource: if matches!(kind, Kind::Memory(..)) { "memory" } else { "cpu" }.to_owned(),
            limit: kind.limit(memory),
            period: matches!(kind, Kind::Processor(..)).then_some(PERIOD),
            kernel: None,
            measured: None,
            oom_kills: None,
            passed: false,
            problem: String::new(),
        };
        Ok(Self { kind, id, session, said: Vec::new(), complaints: Vec::new(), case })
    }

    pub(super) fn is_memory(&self) -> bool {
        matches!(self.kind, Kind::Memory(..))
    }

    /// Tells the program what to do.
    pub(super) fn order(&mut self, order: Order) -> Result<()> {
        self.session
            .send(Input::Stdin(order.line().as_bytes()))
            .map_err(|error| about(self.kind, "give an order to", &error))
    }

    /// What it answers; `None` when the test is called off meanwhile.
    pub(super) fn answer(
        &mut self,
        within: Duration,
        call_off: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Report>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(at) = self.said.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.said.drain(..=at).collect();
                let report = serde_json::from_slice(&line);
                return report.map(Some).map_err(|error| {
                    Error::with_source(
                        ErrorKind::Internal,
                        format!("understand {}", self.kind.name()),
                        &error,
                    )
                });
            }
            if !wait(self.session.as_fd(), call_off, deadline)? {
                if let Some(fd) = call_off
                    && readable_by(fd, Some(Instant::now())).unwrap_or(false)
                {
                    return Ok(None);
                }
                return Ok(Some(Report::Failed(format!("no answer within {} s", within.as_secs()))));
            }
            match self.session.receive().map_err(|error| about(self.kind, "hear", &error))? {
                Some(Output::Stdout(bytes)) => self.said.extend_from_slice(bytes),
                Some(Output::Stderr(bytes)) => self.complaints.extend_from_slice(bytes),
                Some(Output::Lost(_)) => {}
                Some(Output::Exited(exit)) => {
                    let complaints = String::from_utf8_lossy(&self.complaints).trim().to_owned();
                    let why = match (exit.oom_killed, complaints.as_str()) {
                        (_, text) if !text.is_empty() => format!(": {text}"),
                        (true, _) => ": it was out of memory".to_owned(),
                        (false, _) => String::new(),
                    };
                    return Ok(Some(Report::Failed(format!("its program ended with {}{why}", exit.code))));
                }
                None => return Ok(Some(Report::Failed("its monitor went away".to_owned()))),
            }
        }
    }

    /// Lets it end. It may have ended already, which its answer has told.
    pub(super) fn close(&mut self) {
        let _ = self.session.send(Input::StdinClosed);
    }

    /// Takes it away. It may have gone by itself.
    pub(super) fn remove(self, engine: &dyn Engine) -> Result<()> {
        match engine.remove(&self.id, &RemoveRequest { force: true, ..RemoveRequest::default() }) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(about(self.kind, "remove", &error)),
            _ => Ok(()),
        }
    }
}

/// With the machine's own ids: what is tested are limits, and the program must be seen wherever it lies, also on a file
/// system that cannot map ids. It goes by itself when its program ends, so that nothing is left of a test that is killed.
fn spec(kind: Kind, memory: u64, program: &str, swap_too: bool) -> ContainerSpec {
    ContainerSpec {
        name: Some(kind.name().to_owned()),
        interactive: true,
        userns: UserNamespace::Host,
        resources: kind.resources(memory, swap_too),
        binds: vec![BindMount::new(program, PROGRAM).read_only()],
        ..ContainerSpec::new("host", [PROGRAM, load::VERB]).removed_on_exit()
    }
}

/// Waits for something to be received. `false` when the time is up or the test called off.
fn wait(session: BorrowedFd<'_>, call_off: Option<BorrowedFd<'_>>, deadline: Instant) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut all: Vec<_> = std::iter::once(session)
            .chain(call_off)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match poll(&mut all, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) if all.get(1).is_some_and(|fd| !fd.revents().is_empty()) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Error::with_source(ErrorKind::Internal, "wait for a container's answer", &errno));
            }
        }
    }
}

/// An engine's error, with the case that it came up in.
fn about(kind: Kind, operation: &str, error: &Error) -> Error {
    let hint = error.hint().map(str::to_owned);
    let beneath = std::iter::once(error.to_string()).chain(error.causes().iter().cloned());
    let text = beneath.collect::<Vec<_>>().join(": ");
    let made = Error::new(error.kind(), format!("{operation} {}: {text}", kind.name()));
    match hint {
        Some(hint) => made.with_hint(hint),
        None => made,
    }
}
