//! One conformance suite for every driver, run on the real kernel. Behind the feature `testing`.
//!
//! What a host cannot do (a controller that is not there) is part of the contract too: it must be refused before any
//! effect, by an error that names it.

mod devices;
mod events;
mod hugetlb;
mod io;
mod kill;
mod life;
mod limits;
#[cfg(test)]
mod native;
mod nested;
mod processes;

use crate::{Cgroup, CgroupDriver, CgroupPath, Error, HierarchyVersion, HierarchyView, Limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Runs every case, each with a driver of its own, below a group `tinyd-test-PID-N` that is removed afterwards, also
/// when a case fails.
///
/// # Panics
/// With the assertion that failed.
pub fn conformance(make: &dyn Fn() -> Box<dyn CgroupDriver>) {
    let cases: &[fn(&Ground)] = &[
        life::create_open_remove,
        life::refuses_what_exists,
        life::what_is_there_is_taken_as_it_is,
        life::what_has_processes_or_is_frozen_is_not_taken,
        life::a_failure_leaves_nothing,
        life::odd_paths_are_errors,
        life::nested_groups_go_with_their_parent,
        life::prune_spares_what_is_used,
        life::survives_a_parent_that_vanishes,
        limits::written_and_read_back,
        limits::files_hold_the_values,
        limits::memory_and_swap_up_and_down,
        limits::missing_controllers_are_named,
        limits::cpuset_is_seeded_and_can_come_later,
        limits::active_before_the_process_runs,
        limits::quota_throttles,
        limits::pids_are_held,
        limits::oom_kill_is_counted,
        processes::join_handle_is_close_on_exec_and_complete,
        processes::added_listed_and_moved_out,
        processes::freeze_and_thaw,
        processes::cpu_time_is_counted,
        kill::takes_the_whole_tree,
        kill::takes_frozen_ones,
        kill::takes_those_that_fork,
        kill::remove_waits_for_the_dying,
        devices::only_what_is_allowed_opens,
        devices::rules_are_replaced,
        devices::groups_below_obey,
        devices::exceptions_are_kept_or_refused,
        io::rates_are_held_and_counted,
        hugetlb::pages_are_held,
        nested::memory_of_the_parent_holds,
        nested::pids_and_cpus_of_the_parent_hold,
        nested::killed_and_removed_as_one,
        nested::shares_divide_one_cpu,
        events::oom_is_told_of,
        events::pressure_is_shown,
    ];
    for case in cases {
        let ground = Ground::new(make());
        case(&ground);
        let (driver, root) = (make(), ground.root.clone());
        drop(ground);
        assert!(matches!(driver.open(&root), Err(Error::NotFound { .. })), "a case left {root} behind");
    }
}

/// A driver, and a group below which a case does as it likes.
struct Ground {
    driver: Box<dyn CgroupDriver>,
    root: CgroupPath,
}

impl Ground {
    fn new(driver: Box<dyn CgroupDriver>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tinyd-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { driver, root: must(CgroupPath::new(&name)) }
    }

    fn path(&self, below: &str) -> CgroupPath {
        must(self.root.join(below))
    }

    fn create(&self, below: &str, limits: &Limits) -> Box<dyn Cgroup> {
        must(self.driver.create(&self.path(below), limits))
    }

    /// A group without limits.
    fn group(&self, below: &str) -> Box<dyn Cgroup> {
        self.create(below, &Limits::default())
    }

    /// Whether a group that has others below it may hold processes itself: on v2 not where it gives them controllers.
    fn inner_holds(group: &dyn Cgroup) -> bool {
        let controls = |v: HierarchyView| std::fs::read_to_string(v.source.join("cgroup.subtree_control"));
        let of_v2 = group.views().into_iter().filter(|v| v.version == HierarchyVersion::V2);
        of_v2.map(controls).all(|text| must(text).trim().is_empty())
    }

    fn can(&self, limits: &Limits) -> bool {
        self.driver.validate(limits).is_ok()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Best effort: the case that failed has said why.
        if let Ok(group) = self.driver.open(&self.root) {
            let _ = group.kill();
            let _ = group.remove();
        }
    }
}

/// A child that is killed and reaped with the case.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a command that joins the group by itself before its exec.
    #[track_caller]
    #[allow(unsafe_code, clippy::disallowed_methods, reason = "the way in that is tested is the child's own")]
    pub(crate) fn inside(group: &dyn Cgroup, program: &str, args: &[&str]) -> Self {
        let handle = must(group.join_handle());
        let mut command = Self::command(program, args);
        let join = move || handle.join(true).map_err(|e| std::io::Error::from_raw_os_error(e.errno));
        // SAFETY: join() only calls write(2), and an io::Error of a number allocates nothing.
        unsafe {
            command.pre_exec(join);
        }
        Self(must(command.spawn()))
    }

    pub(crate) fn outside(program: &str, args: &[&str]) -> Self {
        Self(must(Self::command(program, args).spawn()))
    }

    fn command(program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// For `cat`: whether a byte sent comes back within the time.
    pub(crate) fn answers(&mut self, within: Duration) -> bool {
        let (Some(input), Some(output)) = (&mut self.0.stdin, &mut self.0.stdout) else { return false };
        must(input.write_all(b"x"));
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(within.subsec_nanos()) };
        let ready = must(poll(&mut [PollFd::new(&*output, PollFlags::IN)], Some(&timeout)));
        ready == 1 && output.read(&mut [0; 8]).is_ok_and(|n| n > 0)
    }

    /// Closes its input, waits, and gives its output.
    pub(crate) fn output(&mut self) -> String {
        drop(self.0.stdin.take());
        let mut text = String::new();
        if let Some(output) = &mut self.0.stdout {
            must(output.read_to_string(&mut text));
        }
        must(self.0.wait());
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Panics with the whole chain of causes: a suite's only way to report.
#[track_caller]
pub(crate) fn must<T, E: std::error::Error>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            panic!("{text}");
        }
    }
}

/// Waits for what the kernel does in its own time; far longer than it ever takes.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
