//! The whole life of a container, from the start of the command to its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tinyd_tests::Env;
use tinyd_tests::proc::cgroups::hierarchies;

use super::contender::{Contender, FRESH, Suite, Words, words};
use super::{bundle, floor, word};

const NOTES: &str = "\
floor: a static C program with the same namespaces (user too), cgroups, overlay, mounts and clean-up, and nothing else.
tinyd: run --rm --net none; overlay root; seccomp, capabilities, masks, device rules and an exit record besides.
crun, runc: `run` of a ready bundle on the same root, without an overlay and without seccomp; the bundle's making does
not count. userns: with a user namespace of 65,536 ids. Each run is followed by a pause of 30 ms.";

/// The controllers whose cgroups tinyd makes.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuacct", "memory", "pids", "blkio", "devices"];
const COMMAND: &str = "/bin/true";

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    let ours = |name: &'static str, options: &[&str]| {
        let mut line: Words = words(["run", "--rm", "--net", "none"]);
        line.extend(options.iter().map(Into::into));
        line.extend([word(image), COMMAND.into()]);
        Contender { name, words: env.cmd(line).words().to_vec(), ..Contender::default() }
    };
    let mut contenders = vec![
        Contender { name: "floor", words: floor_words(env, image)?, ..Contender::default() },
        ours("tinyd", &[]),
        ours("tinyd userns=host", &["--userns", "host"]),
    ];
    for (name, program, userns) in [
        ("crun", "crun", false),
        ("crun userns", "crun", true),
        ("runc", "runc", false),
        ("runc userns", "runc", true),
    ] {
        let folder = env.files().join(format!("start-{}", name.replace(' ', "-")));
        bundle::make(program, &folder, image, &[COMMAND], userns)?;
        let mut line: Words = words([program, "--root"]);
        line.extend([word(&folder.join("state")), "run".into(), "--bundle".into(), word(&folder)]);
        line.push(format!("tinyd-bench-{}-{FRESH}", name.replace(' ', "-")).into());
        let without_v2 = program == "crun";
        contenders.push(Contender { name, is_peer: true, without_v2, words: line, ..Contender::default() });
    }
    let title = "busybox `true` from start to end";
    Ok(Suite { title, contenders, by: ["floor", "crun"], notes: NOTES })
}

fn floor_words(env: &Env, image: &Path) -> Result<Vec<OsString>> {
    let scratch = env.files().join(format!("floor-{FRESH}"));
    let mut line = vec![word(&floor::build()?), word(image), word(&scratch), COMMAND.into()];
    let used = |name: &String| CONTROLLERS.contains(&name.as_str());
    let mounted = hierarchies().into_iter().filter(|one| one.v2 || one.controllers.iter().any(used));
    let mut mounts: Vec<PathBuf> = mounted.map(|one| one.mount).collect();
    // cpu and cpuacct may be one hierarchy.
    mounts.dedup();
    line.extend(mounts.iter().map(|mount| word(mount)));
    Ok(line)
}
