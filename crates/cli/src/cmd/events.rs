//! `events`: what happens.

use super::{Context, Verb};
use crate::console::write_all;
use crate::failure::{Failure, Outcome};
use crate::format::template::{self, Template};
use crate::format::{ObjectFormat, escape, time};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tinyd_engine::{Event, EventFilter, EventsRequest, EventsSince};

/// A number below this is that of an event; from here on it is seconds since 1970 (September 2001).
const FIRST_MOMENT: u64 = 1_000_000_000;

/// Print what happens to containers, networks, volumes and secrets, until it is interrupted
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd events
  tinyd events --since 0 --no-stream
  tinyd events --since 10m --filter event=die --filter container=c1
  tinyd events --since 4711 --format json
  tinyd events --filter type=network --format '{{.Seq}} {{.Action}} {{.Actor.ID}}'")]
pub(crate) struct Events {
    /// Begin behind the event of this number (0: all that are kept), at a moment (2026-11-22T10:00:00Z, Unix seconds) or so
    /// long ago (10m)
    #[arg(long, value_name = "NUMBER|TIME", value_parser = since)]
    since: Option<EventsSince>,
    /// Only those before this moment; it ends then
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<SystemTime>,
    /// Only those that fit: type=container, event=die, container=c1, image=host, network=web, volume=data, label=a=b; of one kind
    /// any may fit, of different kinds all must; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<EventFilter>,
    /// json (an object a line), or a template such as '{{.Type}} {{.Action}}'
    #[arg(long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
    /// End with the last event that there is now
    #[arg(long)]
    no_stream: bool,
    /// Go on with what happens from now on, which is the default
    #[arg(short, long, conflicts_with = "no_stream")]
    follow: bool,
}

fn since(text: &str) -> Result<EventsSince, String> {
    match text.parse::<u64>() {
        Ok(number) if number < FIRST_MOMENT => Ok(EventsSince::Number(number)),
        _ => time::moment(text).map(EventsSince::Time),
    }
}

fn filter(text: &str) -> Result<EventFilter, String> {
    let known = "write it like type=container, event=die, container=c1, image=host, network=web, volume=data or label=a=b";
    let (key, value) = text.split_once('=').ok_or_else(|| known.to_owned())?;
    let value = value.to_owned();
    Ok(match key {
        "type" => EventFilter::Kind(value),
        "event" => EventFilter::Action(value),
        "container" => EventFilter::Container(value),
        "image" => EventFilter::Image(value),
        "network" => EventFilter::Network(value),
        "volume" => EventFilter::Volume(value),
        "label" => match value.split_once('=') {
            Some((name, value)) => EventFilter::Label(name.to_owned(), Some(value.to_owned())),
            None => EventFilter::Label(value, None),
        },
        _ => return Err(known.to_owned()),
    })
}

impl Verb for Events {
    const NAME: &'static str = "events";

    fn run(self, context: &Context<'_>) -> Outcome {
        let request = EventsRequest {
            since: self.since,
            until: self.until,
            follow: !self.no_stream,
            filters: self.filter,
        };
        if let Some(ObjectFormat::Template(template)) = &self.format {
            // What no event has is said before one is lost.
            template::render(template, &with_attributes(template, &blank()))?;
        }
        let mut events = context.engine()?.events(&request)?;
        loop {
            let next = match events.try_next()? {
                Some(event) => Some(event),
                None => {
                    if let Some(stream) = events.as_fd() {
                        let mut asked = [
                            PollFd::new(&stream, PollFlags::IN),
                            PollFd::new(&context.console.stdout, PollFlags::empty()),
                        ];
                        if poll(&mut asked, None).is_ok() && asked[1].revents().contains(PollFlags::ERR) {
                            // Nobody reads our output any more.
                            return Ok(0);
                        }
                    }
                    events.next()?
                }
            };
            let Some(event) = next else { return Ok(0) };
            let text = match &self.format {
                None => line(&event),
                Some(ObjectFormat::Json) => json(&event).to_string(),
                Some(ObjectFormat::Template(template)) => {
                    template::render(template, &with_attributes(template, &event))?
                }
            };
            match write_all(context.console.stdout, format!("{text}\n").as_bytes()) {
                Ok(()) => {}
                Err(Errno::PIPE) => return Ok(0),
                Err(errno) => return Err(Failure::failed("write the events", errno)),
            }
        }
    }
}

/// `2026-11-22T02:36:02.123456789Z 17 container die 68d1… (exitCode=0, image=host, name=c1)`
fn line(event: &Event) -> String {
    let more: Vec<_> = event.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut text = format!("{} {} {} {}", time::precise(event.time), event.number, event.kind, event.action);
    if !event.id.is_empty() {
        text.push_str(&format!(" {}", event.id));
    }
    if !more.is_empty() {
        text.push_str(&format!(" ({})", more.join(", ")));
    }
    escape::controls(&text).into_owned()
}

fn blank() -> Event {
    let text = String::new;
    Event {
        number: 0,
        time: UNIX_EPOCH,
        kind: text(),
        action: text(),
        id: text(),
        attributes: BTreeMap::new(),
    }
}

/// Each event has attributes of its own: one that it has not has no value.
fn with_attributes(template: &Template, event: &Event) -> Value {
    let mut value = json(event);
    for path in template.fields() {
        if let [actor, attributes, name] = path
            && let Some(all) = value.pointer_mut("/Actor/Attributes").and_then(Value::as_object_mut)
            && (actor.as_str(), attributes.as_str()) == ("Actor", "Attributes")
        {
            all.entry(name).or_insert(Value::Null);
        }
    }
    value
}

/// In Docker's shape, with the number beside it.
fn json(event: &Event) -> Value {
    let since = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "Seq": event.number,
        "Type": event.kind,
        "Action": event.action,
        "Actor": { "ID": event.id, "Attributes": event.attributes },
        "status": event.action,
        "id": event.id,
        "from": event.attributes.get("image").cloned().unwrap_or_default(),
        "scope": "local",
        "time": since.as_secs(),
        "timeNano": u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
    })
}
