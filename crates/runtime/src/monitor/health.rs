//! Runs a container's health check beside it, as `exec` runs any command: by a program of its own, of which this process only
//! sees a socket. Nothing is waited for: a check that hangs, wherever, is killed when its time is up, and the next one comes.

use super::clock::now_ns;
use crate::frame::{self, Kind, MAX_PAYLOAD};
use crate::health::{HEALTH_FILE, HealthPlan, HealthRecord, HealthResult, OUTPUT, Status, Then};
use crate::program::PROTECT;
use crate::state::{self, ExitRecord};
use crate::{Failure, FailureKind, Request, StartRequest};
use rustix::buffer::spare_capacity;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tinyd_cgroup::CgroupPath;
use tinyd_ns::pidfd;

/// How long a keeper may take to go whose check is over, and how often it is looked for.
const LEAVE: Duration = Duration::from_secs(1);
const REAP: Duration = Duration::from_millis(20);

/// A container's check.
pub(crate) struct Health<'a> {
    request: &'a StartRequest,
    plan: &'a HealthPlan,
    record: HealthRecord,
    /// When failures begin to count.
    counts_from: Instant,
    state: State,
    /// When the command is killed that was asked to end because it is not healthy.
    ends_by: Option<Instant>,
    leaving: Leaving,
    /// It is ended so that it is started again.
    again: bool,
}

enum State {
    Waits(Instant),
    Runs(Check),
    /// The container is ended for it.
    Over,
}

/// A check that is being made.
struct Check {
    child: Child,
    socket: OwnedFd,
    started_ns: i64,
    ends_by: Instant,
    output: Vec<u8>,
}

/// How one ended.
enum End {
    Code(i32),
    /// Nothing is said of the container by it.
    Nothing,
}

impl<'a> Health<'a> {
    /// The check of a container that was just started, or that has run for so long already and whose monitor this is from now
    /// on; `None` without one.
    pub(crate) fn new(request: &'a StartRequest, age: Duration) -> Option<Self> {
        let plan = request.health.as_ref()?;
        let known: Option<HealthRecord> = state::load(&request.run_dir.join(HEALTH_FILE)).ok().flatten();
        let now = Instant::now();
        let health = Self {
            request,
            plan,
            record: known.unwrap_or_default(),
            counts_from: now + Duration::from_millis(plan.start_period_ms).saturating_sub(age),
            state: State::Waits(now + Duration::from_millis(plan.interval_ms)),
            ends_by: None,
            leaving: Leaving::default(),
            again: false,
        };
        health.keep();
        Some(health)
    }

    /// What is to be waited for, while a check is made.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Runs(check) => Some(check.socket.as_fd()),
            State::Waits(_) | State::Over => None,
        }
    }

    /// How long it is until something is to be done.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let next = match &self.state {
            State::Waits(at) => Some(*at),
            State::Runs(check) => Some(check.ends_by),
            State::Over => None,
        };
        let next = next.into_iter().chain(self.ends_by).chain(self.leaving.until_due()).min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// It was ended by this, to be started again.
    pub(crate) fn wants_it_again(&self) -> bool {
        self.again
    }

    /// Does what is due.
    pub(crate) fn look(&mut self, init: &OwnedFd) {
        let now = Instant::now();
        self.leaving.look();
        if self.ends_by.is_some_and(|at| at <= now) {
            self.ends_by = None;
            let _ = pidfd::send_signal(init, libc::SIGKILL);
        }
        match &mut self.state {
            State::Waits(at) if *at <= now => match start(self.plan, self.request) {
                Ok(check) => self.state = State::Runs(check),
                Err(error) => {
                    let output = format!("the check could not be started: {error}");
                    self.finish(init, now_ns(), -1, output);
                }
            },
            // Its command stands still as the rest does: that says nothing.
            State::Runs(check) if check.ends_by <= now && stands_still(self.request) => {
                self.leave();
                self.rest();
            }
            State::Runs(check) if check.ends_by <= now => {
                let took = Duration::from_millis(self.plan.timeout_ms);
                let output = format!("health check exceeded its time ({took:?})");
                let started_ns = check.started_ns;
                self.leave();
                self.finish(init, started_ns, -1, output);
            }
            _ => {}
        }
    }

    /// Reads what a check says.
    pub(crate) fn serve(&mut self, init: &OwnedFd) {
        let State::Runs(check) = &mut self.state else { return };
        let Some(end) = check.read() else { return };
        let (started_ns, output) = (check.started_ns, check.text());
        self.leave();
        match end {
            End::Code(code) => self.finish(init, started_ns, code, output),
            End::Nothing => self.rest(),
        }
    }

    /// Its check is over.
    fn leave(&mut self) {
        if let State::Runs(check) = std::mem::replace(&mut self.state, State::Over) {
            self.leaving.add(check);
        }
    }

    fn rest(&mut self) {
        self.state = State::Waits(Instant::now() + Duration::from_millis(self.plan.interval_ms));
    }

    fn finish(&mut self, init: &OwnedFd, started_ns: i64, code: i32, output: String) {
        self.rest();
        let result = HealthResult { started_ns, finished_ns: now_ns(), code, output };
        let counts = Instant::now() >= self.counts_from;
        let changed = self.record.take(result, counts, self.plan.retries);
        self.keep();
        let Some(status) = changed else { return };
        self.request.tell(&format!("health_status: {}", status.word()), &[]);
        if status == Status::Unhealthy {
            self.act(init);
        }
    }

    fn act(&mut self, init: &OwnedFd) {
        if self.plan.then == Then::Nothing {
            return;
        }
        let signal = if self.plan.then == Then::Kill { libc::SIGKILL } else { self.plan.stop_signal };
        if let (Then::Stop, Some(restart)) = (self.plan.then, &self.request.restart) {
            // As when somebody had stopped it. Without room its policy may start it again.
            let _ = state::store(&restart.stopped, &"user", true);
        }
        self.again = self.plan.then == Then::Restart;
        self.request.tell("kill", &[("signal", signal.to_string())]);
        let _ = pidfd::send_signal(init, signal);
        self.ends_by = Some(Instant::now() + Duration::from_millis(self.plan.grace_ms));
        self.state = State::Over;
    }

    fn keep(&self) {
        // Without room the last one that was kept stays.
        let _ = state::store(&self.request.run_dir.join(HEALTH_FILE), &self.record, false);
    }
}

