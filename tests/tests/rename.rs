//! `rename`: another name, for what runs and what does not; whoever is killed on the way leaves one of the two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what came of it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use tinyd_tests::ground::{self, Ground, inside, start};
use tinyd_tests::tracer::{self, Fault, Point};
use tinyd_tests::{Env, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The names that there are, as the folder has them.
fn names(env: &Env) -> BTreeSet<String> {
    let entries = fs::read_dir(env.root().join("names")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn one(name: &str) -> BTreeSet<String> {
    BTreeSet::from([name.to_owned()])
}

#[test]
fn the_new_name_is_known_everywhere_and_the_old_one_is_free() {
    require!(root);
    let env = Env::new();
    let image = image();
    for words in [
        &["create", "--name", "old"][..],
        &["run", "-d", "--name", "old"],
        &["run", "-d", "--rm", "--name", "old"],
    ] {
        let command = [image.as_str(), "sleep", "1000"];
        let id = env.tinyd(words.iter().chain(&command).copied()).ok().text();
        assert_eq!(env.tinyd(["rename", "old", "new"]).ok().text(), "");
        assert_eq!(names(&env), one("new"));
        assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), "new");
        assert_eq!(env.tinyd(["inspect", "--format", "{{.Name}}", "new"]).ok().text(), "/new");
        assert_eq!(env.tinyd(["inspect", "old"]).code(), Some(1));
        // The old one is anybody's, and stays its new owner's when this one goes.
        let other = env.tinyd(["create", "--name", "old", &image, "true"]).ok().text();
        let taken = env.tinyd(["rename", "new", "old"]);
        assert_eq!(taken.code(), Some(1), "{taken}");
        assert!(taken.stderr().contains("is taken by container"), "{taken}");
        for bad in ["", "a b", "../x", "new"] {
            assert_eq!(env.tinyd(["rename", "new", bad]).code(), Some(1), "{bad:?}");
        }
        if words[0] == "run" {
            env.tinyd(["kill", "new"]).ok();
        }
        if words.contains(&"--rm") {
            wait_until("its names are free", || names(&env) == one("old"));
        } else {
            env.tinyd(["start", "new"]).ok();
            env.tinyd(["rm", "-f", &id]).ok();
        }
        assert_eq!(names(&env), one("old"));
        assert_eq!(env.tinyd(["inspect", "--format", "{{.Id}}", "old"]).ok().text(), other);
        env.tinyd(["rm", "old"]).ok();
    }
}

/// Also its monitor, which was told the old one when it began.
#[test]
fn what_happens_to_it_is_told_under_the_new_name() {
    require!(root);
    let env = Env::new();
    let image = image();
    for options in [&["run", "-d"][..], &["run", "-d", "--rm"]] {
        let command = ["--name", "old", &image, "sleep", "1000"];
        let id = env.tinyd(options.iter().chain(&command).copied()).ok().text();
        env.tinyd(["rename", "old", "new"]).ok();
        env.tinyd(["kill", "new"]).ok();
        if options.len() == 2 {
            env.tinyd(["wait", "new"]).ok();
            // Started again, it has no other name than the one of its record.
            env.tinyd(["start", "new"]).ok();
            env.tinyd(["rm", "-f", "new"]).ok();
        }
        let filter = format!("container={id}");
        let words = ["events", "--since", "0", "--no-stream", "--filter", &filter];
        let told = || {
            let format = ["--format", "{{.Action}} {{.Actor.Attributes.name}}"];
            env.tinyd(words.iter().chain(&format).copied()).ok().stdout()
        };
        wait_until("its end is told", || told().contains("destroy "));
        let (before, after): (Vec<_>, Vec<_>) =
            told().lines().map(str::to_owned).partition(|line| line.ends_with(" old"));
        assert_eq!(before, ["create old", "start old"]);
        assert!(after.iter().all(|line| line.ends_with(" new")), "{after:?}");
        for action in ["rename", "kill", "die", "destroy"] {
            assert!(after.iter().any(|line| line.starts_with(action)), "{action}: {after:?}");
        }
    }
    env.assert_clean();
}

#[test]
fn of_many_who_want_a_name_one_gets_it() {
    require!(root);
    let env = Env::new();
    let image = image();
    let own = ["a1", "a2", "a3", "a4"];
    own.iter().for_each(|name| drop(env.tinyd(["create", "--name", name, &image, "true"]).ok()));
    let running: Vec<_> = own.iter().map(|name| env.cmd(["rename", name, "wanted"]).spawn()).collect();
    let codes: Vec<_> = running.into_iter().map(|one| one.wait().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(names(&env).len(), 4);
    assert!(names(&env).contains("wanted"));
}

#[test]
fn its_neighbours_find_it_by_the_new_name_and_not_by_the_old_one() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        start(env, &["--net", "web:alias=fixed", "--name", "old"], "sleep 1000");
        start(env, &["--net", "web", "--name", "asks"], "sleep 1000");
        let finds = |name: &str| {
            inside(env, "asks", &format!("nslookup {name} 2>&1 | grep -c '10[.]77[.]0[.]2$'; true")) == "1"
        };
        assert!(finds("old") && finds("fixed") && !finds("new"));
        env.tinyd(["rename", "old", "new"]).ok();
        wait_until("it is found", || finds("new"));
        assert!(!finds("old") && finds("fixed"));
        env.tinyd(["rm", "-f", "new", "asks"]).ok();
    });
}

/// What changes something on the disk: each of these is tried.
const EFFECTS: [&str; 9] =
    ["openat", "write", "rename", "renameat", "renameat2", "fsync", "unlink", "symlink", "symlinkat"];

#[test]
fn whoever_is_killed_at_any_step_leaves_the_old_name_or_the_new_one() {
    require!(root);
    require!(program);
    unserved!("who is killed is the client, and it does nothing itself");
    for options in [&["create"][..], &["run", "-d", "--rm"]] {
        let env = Env::new();
        let image = image();
        let command = ["--name", "old", &image, "sleep", "1000"];
        let id = env.tinyd(options.iter().chain(&command).copied()).ok().text();
        let rename = || env.cmd(["rename", &id, "new"]).limit(Duration::from_secs(20));
        let mut points: Vec<Point> = tracer::trace(&rename(), None, false).points;
        points.retain(|point| tracer::name(point.number).is_some_and(|name| EFFECTS.contains(&name)));
        assert!(points.iter().any(|point| tracer::name(point.number) == Some("rename")), "{points:?}");
        let mut outcomes = [0, 0];
        for point in points {
            if names(&env) != one("old") {
                env.tinyd(["rename", &id, "old"]).ok();
            }
            let _ = tracer::trace(&rename(), Some((point, Fault::Kill)), false);
            // The next command puts it right.
            let said = env.tinyd(["inspect", "--format", "{{.Name}}", &id]).ok().text();
            let name = said.trim_start_matches('/').to_owned();
            assert!(["old", "new"].contains(&name.as_str()), "{point:?}: {said}");
            assert_eq!(names(&env), one(&name), "{point:?}");
            outcomes[usize::from(name == "new")] += 1;
        }
        println!("{options:?}: {outcomes:?}");
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
        env.assert_checked();
        env.tinyd(["rm", "-f", &id]).ok();
        assert_eq!(names(&env), BTreeSet::new());
    }
}
