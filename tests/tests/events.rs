//! Events: everything that happens is told once, in order and without a gap that is not told too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tinyd_tests::kill::{kill, monitor_of};
use tinyd_tests::small::{Lack, Small};
use tinyd_tests::{Env, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Those that there are, with these conditions.
#[track_caller]
fn events(env: &Env, words: &[&str]) -> Vec<Value> {
    let words = ["events", "--no-stream", "--format", "json"].into_iter().chain(words.iter().copied());
    parsed(&env.tinyd(words).ok().stdout())
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Action"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_gapless(events: &[Value], first: u64) {
    for (number, event) in (first..).zip(events) {
        assert_eq!(event["Seq"], number, "{event}");
    }
}

#[test]
fn a_life_is_told_in_order() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["run", "--rm", "--name", "short", "-l", "tier=1", &image, "sh", "-c", "exit 3"]).fails(3);
    let short = events(&env, &["--since", "0"]);
    assert_eq!(actions(&short), ["create", "start", "die", "destroy"]);
    for event in &short {
        let about = &event["Actor"]["Attributes"];
        assert_eq!(
            (&about["name"], &about["image"], &about["tier"]),
            (&"short".into(), &image.as_str().into(), &"1".into())
        );
        assert_eq!((&event["Type"], &event["id"]), (&"container".into(), &short[0]["Actor"]["ID"]));
    }
    assert_eq!(short[2]["Actor"]["Attributes"]["exitCode"], "3");

    env.tinyd(["volume", "create", "data"]).ok();
    env.tinyd(["run", "-d", "--name", "c", "-v", "data:/data", &image, "sleep", "1000"]).ok();
    env.tinyd(["exec", "c", "sh", "-c", "exit 5"]).fails(5);
    env.tinyd(["exec", "-d", "c", "true"]).ok();
    wait_until("the command's end is told", || {
        events(&env, &["--since", "0", "--filter", "event=exec_die"]).len() == 2
    });
    env.tinyd(["pause", "c"]).ok();
    env.tinyd(["unpause", "c"]).ok();
    env.tinyd(["update", "--pids-limit", "100", "c"]).ok();
    env.tinyd(["stop", "-t", "0", "c"]).ok();
    env.tinyd(["start", "c"]).ok();
    env.tinyd(["rm", "-f", "c"]).ok();
    env.tinyd(["volume", "rm", "data"]).ok();
    let all = events(&env, &["--since", "4"]);
    let of_container =
        events(&env, &["--since", "4", "--filter", "container=c", "--filter", "type=container"]);
    assert_eq!(
        actions(&of_container),
        [
            "create",
            "start",
            "exec_create",
            "exec_start",
            "exec_die",
            "exec_create",
            "exec_start",
            "exec_die",
            "pause",
            "unpause",
            "update",
            "kill",
            "kill",
            "die",
            "stop",
            "start",
            "kill",
            "die",
            "destroy"
        ]
    );
    assert_eq!(of_container[4]["Actor"]["Attributes"]["exitCode"], "5");
    assert_eq!(
        of_container[3]["Actor"]["Attributes"]["execID"],
        of_container[4]["Actor"]["Attributes"]["execID"]
    );
    assert_eq!(of_container[13]["Actor"]["Attributes"]["exitCode"], "137");
    let of_volume = events(&env, &["--since", "4", "--filter", "volume=data"]);
    assert_eq!(actions(&of_volume), ["create", "mount", "unmount", "mount", "unmount", "destroy"]);
    assert_gapless(&all, 5);
    assert_eq!(all.len(), of_container.len() + of_volume.len());
    // Of one kind any may fit, of several kinds all must.
    let some = ["--since", "0", "--filter", "event=die", "--filter", "event=pause", "--filter", "label=tier"];
    assert_eq!(actions(&events(&env, &some)), ["die"]);
    assert!(env.tinyd(["events", "--since", "9999", "--no-stream"]).fails(1).stderr().contains("9999"));
    env.assert_clean();
}

/// As Docker's own templates name the fields, whatever the attributes of each event are.
#[test]
fn templates_have_dockers_names_and_are_checked_before_anything_is_waited_for() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "--rm", "--name", "c1", &image(), "true"]).ok();
    let template = "Type={{.Type}} Status={{.Status}} {{.Scope}} {{.Actor.Attributes.exitCode}}";
    let shown = env.tinyd(["events", "--since", "0", "--no-stream", "--format", template]).ok().stdout();
    for line in ["Type=container Status=create local <no value>", "Type=container Status=die local 0"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let wrong =
        env.cmd(["events", "--format", "{{.Stauts}}"]).limit(Duration::from_secs(20)).output().fails(2);
    assert!(wrong.stderr().contains("no field 'Stauts'"), "{wrong}");
}

