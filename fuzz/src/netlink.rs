//! What the kernel says of links, rules and connections. It is the kernel, and other versions of it say other things.

use std::fmt::Debug;
use std::str::FromStr;

use tinyd_net::Prefix;
use tinyd_net::fuzzing::{self, Said};

const HEADER: usize = 16;
/// Requests that a packet answers.
const REQUESTS: u32 = 3;

/// Reads a packet, and each message of it as everything that it could be.
pub fn netlink(data: &[u8]) {
    // Whoever it is for, the first message answers the first request.
    let first = data.get(8..12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let replies = fuzzing::replies(data, first, REQUESTS);
    let mut bytes = 0;
    for (answered, said) in &replies {
        assert!(*answered < REQUESTS);
        bytes += HEADER;
        match said {
            Said::Item(kind, payload) => {
                assert!(*kind >= HEADER as u16, "a type of netlink's own");
                bytes += payload.len();
                item(payload);
            }
            Said::Answer(answer) => assert!(answer.is_ok() || answer.is_err_and(|number| number > 0)),
            Said::Done => {}
        }
    }
    assert!(bytes <= data.len(), "no byte is read twice");
}

fn item(payload: &[u8]) {
    for fixed in [0, 4, 8, 12, 16] {
        let attributes = fuzzing::attributes(payload, fixed);
        if let Some(written) = fuzzing::with_attributes(&attributes) {
            assert_eq!(fuzzing::attributes(&written, 0), attributes);
        }
    }
    if let Some(link) = fuzzing::link(payload) {
        assert!(!link.name.is_empty());
    }
    for range in [fuzzing::address(payload), fuzzing::route(payload).map(|route| route.to)] {
        range.iter().for_each(same_again::<Prefix>);
    }
    let _ = fuzzing::number(payload);
    if let Some(named_by) = fuzzing::connection(payload) {
        // Told to forget a connection without its ends, the kernel forgets all that there are.
        assert!(named_by.iter().any(|(kind, _)| *kind == 1), "{named_by:?}");
    }
    rules(payload);
}

fn rules(payload: &[u8]) {
    let elements = fuzzing::elements(payload);
    if let Some(written) = fuzzing::with_elements(&elements) {
        assert_eq!(fuzzing::elements(&written), elements);
    }
    for (publication, [read, written]) in fuzzing::publications(payload) {
        assert_eq!(read, written, "{publication:?} is taken away by what is written for it");
    }
    let _ = fuzzing::rule(payload);
    if let Some((words, families, _)) = fuzzing::chain(payload) {
        assert!(families.contains(&true), "{words}");
    }
}

/// What is understood is written as what means the same.
fn same_again<T: FromStr + ToString + PartialEq + Debug>(value: &T) {
    let written = value.to_string();
    assert!(written.parse::<T>().is_ok_and(|again| again == *value), "{value:?} became {written:?}");
}
