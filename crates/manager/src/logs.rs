//! `logs`: what a container wrote, as far as it is kept.

mod files;
mod follow;
pub(crate) mod options;
mod record;
mod tail;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::process;
use crate::time;
use files::Reader;
use follow::Follow;
use record::Piece;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::SystemTime;
use tinyd_engine::{LogDriver, LogEntry, Logs, LogsRequest};
use tinyd_runtime::state::{LOG_LOST_FILE, LostOutput, load};

/// A log that is being read.
pub(crate) struct LocalLogs {
    reader: Reader,
    /// The bounds in the form in which times stand in the log, where they compare as bytes.
    since: Option<String>,
    until: Option<String>,
    until_time: Option<SystemTime>,
    follow: Option<Follow>,
    /// Read ahead, so that the descriptor is readable exactly when there is something to read.
    ahead: VecDeque<LogEntry>,
    /// Nothing more will be written.
    ended: bool,
    /// Bytes for which there was no room.
    unlogged: u64,
}

/// What a line says, without its line feed.
pub(crate) fn entry_of(line: &[u8]) -> Option<LogEntry> {
    Piece::parse(line)?.entry()
}

impl Core {
    pub(crate) fn logs(&self, word: &str, request: &LogsRequest) -> Result<Box<dyn Logs>> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        if record.spec.log.driver == LogDriver::None {
            return Err(Error::WrongState {
                action: "read the log of",
                container: record.short().to_owned(),
                state: "keeps none (--log-driver none)",
                hint: Some("tinyd attach shows what it writes from now on"),
            });
        }
        let path = self.store.log(&id);
        let bound = |time: Option<SystemTime>| time.map(|time| time::rfc3339(time::to_ns(time)));
        let follow = match request.follow.then(|| self.life(&record, None)).transpose()? {
            Some(Life::Running(live)) => {
                // Everything is in the log when the monitor ends. Without one it cannot grow, and ends with the process.
                let last = if live.monitored { live.state.monitor } else { live.state.init };
                process::open(last).map(|last| Follow::new(&path, last)).transpose()?
            }
            _ => None,
        };
        // The watch comes before the first reading: what is written in between is seen by one of them.
        let reader = match request.tail {
            Some(lines) => Reader::last(&path, lines)?,
            None => Reader::all(&path, request.since)?,
        };
        let mut logs = LocalLogs {
            reader,
            since: bound(request.since),
            until: bound(request.until),
            until_time: request.until,
            ended: follow.is_none(),
            unlogged: self.lost_of_log(&id),
            follow,
            ahead: VecDeque::new(),
        };
        // What is there already makes the descriptor readable.
        logs.look_ahead()?;
        Ok(Box::new(logs))
    }
}

impl Core {
    /// How many bytes of a container's output could not be logged in its last run.
    pub(crate) fn lost_of_log(&self, id: &str) -> u64 {
        let path = self.store.run_dir(id).join(LOG_LOST_FILE);
        load::<LostOutput>(&path).ok().flatten().map_or(0, |lost| lost.bytes)
    }
}

