//! The whole life of a container, from the start of the command to its end.

use std::path::Path;

use anyhow::Result;
use tinyd_tests::Env;

use super::contender::{Contender, FRESH, Suite, Words, words};
use super::{bundle, floor, word};

const NOTES: &str = "\
floor: a static C program with the same namespaces (user too), cgroups, overlay, mounts and clean-up, and nothing else.
tinyd: run --rm --net none; overlay root; seccomp, capabilities, masks, device rules and an exit record besides.
crun, runc: `run` of a ready bundle on the same root, without an overlay and without seccomp; the bundle's making does
not count. userns: with a user namespace of 65,536 ids. Each run is followed by a pause of 30 ms.";

const COMMAND: &str = "/bin/true";

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    let ours = |name: &'static str, options: &[&str]| {
        let mut line: Words = words(["run", "--rm", "--net", "none"]);
        line.extend(options.iter().map(Into::into));
        line.extend([word(image), COMMAND.into()]);
        Contender { name, words: env.cmd(line).words().to_vec(), ..Contender::default() }
    };
    let mut contenders = vec![
        Contender {
            name: "floor",
            words: floor::words(env, image, COMMAND, "none")?,
            ..Contender::default()
        },
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
    Ok(Suite { title, contenders, by: ["floor", "crun"], notes: NOTES, keep: Vec::new() })
}
