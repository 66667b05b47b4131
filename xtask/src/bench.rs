//! `cargo xtask bench`: what users wait for, beside other engines and the least that any engine must do.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tinyd_tests::{Env, packages, paths, roots};

use self::contender::Suite;
use self::race::{Dice, Race, WARM_UP};
use self::spawner::Spawner;
use crate::{build_cmd, setup};

mod bundle;
mod contender;
mod daemon;
mod exec;
mod floor;
mod ground;
mod net;
mod parallel;
mod peers;
mod ports;
mod race;
mod remove;
mod runtime;
pub(crate) mod spawner;
mod start;
mod stats;
mod throughput;
mod volume;

/// Fewer say little about the 95th percentile.
const LEAST_ROUNDS: usize = 21;

type Make = fn(&Env, &Path) -> Result<Suite>;

/// What a benchmark is.
#[derive(Clone, Copy)]
enum Kind {
    /// Command lines that are timed in the same rounds.
    Race(Make),
    /// The same in a network namespace of its own.
    Inside,
    /// What is measured otherwise, given the number of rounds.
    Own(fn(usize) -> Result<()>),
}

/// The benchmarks by their names.
const SUITES: [(&str, Kind); 10] = [
    ("start", Kind::Race(start::suite)),
    ("exec", Kind::Race(exec::suite)),
    ("rm", Kind::Race(remove::suite)),
    ("runtime", Kind::Race(runtime::suite)),
    (NET, Kind::Inside),
    ("ports", Kind::Own(ports::run)),
    // A round of it takes half a minute: it has fewer.
    ("throughput", Kind::Own(throughput::run)),
    ("volume", Kind::Own(volume::run)),
    ("daemon", Kind::Own(daemon::run)),
    (COMEBACK, Kind::Inside),
];

/// Those that happen in a network namespace of their own.
const NET: &str = "net";
const COMEBACK: &str = "comeback";

/// What it needs of the distribution: a file that proves that a package is there, and the package.
const PEERS: [(&str, &str); 4] = [
    ("/usr/bin/podman", "podman"),
    ("/usr/lib/podman/netavark", "netavark"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/usr/sbin/iptables", "iptables"),
];

/// Runs the benchmarks that are named, all where none is, and prints a table for each.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let (suites, rounds) = chosen(options)?;
    if ground::is_inside() {
        return suites.iter().try_for_each(|(name, _)| inside(name, rounds));
    }
    if !geteuid().is_root() {
        bail!("the benchmark makes real containers: it needs root");
    }
    setup::run()?;
    packages::ensure(&["/usr/bin/crun"], "crun").context("crun cannot be installed")?;
    // Another build than this one's can be measured by naming it.
    if std::env::var_os("TINYD_BIN").is_none() {
        build_cmd::run()?;
    }
    for (name, kind) in suites {
        match kind {
            Kind::Race(make) => time(make, rounds)?,
            Kind::Own(run) => run(rounds).context(name)?,
            Kind::Inside => {
                PEERS.iter().try_for_each(|(file, package)| packages::ensure(&[file], package))?;
                ground::again(&["bench", name, "--rounds", &rounds.to_string()])?;
            }
        }
    }
    Ok(())
}

/// The part that has a network namespace of its own.
fn inside(name: &str, rounds: usize) -> Result<()> {
    if name == COMEBACK {
        return daemon::comeback::run();
    }
    time(net::suite, rounds)?;
    net::side_by_side(&Env::new(), &roots::busybox())
}

fn time(make: Make, rounds: usize) -> Result<()> {
    let env = Env::new();
    let suite = make(&env, &roots::busybox())?;
    let log = env.files().join("log");
    let mut spawners = [Spawner::start(&log, false)?, Spawner::start(&log, true)?];
    let mut race = Race::new(suite.contenders, &mut spawners);
    race.warm_up()?;
    let mut dice = Dice::new();
    for round in 0..rounds {
        race.round(WARM_UP + round, &mut dice)?;
    }
    println!("\n{}, {rounds} rounds in random order, wall time\n", suite.title);
    let [first, second] = suite.by;
    print!("{}", stats::table(&race.results(), first, second));
    println!("\n{}", suite.notes);
    drop(race);
    drop(suite.keep);
    Ok(())
}

fn chosen(options: &[&str]) -> Result<(Vec<(&'static str, Kind)>, usize)> {
    let (mut suites, mut rounds) = (Vec::new(), LEAST_ROUNDS + 10);
    let mut words = options.iter();
    while let Some(&word) = words.next() {
        match SUITES.iter().find(|(name, _)| *name == word) {
            Some(suite) => suites.push(*suite),
            None if word == "--rounds" => match words.next().map(|count| count.parse()) {
                Some(Ok(count)) if count >= LEAST_ROUNDS => rounds = count,
                _ => bail!("--rounds takes a number of at least {LEAST_ROUNDS}"),
            },
            None => {
                let known = SUITES.map(|(name, _)| name).join(", ");
                bail!("bench knows {known} and --rounds N, not {word}")
            }
        }
    }
    if suites.is_empty() {
        suites.extend(SUITES);
    }
    Ok((suites, rounds))
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
    fn suites_are_chosen_and_too_few_rounds_refused() {
        let (suites, rounds) = chosen(&[]).unwrap();
        assert!(suites.len() == SUITES.len() && rounds >= LEAST_ROUNDS);
        let (suites, rounds) = chosen(&["start", "ports", "--rounds", "50"]).unwrap();
        assert_eq!((suites.len(), rounds), (2, 50));
        for bad in [vec!["--rounds", "3"], vec!["--rounds"], vec!["--fast"], vec!["stop"]] {
            assert!(chosen(&bad).is_err(), "{bad:?}");
        }
    }
}
