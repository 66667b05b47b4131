//! The calls to systemd's manager (org.freedesktop.systemd1(5)), and the end of the jobs that they begin.

use super::address::Bus;
use super::asked::Asked;
use super::connection::{Connection, Deadline};
use super::fault::BusError;
use super::wire::{Body, Call, Message, Value, Writer};
use std::time::Duration;

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const REMOVED: &str = "JobRemoved";

const DAEMON: &str = "org.freedesktop.DBus";
const DAEMON_PATH: &str = "/org/freedesktop/DBus";
const RULE: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// Properties by their names, in the order in which they are set.
pub(super) type Properties = Vec<(&'static str, Value)>;

/// systemd, for the time of a call or two.
#[derive(Debug)]
pub(super) struct Manager {
    connection: Connection,
    direct: bool,
    deadline: Deadline,
}

impl Manager {
    /// Connects. All that is done with it must be done within the time.
    pub(super) fn connect(bus: &Bus, within: Duration) -> Result<Self, BusError> {
        let deadline = Deadline::within(within);
        let connection = Connection::open(bus, deadline)?;
        let mut manager = Self { connection, direct: bus.is_direct(), deadline };
        if !manager.direct {
            // systemd's own socket tells everybody at it of every job; a bus only those who asked, twice.
            manager.call_daemon("Hello", Body::default())?;
            manager.call_daemon("AddMatch", Body::new("s", |w| w.text(RULE)))?;
            manager.call("Subscribe", Body::default())?;
        }
        Ok(manager)
    }

    /// Makes a unit and starts it; returns when it has started. What is asked for counts more than the other properties.
    pub(super) fn start(
        &mut self,
        unit: &str,
        properties: &Properties,
        asked: &[Asked],
    ) -> Result<(), BusError> {
        let body = Body::new("ssa(sv)a(sa(sv))", |w| {
            w.text(unit);
            // A job for the same unit that waits already is a reason not to.
            w.text("fail");
            let asked = asked.iter().map(|one| (one.name.as_str(), &one.value));
            write_properties(w, of_engine(properties).chain(asked));
            w.array(8, |_| {});
        });
        let job = self.call("StartTransientUnit", body)?;
        self.wait_for(&job, unit)
    }

    /// Stops a unit; returns when it has stopped.
    pub(super) fn stop(&mut self, unit: &str) -> Result<(), BusError> {
        let body = Body::new("ss", |w| {
            w.text(unit);
            w.text("replace");
        });
        let job = self.call("StopUnit", body)?;
        self.wait_for(&job, unit)
    }

    /// Lets systemd forget a unit that failed.
    pub(super) fn reset_failed(&mut self, unit: &str) -> Result<(), BusError> {
        self.call("ResetFailedUnit", Body::new("s", |w| w.text(unit))).map(drop)
    }

    /// Sets properties, until the unit is gone.
    pub(super) fn set(&mut self, unit: &str, properties: &Properties) -> Result<(), BusError> {
        let body = Body::new("sba(sv)", |w| {
            w.text(unit);
            w.u32(1);
            write_properties(w, of_engine(properties));
        });
        self.call("SetUnitProperties", body).map(drop)
    }

    /// Waits for the end of the job that an answer names.
    fn wait_for(&mut self, answer: &Message, unit: &str) -> Result<(), BusError> {
        let Some(job) = answer.text().filter(|_| answer.signature == "o") else {
            return Err(BusError::Malformed { reason: "an answer names no job" });
        };
        loop {
            let signal = self.connection.signal(self.deadline)?;
            // Anybody at a bus may send a signal to anybody.
            let is_from_systemd = self.direct || signal.sender == answer.sender;
            match ended(&signal).filter(|(ended, _)| is_from_systemd && *ended == job) {
                None => {}
                Some((_, "done")) => return Ok(()),
                Some((_, result)) => {
                    return Err(BusError::Job { result: result.to_owned(), unit: unit.to_owned() });
                }
            }
        }
    }

    fn call(&mut self, member: &str, body: Body) -> Result<Message, BusError> {
        let destination = (!self.direct).then_some(NAME);
        self.connection
            .call(&Call { destination, path: PATH, interface: INTERFACE, member, body }, self.deadline)
    }

    fn call_daemon(&mut self, member: &str, body: Body) -> Result<Message, BusError> {
        let call = Call { destination: Some(DAEMON), path: DAEMON_PATH, interface: DAEMON, member, body };
        self.connection.call(&call, self.deadline)
    }
}

/// Which job a signal says has ended, and how.
pub(super) fn ended(signal: &Message) -> Option<(&str, &str)> {
    let is_told = (signal.path.as_deref(), signal.interface.as_deref(), signal.member.as_deref())
        == (Some(PATH), Some(INTERFACE), Some(REMOVED));
    if !is_told || signal.signature != "uoss" {
        return None;
    }
    let mut body = signal.body();
    let (_, job, _, result) = (body.u32().ok()?, body.text().ok()?, body.text().ok()?, body.text().ok()?);
    Some((job, result))
}

fn of_engine(properties: &Properties) -> impl Iterator<Item = (&str, &Value)> {
    properties.iter().map(|(name, value)| (*name, value))
}

fn write_properties<'a>(writer: &mut Writer, properties: impl Iterator<Item = (&'a str, &'a Value)>) {
    writer.array(8, |w| {
        for (name, value) in properties {
            w.align(8);
            w.text(name);
            value.write(w);
        }
    });
}
