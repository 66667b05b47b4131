//! What happens to containers, networks and volumes.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number. Numbers have no gaps, and tell the order; they begin with 1 when the machine starts.
    pub number: u64,
    /// When it happened, by the clock of that moment.
    pub time: SystemTime,
    /// To what: `container`, `network`, `volume`, `secret`; `engine` where events were lost.
    pub kind: String,
    /// What: `create`, `start`, `die`, as Docker calls it. Of the engine itself: `lost`, with the attribute `count`: so many
    /// events before this were written faster than they were read, or could not be written. `number` is then that of the last
    /// event that there was.
    pub action: String,
    /// The container's id, the name of a network, volume or secret.
    pub id: String,
    /// More about it: a container's `name` and `image` and its labels, `exitCode`, `signal`.
    pub attributes: BTreeMap<String, String>,
}

/// Where events begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventsSince {
    /// Behind the one with this number; 0 is all that are kept.
    Number(u64),
    /// At this moment.
    Time(SystemTime),
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsRequest {
    /// Where they begin; without it, now.
    pub since: Option<EventsSince>,
    /// Only those before this moment.
    pub until: Option<SystemTime>,
    /// Goes on with what happens from now on, for ever or to the moment of `until`.
    pub follow: bool,
    /// What has to fit: of those of one kind, one; of several kinds, one of each.
    pub filters: Vec<EventFilter>,
}

/// A condition of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventFilter {
    /// Of things of this kind.
    Kind(String),
    /// What happened.
    Action(String),
    /// To a container of this name, id or beginning of an id.
    Container(String),
    /// To a container of this image.
    Image(String),
    /// To a network of this name.
    Network(String),
    /// To a volume of this name.
    Volume(String),
    /// To something with this label, and this value where there is one.
    Label(String, Option<String>),
}

/// Events that are being read. That some were lost is told whatever the filters say.
pub trait Events: Send {
    /// Readable when [`next`](Events::next) may have something new, for poll(2) only; `None` when nothing has to be waited for.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// The next event, waiting for it where events are followed; `None` at the end.
    fn next(&mut self) -> Result<Option<Event>>;

    /// The next event if there is one by now: after [`as_fd`](Events::as_fd) was readable. `None` where there is none.
    fn try_next(&mut self) -> Result<Option<Event>>;
}
