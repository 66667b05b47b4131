//! A further command in a container that runs.

use std::path::Path;

use anyhow::{Context, Result};
use tinyd_tests::Env;

use super::contender::{Contender, Suite, Words, words};
use super::{bundle, word};

const NOTES: &str = "\
nsenter: joins all namespaces of the same container (of tinyd's, with a user namespace and without), and nothing else.
tinyd: exec; control groups, seccomp, capabilities and an exit code through the monitor besides.
crun, runc: exec in a container of a bundle of theirs, without seccomp.";

const COMMAND: &str = "/bin/true";
const STAYS: [&str; 2] = ["/bin/sleep", "3600"];

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    let mut contenders = Vec::new();
    for (userns, enter, ours) in
        [("auto", "nsenter", "tinyd"), ("host", "nsenter userns=host", "tinyd userns=host")]
    {
        let mut line = words(["run", "-d", "--net", "none", "--userns", userns]);
        line.push(word(image));
        line.extend(STAYS.map(Into::into));
        let id = env.tinyd(line).ok().text();
        let pid = env.tinyd(["inspect", "--format", "{{.State.Pid}}", &id]).ok().text();
        let _: u32 = pid.parse().with_context(|| format!("{pid:?} is no process"))?;
        let mut entering =
            words(["nsenter", "--target", &pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]);
        if userns == "auto" {
            entering.push("--user".into());
        }
        entering.push(COMMAND.into());
        contenders.push(Contender { name: enter, words: entering, ..Contender::default() });
        let line = env.cmd(["exec", &id, COMMAND]).words().to_vec();
        contenders.push(Contender { name: ours, words: line, ..Contender::default() });
    }
    for (name, program) in [("crun", "crun"), ("runc", "runc")] {
        contenders.push(peer(env, image, name, program)?);
    }
    Ok(Suite {
        title: "a further `true` in a container that runs",
        contenders,
        by: ["nsenter", "crun"],
        notes: NOTES,
        keep: Vec::new(),
    })
}

fn peer(env: &Env, image: &Path, name: &'static str, program: &str) -> Result<Contender> {
    let folder = env.files().join(format!("exec-{program}"));
    bundle::make(program, &folder, image, &STAYS, false)?;
    let id = format!("tinyd-bench-exec-{program}");
    let line = |verb: &[&str]| -> Words {
        let mut line = words([program, "--root"]);
        line.push(word(&folder.join("state")));
        line.extend(verb.iter().map(Into::into));
        line
    };
    let mut first = line(&["run", "--detach", "--bundle"]);
    first.extend([word(&folder), id.clone().into()]);
    Ok(Contender {
        name,
        is_peer: true,
        without_v2: program == "crun",
        first: Some(first),
        words: line(&["exec", &id, COMMAND]),
        last: Some(line(&["delete", "--force", &id])),
        ..Contender::default()
    })
}
