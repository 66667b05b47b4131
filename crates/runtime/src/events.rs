//! The log of events: a file in the engine's run-time folder, which every process of an engine and every monitor appends to.
//!
//! An event is a line of JSON, and its number is that of its line, counted since the file was made. An append is one write(2)
//! with `O_APPEND`, which the kernel does whole or not at all but for want of room and for SIGKILL: no lock is needed, and a
//! process may be killed at any moment. A line begins with a line feed too, so that what a killed writer left torn is a line by
//! itself: it counts, and is told as lost. What no room was for at all is counted in a file that has its room already.
//!
//! The file only grows, and is never renamed: whoever wants to keep it small makes a hole of its beginning, and writes down
//! before that how many lines went (`Base`). So a reader always knows how many he has missed.

use crate::state;
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, fallocate, flock, fstat, open};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Name of the log in the run-time folder.
pub const LOG_FILE: &str = "events/log";
/// Name, beside the log, of the record of what was taken from its beginning.
const BASE_FILE: &str = "base";
/// Name, beside the log, of the file that counts what there was no room for.
pub const MISSED_FILE: &str = "missed";

/// When so many bytes are kept, the older half goes.
const MOST: u64 = 2 << 20;
/// One event of so many looks whether it is so.
const LOOKS: i64 = 64;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds since 1970. The order is that of the numbers, whatever a clock says.
    pub time_ns: i64,
    /// To what: `container`, `network`, `volume`, `secret`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What: `create`, `start`, `die`.
    pub action: String,
    /// The container's id, the name of a network, volume or secret.
    pub id: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// What a monitor is told, so that it can tell of its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlan {
    /// The log.
    pub log: PathBuf,
    /// What all events of the container say of it: its name, its image, its labels.
    pub attributes: BTreeMap<String, String>,
    /// Where the name stands that it was given since.
    #[serde(default)]
    pub renamed: Option<PathBuf>,
}

impl EventPlan {
    /// Tells of a container.
    pub fn tell(&self, id: &str, action: &str, more: &[(&str, String)]) {
        let mut event = Event::now("container", action, id);
        event.attributes.clone_from(&self.attributes);
        event.is_of(self.renamed.as_deref());
        event.attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        append(&self.log, &event);
    }
}

impl Event {
    /// One that happens now.
    pub fn now(kind: &str, action: &str, id: &str) -> Self {
        Self {
            time_ns: crate::monitor::now_ns(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            id: id.to_owned(),
            attributes: BTreeMap::new(),
        }
    }

    /// Says the name that a container was given since, if there is one in this file.
    pub(crate) fn is_of(&mut self, renamed: Option<&Path>) {
        let name = renamed.and_then(|path| state::load::<String>(path).ok().flatten());
        if let Some(name) = name {
            self.attributes.insert("name".to_owned(), name);
        }
    }
}

/// What went of the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    /// Where what is kept begins.
    offset: u64,
    /// How many lines were before that.
    lines: u64,
}

