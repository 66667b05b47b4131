//! Programs that a container is served by for as long as it runs. They are others' too: whichever monitor sees first that one
//! has ended brings it back, and a lock of the program's own decides between several. What they are for, nobody here knows.
//!
//! Nothing is done before the command has run for a moment: most of those that end at once need no look at anything.

use crate::Companion;
use crate::state::{self, COMPANIONS_FILE, ProcessId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// When they are looked for first.
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(200);
/// How long one that has ended is left alone: at first, and at most where it ends again and again.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One that ran for so long has not failed to start.
const STEADY: Duration = Duration::from_secs(10);
/// Monitors that watch the same program look at it apart, so that most of them find it brought back.
const APART: Duration = Duration::from_millis(40);
const TURNS: u32 = 8;

/// Those of one container.
#[derive(Default)]
pub(crate) struct Companions {
    /// Where those stand that it has now, if they have changed since its start.
    changed: Option<PathBuf>,
    all: Vec<Watch>,
}

/// One of them.
struct Watch {
    companion: Companion,
    state: State,
    /// The next one.
    pause: Duration,
    /// The container has it still. One that this process started is waited for in any case: it is its zombie.
    wanted: bool,
}

enum State {
    /// Looked for at that moment.
    Due(Instant),
    Runs {
        process: OwnedFd,
        since: Instant,
        /// Where this process has started it.
        child: Option<Child>,
    },
}

/// What is read of the file that names the process.
#[derive(Deserialize)]
struct Named {
    process: ProcessId,
}

impl Companions {
    /// Those that the sender of the start told, or that somebody wrote down since.
    pub(crate) fn new(run_dir: &Path, told: &[Companion]) -> Self {
        let changed = run_dir.join(COMPANIONS_FILE);
        let mut companions = Self { changed: None, all: Vec::new() };
        companions.be(read(&changed).unwrap_or_else(|| told.to_vec()));
        companions.changed = Some(changed);
        companions
    }

    /// Follows what may have been written down meanwhile.
    pub(crate) fn follow(&mut self) {
        if let Some(companions) = self.changed.as_deref().and_then(read) {
            self.be(companions);
        }
    }

    fn be(&mut self, companions: Vec<Companion>) {
        for watch in &mut self.all {
            watch.wanted = companions.contains(&watch.companion);
        }
        self.forget();
        for companion in companions {
            if self.all.iter().all(|watch| watch.companion != companion) {
                let state = State::Due(Instant::now() + FIRST_LOOK);
                self.all.push(Watch { companion, state, pause: PAUSE, wanted: true });
            }
        }
    }

    fn forget(&mut self) {
        self.all.retain(|watch| watch.wanted || matches!(&watch.state, State::Runs { child: Some(_), .. }));
    }

    /// Those that run, each with its number: readable when it has ended.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.all.iter().enumerate().filter_map(|(number, watch)| match &watch.state {
            State::Runs { process, .. } => Some((number, process.as_fd())),
            State::Due(_) => None,
        })
    }

    /// How long it is until one has to be looked for; `None` when none has.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let due = self.all.iter().filter_map(|watch| match watch.state {
            State::Due(at) => Some(at),
            State::Runs { .. } => None,
        });
        due.min().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Looks for those whose moment has come, and starts those that are not there.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        self.forget();
        for watch in &mut self.all {
            if matches!(watch.state, State::Due(at) if at <= now) {
                watch.look();
            }
        }
    }

    /// One has ended. The others keep their numbers until the next look.
    pub(crate) fn ended(&mut self, number: usize) {
        let Some(watch) = self.all.get_mut(number) else { return };
        if let State::Runs { since, child, .. } = &mut watch.state {
            if let Some(child) = child {
                // It has ended: nothing is waited for.
                let _ = child.wait();
            }
            if since.elapsed() > STEADY {
                watch.pause = PAUSE;
            }
        }
        watch.rest();
    }
}

impl Watch {
    fn look(&mut self) {
        let found = match running(&self.companion.process) {
            Some(process) => Ok((process, None)),
            None => start(&self.companion),
        };
        match found {
            Ok((process, child)) => self.state = State::Runs { process, since: Instant::now(), child },
            // Of processes or memory there may be more later.
            Err(_) => self.rest(),
        }
    }

