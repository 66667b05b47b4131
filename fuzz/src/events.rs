//! A log of events that somebody has torn, filled with anything, or made holes in.

use std::fs;

use crate::place;
use tinyd_runtime::events::{Event, Found, From, LOG_FILE, Reader, append, prepare};

/// Reads it from its beginning and from each number, and what is told after it.
pub fn events(data: &[u8]) {
    let place = place::of("events");
    let log = place.join(LOG_FILE);
    fs::create_dir_all(&place).expect("a folder on tmpfs");
    prepare(&log).expect("a log on tmpfs");
    fs::write(&log, data).expect("a file on tmpfs");
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let mut last = 0;
    let mut reader = Reader::open(&log, From::Kept).expect("it is there");
    for _ in 0..=lines {
        match reader.read().expect("it can be read") {
            Some(Found::Event(number, _)) => {
                assert!(number > last, "{number} after {last}");
                last = number;
            }
            Some(Found::Lost(count, number)) => {
                assert!(count > 0 && number >= last, "{count} are lost, up to {number}, after {last}");
                last = number;
            }
            None => break,
        }
    }
    assert!(usize::try_from(last).is_ok_and(|last| last <= lines), "{last} of {lines} lines");
    // Whatever was there, what is told now is read, once, by who waits for it.
    let mut now = Reader::open(&log, From::Now).expect("it is there");
    let told = Event { time_ns: 1, ..Event::now("container", "start", "x") };
    append(&log, &told);
    // What its writer could not end is ended by the next one, and may have been whole.
    let tail = data.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let unended: Option<Event> = serde_json::from_slice(tail).ok();
    let mut found = 0;
    for _ in 0..4 {
        match now.read().expect("it can be read") {
            Some(Found::Event(_, event)) if event == told => found += 1,
            Some(Found::Event(_, event)) if Some(&event) == unended.as_ref() => {}
            Some(Found::Event(..)) => panic!("something from before was told as new"),
            Some(Found::Lost(..)) => {}
            None => break,
        }
    }
    // In a hole nobody finds anything; else it is there.
    let twice = usize::from(unended == Some(told));
    assert!((1..=1 + twice).contains(&found) || data.contains(&0), "it was told {found} times");
    tinyd_fs::remove_tree(&place).expect("the folder is there");
}
