//! `cargo xtask ci`: every check of CI, each with its name and its duration.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::cargo;
use crate::{shell, test, tidy};

type Stage = (&'static str, fn() -> Result<bool>);

const CHECKS: [Stage; 5] = [
    ("format", format),
    ("lints", lints),
    ("tidy", tidy::run),
    ("dependencies", dependencies),
    ("documents", documents),
];
const TEST: Stage = ("tests", || test::run(None));

/// Runs all stages, past those that fail; `false` when one did.
pub(crate) fn run(with_tests: bool) -> Result<bool> {
    let stages = CHECKS.iter().chain(with_tests.then_some(&TEST));
    let mut done: Vec<(&str, bool, Duration)> = Vec::new();
    for (name, stage) in stages {
        println!("\n==== {name}");
        let start = Instant::now();
        let ok = stage().unwrap_or_else(|err| {
            println!("{err:#}");
            false
        });
        done.push((name, ok, start.elapsed()));
    }
    println!("\n==== stages");
    for (name, ok, time) in &done {
        println!("{name:<14}{:<8}{:>7.1} s", if *ok { "ok" } else { "FAILED" }, time.as_secs_f64());
    }
    Ok(done.iter().all(|(_, ok, _)| *ok))
}

fn format() -> Result<bool> {
    shell::run(cargo().args(["fmt", "--all", "--check"])).map(|()| true)
}

fn lints() -> Result<bool> {
    let mut command = cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(&mut command).map(|()| true)
}

fn documents() -> Result<bool> {
    let mut command = cargo();
    command
        .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut command).map(|()| true)
}

/// Licences, bans and sources; known vulnerabilities only where their database can be fetched.
fn dependencies() -> Result<bool> {
    if !shell::works(cargo().args(["deny", "--version"])) {
        println!("SKIPPED (cargo-deny is not installed: cargo install --locked cargo-deny)");
        return Ok(!shell::is_ci());
    }
    shell::run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    if shell::works(cargo().args(["deny", "fetch", "db"])) {
        return shell::run(cargo().args(["deny", "check", "advisories"])).map(|()| true);
    }
    println!("advisories: SKIPPED, their database cannot be reached from here");
    Ok(true)
}
