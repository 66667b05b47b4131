//! A volume as an archive, and back, against tar(1) with the same tree.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tinyd_tests::Env;

use super::super::contender::{FRESH, words};
use super::super::spawner::Spawner;
use super::super::word;
use super::{Side, race, table};

const NOTES: &str = "\
The tree has 4,000 files of 4 KiB and 4 of 32 MiB; the archive is not compressed. All of it lies on one file system.
tar: GNU tar, as root, to and from a file; it keeps no extended attributes and looks for no holes, which a volume's archive does.
The aim is a speed of 0.9 at least, which is a time of at most 1.11.";

pub(super) fn run(env: &Env, spawner: &mut Spawner, rounds: usize) -> Result<()> {
    env.tinyd(["volume", "create", "bench-tree"]).ok();
    let tree = env.root().join("volumes/local/bench-tree");
    fill(&tree)?;
    let file = |name: &str| word(&env.files().join(name));
    let remove = |name: &str| Some(words(["rm".into(), "-r".into(), file(name)]));
    let ours = |line: Vec<std::ffi::OsString>| env.cmd(line).words().to_vec();
    let out = [
        Side {
            name: "tar",
            words: words(["tar".into(), "-C".into(), word(&tree), "-cf".into(), file("tar.tar"), ".".into()]),
            after: remove("tar.tar"),
        },
        Side {
            name: "volume export",
            words: ours(words([
                "volume".into(),
                "export".into(),
                "bench-tree".into(),
                "-o".into(),
                file("ours.tar"),
            ])),
            after: remove("ours.tar"),
        },
    ];
    let times = race(spawner, &out, rounds)?;
    table("an export", rounds, &out.each_ref().map(|side| side.name), &times, NOTES);

    let mut export = words(["volume", "export", "bench-tree", "-o"]);
    export.push(file("whole.tar"));
    env.tinyd(export).ok();
    let script = "mkdir \"$1\" && exec tar -C \"$1\" -xf \"$2\"";
    let volume = format!("bench-new-{FRESH}");
    let back = [
        Side {
            name: "tar",
            words: words([
                "sh".into(),
                "-c".into(),
                script.into(),
                "sh".into(),
                file("unpacked"),
                file("whole.tar"),
            ]),
            after: remove("unpacked"),
        },
        Side {
            name: "volume import",
            words: ours(words(["volume".into(), "import".into(), (*volume).into(), file("whole.tar")])),
            after: Some(ours(words(["volume", "rm", &*volume]))),
        },
    ];
    let times = race(spawner, &back, rounds)?;
    table("an import", rounds, &back.each_ref().map(|side| side.name), &times, NOTES);
    env.tinyd(["volume", "rm", "bench-tree"]).ok();
    Ok(())
}

fn fill(tree: &Path) -> Result<()> {
    for folder in 0..40 {
        let folder = tree.join(folder.to_string());
        fs::create_dir(&folder)?;
        for file in 0..100_u8 {
            fs::write(folder.join(file.to_string()), vec![file | 1; 4096])?;
        }
    }
    for file in 0..4_u8 {
        fs::write(tree.join(format!("large-{file}")), vec![file + 1; 32 << 20])?;
    }
    Ok(())
}
