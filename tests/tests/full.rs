//! F5: a file system without room. Containers that run do not notice, what makes room works, errors say what is full, and
//! when there is room again all goes on with nothing started anew.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tinyd_tests::kill::{kill, let_end, monitor_of};
use tinyd_tests::remove::remove_tree;
use tinyd_tests::small::{Lack, Small};
use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn status(env: &Env, name: &str) -> String {
    let text = env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().stdout();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap_or("").to_owned()
}

/// Counts into its log, and ends with 7 when it is asked to.
const COMMAND: &str = "trap 'exit 7' TERM; echo up; while :; do date +%s%N > /tmp/now; sleep 0.02; done";

/// What is left of containers in the engine's folders, which the leak check does not see below a mount.
fn left(env: &Env) -> Vec<PathBuf> {
    let (root, run) = (env.root(), env.run_root());
    let folders = ["containers", "names", "ids", "trash"].map(|name| root.join(name));
    let folders = folders.into_iter().chain(["containers", "intents", "locks"].map(|name| run.join(name)));
    folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect()
}

/// `place` is one of the engine's folders.
fn goes_on_without_room(env: &Env, place: &Path, lack: Lack) {
    let small = Small::new(place.to_owned(), lack.options());
    let image = image();
    for name in ["stopped", "killed", "lost", "last"] {
        env.tinyd(["run", "-d", "--name", name, &image, "sh", "-c", COMMAND]).ok();
    }
    env.tinyd(["run", "-d", "--rm", "--name", "once", &image, "sleep", "1000"]).ok();
    env.tinyd(["create", "--name", "created", &image, "true"]).ok();
    for name in ["stopped", "lost"] {
        wait_until("its trap is set", || env.tinyd(["logs", name]).ok().stdout() == "up\n");
    }
    let filler = lack.bring_about(place);

    // Nothing new comes, and what is full is said, and of what.
    for words in [["run", "--rm"], ["create", "--read-only"], ["run", "-d"]] {
        let output = env.tinyd([words[0], words[1], "--name", "new", &image, "true"]).fails(125);
        let (said, folder) = (output.stderr(), place.to_str().unwrap());
        assert!(said.contains(folder) && said.contains("No space left on device"), "{output}");
        let lacks = if lack == Lack::Space { "no space left:" } else { "no inodes left:" };
        assert!(said.lines().count() == 1 && said.contains(lacks), "{output}");
    }
    // What runs goes on and can be worked with.
    for name in ["stopped", "killed", "lost", "last", "once"] {
        assert_eq!(status(env, name), "RUNNING");
        assert_eq!(env.tinyd(["exec", name, "echo", "here"]).ok().stdout(), "here\n");
    }
    assert_eq!(status(env, "created"), "CREATED");
    // One that loses its monitor goes on, and gets a new one when there is room for its record.
    kill(monitor_of(env, "lost"));
    assert_eq!(status(env, "lost"), "RUNNING");
    // Exits are known.
    env.tinyd(["stop", "stopped"]).ok();
    assert_eq!(env.tinyd(["wait", "stopped"]).ok().text(), "7");
    assert_eq!(status(env, "stopped"), "STOPPED (7)");
    env.tinyd(["kill", "killed"]).ok();
    assert_eq!(status(env, "killed"), "STOPPED (137)");
    // What makes room works.
    for name in ["stopped", "once", "created"] {
        env.tinyd(["rm", "-f", name]).ok();
        assert_eq!(status(env, name), "");
    }
    // So it does when its monitor is gone, too; what was freed is taken again first.
    remove_tree(&filler).unwrap();
    let filler = lack.bring_about(place);
    env.tinyd(["rm", "-f", "last"]).ok();

    remove_tree(&filler).unwrap();
    assert_eq!(status(env, "killed"), "STOPPED (137)");
    assert_eq!(status(env, "lost"), "RUNNING");
    env.tinyd(["stop", "lost"]).ok();
    assert_eq!(status(env, "lost"), "STOPPED (7)");
    env.tinyd(["run", "--rm", "--name", "new", &image, "true"]).ok();
    env.tinyd(["rm", "killed", "lost"]).ok();
    wait_until("nothing is left", || left(env).is_empty());
    env.assert_checked();
    drop(small);
}

fn in_each_folder(lack: Lack) {
    for run in [false, true] {
        let env = Env::new();
        let place = if run { env.run_root() } else { env.root() };
        goes_on_without_room(&env, &place, lack);
        env.assert_clean();
    }
}

#[test]
fn no_space_for_the_engine() {
    require!(root);
    require!(program);
    in_each_folder(Lack::Space);
}

#[test]
fn no_inodes_for_the_engine() {
    require!(root);
    require!(program);
    in_each_folder(Lack::Inodes);
}

/// A log that is full loses what does not fit, and nothing else.
#[test]
fn no_space_for_the_log() {
    require!(root);
    require!(program);
    let env = Env::new();
    let small = Small::new(env.files().join("small"), "size=64k");
    let image = image();
    let text = "i=0; while test ! -e /tmp/end; do i=$((i + 1)); echo $i; echo $i > /tmp/now; sleep 0.002; done; exit 7";
    let id = env.tinyd(["create", "--name", "c", &image, "sh", "-c", text]).ok().text();
    let logs = env.root().join("containers").join(id).join("logs");
    fs::remove_dir(&logs).unwrap();
    symlink(env.files().join("small"), &logs).unwrap();
    let filler = Lack::Space.bring_about(&env.files().join("small"));
    env.tinyd(["start", "c"]).ok();
    let count =
        || env.tinyd(["exec", "c", "sh", "-c", "cat /tmp/now || :"]).ok().text().parse::<u32>().unwrap_or(0);
    wait_until("it goes on", || count() > 100);
    assert_eq!(env.tinyd(["logs", "c"]).ok().stdout(), "");
    remove_tree(&filler).unwrap();
    let first_line = || env.tinyd(["logs", "c"]).ok().stdout().lines().next().map(str::to_owned);
    wait_until("the log goes on", || first_line().is_some());
    let_end(&env, "c");
    assert_eq!(env.cmd(["wait", "c"]).limit(Duration::from_secs(10)).output().ok().text(), "7");
    // From there on every line is whole, and in its order.
    let text = env.tinyd(["logs", "c"]).ok().stdout();
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers[0] > 100 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    env.tinyd(["rm", "c"]).ok();
    drop(small);
    env.assert_clean();
}
