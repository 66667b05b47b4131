//! What a daemon costs that nobody asks.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, roots};

use super::comeback::start_many;

/// How long it is looked at.
const SPAN: Duration = Duration::from_secs(20);

/// Prints its share of a processor, with a hundred containers.
pub(super) fn run() -> Result<()> {
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--live-restore"]);
    start_many(&env, &roots::busybox());
    // Whoever has asked is answered, and threads that were needed for that have gone.
    std::thread::sleep(Duration::from_secs(12));
    let (before, began) = (spent(daemon.pid())?, Instant::now());
    std::thread::sleep(SPAN);
    let (after, took) = (spent(daemon.pid())?, began.elapsed());
    let share = (after - before).as_secs_f64() / took.as_secs_f64() * 100.0;
    println!("\nidle with 100 containers: {share:.3} % of a processor (at most 0.5)");
    daemon.stop().ok();
    Ok(())
}

/// The processor time of all its threads, in nanoseconds as the scheduler counts them: a tick would be 10 ms.
fn spent(pid: i32) -> Result<Duration> {
    let mut all = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has ended meanwhile had nothing to do.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = text.split(' ').next().context("schedstat is empty")?;
        all += first.parse::<u64>().context("schedstat is no number")?;
    }
    Ok(Duration::from_nanos(all))
}
