//! `cargo xtask bench start`: the whole life of a container, from the start of the command to its end, beside other
//! engines and the floor (the system calls that any engine must do).
//!
//! All contenders run in the same rounds, in random order, so that what else the machine does meets all alike.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tinyd_tests::{Env, packages, paths, roots};

use self::contender::Contender;
use self::spawner::Spawner;
use self::stats::Samples;
use crate::{build_cmd, setup};

mod contender;
mod floor;
pub(crate) mod spawner;
mod stats;

/// Fewer say little about the 95th percentile.
const LEAST_ROUNDS: usize = 21;
/// What is not counted: pages and dentries that are read for the first time.
const WARM_UP: usize = 2;
/// Between two runs, so that what one cleans up after its answer is not paid by the next.
const PAUSE: Duration = Duration::from_millis(30);

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let rounds = rounds(options)?;
    if !geteuid().is_root() {
        bail!("the benchmark makes real containers: it needs root");
    }
    setup::run()?;
    packages::ensure(&["/usr/bin/crun"], "crun").context("crun cannot be installed")?;
    // Another build than this one's can be measured by naming it.
    if std::env::var_os("TINYD_BIN").is_none() {
        build_cmd::run()?;
    }
    let env = Env::new();
    let image = roots::busybox();
    let contenders = contender::all(&env, &image)?;
    let log = env.files().join("log");
    let mut spawners = [Spawner::start(&log, false)?, Spawner::start(&log, true)?];
    let mut race = Race::new(contenders, &mut spawners);
    race.warm_up()?;
    let mut dice = Dice::new();
    for round in 0..rounds {
        race.round(WARM_UP + round, &mut dice)?;
    }
    println!("\n{rounds} rounds in random order, busybox `true` from start to end, wall time\n");
    print!("{}", stats::table(&race.results(), "floor", "crun"));
    println!("\n{}", contender::NOTES);
    Ok(())
}

fn rounds(options: &[&str]) -> Result<usize> {
    match options {
        [] => Ok(LEAST_ROUNDS + 10),
        ["--rounds", count] => match count.parse() {
            Ok(rounds) if rounds >= LEAST_ROUNDS => Ok(rounds),
            _ => bail!("--rounds takes a number of at least {LEAST_ROUNDS}, not {count:?}"),
        },
        _ => bail!("bench start knows --rounds N, not {}", options.join(" ")),
    }
}

struct Race<'a> {
    contenders: Vec<Contender>,
    samples: Vec<Vec<Duration>>,
    spawners: &'a mut [Spawner; 2],
}

impl<'a> Race<'a> {
    fn new(contenders: Vec<Contender>, spawners: &'a mut [Spawner; 2]) -> Race<'a> {
        Race { samples: vec![Vec::new(); contenders.len()], contenders, spawners }
    }

    /// Runs everything once or twice; a peer that does not work on this machine is left out, and that is said.
    fn warm_up(&mut self) -> Result<()> {
        let mut fit = Vec::new();
        for contender in std::mem::take(&mut self.contenders) {
            match (0..WARM_UP).try_for_each(|round| self.time(&contender, round).map(drop)) {
                Ok(()) => fit.push(contender),
                Err(err) if contender.is_peer => println!("left out: {}: {err:#}", contender.name),
                Err(err) => return Err(err.context(contender.name)),
            }
        }
        self.samples.truncate(fit.len());
        self.contenders = fit;
        Ok(())
    }

    fn round(&mut self, round: usize, dice: &mut Dice) -> Result<()> {
        let mut order: Vec<usize> = (0..self.contenders.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let contender = self.contenders[index].clone();
            let took = self.time(&contender, round).with_context(|| contender.name)?;
            self.samples[index].push(took);
        }
        Ok(())
    }

    fn time(&mut self, contender: &Contender, round: usize) -> Result<Duration> {
        sleep(PAUSE);
        let words: Vec<OsString> = contender.words(round);
        self.spawners[usize::from(contender.without_v2)].run(&words)
    }

    fn results(&self) -> Vec<(&'static str, Samples)> {
        let pairs = self.contenders.iter().zip(&self.samples);
        pairs.map(|(contender, samples)| (contender.name, Samples::new(samples.clone()))).collect()
    }
}

/// A small generator (xorshift): the order need not be secret, only mixed.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Dice(now.as_secs() << 32 | u64::from(now.subsec_nanos()) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The folder of what the benchmark compiles.
fn build_folder() -> Result<std::path::PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// A path as a word of a command line.
fn word(path: &Path) -> OsString {
    path.as_os_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_rounds_are_refused() {
        assert!(rounds(&[]).unwrap() >= LEAST_ROUNDS);
        assert_eq!(rounds(&["--rounds", "50"]).unwrap(), 50);
        assert!(rounds(&["--rounds", "3"]).is_err());
        assert!(rounds(&["--fast"]).is_err());
    }

    #[test]
    fn a_shuffle_keeps_all() {
        let mut dice = Dice::new();
        let mut items: Vec<usize> = (0..50).collect();
        dice.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
