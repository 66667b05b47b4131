//! What one more published port costs where there are none, and where there are 999.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use tinyd_tests::ground::{self, Ground};
use tinyd_tests::{Env, roots};

use super::contender::{Words, words};
use super::race::{Dice, WARM_UP};
use super::spawner::Spawner;
use super::stats::{self, Samples};
use super::word;

const NOTES: &str = "\
Two hosts in network namespaces, each with an engine and tinyd's default network (IPv4 and IPv6), on which a container runs
already: on the one it has no port, on the other 999. On each a further one is run to its end, with a port and without.
first, 1,000th: run --rm -p 18080:80, of which the port is the host's first or its 1,000th.";

/// What the first container publishes on the crowded host.
const OTHERS: [&str; 2] = ["-p", "20000-20998:20000-20998"];
const OWN: [&str; 2] = ["-p", "18080:80"];

/// The four that are timed.
const NAMES: [&str; 4] = ["first", "1,000th", "no port, of 0", "no port, of 999"];

/// Between two runs, so that what one cleans up after its answer is not paid by the next.
const PAUSE: Duration = Duration::from_millis(30);

/// Prints a table of so many rounds.
pub(super) fn run(rounds: usize) -> Result<()> {
    let mut result = Ok(());
    Ground::stand(|_, first| {
        fill(first, &[]);
        let spawner = start(first);
        Ground::stand(|_, second| {
            fill(second, &OTHERS);
            result = spawner.and_then(|spawner| race([(first, spawner), (second, start(second)?)], rounds));
            second.tinyd(["rm", "-f", "others"]);
        });
        first.tinyd(["rm", "-f", "others"]);
    });
    result
}

fn fill(env: &Env, ports: &[&str]) {
    ground::start(env, &[&["--net", "tinyd", "--name", "others"], ports].concat(), "exec sleep 100000");
}

/// A helper on the host that the caller is on.
fn start(env: &Env) -> Result<Spawner> {
    Spawner::start(&env.files().join("log"), false)
}

fn line(env: &Env, port: &[&str]) -> Words {
    let mut line = words(["run", "--rm", "--net", "tinyd"]);
    line.extend(port.iter().map(Into::into));
    line.extend([word(&roots::busybox()), "/bin/true".into()]);
    env.cmd(line).words().to_vec()
}

fn race(mut hosts: [(&Env, Spawner); 2], rounds: usize) -> Result<()> {
    let lines: Vec<(usize, Words)> = [(0, &OWN[..]), (1, &OWN), (0, &[]), (1, &[])]
        .into_iter()
        .map(|(host, port)| (host, line(hosts[host].0, port)))
        .collect();
    let mut times: [Vec<Duration>; NAMES.len()] = Default::default();
    let mut dice = Dice::new();
    for round in 0..WARM_UP + rounds {
        let mut order: Vec<usize> = (0..NAMES.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let (host, line) = &lines[index];
            sleep(PAUSE);
            let took = hosts[*host].1.run(line).context(NAMES[index])?;
            if round >= WARM_UP {
                times[index].push(took);
            }
        }
    }
    let results: Vec<_> = NAMES.into_iter().zip(times.map(Samples::new)).collect();
    println!("\nthe cost of one more published port, {rounds} rounds in random order, wall time\n");
    print!("{}", stats::table(&results, NAMES[0], NAMES[1]));
    let median = |index: usize| results[index].1.percentile(50);
    println!("\n1,000th / first: {:.3}", median(1) / median(0));
    let [first, last] = [median(0) - median(2), median(1) - median(3)];
    println!("by itself (with a port, less without): first {first:.0} µs, 1,000th {last:.0} µs");
    println!("\n{NOTES}");
    Ok(())
}
