//! Volumes where there is no room: what cannot be made leaves nothing and says why, and what makes room works.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tinyd_tests::small::{Lack, Small};
use tinyd_tests::{Env, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// All that lies in the folders of volumes, but for what fills them.
fn there(env: &Env) -> BTreeSet<String> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let volumes = env.root().join("volumes");
    let mut all: BTreeSet<_> = names(&volumes).into_iter().chain(names(&volumes.join("local"))).collect();
    all.remove("filler");
    all
}

fn without_room(lack: Lack) {
    let (env, image) = (Env::new(), image());
    let volumes = env.root().join("volumes");
    let _small = Small::new(volumes.clone(), lack.options());
    let fill = "for n in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/d/$n bs=64k count=3; done";
    env.tinyd(["run", "--rm", "-v", "data:/d", &image, "sh", "-c", fill]).ok();
    let archive = env.files().join("data.tar");
    let archive = archive.to_str().unwrap();
    env.tinyd(["volume", "export", "data", "-o", archive]).ok();
    for name in ["first", "second"] {
        env.tinyd(["volume", "create", name]).ok();
    }
    let before = there(&env);
    let filler = lack.bring_about(&volumes);
    let lacks = if lack == Lack::Space { "no space left" } else { "no inodes left" };
    let ways: [(&[&str], &str); 4] = [
        (&["volume", "create", "new"], "new"),
        (&["volume", "import", "new", archive], "new"),
        (&["volume", "clone", "data", "new"], "new"),
        (&["run", "--rm", "-v", "new:/bin", &image, "true"], "new"),
    ];
    // First there is no room for a record, and then, with a little, none for the data.
    for is_full in [true, false] {
        if !is_full {
            match lack {
                Lack::Space => {
                    let file = fs::File::options().write(true).open(filler.join("file")).unwrap();
                    file.set_len(file.metadata().unwrap().len() - (512 << 10)).unwrap();
                }
                Lack::Inodes => (0..6).for_each(|n| fs::remove_file(filler.join(format!("{n}"))).unwrap()),
            }
        }
        // An empty one finds room then.
        for (words, name) in ways.into_iter().skip(usize::from(!is_full)) {
            let code = if words[0] == "run" { 125 } else { 1 };
            let output = env.tinyd(words.iter().copied()).fails(code);
            let said = output.stderr();
            assert!(said.contains(name) && said.contains("No space left on device"), "{output}");
            assert!(said.lines().count() == 1 && (!is_full || said.contains(lacks)), "{output}");
            assert!(!said.contains("not everything could be undone"), "{output}");
            assert_eq!(there(&env), before, "{words:?}");
            env.assert_checked();
        }
    }
    // What is there can be read, and makes room.
    let listed = env.tinyd(["run", "--rm", "-v", "data:/d", &image, "ls", "/d"]).ok();
    assert_eq!(listed.stdout().lines().count(), 8);
    if lack == Lack::Space {
        let mut file = fs::File::options().append(true).open(filler.join("file")).unwrap();
        while std::io::Write::write_all(&mut file, &[b'x'; 4096]).is_ok() {}
    } else {
        let mut number = 1000;
        while fs::File::create(filler.join(format!("{number}"))).is_ok() {
            number += 1;
        }
    }
    env.tinyd(["volume", "rm", "first"]).ok();
    assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().text(), "data\nsecond");
    env.tinyd(["volume", "prune", "-af"]).ok();
    assert_eq!(there(&env), BTreeSet::from(["local".to_owned()]));
    env.assert_checked();
    env.tinyd(["volume", "import", "data", archive]).ok();
    env.tinyd(["volume", "rm", "data"]).ok();
}

#[test]
fn no_space_for_volumes() {
    require!(root);
    without_room(Lack::Space);
}

#[test]
fn no_inodes_for_volumes() {
    require!(root);
    without_room(Lack::Inodes);
}

/// A btrfs in a file that cannot grow.
#[test]
fn no_space_for_states() {
    require!(root);
    require!(command "mkfs.btrfs");
    let (env, image) = (Env::new(), image());
    let volumes = env.root().join("volumes");
    let _small = Small::new(volumes.clone(), "size=300m");
    env.tinyd(["volume", "create", "-d", "btrfs", "db"]).ok();
    env.tinyd(["run", "--rm", "-v", "db:/d", &image, "sh", "-c", "echo old > /d/file"]).ok();
    let filler = Lack::Space.bring_about(&volumes);
    let told = |words: &[&str]| {
        let mut outputs = (0..20).map(|number| {
            let name = format!("state-{number}");
            env.tinyd(words.iter().copied().chain([&*name]))
        });
        outputs.find(|output| output.code() != Some(0)).expect("there is room")
    };
    let said = told(&["volume", "snapshot", "create", "db"]).stderr();
    assert!(said.contains("\"db\" cannot keep its state") && said.contains("make room there"), "{said}");
    let read = env.tinyd(["run", "--rm", "-v", "db:/d", &image, "cat", "/d/file"]).ok();
    assert_eq!(read.stdout(), "old\n");
    // With room again all of it works.
    fs::remove_file(filler.join("file")).unwrap();
    env.tinyd(["volume", "snapshot", "create", "db", "late"]).ok();
    env.tinyd(["run", "--rm", "-v", "db:/d", &image, "sh", "-c", "echo new > /d/file"]).ok();
    env.tinyd(["volume", "rollback", "db", "late"]).ok();
    let read = env.tinyd(["run", "--rm", "-v", "db:/d", &image, "cat", "/d/file"]).ok();
    assert_eq!(read.stdout(), "old\n");
    env.tinyd(["volume", "rm", "db"]).ok();
    env.assert_checked();
    fs::remove_file(volumes.join("btrfs/pool.btrfs")).unwrap();
}
