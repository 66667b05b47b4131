//! Clients that follow a log.

use std::time::Duration;

use rustix::process::Signal;

use super::client::Client;
use crate::env::Env;
use crate::wait::eventually;

/// Several.
pub(super) struct Followers(Vec<Client>);

impl Followers {
    #[track_caller]
    pub(super) fn start(env: &Env, name: &str, count: usize) -> Followers {
        let words = ["logs", "-f", "--tail", "10", name];
        Followers((0..count).map(|number| Client::start(env, &words, &format!("{name}-{number}"))).collect())
    }

    /// The first one stands still from now on.
    pub(super) fn stop_first(&self) {
        if let Some(first) = self.0.first() {
            // It has begun to read, and so has something to miss.
            let has_begun = || (!first.told().is_empty()).then_some(());
            let begun = eventually(Duration::from_secs(30), has_begun);
            assert!(begun.is_some(), "nothing came");
            first.signal(Signal::STOP);
        }
    }

    /// Stops the container, whose lines are numbers, and says who was not told of all of them.
    pub(super) fn end_with(mut self, env: &Env, name: &str) -> Vec<String> {
        env.tinyd(["stop", "-t", "0", name]).ok();
        let last = env.tinyd(["logs", "--tail", "1", name]).ok().text();
        let mut broken = Vec::new();
        for (number, one) in self.0.iter_mut().enumerate() {
            let judged = one.end().and_then(|()| {
                let told = one.told();
                let first: u64 = told.lines().next().and_then(|line| line.parse().ok()).unwrap_or(0);
                let gap = (first..).zip(told.lines()).find(|(number, line)| *line != number.to_string());
                let seen = told.lines().last().unwrap_or_default();
                match gap.is_none() && seen == last {
                    true => Ok(()),
                    false => Err(format!(
                        "from {first} to {seen:?} of {last}, first gap {gap:?}; it said {:?}",
                        one.said()
                    )),
                }
            });
            broken.extend(judged.err().map(|problem| format!("follower {number} of {name}: {problem}")));
        }
        broken
    }

    /// Stops the container. Who stood still must say that it has missed something.
    pub(super) fn end_behind(mut self, env: &Env, name: &str) -> Vec<String> {
        env.tinyd(["stop", "-t", "0", name]).ok();
        if let Some(first) = self.0.first() {
            first.signal(Signal::CONT);
        }
        let mut broken = Vec::new();
        for (number, one) in self.0.iter_mut().enumerate() {
            let judged = one.end().and_then(|()| {
                match number > 0 || one.said().contains(" bytes of the log are missing") {
                    true => Ok(()),
                    false => Err(format!("it stood still and was told of no gap: {:?}", one.said())),
                }
            });
            broken.extend(judged.err().map(|problem| format!("follower {number} of {name}: {problem}")));
        }
        broken
    }
}
