//! What is being started, and whether anything may be any more: a daemon that ends its containers starts no further ones.

use std::time::Duration;
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::sync::watch;

/// The verbs that start something.
#[derive(Clone)]
pub(crate) struct Starts(watch::Sender<Now>);

#[derive(Clone, Copy, Default)]
struct Now {
    under_way: usize,
    closed: bool,
}

/// One that is under way, until this is dropped.
pub(crate) struct Start(Starts);

impl Starts {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Now::default()))
    }

    /// One begins, unless none may any more.
    pub(crate) fn begin(&self) -> Result<Start> {
        let begun = self.0.send_if_modified(|now| {
            if !now.closed {
                now.under_way += 1;
            }
            !now.closed
        });
        if begun {
            return Ok(Start(self.clone()));
        }
        Err(Error::new(ErrorKind::WrongState, "the daemon is ending, and starts nothing any more")
            .with_hint("ask again when it is back"))
    }

    /// From now on none begins.
    pub(crate) fn close(&self) {
        self.0.send_modify(|now| now.closed = true);
    }

    /// None begins any more.
    pub(crate) fn are_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// Waits until none is under way, for a time; tells whether it came to that.
    pub(crate) async fn none_under_way(&self, patience: Duration) -> bool {
        let mut now = self.0.subscribe();
        let none = now.wait_for(|now| now.under_way == 0);
        tokio::time::timeout(patience, none).await.is_ok()
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        self.0.0.send_modify(|now| now.under_way -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn none_begins_after_the_end_and_those_before_it_are_waited_for() {
        let starts = Starts::new();
        let moment = Duration::from_millis(10);
        assert!(starts.none_under_way(moment).await);
        let (one, two) = (starts.begin().unwrap(), starts.begin().unwrap());
        assert!(!starts.are_closed());
        starts.close();
        assert!(starts.are_closed());
        assert!(starts.begin().is_err_and(|error| error.to_string().contains("is ending")));
        drop(one);
        assert!(!starts.none_under_way(moment).await);
        drop(two);
        assert!(starts.none_under_way(moment).await);
    }
}
