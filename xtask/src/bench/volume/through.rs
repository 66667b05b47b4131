//! Reads and writes in a container through a volume, against the bare folder.

use std::ffi::OsString;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tinyd_tests::Env;

use super::super::contender::{Words, words};
use super::super::race::{Dice, WARM_UP};
use super::super::stats::Samples;
use super::{PAUSE, table};

const NOTES: &str = "\
The dd of this machine, in the volume's folder, and in a container (of the image `host`) through the volume, with the same
file; it times itself, so that no start counts; without the filter of system calls, which costs each call something and has
nothing to do with volumes. 256 MiB in blocks of 1 MiB (into the disk: 64 MiB), and 64 MiB in blocks of 4 KiB.
The aim is a speed of 0.97 at least, which is a time of at most 1.03.";

/// What dd is told, besides the file: `if=` or `of=` stands before it.
const WAYS: [(&str, &str, &[&str]); 4] = [
    ("writes", "of=", &["if=/dev/zero", "bs=1M", "count=256", "conv=notrunc"]),
    ("writes into the disk", "of=", &["if=/dev/zero", "bs=1M", "count=64", "conv=notrunc,fsync"]),
    ("reads", "if=", &["of=/dev/null", "bs=1M", "count=256"]),
    ("small reads", "if=", &["of=/dev/null", "bs=4k", "count=16384"]),
];

pub(super) fn run(env: &Env, rounds: usize) -> Result<()> {
    env.tinyd(["volume", "create", "bench-io"]).ok();
    let mut start = words(["run", "-d", "--net", "none", "--name", "bench-io", "-v", "bench-io:/d"]);
    start.extend(words(["--security-opt", "seccomp=unconfined"]));
    start.extend(["host".into(), "sleep".into(), "100000".into()]);
    env.tinyd(start).ok();
    // The same file on both sides: how it lies on the disk and in memory is not what is compared.
    let bare = env.root().join("volumes/local/bench-io/file");
    for (title, operand, options) in WAYS {
        let dd = |before: Words, file: &Path| {
            let mut line = before;
            let mut named: OsString = operand.into();
            named.push(file);
            line.push(named);
            line.extend(options.iter().map(Into::into));
            line
        };
        let lines = [
            dd(words(["dd"]), &bare),
            dd(env.cmd(["exec", "bench-io", "dd"]).words().to_vec(), Path::new("/d/file")),
        ];
        let times = race(&lines, rounds).context(title)?;
        table(title, rounds, &["the bare folder", "through a volume"], &times, "");
    }
    let _ = writeln!(stdout(), "{NOTES}");
    env.tinyd(["rm", "-f", "bench-io"]).ok();
    env.tinyd(["volume", "rm", "bench-io"]).ok();
    Ok(())
}

fn race(lines: &[Words; 2], rounds: usize) -> Result<Vec<Samples>> {
    let mut times: [Vec<Duration>; 2] = Default::default();
    let mut dice = Dice::new();
    for round in 0..WARM_UP + rounds {
        let mut order = [0, 1];
        dice.shuffle(&mut order);
        for index in order {
            sleep(PAUSE);
            let took = own_time(&lines[index])?;
            if round >= WARM_UP {
                times[index].push(took);
            }
        }
    }
    Ok(times.map(Samples::new).into())
}

/// Runs dd and gives the time that it says it took.
fn own_time(line: &Words) -> Result<Duration> {
    let Some((program, rest)) = line.split_first() else { bail!("an empty command line") };
    let output = Command::new(program).args(rest).env("LC_ALL", "C").output().context("cannot start dd")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match seconds(&said).filter(|_| output.status.success()) {
        Some(took) => Ok(took),
        None => bail!("dd did not say how long it took: {said}"),
    }
}

/// `268435456 bytes (268 MB, 256 MiB) copied, 0.101 s, 2.7 GB/s`
fn seconds(said: &str) -> Option<Duration> {
    let after = said.lines().find_map(|line| line.split_once(" copied, "))?.1;
    let number: f64 = after.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dd_says_how_long_it_took() {
        let said =
            "4+0 records in\n4+0 records out\n4194304 bytes (4.2 MB, 4.0 MiB) copied, 0.25 s, 16.8 MB/s\n";
        assert_eq!(seconds(said), Some(Duration::from_millis(250)));
        assert_eq!(seconds("dd: failed to open 'x': No such file or directory\n"), None);
    }
}
