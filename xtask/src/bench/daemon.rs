//! What a daemon costs: a run through it, its being there, its answers under load, and its coming back.

use std::time::Duration;

use anyhow::{Context, Result};
use tinyd_tests::load::{Load, press};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, roots};

use super::contender::{Contender, Words, words};
use super::race::{Dice, Race, WARM_UP};
use super::spawner::Spawner;
use super::{stats, word};

pub(super) mod comeback;
mod idle;

const NOTES: &str = "\
run: `run --rm --net none IMAGE true` through the daemon that listens, and by the engine of the client's own process (-H local).
idle: the daemon's processor time while 100 containers sleep, its page is on and nobody asks.
answers: those of the page to `GET /api/containers` and of one container, one after the other, before and under the load;
the load's clients are on the same machine, and all its processors are busy with them.";

/// Prints all of it.
pub(super) fn run(rounds: usize) -> Result<()> {
    through(rounds).context("a run through the daemon")?;
    idle::run().context("an idle daemon")?;
    answers(rounds).context("answers under load")?;
    println!("\n{NOTES}");
    Ok(())
}

/// A run through a daemon beside one without.
fn through(rounds: usize) -> Result<()> {
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let log = env.files().join("log");
    let line = |before: &[&str]| -> Words {
        let mut line = words(before.iter().copied());
        line.extend(words(["run", "--rm", "--net", "none"]));
        line.extend([word(&roots::busybox()), "/bin/true".into()]);
        env.cmd(line).words().to_vec()
    };
    let contenders = vec![
        Contender { name: "local", words: line(&["-H", "local"]), ..Contender::default() },
        Contender { name: "daemon", words: line(&[]), ..Contender::default() },
    ];
    let mut spawners = [Spawner::start(&log, false)?, Spawner::start(&log, true)?];
    let mut race = Race::new(contenders, &mut spawners);
    race.warm_up()?;
    let mut dice = Dice::new();
    for round in 0..rounds {
        race.round(WARM_UP + round, &mut dice)?;
    }
    let results = race.results();
    println!("\na run through a daemon, {rounds} rounds in random order, wall time\n");
    print!("{}", stats::table(&results, "local", "daemon"));
    let median = |index: usize| results[index].1.percentile(50);
    println!("\ndaemon / local: {:.3} (at most 1.15)", median(1) / median(0));
    drop(race);
    daemon.stop().ok();
    Ok(())
}

/// Answers before and under a load.
fn answers(rounds: usize) -> Result<()> {
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--live-restore"]);
    let load = Load {
        half_open: 5000,
        viewers: 150,
        followers: 40,
        drowned: 10,
        events: 10_000,
        questions: rounds * 50,
    };
    let report = press(&env, &daemon, &load);
    let part = |percent| {
        let [before, under] = [&report.unloaded, &report.loaded].map(|answers| answers.percentile(percent));
        under.max(Duration::from_nanos(1)).as_secs_f64() / before.as_secs_f64()
    };
    println!("\nanswers under load, {} questions: {load:?}\n", load.questions);
    println!("p50 loaded / unloaded: {:.1}", part(50));
    println!("p99 loaded / unloaded: {:.1} (at most 10)", part(99));
    println!("the daemon's most memory: {} MiB (at most 150)", report.peak_kib / 1024);
    for broken in &report.broken {
        println!("BROKEN: {broken}");
    }
    daemon.stop().ok();
    Ok(())
}
