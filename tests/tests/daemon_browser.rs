//! The page of the daemon in a real browser: Debian's chromium, driven by `tests/browser/page.mjs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use tinyd_tests::web::Daemon;
use tinyd_tests::{Container, Env, paths, require, wait_until};

/// What markup, style sheets, scripts, attributes and terminals would make something of.
const CORPUS: [&str; 9] = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "\"><svg/onload=alert(3)>",
    "' onmouseover='alert(4)",
    "javascript:alert(5)",
    "</title></textarea></style><iframe src=//evil.example></iframe>",
    "{{constructor.constructor('alert(6)')()}} ${alert(7)}",
    "\u{202e}txt.exe \u{2066}isolate",
    "\u{1b}]8;;http://evil.example\u{7}link\u{1b}]8;;\u{7} \u{1b}]52;c;ZXZpbA==\u{7} \u{1b}[31mred\u{1b}[0m",
];

/// Runs a scenario of `page.mjs`.
#[track_caller]
fn browse(env: &Env, daemon: &Daemon, scenario: &str, words: &[&str]) {
    let script = paths::workspace().join("tests/browser/page.mjs");
    let modules = paths::browser();
    assert!(
        modules.join("node_modules").is_dir(),
        "cargo xtask test installs the packages of the browser tests"
    );
    let address = daemon.address().to_string();
    let folder = env.files();
    let own = ["node", script.to_str().unwrap(), scenario, &address, folder.to_str().unwrap()];
    let command = env.other(own.iter().chain(words).copied());
    let command = command.env("TINYD_BROWSER_MODULES", modules).env("HOME", &folder).env("TMPDIR", &folder);
    command.limit(Duration::from_secs(180)).output().ok();
}

/// One that uses a quarter of a processor, and a mebibyte more of memory every half second.
fn busy(env: &Env) -> Container<'_> {
    let script = "i=0; while [ $i -lt 100 ]; do a=$a$(head -c 1000000 /dev/zero | tr '\\0' x); i=$((i+1)); \
        n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; done; while :; do :; done";
    let words = ["run", "-d", "--name", "busy", "--cpu", "25000", "-m", "256m", "host", "sh", "-c", script];
    Container::start(env, words)
}

fn idle<'env>(env: &'env Env, name: &str) -> Container<'env> {
    let words = ["run", "-d", "--name", name, "--stop-timeout", "1", "host", "sleep", "300"];
    Container::start(env, words)
}

#[test]
fn charts_move_for_a_container_that_works() {
    require!(root);
    let env = Env::new();
    let (busy, idle) = (busy(&env), idle(&env, "idle"));
    let daemon = Daemon::start(&env, &[]);
    browse(&env, &daemon, "charts", &[&busy.id, &idle.id]);
}

#[test]
fn the_page_asks_every_ten_seconds_with_events_and_without() {
    require!(root);
    let env = Env::new();
    let _one = idle(&env, "one");
    let daemon = Daemon::start(&env, &[]);
    browse(&env, &daemon, "polling", &[]);
}

#[test]
fn texts_of_containers_are_texts_on_the_page() {
    require!(root);
    let env = Env::new();
    let log = env.file("log", CORPUS.join("\n") + "\n");
    let volume = format!("{}:/log:ro", log.display());
    let mut words: Vec<String> = ["run", "-d", "-v", &volume].map(str::to_owned).into();
    for (count, text) in CORPUS.iter().enumerate() {
        words.extend([
            "--label".to_owned(),
            format!("l{count}={text}"),
            "-e".to_owned(),
            format!("{text}=1"),
        ]);
    }
    words.extend(["host", "sh", "-c", "cat /log; cat /log >&2; sleep 300"].map(str::to_owned));
    words.extend(CORPUS.map(str::to_owned));
    let shown = Container::start(&env, words);
    wait_until("it has written", || env.tinyd(["logs", &shown.id]).ok().stderr().contains("red"));
    // One whose start fails with such a text in the reason.
    let failed = env.tinyd(["create", "host", CORPUS[0]]).ok().text();
    env.tinyd(["start", &failed]).fails(127);
    let daemon = Daemon::start(&env, &[]);
    browse(&env, &daemon, "hostile", &[&shown.id, &failed]);
}

