//! The pause before a container is started again, which its last monitor sleeps, and the command that starts it.
//!
//! The pause is measured by the clock that goes on while the machine sleeps, and that nobody sets. What the monitor writes
//! down before the exit is recorded says that one more start is to come; whoever takes that away has called it off.

use super::clients::Clients;
use super::listen_at;
use crate::StartRequest;
use crate::restart::{CleanUp, Due, RestartPlan, RestartState, WAKE_SOCKET};
use crate::state::{self, ProcessId};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::SocketFlags;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A start that is to come.
pub(super) struct Again<'a> {
    plan: &'a RestartPlan,
    run_dir: &'a Path,
    due: Due,
    /// The moment, since the machine's start.
    at: Duration,
}

/// Looks, before the exit of its first process is recorded, whether the container is to be started again, and writes that
/// down. `None` when it is not. `wanted` says that it was ended for that, whatever its policy is.
pub(super) fn decide(request: &StartRequest, pid: u32, code: u8, wanted: bool) -> Option<Again<'_>> {
    let plan = request.restart.as_ref()?;
    let state: RestartState = state::load(&plan.state).ok()?.unwrap_or_default();
    if !(wanted || state.wants(code)) || plan.stopped.exists() {
        return None;
    }
    let now = since_boot();
    let pause = state.pause_after(ProcessId::of(pid).map_or(Duration::ZERO, ProcessId::age));
    let due = Due {
        monitor: ProcessId::of(std::process::id()).ok()?,
        pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        code,
        wanted,
    };
    // Without room for the note nobody could call it off: it stays ended, as one whose monitor could do nothing more.
    state::store(&plan.due, &due, false).ok()?;
    Some(Again { plan, run_dir: &request.run_dir, due, at: now + pause })
}

/// Waits for the moment and starts the container, again and again where it does not start; in the end everyone has been given
/// what waits for him.
pub(super) fn follow(again: Option<Again<'_>>, mut clients: Clients) {
    if let Some(mut again) = again
        && let Some(command) = &again.plan.command
    {
        while again.sleep(&mut clients) {
            match run(command) {
                Ok(true) => break,
                // Its file is gone, and does not come back: what is written down is for the next command.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                ended => again.at = since_boot() + again.next_pause(ended.is_err()),
            }
        }
    }
    clients.deliver();
}

impl Again<'_> {
    /// Sleeps until the moment; false when it was called off. Those who have not taken everything yet are given it meanwhile.
    fn sleep(&self, clients: &mut Clients) -> bool {
        let listener = self.listen();
        // Without a clock of its own it looks from time to time.
        let timer = alarm(self.at);
        loop {
            if !self.is_on() {
                return false;
            }
            let left = self.at.saturating_sub(since_boot());
            if left.is_zero() {
                return true;
            }
            let mut fds = Vec::with_capacity(2 + clients.all.len());
            fds.extend(listener.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(timer.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(
                clients
                    .all
                    .iter()
                    .filter(|client| client.is_waiting())
                    .map(|client| PollFd::from_borrowed_fd(client.as_fd(), PollFlags::OUT)),
            );
            let look = Duration::from_millis(200);
            let limit = (listener.is_none() || timer.is_none()).then(|| timespec(left.min(look)));
            let _ = poll(&mut fds, limit.as_ref());
            drop(fds);
            clients.all.iter_mut().for_each(super::Client::flush);
            if let Some(listener) = &listener {
                while rustix::net::accept_with(listener, SocketFlags::CLOEXEC).is_ok() {}
            }
        }
    }

    /// What is written down is still this monitor's.
    fn is_on(&self) -> bool {
        let due: Option<Due> = state::load(&self.plan.due).ok().flatten();
        due.is_some_and(|due| due.monitor == self.due.monitor)
    }

    /// Where it is told to look. The folder may have gone with a start that failed.
    fn listen(&self) -> Option<OwnedFd> {
        match rustix::fs::mkdir(self.run_dir, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(_) => return None,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, self.run_dir, flags, Mode::empty()).ok()?;
        let _ = fs::remove_file(self.run_dir.join(WAKE_SOCKET));
        listen_at(&folder, self.run_dir, WAKE_SOCKET).ok()
    }

    /// After a start that failed the command has written down how long to wait now. One that was killed, or could not come so far, has
    /// not.
    fn next_pause(&mut self, killed: bool) -> Duration {
        let pause = match state::load::<Due>(&self.plan.due) {
            Ok(Some(due)) if !killed && due.pause_ms > self.due.pause_ms => due.pause_ms,
            _ => {
                let last = RestartState { pause_ms: self.due.pause_ms, ..RestartState::default() };
                let next = last.pause_after(Duration::ZERO).as_millis();
                self.due.pause_ms = u64::try_from(next).unwrap_or(u64::MAX);
                if killed && !self.plan.stopped.exists() && self.plan.state.parent().is_some_and(Path::exists)
                {
                    let _ = state::store(&self.plan.due, &self.due, false);
                }
                self.due.pause_ms
            }
        };
        self.due.pause_ms = pause;
        Duration::from_millis(pause)
    }
}

/// Runs the command to its end: whether it said that nothing more is to be done. An error when it could not say anything.
fn run(command: &CleanUp) -> io::Result<bool> {
    let status = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.code() {
        Some(code) => Ok(code == 0),
        None => Err(io::Error::other("killed")),
    }
}

/// How long the machine has been up, its sleep included.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Readable from that moment on.
fn alarm(at: Duration) -> Option<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC).ok()?;
    let time = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(at) };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &time).ok()?;
    Some(timer)
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