/// Makes the log and what is beside it, with room for the count of what there will be no room for.
pub fn prepare(log: &Path) -> io::Result<()> {
    let folder = log.parent().unwrap_or(log);
    match rustix::fs::mkdir(folder, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    for (name, content) in [(MISSED_FILE, &[0; 16][..]), ("log", b"")] {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open(folder.join(name), flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => drop(rustix::io::write(&file, content)?),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Appends an event. What it is about has happened, and does not fail because it cannot be told: then that is counted.
pub fn append(log: &Path, event: &Event) {
    let mut line = vec![b'\n'];
    if serde_json::to_writer(&mut line, event).is_err() {
        return;
    }
    line.push(b'\n');
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match open(log, flags, Mode::from_raw_mode(0o600)) {
        // An engine of an earlier version made the run-time folder.
        Err(Errno::NOENT) if prepare(log).is_ok() => open(log, flags, Mode::from_raw_mode(0o600)),
        file => file,
    };
    let written = file.and_then(|file| rustix::io::retry_on_intr(|| rustix::io::write(&file, &line)));
    match written {
        // A part of it is a torn line, which counts by itself.
        Ok(0) | Err(_) => miss(log),
        Ok(_) => {}
    }
    if event.time_ns % LOOKS == 0 {
        // It is tried again by a later one.
        let _ = shorten(log);
    }
}

/// Counts an event that could not be told.
fn miss(log: &Path) {
    let count = || -> rustix::io::Result<()> {
        let file = open(
            log.with_file_name(MISSED_FILE),
            OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        flock(&file, FlockOperation::LockExclusive)?;
        let mut known = [0; 16];
        rustix::io::pread(&file, &mut known, 0)?;
        let count = Missed::of(known).count.wrapping_add(1);
        let end = rustix::fs::stat(log).map_or(0, |log| u64::try_from(log.st_size).unwrap_or(0));
        let new = [count.to_le_bytes(), end.to_le_bytes()].concat();
        rustix::io::pwrite(&file, &new, 0).map(drop)
    };
    let _ = count();
}

/// What could not be told.
#[derive(Clone, Copy, Debug, Default)]
struct Missed {
    /// How many events.
    count: u64,
    /// How long the log was at the last of them.
    end: u64,
}

impl Missed {
    fn of(bytes: [u8; 16]) -> Self {
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Self { count: number(0), end: number(8) }
    }

    fn read(log: &Path) -> Self {
        let bytes = std::fs::read(log.with_file_name(MISSED_FILE)).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or_else(Self::default, Self::of)
    }
}

fn base(log: &Path) -> io::Result<Base> {
    Ok(state::load(&log.with_file_name(BASE_FILE))?.unwrap_or_default())
}

/// Makes a hole of the older half where there is too much.
fn shorten(log: &Path) -> io::Result<()> {
    let file = open(log, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
    if size.saturating_sub(base(log)?.offset) < MOST {
        return Ok(());
    }
    // One at a time; whoever comes meanwhile has nothing to do.
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    let mut base = base(log)?;
    let end = size.saturating_sub(MOST / 2);
    if base.offset >= end {
        return Ok(());
    }
    let mut lines = Lines { file: &file, at: base.offset, ahead: Vec::new() };
    while lines.at < end {
        match lines.next()? {
            Some(line) => base.lines += u64::from(!line.is_empty()),
            None => break,
        }
    }
    base.offset = lines.at;
    state::store(&log.with_file_name(BASE_FILE), &base, false)?;
    fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, base.offset)?;
    Ok(())
}

/// The lines of a file that are whole, from a place on.
struct Lines<'a> {
    file: &'a OwnedFd,
    /// Where the next one begins.
    at: u64,
    /// What was read from there on.
    ahead: Vec<u8>,
}

impl Lines<'_> {
    /// The next one, without its line feed; `None` where none has ended yet.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.ahead[looked..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=looked + end).collect();
                line.pop();
                self.at += line.len() as u64 + 1;
                return Ok(Some(line));
            }
            looked = self.ahead.len();
            let mut buffer = vec![0; CHUNK];
            let read = rustix::io::pread(self.file, &mut buffer, self.at + looked as u64)?;
            if read == 0 {
                return Ok(None);
            }
            self.ahead.extend_from_slice(&buffer[..read]);
        }
    }
}

/// From which event on a log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Those that come from now on.
    Now,
    /// All that are kept.
    Kept,
    /// Those behind the one with this number.
    After(u64),
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An event, with its number.
    Event(u64, Event),
    /// So many are lost; the number of the last one of them, or of the last one that there was.
    Lost(u64, u64),
}

/// A log that is being read.
pub struct Reader {
    log: PathBuf,
    file: OwnedFd,
    at: u64,
    ahead: Vec<u8>,
    /// The number of the last event that was passed.
    number: u64,
    /// Up to this number nothing is wanted.
    after: u64,
    /// Where that one ended.
    begins: u64,
    /// How many of those that were missed have been told, or are of no concern.
    missed: u64,
    lost: Option<u64>,
}