impl LocalLogs {
    /// Reads one entry ahead; `false` when there is none now.
    fn fetch(&mut self) -> Result<bool> {
        while let Some(line) = self.reader.next_line()? {
            // A line that is none was cut off when its writer was killed.
            let Some(piece) = Piece::parse(line) else { continue };
            if self.since.as_deref().is_some_and(|since| piece.time < since.as_bytes()) {
                continue;
            }
            if self.until.as_deref().is_some_and(|until| piece.time >= until.as_bytes()) {
                self.ended = true;
                self.follow = None;
                return Ok(false);
            }
            if let Some(entry) = piece.entry() {
                self.ahead.push_back(entry);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_entry(&mut self) -> Result<Option<LogEntry>> {
        loop {
            if !self.ahead.is_empty() || self.fetch()? {
                let entry = self.ahead.pop_front();
                self.look_ahead()?;
                return Ok(entry);
            }
            if self.ended {
                return Ok(None);
            }
            let Some(follow) = &mut self.follow else { return Ok(None) };
            // Ended or not, what was written before is read once more.
            self.ended = follow.wait(self.until_time)?;
        }
    }

    fn look_ahead(&mut self) -> Result<()> {
        if self.follow.is_none() {
            return Ok(());
        }
        let mut more = self.fetch()?;
        if let Some(follow) = &mut self.follow
            && !more
        {
            // Whatever is written after this is told anew.
            follow.forget()?;
            more = self.fetch()?;
        }
        match &mut self.follow {
            Some(follow) => follow.announce(more),
            None => Ok(()),
        }
    }
}

impl Logs for LocalLogs {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.follow.as_ref().map(Follow::as_fd)
    }

    fn next(&mut self) -> tinyd_engine::Result<Option<LogEntry>> {
        self.next_entry().map_err(Error::into)
    }

    fn unlogged(&self) -> u64 {
        self.unlogged
    }

    fn missed(&self) -> u64 {
        self.reader.missed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, record};
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command};
    use std::time::Duration;
    use tinyd_runtime::state::{ProcessId, RunState, STATE_FILE, boot_id, store};

    fn line(ns: i64, text: &str) -> String {
        format!("{} stdout F {text}\n", time::rfc3339(ns))
    }

    /// A container with a log, whose monitor is the process given.
    fn container(core: &Core, monitor: Option<&Child>) -> (String, PathBuf) {
        let record = record(&core.store);
        let log = core.store.log(&record.id);
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        fs::write(
            core.store.container_file(&record.id, "container.json"),
            serde_json::to_vec(&record).unwrap(),
        )
        .unwrap();
        if let Some(monitor) = monitor {
            let monitor = ProcessId::of(monitor.id()).unwrap();
            let state = RunState { init: monitor, monitor, started_ns: 1, boot_id: boot_id().unwrap() };
            fs::create_dir_all(core.store.run_dir(&record.id)).unwrap();
            store(&core.store.run_dir(&record.id).join(STATE_FILE), &state, false).unwrap();
        }
        (record.id, log)
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn texts(logs: &mut dyn Logs) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(entry) = logs.next().unwrap() {
            texts.push(String::from_utf8(entry.data).unwrap());
        }
        texts
    }

    #[test]
    fn pure_rotated_files_are_read_from_the_oldest() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let (id, log) = container(&core, None);
        fs::write(log.with_extension("log.2"), line(1, "a")).unwrap();
        fs::write(log.with_extension("log.1"), line(2, "b") + &line(3, "c")).unwrap();
        fs::write(&log, line(4, "d") + "2026 torn").unwrap();
        let read = |request: LogsRequest| texts(core.logs(&id, &request).unwrap().as_mut());
        assert_eq!(read(LogsRequest::default()), ["a\n", "b\n", "c\n", "d\n"]);
        let tail = |lines| read(LogsRequest { tail: Some(lines), ..Default::default() });
        assert_eq!(tail(0), Vec::<String>::new());
        assert_eq!(tail(1), ["d\n"]);
        assert_eq!(tail(2), ["c\n", "d\n"]);
        assert_eq!(tail(4), tail(100));
        let bounds = LogsRequest {
            since: Some(time::from_ns(2)),
            until: Some(time::from_ns(4)),
            ..Default::default()
        };
        assert_eq!(read(bounds), ["b\n", "c\n"]);
    }

    #[test]
    fn pure_no_log_is_an_empty_log() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let (id, _) = container(&core, None);
        for tail in [None, Some(3)] {
            let mut logs = core.logs(&id, &LogsRequest { tail, follow: true, ..Default::default() }).unwrap();
            assert!(logs.as_fd().is_none());
            assert_eq!(texts(logs.as_mut()), Vec::<String>::new());
        }
    }

    #[test]
    fn pure_following_goes_over_a_rotation_and_ends_with_the_monitor() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let mut monitor = Command::new("sleep").arg("100").spawn().unwrap();
        let (id, log) = container(&core, Some(&monitor));
        append(&log, &line(1, "one"));
        let mut logs = core.logs(&id, &LogsRequest { follow: true, ..Default::default() }).unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            append(&log, &line(2, "two"));
            fs::rename(&log, log.with_extension("log.1")).unwrap();
            append(&log, &line(3, "three"));
            std::thread::sleep(Duration::from_millis(20));
            append(&log, &line(4, "four"));
            monitor.kill().unwrap();
            monitor.wait().unwrap();
        });
        let texts = texts(logs.as_mut());
        writer.join().unwrap();
        assert_eq!(texts, ["one\n", "two\n", "three\n", "four\n"]);
    }

    #[test]
    fn pure_the_descriptor_is_readable_exactly_when_there_is_something() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let mut monitor = Command::new("sleep").arg("100").spawn().unwrap();
        let (id, log) = container(&core, Some(&monitor));
        append(&log, &(line(1, "one") + &line(2, "two")));
        let mut logs = core.logs(&id, &LogsRequest { follow: true, ..Default::default() }).unwrap();
        let mut seen = Vec::new();
        let readable =
            |logs: &dyn Logs| process::readable_by(logs.as_fd().unwrap(), Some(std::time::Instant::now()));
        seen.push(logs.next().unwrap().is_some());
        let after_first = readable(logs.as_ref());
        seen.push(logs.next().unwrap().is_some());
        let after_second = readable(logs.as_ref());
        append(&log, &line(3, "three"));
        let after_write = readable(logs.as_ref());
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        seen.push(logs.next().unwrap().is_some());
        seen.push(logs.next().unwrap().is_some());
        assert_eq!((after_first, after_second, after_write), (Ok(true), Ok(false), Ok(true)));
        assert_eq!(seen, [true, true, true, false]);
    }
}
