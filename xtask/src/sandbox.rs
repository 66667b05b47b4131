//! `cargo xtask sandbox`: what a container may do, compared with Docker's and Podman's defaults, by a program that runs
//! inside each.
//!
//! It writes `docs/sandbox.md`, and `docs/sandbox/docker.txt`, with which the test `comparison` goes on comparing where
//! there is no Docker. The two engines run in namespaces of their own, on folders of their own (`peers.rs`), and end with
//! it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tinyd_tests::comparison::{self, ACCEPTED, Accepted, DOCKER, Facts, Host, compare};
use tinyd_tests::leak::{self, Kind, Scope, Snapshot};
use tinyd_tests::{Env, packages, paths};

use self::page::Measured;
use crate::{build_cmd, setup, shell, workspace};

mod docker;
mod page;
mod peers;
mod podman;
mod rows;

/// What is installed where it is missing: a file that proves it, and the package.
const NEEDED: [(&str, &str); 2] = [("/usr/sbin/dockerd", "docker.io"), ("/usr/bin/podman", "podman")];

/// How dpkg-query shows a package.
const PACKAGE: &str = "${Package} ${Version}\n";

/// The page.
const PAGE: &str = "docs/sandbox.md";

/// Measures and writes; `false` when something of ours is looser than Docker's and not accepted, which has been said.
pub(crate) fn run() -> Result<bool> {
    if !geteuid().is_root() {
        bail!("containers are compared by running them: it needs root");
    }
    setup::run()?;
    for (file, package) in NEEDED {
        packages::ensure(&[file], package).with_context(|| format!("{package} cannot be installed"))?;
    }
    // Another build than this one's can be compared by naming it.
    if std::env::var_os("TINYD_BIN").is_none() {
        build_cmd::run()?;
    }
    let before = Snapshot::take(&Scope::Machine);
    let measured = measure()?;
    let mut left = leak::left_over(&before, &Scope::Machine, leak::PATIENCE);
    // Of our own containers the surroundings have looked after; other tests may run beside this.
    left.retain(|item| matches!(item.kind, Kind::Link | Kind::Table) || item.what.contains(peers::GROUP));
    if !left.is_empty() {
        bail!("left behind:\n{}", leak::describe(&left));
    }
    write(DOCKER, &kept(&measured))?;
    let accepted = Accepted::read(&workspace::root().join(ACCEPTED));
    write(PAGE, &page::page(&measured, &accepted))?;
    Ok(judge(&measured, &accepted))
}

/// Runs the probe in all four.
fn measure() -> Result<Measured> {
    let env = Env::new();
    let image = comparison::image(&env);
    let docker = docker::facts(&env, &image).context("Docker")?;
    let podman = podman::facts(&env, &image).context("Podman")?;
    Ok(Measured {
        versions: versions(&env)?,
        // What is kept is what everything is compared with, here as in the test.
        docker: Facts::read(&docker.text()),
        podman,
        mapped: comparison::of_tinyd(&env, &[], &image),
        plain: comparison::of_tinyd(&env, &["--userns", "host"], &image),
    })
}

/// What is written down beside the facts: who was compared, and on what.
fn versions(env: &Env) -> Result<Vec<(&'static str, String)>> {
    let first = |words: &[&str]| -> Result<String> {
        let text = shell::read(Command::new(words[0]).args(&words[1..]))?;
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    };
    Ok(vec![
        ("Docker", first(&["dockerd", "--version"])?),
        ("its runtime", first(&["runc", "--version"])?),
        (
            "its seccomp library",
            first(&["dpkg-query", "-W", "-f", "libseccomp ${Version}\n", "libseccomp2"])?,
        ),
        ("Podman", first(&["podman", "--version"])?),
        // Even when it is only asked for its version, crun makes a folder in /run.
        ("its runtime", first(&["dpkg-query", "-W", "-f", PACKAGE, "crun"])?),
        ("tinyd", env.tinyd(["--version"]).ok().text()),
        ("kernel", format!("Linux {}", first(&["uname", "-r"])?)),
    ])
}

/// The facts of Docker as they are kept.
fn kept(measured: &Measured) -> String {
    let who: Vec<&str> = measured.versions.iter().map(|(_, version)| version.as_str()).collect();
    let facts = measured.docker.clone().without_what_is_of(&Host::own());
    format!(
        "# What a container of Docker's defaults may do and can see: {}.\n\
         # Written by `cargo xtask sandbox`; `files` ending with / stand for all below that have no line of their own.\n{}",
        [who[0], who[1], who[2], who[6]].join(", "),
        facts.text()
    )
}

fn judge(measured: &Measured, accepted: &Accepted) -> bool {
    let mut all = Vec::new();
    let mut ok = true;
    for (name, facts) in [("tinyd", &measured.mapped), ("tinyd --userns host", &measured.plain)] {
        let lines = compare(facts, &measured.docker);
        let refused = accepted.refused(&lines);
        println!("{name}: {} facts, {} looser than Docker's and not accepted", lines.len(), refused.len());
        for line in &refused {
            println!("  {}", line.shown());
        }
        ok &= refused.is_empty();
        all.extend(lines);
    }
    let unused = accepted.unused(&all);
    if !unused.is_empty() {
        println!("{ACCEPTED} accepts what is not there:");
        unused.iter().for_each(|key| println!("  {key}"));
    }
    println!("{PAGE} and {DOCKER} are written");
    ok && unused.is_empty()
}

fn write(path: &str, text: &str) -> Result<()> {
    let whole = paths::workspace().join(path);
    fs::create_dir_all(whole.parent().unwrap_or(Path::new("/")))
        .and_then(|()| fs::write(&whole, text))
        .with_context(|| format!("{} cannot be written", whole.display()))
}
