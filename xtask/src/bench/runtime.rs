//! The OCI runtime alone: one bundle, made, started and deleted.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use tinyd_tests::{Env, paths};

use super::contender::{Contender, FRESH, Suite, Words, words};
use super::{bundle, word};

const NOTES: &str = "\
create, start and delete of the same bundle (runc's own configuration, without a user namespace), each a process of its own;
their times are summed. Before each is a pause of 30 ms, in which the command ends and its process is reaped.";

const COMMAND: &str = "/bin/true";

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    let folder = env.files().join("runtime");
    bundle::make("runc", &folder, image, &[COMMAND], false)?;
    let ours = paths::tinyd().with_file_name("tinyd-runtime").into_os_string();
    let contenders = [("tinyd-runtime", ours), ("crun", "crun".into()), ("runc", "runc".into())];
    Ok(Suite {
        title: "create, start and delete of a bundle with `true`",
        contenders: contenders.map(|(name, program)| contender(name, &program, &folder)).into(),
        by: ["crun", "runc"],
        notes: NOTES,
        keep: Vec::new(),
    })
}

fn contender(name: &'static str, program: &OsString, folder: &Path) -> Contender {
    let id = OsString::from(format!("tinyd-bench-{name}-{FRESH}"));
    let line = |verb: &[&str]| {
        let mut line: Words = vec![program.clone(), "--root".into(), word(&folder.join(name))];
        line.extend(words(verb));
        line.push(id.clone());
        line
    };
    let bundle = folder.to_string_lossy();
    Contender {
        name,
        is_peer: name != "tinyd-runtime",
        without_v2: name == "crun",
        words: line(&["create", "--bundle", &bundle]),
        then: vec![line(&["start"]), line(&["delete"])],
        ..Contender::default()
    }
}
