//! Starts a second, several at a time, the contenders by turns.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::contender::Contender;

/// How many start at a time.
const SIDE_BY_SIDE: usize = 8;
/// How often each has its turn, and for how long: those that were begun are waited for, and counted with their time.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(8);

/// Prints each one's rate, and how many times the others' the first one's is.
pub(super) fn compare(contenders: &[Contender]) -> Result<()> {
    let mut done = vec![(0, Duration::ZERO); contenders.len()];
    for _ in 0..TURNS {
        for (contender, (count, time)) in contenders.iter().zip(&mut done) {
            let begun = Instant::now();
            *count += turn(contender)?;
            *time += begun.elapsed();
        }
    }
    let rates: Vec<f64> = done.iter().map(|(count, time)| f64::from(*count) / time.as_secs_f64()).collect();
    println!("\nstarts a second, {SIDE_BY_SIDE} at a time, {TURNS} turns of {} s each\n", TURN.as_secs());
    for (contender, rate) in contenders.iter().zip(&rates) {
        println!("| {:<20} | {rate:>6.1} | tinyd has {:>5.2} times that |", contender.name, rates[0] / rate);
    }
    Ok(())
}

/// How many were started in a turn.
fn turn(contender: &Contender) -> Result<u32> {
    let (count, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let deadline = Instant::now() + TURN;
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while Instant::now() < deadline {
                    let good = start(contender).is_ok_and(|good| good);
                    let counter = if good { &count } else { &failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    match failed.into_inner() {
        0 => Ok(u32::try_from(count.into_inner())?),
        failed => bail!("{failed} starts of {} failed", contender.name),
    }
}

fn start(contender: &Contender) -> Result<bool> {
    let (program, rest) = contender.words.split_first().context("no words")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}
