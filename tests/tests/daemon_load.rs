//! Much at once for a daemon: its answers stay quick, its memory small, and what it promised is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what it measured"
)]

use std::time::Duration;

use tinyd_tests::load::{Load, press};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, require};

/// The most that answers may take longer.
const SLOWER: u32 = 10;
/// The most memory, in KiB.
const MEMORY: u64 = 150 * 1024;

/// `unseen` is how long any answer may take.
fn campaign(load: &Load, unseen: Duration) {
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--live-restore"]);
    let report = press(&env, &daemon, load);
    let [before, under] =
        [&report.unloaded, &report.loaded].map(|answers| [50, 99].map(|part| answers.percentile(part)));
    println!("{load:?}: p50 and p99 {before:?}, under load {under:?}, at most {} KiB", report.peak_kib);
    assert!(report.broken.is_empty(), "{:#?}", report.broken);
    let bound = (before[1] * SLOWER).max(unseen);
    assert!(under[1] <= bound, "{before:?} and under load {under:?}");
    assert!(report.peak_kib < MEMORY, "{} KiB", report.peak_kib);
    daemon.stop().ok();
    env.assert_clean();
    env.assert_checked();
}

#[test]
fn under_load_answers_are_quick_memory_is_small_and_what_was_promised_is_told() {
    require!(root);
    let load = Load { half_open: 2000, viewers: 80, followers: 16, drowned: 4, events: 4000, questions: 400 };
    // A machine that is busy with other tests as well has no unloaded answers: nobody sees a tenth of a second.
    campaign(&load, Duration::from_millis(100));
}

#[test]
#[ignore = "takes minutes: the whole load"]
fn soak_load_of_five_thousand_connections_two_hundred_viewers_and_ten_thousand_events() {
    require!(root);
    let load =
        Load { half_open: 5000, viewers: 150, followers: 40, drowned: 10, events: 10_000, questions: 3000 };
    campaign(&load, Duration::ZERO);
}
