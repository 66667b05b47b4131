//! Which events are wanted.

use std::mem::{Discriminant, discriminant};
use std::time::SystemTime;
use tinyd_engine::{Event, EventFilter, EventsRequest, EventsSince};

/// The conditions of a request.
pub(super) struct Wanted {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    /// Those of one kind together.
    filters: Vec<(Discriminant<EventFilter>, Vec<EventFilter>)>,
}

impl Wanted {
    pub(super) fn new(request: &EventsRequest) -> Self {
        let mut filters: Vec<(_, Vec<EventFilter>)> = Vec::new();
        for filter in &request.filters {
            let kind = discriminant(filter);
            match filters.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, all)) => all.push(filter.clone()),
                None => filters.push((kind, vec![filter.clone()])),
            }
        }
        let since = match request.since {
            Some(EventsSince::Time(time)) => Some(time),
            _ => None,
        };
        Self { since, until: request.until, filters }
    }

    pub(super) fn fits(&self, event: &Event) -> bool {
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
            && self.filters.iter().all(|(_, any)| any.iter().any(|filter| fits(filter, event)))
    }
}

fn fits(filter: &EventFilter, event: &Event) -> bool {
    let has = |name: &str, value: &str| event.attributes.get(name).is_some_and(|is| is == value);
    let is = |kind: &str| event.kind == kind;
    match filter {
        EventFilter::Kind(kind) => is(kind),
        // `health_status: healthy` is a `health_status`.
        EventFilter::Action(action) => {
            event.action == *action || event.action.split(':').next() == Some(action.as_str())
        }
        EventFilter::Container(word) => {
            let container = match is("container") {
                true => event.id.as_str(),
                false => event.attributes.get("container").map_or("", String::as_str),
            };
            (!word.is_empty() && container.starts_with(word)) || (is("container") && has("name", word))
        }
        EventFilter::Image(image) => is("container") && has("image", image),
        EventFilter::Network(name) => is("network") && event.id == *name,
        EventFilter::Volume(name) => is("volume") && event.id == *name,
        EventFilter::Label(name, None) => event.attributes.contains_key(name),
        EventFilter::Label(name, Some(value)) => has(name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_of_one_kind_any_and_of_several_all() {
        let event = |kind: &str, action: &str| Event {
            number: 1,
            time: SystemTime::UNIX_EPOCH,
            kind: kind.to_owned(),
            action: action.to_owned(),
            id: "68d1".to_owned(),
            attributes: [("name", "web"), ("tier", "1")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        };
        let wanted =
            |filters: Vec<EventFilter>| Wanted::new(&EventsRequest { filters, ..EventsRequest::default() });
        let action = |word: &str| EventFilter::Action(word.to_owned());
        let two = wanted(vec![action("start"), action("die"), EventFilter::Container("web".to_owned())]);
        assert!(two.fits(&event("container", "start")) && two.fits(&event("container", "die")));
        assert!(!two.fits(&event("container", "stop")) && !two.fits(&event("network", "start")));
        for (filter, fits) in [
            (EventFilter::Container("68".to_owned()), true),
            (EventFilter::Container("8d".to_owned()), false),
            (EventFilter::Label("tier".to_owned(), None), true),
            (EventFilter::Label("tier".to_owned(), Some("2".to_owned())), false),
            (EventFilter::Kind("network".to_owned()), false),
        ] {
            assert_eq!(wanted(vec![filter.clone()]).fits(&event("container", "start")), fits, "{filter:?}");
        }
    }
}
