//! M01, M02: an engine has room for so many containers as it is told, and gives back all that it holds of the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::Duration;

use tinyd_tests::proc::cgroups;
use tinyd_tests::{Container, Env, eventually, in_both_modes, require, unserved};

const FULL: &str = "the limit of 2 containers is reached";

/// What is in a folder of the engine.
fn entries(env: &Env, folder: &str) -> Vec<String> {
    let names = fs::read_dir(env.root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// `create` of an engine that has room for so many.
fn create(env: &Env, most: &str) -> tinyd_tests::Output {
    env.cmd(["create", "host", "true"]).env("TINYD_MAX_CONTAINERS", most).output()
}

#[test]
fn the_third_of_two_is_refused_before_anything_is_made() {
    require!(root);
    unserved!("how many an engine may have is said to the daemon that has it");
    require!(program);
    let env = Env::new();
    let first = create(&env, "2").ok().text();
    create(&env, "2").ok();
    let made = ["containers", "names", "ids", "trash"].map(|folder| entries(&env, folder));
    let bind = env.files().join("made/for/it");
    let words = ["run", "--rm", "--name", "c3", "-v", &format!("{}:/mnt", bind.display()), "host", "true"];
    let third = env.cmd(words).env("TINYD_MAX_CONTAINERS", "2").output().fails(125);
    assert!(third.stderr().contains(FULL) && third.stderr().contains("--max-containers"), "{third}");
    assert!(third.stdout().is_empty() && !bind.exists(), "{third}");
    assert_eq!(["containers", "names", "ids", "trash"].map(|folder| entries(&env, folder)), made);
    // The option stands above the variable, and what is not above zero is the default.
    for most in ["3", "0", "-5"] {
        let words = ["--max-containers", most, "run", "--rm", "host", "true"];
        env.cmd(words).env("TINYD_MAX_CONTAINERS", "2").output().ok();
    }
    for most in ["0", "-1", ""] {
        let id = create(&env, most).ok().text();
        env.tinyd(["rm", &id]).ok();
    }
    // A place is free again when its container is gone.
    assert!(create(&env, "2").fails(125).stderr().contains(FULL));
    env.tinyd(["rm", &first]).ok();
    create(&env, "2").ok();
    env.tinyd(["--max-containers", "two", "ps"]).fails(2);
    let unclear = create(&env, "many").fails(125);
    assert!(unclear.stderr().contains("TINYD_MAX_CONTAINERS"), "{unclear}");
}

#[test]
fn of_twenty_that_are_made_at_once_as_many_are_made_as_there_is_room_for() {
    require!(root);
    unserved!("how many an engine may have is said to the daemon that has it");
    require!(program);
    let env = Env::new();
    env.tinyd(["run", "--rm", "host", "true"]).ok();
    let started: Vec<_> =
        (0..20).map(|_| env.cmd(["--max-containers", "7", "create", "host", "true"]).spawn()).collect();
    let outputs: Vec<_> = started.into_iter().map(|running| running.wait()).collect();
    let made: Vec<_> = outputs.iter().filter(|output| output.code() == Some(0)).collect();
    assert_eq!(made.len(), 7, "{outputs:#?}");
    for output in outputs.iter().filter(|output| output.code() != Some(0)) {
        assert_eq!(output.code(), Some(125), "{output}");
        assert!(output.stderr().contains("the limit of 7 containers is reached"), "{output}");
    }
    let told: std::collections::BTreeSet<_> = made.iter().map(|output| output.text()).collect();
    assert_eq!(env.containers(), told);
    assert_eq!(entries(&env, "ids").len(), 7);
    // The monitor of the run before them empties its trash after the client has gone.
    let emptied = eventually(Duration::from_secs(10), || entries(&env, "trash").is_empty().then_some(()));
    assert!(emptied.is_some(), "{:?}", entries(&env, "trash"));
}

/// Nothing of this container but its folder.
fn holds_nothing(container: &Container<'_>) -> Option<()> {
    let groups = ["memory", "pids", "cpu"].iter().all(|c| cgroups::of_container(&container.id, c).is_none());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let process = fs::exists(format!("/proc/{}", container.pid)).unwrap();
    (groups && !mounts.contains(&container.id) && !process).then_some(())
}

#[test]
fn after_a_cleanup_nothing_of_the_machine_is_held_and_a_second_one_does_nothing() {
    require!(root);
    in_both_modes(|mode| {
        let obedient = mode.start(["host", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]);
        let stubborn = mode.start(["host", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
        let frozen = mode.start(["host", "sleep", "300"]);
        mode.env.tinyd(["pause", &frozen.id]).ok();
        let passing = mode.start(["--rm", "host", "sleep", "300"]);
        let mounted = mode.env.tinyd(["create", "host", "true"]).ok().text();
        mode.env.tinyd(["mount", &mounted]).ok();
        let output = mode.env.tinyd(["system", "cleanup", "-t", "2"]).ok();
        let mut told: Vec<_> = output.stdout().lines().map(str::to_owned).collect();
        told.sort();
        let mut running: Vec<_> = [&obedient, &stubborn, &frozen, &passing].map(|one| one.id.clone()).into();
        running.sort();
        assert_eq!(told, running, "{output}");
        for container in [&obedient, &stubborn, &frozen, &passing] {
            assert!(holds_nothing(container).is_some(), "{} holds something still", container.id);
        }
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&mounted));
        for (container, code) in [(&obedient, 3), (&stubborn, 137)] {
            let state = container.inspect()["State"].take();
            assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &code.into()), "{state}");
        }
        let again = mode.env.tinyd(["system", "cleanup"]).ok();
        assert_eq!((again.stdout(), again.stderr()), (String::new(), String::new()));
        // They stay, and can be started again.
        assert_eq!(mode.env.containers().len(), 4);
        mode.env.tinyd(["start", &frozen.id]).ok();
        let runs = || (frozen.inspect()["State"]["Status"] == "running").then_some(());
        assert!(eventually(Duration::from_secs(5), runs).is_some());
    });
}
