//! `cargo xtask`: builds, tests, checks and measures tinyd. `cargo xtask help` lists the verbs.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build tool talks to the person or the CI that called it"
)]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod bench;
mod build_cmd;
mod ci;
mod contract;
mod embed;
mod features;
mod fuzz;
mod ledger;
mod outside;
mod sandbox;
mod setup;
mod shell;
mod soak;
mod tally;
mod test;
mod tidy;
mod vm;
mod weakened;
mod workspace;

const HELP: &str = "\
usage: cargo xtask VERB

  build                      both programs for release, static where the machine can link so
  test [FILTER]              set up, build, run all tests, those of commands once more through daemons, and look for what
                             they left
  soak [WORD]                build, and run the long tests, whose names begin with soak_ (and WORD), one after the other
  engines [swarm | compare]  build, and run the long trials of Docker and Podman with our runtime in the place of theirs: a swarm
                             of one node, and a list of commands that must do the same with both
  vm-test [--systemd] [--cgroup v2|v1] [--kernel VERSION-OR-PATH] [FILTER]
                             a chosen set of the root tests in a virtual machine, by default on cgroup v2 and the newest
                             kernel that apt has
  embed                      build and run the programs of examples/ as a stranger would; they need root
  replay                     run the corpus of the fuzz targets, and mutations of it, through them
  contract                   let the lock of the gRPC contract know what has been added to it; clients of the last release
                             are kept
  tidy                       check what no compiler checks: crate graph, file lengths, ledgers, documents
  weakened [CASE]            switch the defences off one by one, and require the attack tests to fail
  sandbox                    compare what a container may do with Docker's and Podman's, and write docs/sandbox.md; it
                             installs docker.io and podman
  features                   the ledger of features as a table
  ci [--no-test]             all checks of CI, and the tests
  bench [start] [exec] [rm] [net] [ports] [throughput] [volume] [daemon] [comeback] [--rounds N]
                             time a container's life, a further command and a removal beside other engines; a life on a
                             network beside others', the 1,000th published port beside the first, and how much goes
                             through a network beside bare links (of N / 4 pairs); what volumes cost, as ratios; what a
                             daemon costs, and how soon one that was killed is back, beside dockerd";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("xtask: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does one verb; `false` when what was checked is not in order (which has been said by then).
fn dispatch(args: &[&str]) -> Result<bool> {
    match args {
        ["build"] => build_cmd::run().map(|()| true),
        ["test"] => test::run(None),
        ["test", filter] => test::run(Some(filter)),
        ["soak"] => soak::run(soak::SOAK, None),
        ["soak", filter] => soak::run(soak::SOAK, Some(filter)),
        ["engines"] => soak::run(soak::ENGINES, None),
        ["engines", filter] => soak::run(soak::ENGINES, Some(filter)),
        ["vm-test", options @ ..] => vm::run(options),
        // What vm-test starts inside the guest.
        ["vm-guest", payload, share] => vm::guest::run(payload.as_ref(), share.as_ref()),
        ["replay"] => fuzz::replay().map(|(ok, _)| ok),
        ["embed"] => embed::run().map(|(ok, _)| ok),
        ["contract"] => contract::run().map(|()| true),
        ["tidy"] => tidy::run(),
        ["sandbox"] => sandbox::run(),
        ["weakened"] => weakened::run(None),
        ["weakened", case] => weakened::run(Some(case)),
        ["features"] => features::run().map(|()| true),
        ["ci"] => ci::run(true),
        ["ci", "--no-test"] => ci::run(false),
        ["bench", "spawner", log] => bench::spawner::serve(log.as_ref()).map(|()| true),
        ["bench", options @ ..] => bench::run(options).map(|()| true),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        _ => bail!("unknown words: {}\n{HELP}", args.join(" ")),
    }
}
