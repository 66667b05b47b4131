//! What volumes cost, beside the same work without them. Only ratios are printed: what is compared happens in the same rounds.

use std::io::{Write as _, stdout};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use tinyd_tests::Env;

use super::contender::{Words, in_round};
use super::race::{Dice, WARM_UP};
use super::spawner::Spawner;
use super::stats::Samples;

mod archive;
mod constant;
mod start;
mod through;

/// Between two measurements, so that what one cleans up after its answer is not paid by the next.
const PAUSE: Duration = Duration::from_millis(30);

/// Prints the tables of so many rounds.
pub(super) fn run(rounds: usize) -> Result<()> {
    let env = Env::new();
    let mut spawner = Spawner::start(&env.files().join("log"), false)?;
    start::run(&env, &mut spawner, rounds).context("starts")?;
    // A round of these takes seconds: they have fewer.
    let constant = constant::run(&env, &mut spawner, rounds / 2);
    constant::end(&env)?;
    constant.context("snapshots and clones")?;
    archive::run(&env, &mut spawner, rounds / 4).context("archives")?;
    through::run(&env, rounds / 2).context("reads and writes")
}

/// One that is timed.
struct Side {
    name: &'static str,
    /// What is timed.
    words: Words,
    /// Run after each round, and not timed.
    after: Option<Words>,
}

/// Times all sides in each round, in an order by chance, and gives the times of each.
fn race(spawner: &mut Spawner, sides: &[Side], rounds: usize) -> Result<Vec<Samples>> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); sides.len()];
    let mut dice = Dice::new();
    for round in 0..WARM_UP + rounds {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let side = &sides[index];
            sleep(PAUSE);
            let took = spawner.run(&in_round(&side.words, round)).context(side.name)?;
            if let Some(after) = &side.after {
                spawner.run(&in_round(after, round)).context(side.name)?;
            }
            if round >= WARM_UP {
                times[index].push(took);
            }
        }
    }
    Ok(times.into_iter().map(Samples::new).collect())
}

/// A table of ratios: of each, its median and its 95th percentile as multiples of those of the first.
fn table(title: &str, rounds: usize, names: &[&str], times: &[Samples], notes: &str) {
    // Whoever reads this may leave early: what was made is taken away all the same.
    let _ = writeln!(stdout(), "\n{title}, {rounds} rounds in random order\n");
    let _ = writeln!(stdout(), "{:<28}{:>10}{:>10}", "time, as multiples", "p50", "p95");
    let of = |index: usize, percent| times.get(index).map_or(f64::NAN, |times| times.percentile(percent));
    for (index, name) in names.iter().enumerate() {
        let ratio = |percent| of(index, percent) / of(0, percent);
        let _ = writeln!(stdout(), "{name:<28}{:>10.3}{:>10.3}", ratio(50), ratio(95));
    }
    let _ = writeln!(stdout(), "\n{notes}");
}
