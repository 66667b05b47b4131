//! `events`: what happens, told by whoever does it and read by anybody. The log is `tinyd_runtime::events`; monitors tell of
//! starts and ends, the verbs of all else.

mod filter;

use crate::connection::RENAMED_FILE;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::process::readable_by;
use crate::store::Record;
use crate::time;
use filter::Wanted;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use std::collections::{BTreeMap, VecDeque};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tinyd_engine::{Event, Events, EventsRequest, EventsSince};
use tinyd_runtime::Release;
use tinyd_runtime::events::{self as log, EventPlan, Found, Reader};

impl Core {
    fn event_log(&self) -> PathBuf {
        self.store.run_root().join(log::LOG_FILE)
    }

    /// Tells of a container.
    pub(crate) fn announce(&self, record: &Record, action: &str, more: &[(&str, String)]) {
        self.event_plan(record).tell(&record.id, action, more);
    }

    /// Tells of something that is no container.
    pub(crate) fn announce_of(&self, kind: &str, action: &str, id: &str, more: &[(&str, String)]) {
        log::append(&self.event_log(), &event_of(kind, action, id, more));
    }

    /// A step of a monitor's that tells of something.
    pub(crate) fn announcing(&self, kind: &str, action: &str, id: &str, more: &[(&str, String)]) -> Release {
        Release::Tell {
            log: self.event_log(),
            event: Box::new(event_of(kind, action, id, more)),
            renamed: None,
        }
    }

    /// A step of a monitor's that tells of its container.
    pub(crate) fn announcing_of(&self, record: &Record, action: &str) -> Release {
        let mut event = log::Event::now("container", action, &record.id);
        event.attributes = attributes(record);
        Release::Tell { log: self.event_log(), event: Box::new(event), renamed: Some(self.renamed(record)) }
    }

    /// For a monitor, and for who runs a further command.
    pub(crate) fn event_plan(&self, record: &Record) -> EventPlan {
        EventPlan {
            log: self.event_log(),
            attributes: attributes(record),
            renamed: Some(self.renamed(record)),
        }
    }

    /// Where a container's monitor finds the name that it was given while it runs.
    fn renamed(&self, record: &Record) -> PathBuf {
        self.store.run_dir(&record.id).join(RENAMED_FILE)
    }

    /// What has happened, and what happens.
    pub(crate) fn events(&self, request: &EventsRequest) -> Result<Box<dyn Events>> {
        let path = self.event_log();
        let failed = |source| Error::file("read", &path, source);
        // What comes from now on is seen by the watch, which is there first.
        let watch = request.follow.then(|| Watch::new(&path, request.until)).transpose()?;
        let from = match request.since {
            None => log::From::Now,
            Some(EventsSince::Number(0) | EventsSince::Time(_)) => log::From::Kept,
            Some(EventsSince::Number(number)) => log::From::After(number),
        };
        let reader = Reader::open(&path, from).map_err(failed)?;
        if let Some(EventsSince::Number(wanted)) = request.since {
            let last = Reader::open(&path, log::From::Now).map_err(failed)?.number();
            if wanted > last {
                let why = format!("is the number of no event yet: there have been {last}");
                return Err(Error::invalid("beginning of events", wanted.to_string(), why));
            }
        }
        Ok(Box::new(LocalEvents {
            reader,
            watch,
            path,
            wanted: Wanted::new(request),
            until: request.until,
            ahead: VecDeque::new(),
            over: false,
        }))
    }
}

fn event_of(kind: &str, action: &str, id: &str, more: &[(&str, String)]) -> log::Event {
    let mut event = log::Event::now(kind, action, id);
    event.attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    event
}

/// What all events of a container say of it.
fn attributes(record: &Record) -> BTreeMap<String, String> {
    let spec = &record.spec;
    let mut attributes: BTreeMap<_, _> =
        spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    attributes.insert("name".to_owned(), spec.name.clone().unwrap_or_else(|| record.short().to_owned()));
    attributes.insert("image".to_owned(), spec.image.clone());
    attributes
}

