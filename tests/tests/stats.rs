//! `stats`: a table that lives, and what it counts. (Limits and processor time: `update.rs`.)
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::Value;
use tinyd_tests::ground::{self, Ground, inside, start};

use tinyd_tests::{Env, Pty, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Of the first container that is listed.
fn counted(env: &Env, name: &str) -> Value {
    let output = env.tinyd(["stats", "--no-stream", "--format", "json", name]).ok();
    serde_json::from_str(output.stdout().lines().next().unwrap()).unwrap()
}

/// How each look at a terminal's table begins: at its upper left corner, with nothing left of what was there.
const HEADING: &str = "\x1b[H\x1b[JCONTAINER ID";

/// Waits for a look at the table that is as it should be.
fn until(table: &mut Pty, is_so: impl Fn(&str) -> bool) {
    table.expect(HEADING);
    while !is_so(&table.expect(HEADING)) {}
}

#[test]
fn the_table_on_a_terminal_has_all_that_run_at_each_moment() {
    require!(root);
    let env = Env::new();
    let image = image();
    let run = |name: &str| drop(env.tinyd(["run", "-d", "--name", name, &image, "sleep", "1000"]).ok());
    run("first");
    let mut table = env.cmd(["stats"]).limit(Duration::from_secs(60)).pty(5, 140);
    table.expect(HEADING);
    table.expect("first");
    // It comes again by itself, at the same place, with who is there by then.
    run("second");
    table.expect("second");
    env.tinyd(["kill", "second"]).ok();
    until(&mut table, |shown| shown.contains("first") && !shown.contains("second"));
    // More than the terminal has lines: the heading stays to be seen. An id may hold any word of hexadecimal digits.
    ["many1", "many2", "many3", "many4", "many5"].iter().for_each(|name| run(name));
    table.expect("many5");
    table.expect(HEADING);
    let shown = table.expect(HEADING);
    assert_eq!(shown.matches('\n').count(), 4, "{shown:?}");
    table.send(b"\x03");
    let (status, _) = table.wait();
    assert_eq!(status.signal(), Some(2), "{status:?}");
    // Elsewhere it is text alone, and ends with those that are named.
    let mut named = env.cmd(["stats", "many1"]).limit(Duration::from_secs(60)).spawn();
    named.expect("many1");
    env.tinyd(["kill", "many1"]).ok();
    let output = named.wait().ok();
    assert!(!output.stdout().contains('\x1b') && output.stdout().lines().count() >= 2, "{output}");
}

#[test]
fn traffic_is_counted_from_the_containers_side() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        start(env, &["--net", "web", "--name", "a"], "while :; do nc -l -p 80 > /dev/null; done");
        start(env, &["--net", "web", "--name", "b"], "sleep 1000");
        start(env, &["--net", "container:a", "--name", "beside"], "sleep 1000");
        let before = counted(env, "b");
        let mut after = Value::Null;
        // Whoever listens may be between two connections.
        wait_until("what was sent and came back is counted", || {
            inside(env, "b", "head -c 100000 /dev/zero | nc -w 5 10.77.0.2 80 || sleep 0.1");
            after = counted(env, "b");
            let grown = |field: &str| after[field].as_u64().unwrap() - before[field].as_u64().unwrap();
            grown("NetBytesSent") > 5_000 && grown("NetBytesReceived") > 200
        });
        assert!(after["NetIO"].as_str().unwrap().contains("KiB"), "{after}");
        // It is another's, which counts it.
        assert_eq!(counted(env, "beside")["NetBytesSent"], Value::Null);
        assert!(after["BlockIO"].as_str().unwrap().contains(" / "), "{after}");
        env.tinyd(["rm", "-f", "beside", "a", "b"]).ok();
    });
}
