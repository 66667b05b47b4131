//! Tells of kills for want of memory when they happen: most leave the container's first process alone. Several at one moment are told
//! once.

use crate::StartRequest;
use rustix::event::PollFlags;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};
use tinyd_cgroup::{Cgroup, OomWatch};

/// The kernel rings before it kills, where control groups are of version 1: how often, and how soon, the kill is looked for.
const LOOKS: u32 = 20;
const SOON: Duration = Duration::from_millis(50);

/// What a container lost for want of memory.
pub(crate) struct Oom<'a> {
    request: &'a StartRequest,
    cgroup: &'a dyn Cgroup,
    /// None before the command has run for a moment, and where the kernel tells nobody.
    watch: Option<OomWatch>,
    /// So many kills were told of.
    told: u64,
    again: Option<(Instant, u32)>,
}

impl<'a> Oom<'a> {
    /// Of a container that was just started.
    pub(crate) fn new(request: &'a StartRequest, cgroup: &'a dyn Cgroup) -> Self {
        Self { request, cgroup, watch: None, told: 0, again: None }
    }

    /// Of one that was somebody else's to watch: what was before is taken for told.
    pub(crate) fn taken_over(request: &'a StartRequest, cgroup: &'a dyn Cgroup) -> Self {
        let told = cgroup.oom_kills().unwrap_or(0);
        Self { told, ..Self::new(request, cgroup) }
    }

    /// Begins to watch. Where that cannot be, what was killed is told at the end.
    pub(super) fn begin(&mut self) {
        self.watch = self.cgroup.watch_oom().ok();
        self.look();
    }

    /// What is to be waited for, and how.
    pub(super) fn bell(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.watch.as_ref().map(|watch| (watch.as_fd(), watch.interest()))
    }

    /// How long it is until it is to be looked again.
    pub(super) fn until_due(&self) -> Option<Duration> {
        self.again.map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// The bell has rung.
    pub(super) fn rung(&mut self) {
        let rung = self.watch.as_mut().map(OomWatch::take);
        match rung {
            Some(Ok(true)) => self.again = (!self.look()).then(|| (Instant::now() + SOON, LOOKS)),
            // It would ring for ever.
            Some(Ok(false)) if self.watch.as_ref().is_some_and(OomWatch::is_over) => self.watch = None,
            Some(Err(_)) => self.watch = None,
            Some(Ok(false)) | None => {}
        }
    }

    /// Looks again, when it is time.
    pub(super) fn look_again(&mut self) {
        let Some((_, left)) = self.again.filter(|(at, _)| *at <= Instant::now()) else { return };
        self.again = (!self.look() && left > 1).then(|| (Instant::now() + SOON, left - 1));
    }

    /// The last look: whether anything was killed.
    pub(super) fn end(&mut self) -> bool {
        self.look();
        self.told > 0
    }

    /// Tells of what was killed since the last look; whether there was anything.
    fn look(&mut self) -> bool {
        let kills = self.cgroup.oom_kills().unwrap_or(self.told);
        if kills <= self.told {
            return false;
        }
        self.told = kills;
        self.request.tell("oom", &[]);
        true
    }
}
