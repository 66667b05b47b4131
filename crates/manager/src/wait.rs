//! `wait`: a container's exit.

mod condition;

pub(crate) use condition::ConditionWaiter;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::launcher::Link;
use crate::life::{Ended, Life, Live};
use crate::process;
use crate::store::Record;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use tinyd_engine::{ExitStatus, Waiter};
use tinyd_runtime::client::Message;

/// Waits for one run of a container.
pub(crate) struct LocalWaiter {
    core: Arc<Core>,
    record: Record,
    waits: Waits,
}

enum Waits {
    /// It has ended.
    Not(Ended),
    /// The monitor tells.
    Monitor(Live, Box<dyn Link>),
    /// The monitor is gone: the process itself is watched.
    Process(Live, OwnedFd),
}

impl LocalWaiter {
    pub(crate) fn new(core: &Arc<Core>, word: &str) -> Result<Self> {
        let id = core.resolve(word)?;
        // A few looks: between finding a process and opening it, it may end.
        for _ in 0..10 {
            let record = core.known(&id, word)?;
            let waits = match core.life(&record, None)? {
                Life::Stopped(ended) | Life::Gone(ended) => Some(Waits::Not(ended)),
                Life::Running(live) if live.monitored => {
                    core.connect(&record)?.map(|link| Waits::Monitor(live, link))
                }
                Life::Running(live) => process::open(live.state.init).map(|init| Waits::Process(live, init)),
                Life::Created => {
                    return Err(Error::WrongState {
                        action: "wait for",
                        container: record.short().to_owned(),
                        state: "has not been started",
                        hint: None,
                    });
                }
            };
            if let Some(waits) = waits {
                return Ok(Self { core: Arc::clone(core), record, waits });
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Error::Busy { container: crate::ids::short(&id).to_owned() })
    }

    /// Whoever tells of the end has something to say.
    fn may_have_ended(&self) -> Result<bool> {
        let Some(fd) = self.as_fd() else { return Ok(true) };
        let told = process::readable_by(fd, Some(Instant::now()));
        told.map_err(|errno| Error::file("wait for", "a process", io::Error::from(errno)))
    }

    fn ended(&mut self) -> Result<Ended> {
        let live = match &mut self.waits {
            Waits::Not(ended) => {
                // What it held of the host is free then, as where its monitor tells. Its exit is known in any case.
                let _ = self.core.await_monitor_of_ended(&self.record.id);
                return Ok(ended.clone());
            }
            Waits::Process(live, _) => live,
            Waits::Monitor(live, link) => loop {
                match link.receive() {
                    Ok(Some(Message::Exited(exit))) => return Ok(exit.into()),
                    Ok(Some(_)) => {}
                    Ok(None) => break live,
                    Err(source) => {
                        let container = self.record.short().to_owned();
                        return Err(Error::Launch { operation: "wait for", container, source });
                    }
                }
            },
        };
        // Without a deadline there is an end, or an error.
        let ended = self.core.await_end(&self.record, live, None, None)?;
        Ok(ended.unwrap_or_else(|| Ended::lost(live.state.started_ns)))
    }
}

impl Waiter for LocalWaiter {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.waits {
            Waits::Not(_) => None,
            Waits::Monitor(_, link) => Some(link.as_fd()),
            Waits::Process(_, init) => Some(init.as_fd()),
        }
    }

    fn wait(&mut self) -> tinyd_engine::Result<ExitStatus> {
        let ended = self.ended()?;
        let status = ended.status();
        self.waits = Waits::Not(ended);
        Ok(status)
    }

    fn try_wait(&mut self) -> tinyd_engine::Result<Option<ExitStatus>> {
        match self.may_have_ended()? {
            true => self.wait().map(Some),
            false => Ok(None),
        }
    }
}