#[test]
fn what_happens_is_seen_at_once_and_until_the_moment_that_was_said() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "--rm", &image(), "true"]).ok();
    let words =
        ["events", "--since", "0", "--filter", "event=start", "--format", "{{.Actor.Attributes.name}}"];
    let mut live = env.cmd(words).spawn();
    for name in ["first", "second"] {
        env.tinyd(["run", "--rm", "--name", name, &image(), "true"]).ok();
        live.expect(name);
    }
    live.signal(rustix::process::Signal::INT);
    live.wait();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let until = (now + 2).to_string();
    let bounded = env.cmd(["events", "--until", &until]).limit(Duration::from_secs(20)).output().ok();
    assert_eq!(bounded.stdout(), "");
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() >= now + 2);
    // A reader that leaves ends it.
    let piped = format!(
        "{} --root {} --run-root {} events --since 0 | head -n 1",
        tinyd_tests::paths::tinyd().display(),
        env.root().display(),
        env.run_root().display()
    );
    let head = env.other(["sh", "-c", &piped]).limit(Duration::from_secs(20)).output().ok();
    assert_eq!(head.stdout().lines().count(), 1);
    env.assert_clean();
}

/// F17.
#[test]
fn f17_ten_thousand_events_reach_a_slow_reader_without_a_gap() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "--rm", &image(), "true"]).ok();
    let mut slow =
        env.cmd(["events", "--since", "0", "--format", "json"]).limit(Duration::from_secs(60)).spawn();
    slow.expect("\"destroy\"");
    slow.signal(rustix::process::Signal::STOP);
    // As any process of an engine writes them, from several at once.
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = env.run_root().join("events/log");
            scope.spawn(move || {
                for number in 0..2500 {
                    let event = format!(
                        "\n{{\"time_ns\":{number},\"type\":\"container\",\"action\":\"start\",\"id\":\"{writer}\"}}\n"
                    );
                    let mut log = OpenOptions::new().append(true).open(&log).unwrap();
                    log.write_all(event.as_bytes()).unwrap();
                }
            });
        }
    });
    env.tinyd(["run", "--rm", "--name", "last", &image(), "true"]).ok();
    slow.signal(rustix::process::Signal::CONT);
    let mut text = slow.expect("\"name\":\"last\"");
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    let seen = parsed(&text);
    assert!(seen.len() >= 10_000, "{}", seen.len());
    assert_gapless(&seen, seen[0]["Seq"].as_u64().unwrap());
    assert!(seen.iter().all(|event| event["Action"] != "lost"));
    slow.signal(rustix::process::Signal::INT);
    slow.wait();
    // Whoever was away goes on where he was.
    let after = events(&env, &["--since", "9000"]);
    assert_gapless(&after, 9001);
    assert_eq!(actions(&after[after.len() - 4..]), ["create", "start", "die", "destroy"]);
    env.assert_clean();
}

/// F17: nobody who is killed while he tells makes another one's event unreadable.
#[test]
fn f17_whoever_is_killed_the_numbers_go_on() {
    require!(root);
    require!(program);
    unserved!("who is killed is the client, and the daemon goes on with what it was asked for");
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    for round in 0..60u64 {
        let verb = if round % 2 == 0 { "pause" } else { "unpause" };
        let client = env.cmd([verb, "c"]).spawn();
        std::thread::sleep(Duration::from_micros(100 * (round % 40)));
        client.signal(rustix::process::Signal::KILL);
        client.wait();
    }
    // As one who was killed in the middle of the kernel's copy would leave it.
    let mut log = OpenOptions::new().append(true).open(env.run_root().join("events/log")).unwrap();
    log.write_all(b"\n{\"time_ns\":1,\"type\":\"cont").unwrap();
    drop(log);
    kill(monitor_of(&env, "c"));
    env.tinyd(["rm", "-f", "c"]).ok();
    let all = events(&env, &["--since", "0"]);
    assert_gapless(&all, 1);
    let lost: Vec<_> = all.iter().filter(|event| event["Action"] == "lost").collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0]["Actor"]["Attributes"]["count"], "1");
    // What was told next is not.
    let at = all.iter().position(|event| event["Action"] == "lost").unwrap();
    assert_eq!(actions(&all[at + 1..]), ["kill", "die", "destroy"]);
    env.assert_clean();
}

/// What is done with a container that changes nothing of where it stands is told as well.
#[test]
fn what_is_done_with_a_container_is_told_when_it_is_done() {
    require!(root);
    let env = Env::new();
    env.tinyd(["network", "create", "web"]).ok();
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    let begun = events(&env, &["--since", "0"]).len();
    let file = env.file("file", "content");
    env.tinyd(["cp", file.to_str().unwrap(), "c:/tmp/file"]).ok();
    env.tinyd(["cp", "c:/tmp/file", file.to_str().unwrap()]).ok();
    env.tinyd(["export", "-o", file.to_str().unwrap(), "c"]).ok();
    env.tinyd(["top", "c"]).ok();
    env.tinyd(["network", "connect", "web", "c"]).ok();
    env.tinyd(["network", "disconnect", "web", "c"]).ok();
    let told = events(&env, &["--since", "0"]);
    let mut said: Vec<_> = told[begun..].iter().map(|event| event["Action"].as_str().unwrap()).collect();
    said.retain(|action| !action.starts_with("exec"));
    assert_eq!(said, ["extract-to-dir", "archive-path", "export", "top", "connect", "disconnect"]);
    env.tinyd(["rm", "-f", "c"]).ok();
    env.tinyd(["network", "rm", "web"]).ok();
    env.assert_clean();
}

