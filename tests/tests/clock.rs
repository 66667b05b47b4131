//! F12: the machine's clock is set while containers run. Only in the virtual machine: what is set here is everybody's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use tinyd_tests::{Env, require, roots, wait_until};

/// Hours of seconds, and years.
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// The clock as it would be if nobody had set it; it is so again afterwards.
struct Clock {
    begun: Instant,
    at: SystemTime,
}

impl Clock {
    fn new() -> Self {
        Self { begun: Instant::now(), at: SystemTime::now() }
    }

    /// Sets it so many seconds beside where it should be.
    fn set(&self, beside: i64) {
        let now = self.at + self.begun.elapsed();
        let seconds = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let time = Timespec { tv_sec: seconds + beside, tv_nsec: 0 };
        clock_settime(ClockId::Realtime, time).expect("root of the machine can set its clock");
        assert!((clock_gettime(ClockId::Realtime).tv_sec - time.tv_sec).abs() <= 2);
    }

    /// From the year 1970 on, in which the kernel takes no moment that lies before its own start.
    fn long_ago(&self) {
        let up = clock_gettime(ClockId::Boottime).tv_sec;
        let time = Timespec { tv_sec: up + HOUR, tv_nsec: 0 };
        clock_settime(ClockId::Realtime, time).expect("root of the machine can set its clock");
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The numbers of a file, a line each: seconds since the machine's start.
fn moments(env: &Env, container: &str) -> Vec<f64> {
    let output = env.tinyd(["logs", container]).ok().stdout();
    output.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Each of them so much later than the one before, at least and at most.
fn assert_apart(moments: &[f64], least: f64, most: f64) {
    for pair in moments.windows(2) {
        let apart = pair[1] - pair[0];
        assert!((least..most).contains(&apart), "{apart} s in {moments:?}");
    }
}

#[test]
#[ignore = "sets the machine's clock: cargo xtask vm-test clock"]
fn f12_pauses_checks_and_stops_last_as_long_whatever_the_clock_says() {
    require!(root);
    let clock = Clock::new();
    let env = Env::new();
    let image = image();
    // A check each second; it writes to the container's own output.
    let check = "cat /proc/uptime > /proc/1/fd/1";
    let health = ["--health-cmd", check, "--health-interval", "1s", "--health-retries", "100"];
    let words = ["run", "-d", "--name", "checked"].into_iter().chain(health);
    env.tinyd(words.chain([&*image, "sleep", "1000"])).ok();
    // Its pauses double from 100 ms on.
    let policy = ["run", "-d", "--name", "again", "--restart", "on-failure:5"];
    env.tinyd(policy.into_iter().chain([&*image, "sh", "-c", "cat /proc/uptime; exit 3"])).ok();
    let states: [(&str, &dyn Fn()); 5] = [
        ("an hour on", &|| clock.set(HOUR)),
        ("an hour back", &|| clock.set(-HOUR)),
        ("twenty years on", &|| clock.set(20 * YEAR)),
        ("1970", &|| clock.long_ago()),
        ("as it was", &|| clock.set(0)),
    ];
    for (what, set) in states {
        set();
        let begun = Instant::now();
        env.tinyd([
            "run",
            "-d",
            "--name",
            "deaf",
            &image,
            "sh",
            "-c",
            "trap '' TERM; while :; do sleep 0.1; done",
        ])
        .ok();
        let stopping = env.cmd(["stop", "-t", "2", "deaf"]).spawn();
        std::thread::sleep(Duration::from_millis(500));
        // Once more while it is waited for, and back.
        clock.set(7 * HOUR);
        set();
        stopping.wait().ok();
        let took = begun.elapsed();
        assert!((2.0..12.0).contains(&took.as_secs_f64()), "{what}: a stop took {took:?}");
        for words in
            [&["ps", "-a"][..], &["inspect", "checked"], &["stats", "--no-stream"], &["logs", "-t", "again"]]
        {
            env.tinyd(words.iter().copied()).ok();
        }
        env.tinyd(["rm", "deaf"]).ok();
    }
    wait_until("all starts have been made", || moments(&env, "again").len() == 6);
    let starts = moments(&env, "again");
    for (pair, pause) in starts.windows(2).zip([0.1, 0.2, 0.4, 0.8, 1.6]) {
        let apart = pair[1] - pair[0];
        assert!((pause - 0.02..pause + 3.0).contains(&apart), "{apart} s instead of {pause} in {starts:?}");
    }
    let checks = moments(&env, "checked");
    assert!(checks.len() >= 8, "{checks:?}");
    assert_apart(&checks, 0.95, 4.0);
    // Events are in the order in which they happened, whatever times they say.
    let events = env.tinyd(["events", "--no-stream", "--since", "0", "--format", "json"]).ok().stdout();
    let numbers: Vec<u64> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["Seq"].as_u64().unwrap())
        .collect();
    assert!(numbers.len() > 20 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    env.tinyd(["rm", "-f", "checked", "again"]).ok();
}