impl Drop for Health<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn stands_still(request: &StartRequest) -> bool {
    let group = super::cgroup_driver().ok().zip(CgroupPath::new(&request.cgroup).ok());
    let group = group.and_then(|(driver, path)| driver.open(&path).ok());
    group.is_some_and(|group| group.is_frozen().unwrap_or(false))
}

/// Starts a check: the program that runs it gets its request at once, and answers in its time.
fn start(plan: &HealthPlan, request: &StartRequest) -> io::Result<Check> {
    let started_ns = now_ns();
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("tinyd-runtime")
        .args(["enter", "--id", &request.id])
        .args(plan.exec.protect_program.then_some(PROTECT))
        .env_clear()
        .envs(crate::defence::passed_on())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let sent = send(&ours, plan);
    if let Err(error) = sent {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let ends_by = Instant::now() + Duration::from_millis(plan.timeout_ms);
    Ok(Check { child, socket: ours, started_ns, ends_by, output: Vec::new() })
}

/// The socket takes several packets before anybody reads: nothing is waited for.
fn send(socket: &OwnedFd, plan: &HealthPlan) -> io::Result<()> {
    let json = serde_json::to_vec(&Request::Exec(Box::new(plan.exec.clone())))?;
    let mut pieces = json.chunks(MAX_PAYLOAD / 4).peekable();
    while let Some(piece) = pieces.next() {
        let kind = if pieces.peek().is_some() { Kind::RequestPart } else { Kind::Request };
        let packet = [&[kind as u8], piece].concat();
        rustix::net::send(socket, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    }
    Ok(())
}

impl Check {
    /// Reads what there is; the end, when it has come.
    fn read(&mut self) -> Option<End> {
        let mut packet = frame::buffer();
        loop {
            packet.clear();
            let received = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.socket, spare_capacity(&mut packet), RecvFlags::DONTWAIT)
            });
            match received {
                Err(rustix::io::Errno::AGAIN) => return None,
                Ok(_) if !packet.is_empty() => {}
                _ => {
                    self.say(b"the check was killed");
                    return Some(End::Code(-1));
                }
            }
            match frame::parse(&packet) {
                Some((Kind::Stdout | Kind::Stderr, bytes)) => self.say(bytes),
                Some((Kind::Exited, json)) => {
                    let exit: Result<ExitRecord, _> = serde_json::from_slice(json);
                    return Some(End::Code(exit.map_or(-1, |exit| exit.code.into())));
                }
                Some((Kind::Failed, json)) => {
                    let failure: Result<Failure, _> = serde_json::from_slice(json);
                    return Some(match failure {
                        // What stands still is neither well nor ill, and what has ended has ended.
                        Ok(failure)
                            if matches!(failure.kind, FailureKind::Paused | FailureKind::NotRunning) =>
                        {
                            End::Nothing
                        }
                        Ok(failure) => {
                            self.say(failure.to_string().as_bytes());
                            End::Code(-1)
                        }
                        Err(_) => End::Code(-1),
                    });
                }
                _ => {}
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        let over = self.output.len().saturating_sub(OUTPUT);
        self.output.drain(..over);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Has whatever runs for it end: its command is killed by its keeper, which hears of nobody any more.
    fn leave(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// Checks that are over, and whose keepers are not gone yet.
#[derive(Default)]
struct Leaving(Vec<(Child, Instant)>);

impl Leaving {
    fn add(&mut self, check: Check) {
        check.leave();
        self.0.push((check.child, Instant::now() + LEAVE));
        self.look();
    }

    /// Forgets those that are gone, and kills those that are not in time. One that no signal reaches hurts nobody.
    fn look(&mut self) {
        let now = Instant::now();
        self.0.retain_mut(|(child, at)| {
            if *at <= now {
                let _ = child.kill();
                *at = now + LEAVE;
            }
            matches!(child.try_wait(), Ok(None))
        });
    }

    fn until_due(&self) -> Option<Instant> {
        (!self.0.is_empty()).then(|| Instant::now() + REAP)
    }
}