/// A kill for want of memory is told when it happens, though the first process lives on.
#[test]
fn a_kill_for_want_of_memory_is_told_when_it_happens() {
    require!(root);
    require!(controller "memory");
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c", "-m", "32m", "--net", "none", &image(), "sleep", "1000"]).ok();
    let ooms = || events(&env, &["--since", "0", "--filter", "event=oom"]).len();
    for round in 1..3 {
        env.tinyd(["exec", "c", "tail", "-n1", "/dev/zero"]).fails(137);
        wait_until("it was told", || ooms() == round);
    }
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout().lines().count(), 1, "the first process lives on");
    env.tinyd(["rm", "-f", "c"]).ok();
    // One that ends of it tells once, before its end.
    env.tinyd([
        "run",
        "--rm",
        "--name",
        "greedy",
        "-m",
        "16m",
        "--net",
        "none",
        &image(),
        "tail",
        "-n1",
        "/dev/zero",
    ])
    .fails(137);
    let told = events(&env, &["--since", "0", "--filter", "container=greedy"]);
    assert_eq!(actions(&told), ["create", "start", "oom", "die", "destroy"]);
    env.assert_clean();
}

/// F17: without room nothing fails because it cannot be told, and that something is missing is.
#[test]
fn f17_what_there_is_no_room_for_is_told_as_lost() {
    require!(root);
    let env = Env::new();
    let small = Small::new(env.run_root(), Lack::Space.options());
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    let before = events(&env, &["--since", "0"]).len();
    let filler = Lack::Space.bring_about(&env.run_root());
    // Until the page that the log has begun is full.
    for _ in 0..40 {
        env.tinyd(["pause", "c"]).ok();
        env.tinyd(["unpause", "c"]).ok();
    }
    tinyd_tests::remove::remove_tree(&filler).unwrap();
    env.tinyd(["rm", "-f", "c"]).ok();
    let seen = events(&env, &["--since", "0"]);
    let (lost, told): (Vec<_>, Vec<_>) = seen.iter().partition(|event| event["Action"] == "lost");
    let number =
        |event: &&Value| event["Actor"]["Attributes"]["count"].as_str().unwrap().parse::<usize>().unwrap();
    let lost = lost.iter().map(number).sum::<usize>();
    assert!(lost > 0);
    // Removed by force: a kill, an end, a removal.
    assert_eq!(told.len() + lost, before + 80 + 3);
    drop(small);
    env.assert_clean();
}

#[test]
fn names_new_beginnings_and_who_comes_and_leaves_are_told() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["run", "-dit", "--name", "old", &image, "sh"]).ok();
    env.tinyd(["rename", "old", "new"]).ok();
    for words in [&["attach", "new"][..], &["exec", "-it", "new", "sh"]] {
        let mut terminal = env.pty(words, 24, 80);
        terminal.send("echo he\"\"re\n");
        terminal.expect("here");
        // Who detaches.
        terminal.send("\x1d");
        terminal.wait();
    }
    env.tinyd(["restart", "-t", "0", "new"]).ok();
    // None of these does anything, and so nothing is told.
    env.tinyd(["rename", "new", "new"]).fails(1);
    env.tinyd(["restart", "nobody"]).fails(1);
    env.tinyd(["stop", "-t", "0", "new"]).ok();
    env.tinyd(["attach", "new"]).fails(125);
    env.tinyd(["rm", "new"]).ok();
    let all = events(&env, &["--since", "0", "--filter", "type=container"]);
    let told: Vec<_> = actions(&all).into_iter().filter(|action| *action != "exec_die").collect();
    assert_eq!(
        told,
        [
            "create",
            "start",
            "rename",
            "attach",
            "detach",
            "exec_create",
            "exec_start",
            "exec_detach",
            "kill",
            "kill",
            "die",
            "stop",
            "start",
            "restart",
            "kill",
            "kill",
            "die",
            "stop",
            "destroy"
        ]
    );
    let about = |action: &str| {
        let event = all.iter().find(|event| event["Action"] == action).unwrap();
        event["Actor"]["Attributes"].clone()
    };
    assert_eq!((&about("rename")["oldName"], &about("rename")["name"]), (&"old".into(), &"new".into()));
    assert_eq!((&about("attach")["name"], &about("detach")["name"]), (&"new".into(), &"new".into()));
    assert_eq!(about("exec_detach")["execID"], about("exec_start")["execID"]);
    assert_gapless(&events(&env, &["--since", "0"]), 1);
    env.assert_clean();
}