    /// Leaves it alone for a while, for a longer one next time.
    fn rest(&mut self) {
        let apart = APART * (std::process::id() % TURNS);
        self.state = State::Due(Instant::now() + self.pause + apart);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn read(path: &Path) -> Option<Vec<Companion>> {
    state::load(path).ok().flatten()
}

/// The process that a file names, if it runs. A zombie does not, whoever fails to reap it.
fn running(path: &Path) -> Option<OwnedFd> {
    let named: Named = state::load(path).ok()??;
    let process = named.process.open()?;
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&at_once));
    (ended == Ok(0)).then_some(process)
}

fn start(companion: &Companion) -> io::Result<(OwnedFd, Option<Child>)> {
    let mut child = Command::new(&companion.program)
        .args(&companion.arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    match tinyd_ns::pidfd::open(child.id()) {
        Ok(process) => Ok((process, Some(child))),
        Err(error) => {
            // One that cannot be watched would leave a zombie at its end.
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn shell(folder: &Path, script: &str) -> Companion {
        Companion {
            process: folder.join("process"),
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
        }
    }

    /// Goes round as the loop does, for at most so long, until `done`.
    fn turn(companions: &mut Companions, limit: Duration, mut done: impl FnMut(&Companions) -> bool) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if done(companions) {
                return true;
            }
            companions.look();
            let running: Vec<_> = companions.running().collect();
            let mut fds: Vec<_> =
                running.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
            let ended: Vec<_> = running
                .iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|((n, _), _)| *n)
                .collect();
            ended.into_iter().rev().for_each(|number| companions.ended(number));
        }
        false
    }

    fn count(path: &Path) -> usize {
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    #[test]
    fn one_that_runs_already_is_watched_and_brought_back_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let again = shell(folder.path(), &format!("echo >> {}; exec sleep 1000", started.display()));
        let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = ProcessId::of(other.id()).unwrap();
        state::store(&again.process, &serde_json::json!({ "process": process, "more": 1 }), false).unwrap();
        let mut companions = Companions::new(folder.path(), &[again]);
        assert!(companions.running().next().is_none(), "it is left alone at first");
        assert!(turn(&mut companions, Duration::from_secs(10), |all| all.running().next().is_some()));
        assert_eq!(count(&started), 0, "it was there");
        // Nobody reaps it: a zombie is not there.
        other.kill().unwrap();
        assert!(turn(&mut companions, Duration::from_secs(10), |_| count(&started) == 1));
        other.wait().unwrap();
        // One that nobody wants is waited for all the same.
        companions.be(Vec::new());
        let State::Runs { child: Some(child), .. } = &mut companions.all[0].state else { panic!("not kept") };
        child.kill().unwrap();
        assert!(turn(&mut companions, Duration::from_secs(10), |all| all.all.is_empty()));
        assert_eq!(count(&started), 1, "nor is it brought back");
    }

    #[test]
    fn one_that_cannot_stay_is_tried_again_after_growing_pauses() {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let again = shell(folder.path(), &format!("echo >> {}; exit 1", started.display()));
        let missing = Companion { program: "/no/such/program".into(), ..again.clone() };
        let mut companions = Companions::new(folder.path(), &[again, missing]);
        assert!(turn(&mut companions, Duration::from_secs(20), |_| count(&started) == 3));
        let pauses: Vec<_> = companions.all.iter().map(|watch| watch.pause).collect();
        assert!(pauses.iter().all(|pause| *pause >= PAUSE * 4), "{pauses:?}");
    }

    #[test]
    fn what_was_written_down_since_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (shell(folder.path(), "exit 1"), shell(folder.path(), "exit 2"));
        let mut companions = Companions::new(folder.path(), std::slice::from_ref(&one));
        companions.follow();
        assert_eq!(companions.all.len(), 1, "nothing was written");
        let path = folder.path().join(COMPANIONS_FILE);
        state::store(&path, &[&one, &two], false).unwrap();
        companions.follow();
        assert_eq!(companions.all.len(), 2);
        state::store(&path, &[&two], false).unwrap();
        companions.follow();
        assert!(companions.all.iter().map(|watch| &watch.companion).eq([&two]));
        assert_eq!(Companions::new(folder.path(), &[one]).all[0].companion, two, "a new monitor");
    }
}
