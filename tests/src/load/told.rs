//! Events for one who reads and one who does not.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::client::Client;
use crate::env::Env;
use crate::roots;
use crate::wait::eventually;

/// How long each may take to read all.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many events are written at once, where they are spread.
const AT_ONCE: usize = 10;

/// Two readers.
pub(super) struct Told {
    reader: Client,
    /// Stands still.
    slow: Client,
}

impl Told {
    #[track_caller]
    pub(super) fn start(env: &Env) -> Told {
        let words = ["events", "--since", "0", "--format", "json"];
        let start = |file: &str| {
            let reader = Client::start(env, &words, file);
            let begun = eventually(PATIENCE, || reader.told().contains("\"start\"").then_some(()));
            assert!(begun.is_some(), "no event came: {}", reader.said());
            reader
        };
        let (reader, slow) = (start("events"), start("events-slow"));
        slow.signal(Signal::STOP);
        Told { reader, slow }
    }

    /// Begins to write so many events over so long.
    pub(super) fn pace(&self, env: &Env, count: usize, time: Duration) -> JoinHandle<()> {
        let log = log(env);
        let rounds = u32::try_from(count / AT_ONCE).unwrap_or(u32::MAX).max(1);
        std::thread::spawn(move || {
            let begun = Instant::now();
            for round in 0..rounds {
                write(&log, AT_ONCE);
                let due = begun + time / rounds * round;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        })
    }

    /// Writes very many more at once, lets the slow one read, and says what either was not told.
    pub(super) fn finish(self, env: &Env, paced: usize, flood: usize) -> Vec<String> {
        let was_told = |client: &Client, what: &str| {
            eventually(PATIENCE, || client.told().contains(what).then_some(())).is_some()
        };
        let last = |name: &str| {
            let image = roots::busybox();
            let image = image.to_str().expect("the path of an image is text");
            env.tinyd(["run", "--rm", "--net", "none", "--name", name, image, "true"]).ok();
        };
        last("paced");
        let mut broken = Vec::new();
        if !was_told(&self.reader, "\"name\":\"paced\"") {
            broken.push(format!("the reader of events was not told of the last one: {}", self.reader.said()));
        }
        broken.extend(match lost(&self.reader.told()) {
            Ok((0, last)) if last >= paced as u64 => None,
            other => Some(format!("the reader of events lost some of {paced}, or not a few: {other:?}")),
        });
        write(&log(env), flood);
        // One event of many makes the log shorter.
        let shorter = eventually(PATIENCE, || {
            for verb in ["pause", "unpause"] {
                env.tinyd([verb, "quiet"]).ok();
            }
            log(env).with_file_name("base").exists().then_some(())
        });
        if shorter.is_none() {
            broken.push(format!("{flood} events are all kept"));
        }
        last("flooded");
        self.slow.signal(Signal::CONT);
        for (who, client) in [("reader", &self.reader), ("slow reader", &self.slow)] {
            if !was_told(client, "\"name\":\"flooded\"") {
                broken.push(format!("the {who} of events was not told of the last one: {}", client.said()));
            }
            // Whoever was overtaken by so many is told how many he missed.
            broken.extend(match lost(&client.told()) {
                Ok((lost, last)) if last >= (paced + flood) as u64 && (lost > 0 || who == "reader") => None,
                other => Some(format!("the {who} of {paced} and {flood} events: {other:?}")),
            });
        }
        broken
    }
}

/// How many events are told as lost, and the number of the last one; an error where a number is missing without a word.
fn lost(text: &str) -> Result<(u64, u64), String> {
    let (mut all, mut before) = (0, 0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let number = event["Seq"].as_u64().ok_or_else(|| format!("no number: {line}"))?;
        let (lost, next) = match event["Action"] == "lost" {
            true => {
                let count =
                    event["Actor"]["Attributes"]["count"].as_str().and_then(|count| count.parse().ok());
                let count: u64 = count.ok_or_else(|| format!("no count: {line}"))?;
                (count, before + count)
            }
            false => (0, before + 1),
        };
        if number != next {
            return Err(format!("after {before}, {next} was to come: {line}"));
        }
        all += lost;
        before = number;
    }
    Ok((all, before))
}

fn log(env: &Env) -> PathBuf {
    env.run_root().join("events/log")
}

/// As any process of an engine writes them.
fn write(log: &Path, count: usize) {
    let mut log = OpenOptions::new().append(true).open(log).expect("the log of events is there");
    for number in 0..count {
        let event =
            format!("\n{{\"time_ns\":{number},\"type\":\"container\",\"action\":\"start\",\"id\":\"x\"}}\n");
        log.write_all(event.as_bytes()).expect("there is room for an event");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_missing_without_a_word_is_seen() {
        let event = |number: u64| format!("{{\"Seq\":{number},\"Action\":\"start\"}}\n");
        let told = |number: u64, count: u64| {
            format!(
                "{{\"Seq\":{number},\"Action\":\"lost\",\"Actor\":{{\"Attributes\":{{\"count\":\"{count}\"}}}}}}\n"
            )
        };
        assert_eq!(lost(&[event(1), event(2), told(5, 3), event(6)].concat()), Ok((3, 6)));
        assert!(lost(&[event(1), event(3)].concat()).is_err());
        assert!(lost(&[event(1), told(5, 3), event(6)].concat()).is_err());
        assert!(lost(&[event(1), event(1)].concat()).is_err());
    }
}
