//! A start with something mounted, against one without.

use anyhow::Result;
use tinyd_tests::{Env, roots};

use super::super::contender::{Words, words};
use super::super::spawner::Spawner;
use super::super::word;
use super::{Side, race, table};

const NOTES: &str = "\
run --rm --net none, from start to end; the folder and the volume are there before.
memory: --tmpfs; shared memory: a volume of the driver tmpfs, which is mounted for each run anew.";

pub(super) fn run(env: &Env, spawner: &mut Spawner, rounds: usize) -> Result<()> {
    let folder = env.files().join("bound");
    std::fs::create_dir_all(&folder)?;
    env.tinyd(["volume", "create", "bench-named"]).ok();
    env.tinyd(["volume", "create", "-d", "tmpfs", "bench-memory"]).ok();
    let bind = format!("{}:/data", folder.display());
    let sides: Vec<Side> = [
        ("without", &[][..]),
        ("bind", &["-v", &bind]),
        ("named volume", &["-v", "bench-named:/data"]),
        ("memory", &["--tmpfs", "/data"]),
        ("shared memory", &["-v", "bench-memory:/data"]),
    ]
    .into_iter()
    .map(|(name, options)| Side { name, words: line(env, options), after: None })
    .collect();
    let names: Vec<&str> = sides.iter().map(|side| side.name).collect();
    let times = race(spawner, &sides, rounds)?;
    table("a start with something mounted", rounds, &names, &times, NOTES);
    Ok(())
}

fn line(env: &Env, options: &[&str]) -> Words {
    let mut line = words(["run", "--rm", "--net", "none"]);
    line.extend(options.iter().map(Into::into));
    line.extend([word(&roots::busybox()), "/bin/true".into()]);
    env.cmd(line).words().to_vec()
}