impl Reader {
    /// Opens a log, which is made where there is none.
    pub fn open(log: &Path, from: From) -> io::Result<Self> {
        prepare(log)?;
        let file = open(log, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let base = base(log)?;
        let mut reader = Self {
            log: log.to_owned(),
            file,
            at: base.offset,
            ahead: Vec::new(),
            number: base.lines,
            after: 0,
            begins: 0,
            missed: 0,
            lost: None,
        };
        match from {
            From::Kept => {}
            From::Now => {
                while reader.read()?.is_some() {}
                reader.begins = reader.at;
            }
            From::After(number) => {
                reader.after = number;
                reader.lost = base.lines.checked_sub(number).filter(|lost| *lost > 0);
            }
        }
        Ok(reader)
    }

    /// The number of the last event that was passed.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next event; `None` where there is none yet.
    pub fn read(&mut self) -> io::Result<Option<Found>> {
        if let Some(lost) = self.lost.take() {
            return Ok(Some(Found::Lost(lost, self.number)));
        }
        loop {
            let mut lines = Lines { file: &self.file, at: self.at, ahead: std::mem::take(&mut self.ahead) };
            let line = lines.next()?;
            (self.at, self.ahead) = (lines.at, lines.ahead);
            let hole = |bytes: &[u8]| bytes.first() == Some(&0) || bytes.contains(&0);
            if line.as_deref().is_some_and(hole) || (line.is_none() && hole(&self.ahead)) {
                if let Some(lost) = self.overtaken()? {
                    return Ok(Some(Found::Lost(lost, self.number)));
                }
                self.ahead.clear();
            }
            let Some(line) = line else {
                let Missed { count, end } = Missed::read(&self.log);
                let lost = count.wrapping_sub(std::mem::replace(&mut self.missed, count));
                // Those were all before what is wanted.
                let lost = if end < self.begins { 0 } else { lost };
                return Ok((lost > 0).then_some(Found::Lost(lost, self.number)));
            };
            if line.is_empty() {
                continue;
            }
            self.number += 1;
            if self.number <= self.after {
                self.begins = self.at;
                continue;
            }
            return Ok(Some(match serde_json::from_slice(&line) {
                Ok(event) => Found::Event(self.number, event),
                // Its writer was killed, or had no room for all of it.
                Err(_) => Found::Lost(1, self.number),
            }));
        }
    }

    /// What this reader stood before has become a hole: goes on behind it. Gives how many went.
    fn overtaken(&mut self) -> io::Result<Option<u64>> {
        let base = base(&self.log)?;
        let Some(lost) = base.lines.checked_sub(self.number).filter(|_| base.offset > 0) else {
            return Ok(None);
        };
        (self.at, self.number) = (base.offset, base.lines);
        self.ahead.clear();
        Ok(Some(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn log() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join(LOG_FILE);
        prepare(&log).unwrap();
        (place, log)
    }

    fn event(number: i64) -> Event {
        Event { time_ns: number, ..Event::now("container", "start", "x") }
    }

    fn all(reader: &mut Reader) -> Vec<Found> {
        std::iter::from_fn(|| reader.read().unwrap()).collect()
    }

    #[test]
    fn events_are_numbered_and_read_from_any_of_them() {
        let (_place, log) = log();
        (1..=5).for_each(|number| append(&log, &event(number)));
        let mut now = Reader::open(&log, From::Now).unwrap();
        assert_eq!(all(&mut now), []);
        append(&log, &event(6));
        assert_eq!(all(&mut now), [Found::Event(6, event(6))]);
        let after = all(&mut Reader::open(&log, From::After(4)).unwrap());
        assert_eq!(after, [Found::Event(5, event(5)), Found::Event(6, event(6))]);
        assert_eq!(all(&mut Reader::open(&log, From::Kept).unwrap()).len(), 6);
    }

    #[test]
    fn a_torn_line_is_told_as_lost_and_hurts_no_other() {
        let (_place, log) = log();
        append(&log, &event(1));
        let mut reader = Reader::open(&log, From::Kept).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&log)
            .unwrap()
            .write_all(b"\n{\"time_ns\":2,\"ty")
            .unwrap();
        // Nobody knows yet whether there is more to come.
        assert_eq!(all(&mut reader), [Found::Event(1, event(1))]);
        append(&log, &event(3));
        assert_eq!(all(&mut reader), [Found::Lost(1, 2), Found::Event(3, event(3))]);
    }

    #[test]
    fn the_beginning_goes_and_a_slow_reader_is_told_how_much() {
        let (_place, log) = log();
        let mut slow = Reader::open(&log, From::Kept).unwrap();
        let count = 40_000;
        (1..=count).for_each(|number| append(&log, &event(number)));
        let kept = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&log).unwrap()) * 512;
        assert!(kept < MOST + (1 << 20), "{kept}");
        let found = all(&mut slow);
        let Found::Lost(lost, last) = found[0] else { panic!("{:?}", found[0]) };
        assert_eq!(lost, last);
        for (number, one) in (lost + 1..).zip(&found[1..]) {
            assert_eq!(one, &Found::Event(number, event(number as i64)));
        }
        assert_eq!(found.len() as u64, 1 + count as u64 - lost);
        let late = all(&mut Reader::open(&log, From::After(7)).unwrap());
        assert_eq!(late[0], Found::Lost(lost - 7, lost));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (_place, log) = log();
        append(&log, &event(1));
        let mut reader = Reader::open(&log, From::Kept).unwrap();
        (0..3).for_each(|_| miss(&log));
        assert_eq!(all(&mut reader), [Found::Event(1, event(1)), Found::Lost(3, 1)]);
        append(&log, &event(2));
        assert_eq!(all(&mut reader), [Found::Event(2, event(2))]);
        // Whoever comes later is told, too, where it concerns him.
        let of = |from| all(&mut Reader::open(&log, from).unwrap());
        assert_eq!(of(From::After(2)), []);
        assert_eq!(of(From::After(1)), [Found::Event(2, event(2)), Found::Lost(3, 2)]);
        assert_eq!(of(From::Now), []);
    }

    #[test]
    fn many_write_at_once_and_no_line_is_torn() {
        let (_place, log) = log();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let log = &log;
                scope.spawn(move || {
                    (0..500).for_each(|number| append(log, &event(writer * 1000 + number + 1)))
                });
            }
        });
        let found = all(&mut Reader::open(&log, From::Kept).unwrap());
        assert_eq!(found.len(), 2000);
        for (number, one) in (1..).zip(&found) {
            assert!(matches!(one, Found::Event(of, _) if *of == number), "{one:?}");
        }
    }
}
