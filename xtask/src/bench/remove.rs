//! Removing a container that has ended. With `--rm` nobody waits for it: the monitor does it after its answer.

use std::path::Path;

use anyhow::Result;
use tinyd_tests::Env;

use super::contender::{Contender, FRESH, Suite, Words, words};
use super::{bundle, word};

const NOTES: &str = "\
tinyd: rm of a container whose `true` has ended: its folder with the overlay's layers, name, lease, log and records.
crun, runc: delete of one that they ran detached: their state folder and control groups; the root is not theirs.";

const COMMAND: &str = "/bin/true";

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    let mut contenders = Vec::new();
    for (name, userns) in [("tinyd", "auto"), ("tinyd userns=host", "host")] {
        let id = format!("{}-{FRESH}", name.replace([' ', '='], "-"));
        let mut line = words(["run", "--net", "none", "--userns", userns, "--name", &id]);
        line.extend([word(image), COMMAND.into()]);
        contenders.push(Contender {
            name,
            before: Some(env.cmd(line).words().to_vec()),
            words: env.cmd(["rm", &id]).words().to_vec(),
            ..Contender::default()
        });
    }
    for (name, program) in [("crun", "crun"), ("runc", "runc")] {
        contenders.push(peer(env, image, name, program)?);
    }
    Ok(Suite {
        title: "removing a container that has ended",
        contenders,
        by: ["tinyd", "crun"],
        notes: NOTES,
        keep: Vec::new(),
    })
}

fn peer(env: &Env, image: &Path, name: &'static str, program: &str) -> Result<Contender> {
    let folder = env.files().join(format!("rm-{program}"));
    bundle::make(program, &folder, image, &[COMMAND], false)?;
    let id = format!("tinyd-bench-rm-{program}-{FRESH}");
    let state = word(&folder.join("state"));
    let mut run: Words = words([program, "--root"]);
    run.extend([
        state.clone(),
        "run".into(),
        "--detach".into(),
        "--bundle".into(),
        word(&folder),
        id.clone().into(),
    ]);
    let mut delete: Words = words([program, "--root"]);
    delete.extend([state, "delete".into(), "--force".into(), id.into()]);
    let without_v2 = program == "crun";
    Ok(Contender {
        name,
        is_peer: true,
        without_v2,
        before: Some(run),
        words: delete,
        ..Contender::default()
    })
}
