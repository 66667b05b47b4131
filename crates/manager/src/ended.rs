//! Waiting until a command has ended and its exit is recorded, and seeing to it that it does.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::life::{Ended, Life, Live};
use crate::lock::ContainerLock;
use crate::process::{self, readable_by};
use crate::store::Record;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tinyd_runtime::client::Message;
use tinyd_runtime::state::{ProcessId, RunState, STATE_FILE, load};

/// How long a killed command may take to go, and a monitor to tidy up.
const KILL: Duration = Duration::from_secs(10);
const TIDY: Duration = Duration::from_secs(10);

pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGQUIT: i32 = 3;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

impl Core {
    /// Sends a signal to a container's first process; `false` when it has ended.
    pub(crate) fn signal(&self, record: &Record, live: &Live, signal: i32) -> Result<bool> {
        let Some(init) = process::open(live.state.init) else { return Ok(false) };
        match tinyd_ns::pidfd::send_signal(&init, signal) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(false),
            Err(source) => Err(Error::Signal { signal, container: record.short().to_owned(), source }),
        }
    }

    /// Waits for a command's exit, until a deadline if there is one; `None` when that has passed.
    pub(crate) fn await_end(
        &self,
        record: &Record,
        live: &Live,
        deadline: Option<Instant>,
        lock: Option<&ContainerLock>,
    ) -> Result<Option<Ended>> {
        let link = match live.monitored {
            true => self.connect(record)?,
            false => None,
        };
        if let Some(mut link) = link {
            loop {
                if !ready(&link.as_fd(), deadline)? {
                    return Ok(None);
                }
                match link.receive().map_err(|source| talk(record, source))? {
                    Some(Message::Exited(exit)) => return Ok(Some(exit.into())),
                    Some(_) => {}
                    None => break,
                }
            }
        }
        // There is no monitor (any more): the process itself tells its end, though not how.
        loop {
            if let Some(process) = process::open(live.state.init)
                && !ready(&process, deadline)?
            {
                return Ok(None);
            }
            match self.life(record, lock)? {
                Life::Stopped(ended) | Life::Gone(ended) => return Ok(Some(ended)),
                // Another command starts it anew: the run that was waited for has ended.
                Life::Created => return Ok(Some(Ended::lost(live.state.started_ns))),
                Life::Running(now) if now.state.init != live.state.init => {
                    return Ok(Some(Ended::lost(live.state.started_ns)));
                }
                Life::Running(_) => {}
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            // Its process has ended and its monitor, which runs, is about to say so.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills a container and waits for its exit, and until its monitor has tidied up, for a bounded time.
    pub(crate) fn kill_all(&self, record: &Record, live: &Live, lock: &ContainerLock) -> Result<()> {
        // With the first process of a PID namespace all others die; the group has what joined from outside, and goes
        // only while it is this run's.
        if self.signal(record, live, SIGKILL)? {
            self.kill_cgroup(&record.id)?;
        }
        self.await_killed(record, live, Some(lock))?;
        self.await_tidy(&record.id, live.state.monitor)
    }

    /// Waits for the exit of a container that was killed.
    pub(crate) fn await_killed(
        &self,
        record: &Record,
        live: &Live,
        lock: Option<&ContainerLock>,
    ) -> Result<()> {
        match self.await_end(record, live, Some(Instant::now() + KILL), lock)? {
            Some(_) => Ok(()),
            None => Err(stuck(&record.id, live.state.init.pid)),
        }
    }

    /// Waits until the monitor of a container that has ended has tidied up, for a bounded time. What it takes away it finds by
    /// paths and by addresses, and if somebody else has them by then, it takes that one's.
    pub(crate) fn await_monitor(&self, id: &str) -> Result<()> {
        match self.present_state(id)? {
            Some(state) => self.await_tidy(id, state.monitor),
            None => Ok(()),
        }
    }

    /// The same of one that may run: then there is nothing to wait for.
    pub(crate) fn await_monitor_of_ended(&self, id: &str) -> Result<()> {
        match self.present_state(id)? {
            Some(state) if !process::runs(state.init) => self.await_tidy(id, state.monitor),
            _ => Ok(()),
        }
    }

    /// The command of a container's last run has not ended.
    pub(crate) fn runs_still(&self, id: &str) -> Result<bool> {
        Ok(self.present_state(id)?.is_some_and(|state| process::runs(state.init)))
    }

    /// What a run left of itself since the machine started: the number of a process of another boot is somebody else's now.
    fn present_state(&self, id: &str) -> Result<Option<RunState>> {
        let path = self.store.run_dir(id).join(STATE_FILE);
        let state: Option<RunState> = match load(&path) {
            // What cannot be understood names nobody who could be waited for.
            Err(source) if source.raw_os_error().is_none() => None,
            state => state.map_err(|source| Error::file("read", path, source))?,
        };
        let Some(state) = state else { return Ok(None) };
        Ok((state.boot_id == self.boot_id()?).then_some(state))
    }

    /// Waits until a monitor has ended, or has nothing left to do but to deliver what a client does not take: its state goes
    /// last.
    fn await_tidy(&self, id: &str, monitor: ProcessId) -> Result<()> {
        let Some(process) = process::open(monitor).filter(|_| process::is_at_work(monitor)) else {
            return Ok(());
        };
        let state = self.store.run_dir(id).join(STATE_FILE);
        let deadline = Instant::now() + TIDY;
        while !ready(&process, Some(Instant::now() + Duration::from_millis(5)))? && state.exists() {
            if Instant::now() > deadline {
                return Err(stuck(id, monitor.pid));
            }
        }
        Ok(())
    }

    /// A conversation with a container's monitor; `None` when it has none.
    pub(crate) fn connect(&self, record: &Record) -> Result<Option<Box<dyn crate::launcher::Link>>> {
        self.launcher.connect(&self.store.run_dir(&record.id)).map_err(|source| talk(record, source))
    }
}

fn stuck(id: &str, pid: u32) -> Error {
    Error::Stuck { container: ids::short(id).to_owned(), pid, state: process::state(pid) }
}

fn talk(record: &Record, source: tinyd_runtime::client::ClientError) -> Error {
    Error::Launch { operation: "wait for", container: record.short().to_owned(), source }
}

fn ready(fd: &impl AsFd, deadline: Option<Instant>) -> Result<bool> {
    readable_by(fd, deadline).map_err(|errno| Error::file("wait for", "a process", io::Error::from(errno)))
}
