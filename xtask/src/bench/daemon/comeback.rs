//! How soon a daemon that was killed answers again, beside dockerd.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, crowd, roots};

use crate::bench::peers::Dockerd;
use crate::bench::race::Dice;

/// How many containers run meanwhile.
const CONTAINERS: usize = 100;
/// How often each is killed.
const KILLS: usize = 7;

const NOTES: &str = "\
Each is killed with SIGKILL while 100 containers sleep, and started again; the time is from before the start of the program
until a list of all 100 is there: of tinyd's by `tinyd ps` through the daemon, of dockerd's asked at its socket. dockerd runs with --live-restore. All 100 are the same processes afterwards.";

/// Prints how the one's time is to the other's.
pub(in crate::bench) fn run() -> Result<()> {
    let env = Env::new();
    let raced = race(&env);
    if let Err(error) = &raced {
        // What is left may be a reason to panic.
        println!("{error:#}");
    }
    raced
}

fn race(env: &Env) -> Result<()> {
    let image = roots::busybox();
    let mut ours = Daemon::start(env, &["--live-restore"]);
    start_many(env, &image);
    let mut theirs = Dockerd::start_with(env, &image, &["--live-restore"])?;
    theirs.start_many(CONTAINERS)?;
    let ours_before = processes(env)?;
    let mut times: [Vec<Duration>; 2] = Default::default();
    let mut dice = Dice::new();
    for _ in 0..KILLS {
        let mut order = [0, 1];
        dice.shuffle(&mut order);
        for index in order {
            std::thread::sleep(Duration::from_millis(500));
            times[index].push(match index {
                0 => {
                    ours.signal(Signal::KILL);
                    ours.wait();
                    let began = Instant::now();
                    ours = Daemon::start(env, &["--live-restore"]);
                    let listed = env.tinyd(["ps", "-q"]).ok().stdout().lines().count();
                    if listed != CONTAINERS {
                        bail!("{listed} of {CONTAINERS} containers are there");
                    }
                    began.elapsed()
                }
                _ => theirs.come_back(CONTAINERS)?,
            });
        }
    }
    if processes(env)? != ours_before {
        bail!("a container was started again");
    }
    let [ours_median, theirs_median] = times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2].as_secs_f64()
    });
    println!("\nready again after kill -9 with {CONTAINERS} containers, {KILLS} times each, medians\n");
    println!("tinyd / dockerd --live-restore: {:.3} (at most 0.5)", ours_median / theirs_median);
    println!("\n{NOTES}");
    ours.stop().ok();
    Ok(())
}

/// Starts a hundred containers that sleep.
pub(super) fn start_many(env: &Env, image: &Path) {
    let image = image.to_string_lossy().into_owned();
    let wrong = crowd(4, CONTAINERS, |number| {
        let name = format!("c{number}");
        let started = env.tinyd(["run", "-d", "--net", "none", "--name", &name, &image, "sleep", "100000"]);
        match started.code() {
            Some(0) => Ok(()),
            _ => Err(started.to_string()),
        }
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The numbers of all first processes.
fn processes(env: &Env) -> Result<Vec<u64>> {
    let names: Vec<_> = (0..CONTAINERS).map(|number| format!("c{number}")).collect();
    let words = ["inspect".to_owned()].into_iter().chain(names);
    let all = env.tinyd(words).ok().json();
    let all = all.as_array().context("inspect gives a list")?;
    all.iter().map(|one| one["State"]["Pid"].as_u64().context("no process")).collect()
}