struct LocalEvents {
    reader: Reader,
    watch: Option<Watch>,
    path: PathBuf,
    wanted: Wanted,
    until: Option<SystemTime>,
    ahead: VecDeque<Event>,
    over: bool,
}

impl LocalEvents {
    /// Reads one that is wanted.
    fn fetch(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.ahead.pop_front() {
            return Ok(Some(event));
        }
        while let Some(found) =
            self.reader.read().map_err(|source| Error::file("read", &self.path, source))?
        {
            let event = match found {
                Found::Event(number, event) => told(number, event),
                Found::Lost(count, number) => return Ok(Some(lost(count, number))),
            };
            if self.wanted.fits(&event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.fetch()? {
                return Ok(Some(event));
            }
            if self.is_over() {
                return Ok(None);
            }
            let Some(watch) = &self.watch else { return Ok(None) };
            readable_by(&watch.all, None).map_err(|errno| Error::file("watch", &self.path, errno))?;
            self.forget();
        }
    }

    /// As `next_event`, without waiting; what was told so far is forgotten before the last look, so that what comes after it
    /// is told anew.
    fn try_next_event(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.fetch()? {
            return Ok(Some(event));
        }
        self.forget();
        self.fetch()
    }

    fn forget(&self) {
        if let Some(watch) = &self.watch {
            watch.forget();
        }
    }

    fn is_over(&mut self) -> bool {
        let passed = self.until.is_some_and(|until| SystemTime::now() >= until);
        // One more look after the moment: an event may have been written just before it.
        std::mem::replace(&mut self.over, passed) && passed || self.watch.is_none()
    }
}

impl Events for LocalEvents {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.all.as_fd())
    }

    fn next(&mut self) -> tinyd_engine::Result<Option<Event>> {
        self.next_event().map_err(Error::into)
    }

    fn try_next(&mut self) -> tinyd_engine::Result<Option<Event>> {
        self.try_next_event().map_err(Error::into)
    }
}

fn told(number: u64, event: log::Event) -> Event {
    let log::Event { time_ns, kind, action, id, attributes } = event;
    Event { number, time: time::from_ns(time_ns), kind, action, id, attributes }
}

fn lost(count: u64, number: u64) -> Event {
    Event {
        number,
        time: SystemTime::now(),
        kind: "engine".to_owned(),
        action: "lost".to_owned(),
        id: String::new(),
        attributes: [("count".to_owned(), count.to_string())].into(),
    }
}

/// One descriptor that is readable when something was told, or when the moment has come after which nothing is wanted.
struct Watch {
    all: OwnedFd,
    changes: OwnedFd,
    /// Readable until all has been read that was told before.
    before: OwnedFd,
    /// Held, for what it makes readable.
    _timer: Option<OwnedFd>,
}

impl Watch {
    fn new(path: &Path, until: Option<SystemTime>) -> Result<Self> {
        let failed = |errno: Errno| Error::file("watch", path, errno);
        log::prepare(path).map_err(|source| Error::file("make", path, source))?;
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        for file in [path.to_owned(), path.with_file_name(log::MISSED_FILE)] {
            inotify::add_watch(&changes, &file, WatchFlags::MODIFY).map_err(failed)?;
        }
        let before = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let all = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for fd in [&changes, &before] {
            epoll::add(&all, fd, EventData::new_u64(0), EventFlags::IN).map_err(failed)?;
        }
        let timer = until.map(alarm).transpose().map_err(failed)?;
        if let Some(timer) = &timer {
            epoll::add(&all, timer, EventData::new_u64(0), EventFlags::IN).map_err(failed)?;
        }
        Ok(Self { all, changes, before, _timer: timer })
    }

    fn forget(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        for fd in [&self.before, &self.changes] {
            while matches!(rustix::io::read(fd, &mut buffer), Ok(_) | Err(Errno::INTR)) {}
        }
    }
}

/// Readable from a moment of the calendar on, also where its clock is set meanwhile.
fn alarm(until: SystemTime) -> rustix::io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?;
    let left = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::from_nanos(1));
    let at = |time: Duration| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let time =
        Itimerspec { it_interval: at(Duration::ZERO), it_value: at(left.max(Duration::from_nanos(1))) };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &time)?;
    Ok(timer)
}