#[test]
fn the_page_is_for_everyone_in_light_and_dark_wide_and_narrow() {
    require!(root);
    let env = Env::new();
    let (_one, two) = (busy(&env), idle(&env, "two"));
    env.tinyd(["create", "--name", "made", "host", "true"]).ok();
    env.tinyd(["kill", &two.id]).ok();
    let daemon = Daemon::start(&env, &[]);
    wait_until("it has failed", || daemon.container(&two.id)["state"] == "STOPPED");
    browse(&env, &daemon, "access", &[]);
}

#[test]
fn two_hundred_containers_are_shown_and_those_in_view_are_drawn() {
    require!(root);
    let env = Env::new();
    for count in 0..200 {
        env.tinyd(["create", "--name", &format!("n{count}"), "host", "true"]).ok();
    }
    let daemon = Daemon::start(&env, &[]);
    browse(&env, &daemon, "crowd", &["200"]);
}

#[test]
fn buttons_do_what_they_say_for_who_has_the_token() {
    require!(root);
    let env = Env::new();
    let one = idle(&env, "one");
    let daemon = Daemon::start(&env, &["--web-control"]);
    let said = fs::read_to_string(env.run_root().join("web-control")).unwrap();
    let token = said.trim().split("#token=").nth(1).unwrap();
    browse(&env, &daemon, "control", &[token, &one.id]);
    assert!(env.containers().is_empty());
    daemon.stop().ok();
}

#[test]
fn networks_volumes_kills_and_pauses_are_shown() {
    require!(root);
    require!(controller "memory");
    let env = Env::new();
    env.tinyd(["network", "create", "--ipv6=false", "seen"]).ok();
    env.tinyd(["volume", "create", "kept"]).ok();
    let words = ["run", "-d", "--name", "lives", "-m", "32m", "--net", "seen", "-v", "kept:/kept", "host"];
    let lives = Container::start(&env, words.iter().chain(&["sleep", "300"]).copied());
    env.tinyd(["exec", "lives", "tail", "-n1", "/dev/zero"]).fails(137);
    let words = ["run", "-d", "--name", "dies", "-m", "16m", "host", "tail", "-n1", "/dev/zero"];
    let dies = env.tinyd(words).ok().text();
    let crash =
        env.tinyd(["run", "-d", "--name", "crash", "--restart", "always", "host", "false"]).ok().text();
    let daemon = Daemon::start(&env, &["--web-control"]);
    let said = fs::read_to_string(env.run_root().join("web-control")).unwrap();
    let token = said.trim().split("#token=").nth(1).unwrap();
    browse(&env, &daemon, "told", &[token, &dies, &lives.id, &crash]);
    daemon.stop().ok();
    env.tinyd(["rm", "-f", &dies, &lives.id, &crash]).ok();
    env.tinyd(["network", "rm", "seen"]).ok();
}

#[test]
fn pictures_are_taken_in_light_and_dark() {
    require!(root);
    let env = Env::new();
    let (_busy, _web) = (busy(&env), idle(&env, "web"));
    let _paused = idle(&env, "queue");
    env.tinyd(["pause", "queue"]).ok();
    env.tinyd(["create", "--name", "report", "-m", "64m", "host", "true"]).ok();
    let daemon = Daemon::start(&env, &[]);
    let kept = std::env::var_os("TINYD_PICTURES");
    browse(&env, &daemon, "pictures", &[if kept.is_some() { "40000" } else { "3000" }]);
    for name in ["web.png", "web-phone.png"] {
        let picture = env.files().join(name);
        assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"), "{name}");
        // For the README: TINYD_PICTURES=docs/images.
        if let Some(folder) = &kept {
            fs::copy(&picture, paths::workspace().join(Path::new(folder)).join(name)).unwrap();
        }
    }
}
