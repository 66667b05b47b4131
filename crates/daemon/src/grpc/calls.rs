//! What is under way on one connection, and when its silence has lasted for too long.

use axum::body::Body;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a connection may be silent.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Before its first call.
    pub(super) first: Duration,
    /// Between calls.
    pub(super) idle: Duration,
    /// When the other side has been told that it is over. It may just have asked something: that is answered.
    pub(super) grace: Duration,
}

/// The calls of one connection. One that is under way may last for as long as its client likes, who may be stopped meanwhile, or
/// have nothing to say for hours.
#[derive(Clone)]
pub(super) struct Calls {
    now: watch::Sender<Now>,
    patience: Patience,
}

#[derive(Clone, Copy, Default)]
struct Now {
    /// Something was asked at all.
    begun: bool,
    /// So many calls are not answered to their end.
    under_way: usize,
    /// The other side does not take what was written.
    blocked: bool,
    gone: bool,
}

/// One that is under way, until this is dropped.
pub(super) struct Call(Calls);

impl Calls {
    pub(super) fn new(patience: Patience) -> Self {
        Self { now: watch::Sender::new(Now::default()), patience }
    }

    /// One begins.
    pub(super) fn begin(&self) -> Call {
        self.now.send_modify(|now| {
            now.begun = true;
            now.under_way += 1;
        });
        Call(self.clone())
    }

    /// Whether the other side does not take what is written. That belongs to a call, even where it has ended on this side.
    pub(super) fn block(&self, blocked: bool) {
        self.now.send_if_modified(|now| std::mem::replace(&mut now.blocked, blocked) != blocked);
    }

    /// The connection is closed.
    pub(super) fn end(&self) {
        self.now.send_modify(|now| now.gone = true);
    }

    /// Returns when the other side is to be told that the connection ends.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (now, patience) = (self.now.subscribe(), self.patience);
        silence(now, patience.first, patience.idle)
    }

    /// Returns when it has been told that, and does not end it.
    pub(super) fn overdue(&self) -> impl Future<Output = ()> + Send + use<> {
        let (over, now, grace) = (self.over(), self.now.subscribe(), self.patience.grace);
        async move {
            over.await;
            silence(now, grace, grace).await;
        }
    }
}

/// Returns when nothing was ever asked for as long as `first`, or nothing is under way for as long as `idle`.
async fn silence(mut now: watch::Receiver<Now>, first: Duration, idle: Duration) {
    // Of one that has never asked anything it does not matter whether it takes what is written.
    if timeout(first, now.wait_for(|now| now.begun || now.gone)).await.is_err() {
        return;
    }
    loop {
        let Now { under_way, blocked, gone, .. } = *now.borrow_and_update();
        let news = now.changed();
        let news = match under_way == 0 && !blocked {
            _ if gone => return,
            true => timeout(idle, news).await,
            false => Ok(news.await),
        };
        if !matches!(news, Ok(Ok(()))) {
            return;
        }
    }
}

impl Call {
    /// Makes it last until an answer has been passed on to its last byte, or is wanted no more.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        // A pointer to a body is one too, when it is pinned.
        Body::new(Pin::new(Answer { body, _call: self }))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.now.send_modify(|now| now.under_way -= 1);
    }
}

/// An answer that is under way.
struct Answer {
    body: Body,
    _call: Call,
}

impl Deref for Answer {
    type Target = Body;

    fn deref(&self) -> &Self::Target {
        &self.body
    }
}

impl DerefMut for Answer {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinHandle;

    const MOMENT: Duration = Duration::from_millis(20);
    const EVER: Duration = Duration::from_secs(3_600);

    /// A connection with its two ends.
    fn connection(first: Duration, idle: Duration) -> (Calls, [JoinHandle<()>; 2]) {
        let calls = Calls::new(Patience { first, idle, grace: MOMENT });
        let ends = [tokio::spawn(calls.over()), tokio::spawn(calls.overdue())];
        (calls, ends)
    }

    async fn lasts(ends: &[JoinHandle<()>]) -> bool {
        tokio::time::sleep(MOMENT * 10).await;
        !ends.iter().any(JoinHandle::is_finished)
    }

    #[tokio::test]
    async fn one_that_asks_nothing_ends_whatever_it_takes() {
        let (calls, ends) = connection(MOMENT, EVER);
        calls.block(true);
        for end in ends {
            end.await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_that_has_asked_ends_when_nothing_is_under_way() {
        let (calls, ends) = connection(EVER, MOMENT);
        assert!(lasts(&ends).await);
        let (long, short) = (calls.begin(), calls.begin());
        drop(short);
        assert!(lasts(&ends).await, "a call is under way");
        calls.block(true);
        drop(long);
        assert!(lasts(&ends).await, "what was answered is not taken yet");
        let late = calls.begin();
        calls.block(false);
        assert!(lasts(&ends).await);
        let [over, overdue] = ends;
        drop(late);
        over.await.unwrap();
        overdue.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_asked_at_the_last_moment_is_answered() {
        let (calls, [over, overdue]) = connection(MOMENT, MOMENT);
        over.await.unwrap();
        let late = calls.begin();
        assert!(lasts(&[overdue]).await);
        drop(late);
    }

    #[tokio::test]
    async fn one_that_is_gone_is_not_waited_for() {
        for begun in [false, true] {
            let (calls, ends) = connection(EVER, EVER);
            let call = begun.then(|| calls.begin());
            calls.end();
            for end in ends {
                end.await.unwrap();
            }
            drop(call);
        }
    }

    #[tokio::test]
    async fn a_call_lasts_until_its_answer_is_passed_on() {
        let (calls, ends) = connection(EVER, MOMENT);
        let answer = calls.begin().until_end_of(Body::from("answer"));
        assert!(lasts(&ends).await);
        assert_eq!(axum::body::to_bytes(answer, 100).await.unwrap().as_ref(), b"answer");
        for end in ends {
            end.await.unwrap();
        }
    }
}
