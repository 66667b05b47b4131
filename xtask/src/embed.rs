//! `cargo xtask embed`: the programs of `examples/`, each built as a stranger would build it and run for its output.
//!
//! They are no members of the workspace: what a crate needs and does not say, or gets by a feature that another member
//! turns on, shows here alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tally::Tally;
use crate::{outside, shell, workspace};

/// A program, and what its output has, in this order.
struct Example {
    name: &'static str,
    says: &'static [&'static str],
}

const EXAMPLES: [Example; 6] = [
    Example {
        name: "embed-ns",
        says: &[
            " on embedded is user 0\n",
            "root is user 100000 outside\n",
            "and it can make no namespace\n",
            "the shell: exit status: 0\n",
            "it ended with 0\n",
        ],
    },
    Example {
        name: "embed-cgroup",
        says: &[
            "in the group: [",
            ", with Some(67108864) bytes\n",
            "the child: exit status: 0\n",
            " ms of CPU time",
        ],
    },
    Example {
        name: "embed-fs",
        says: &["copied /", "in here: ", "I am sh\n", "the shell inside: exit status: 0\n"],
    },
    Example {
        name: "embed-net",
        says: &[
            "a reaches b: true, b reaches a: true\n",
            "a reaches the world: true, b too: true\n",
            "the world reaches a: false\n",
        ],
    },
    Example {
        name: "embed-driver",
        says: &[
            "refused: network \"loops\": a network of loops needs one subnet\n",
            "it has the address 10.55.0.1\n",
            "the next one has 10.55.0.2\n",
            "nothing is left of them: true\n",
            "removed: loops\n",
        ],
    },
    Example { name: "embed-run", says: &["it said: I am process 1\n", "it ended with 7\n"] },
];

/// An example of a crate of the workspace, run as its README says: a driver of a stranger, held to the contract of drivers.
const PLUG_IN: Example = Example { name: "plug_in", says: &["127.9.", " can be used: 127.9."] };

/// Builds and runs all of them, past those that fail.
pub(crate) fn run() -> Result<(bool, Tally)> {
    for folder in folders()? {
        let known = EXAMPLES.iter().any(|example| folder.ends_with(example.name));
        if !known {
            bail!("{} is not among the examples of xtask/src/embed.rs", folder.display());
        }
    }
    let mut tally = Tally::default();
    for example in EXAMPLES.iter().chain([&PLUG_IN]) {
        let tried = if example.name == PLUG_IN.name { try_plug_in() } else { try_out(example) };
        match tried {
            Ok(()) => {
                println!("{}: ok", example.name);
                tally.passed += 1;
            }
            Err(err) => {
                println!("{}: FAILED: {err:#}", example.name);
                tally.failed += 1;
            }
        }
    }
    Ok((tally.failed == 0, tally))
}

fn folders() -> Result<Vec<PathBuf>> {
    let examples = workspace::root().join("examples");
    let entries = fs::read_dir(&examples).with_context(|| format!("cannot list {}", examples.display()))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.join("Cargo.toml").is_file());
    Ok(folders)
}

fn try_out(example: &Example) -> Result<()> {
    let folder = workspace::root().join("examples").join(example.name);
    shell::run(&mut outside::cargo_in(&folder, &["fmt", "--check"])?)?;
    shell::run(&mut outside::cargo_in(&folder, &["build", "--quiet"])?)?;
    said(example, &mut Command::new(outside::target().join("debug").join(example.name)))
}

fn try_plug_in() -> Result<()> {
    let words = ["run", "--quiet", "-p", "tinyd-net", "--features", "testing", "--example", PLUG_IN.name];
    said(&PLUG_IN, workspace::cargo().args(words))
}

/// Runs a program, and looks for what it should say.
fn said(example: &Example, program: &mut Command) -> Result<()> {
    let output = shell::read(program)?;
    print!("{output}");
    match missing(&output, example.says) {
        None => Ok(()),
        Some(text) => bail!("it did not say {text:?} where it should"),
    }
}

/// The first of the texts that does not stand behind those before it.
fn missing<'a>(output: &str, texts: &[&'a str]) -> Option<&'a str> {
    let mut rest = output;
    texts.iter().copied().find(|text| match rest.find(text) {
        Some(at) => {
            rest = &rest[at + text.len()..];
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_looked_for_in_order() {
        assert_eq!(missing("a b c", &["a", "c"]), None);
        assert_eq!(missing("a b c", &["c", "a"]), Some("a"));
        assert_eq!(missing("a", &["a", "a"]), Some("a"));
    }

    #[test]
    fn a_container_in_ones_own_process_takes_less_than_30_lines() {
        let program = workspace::root().join("examples/embed-run/src/main.rs");
        assert!(fs::read_to_string(program).unwrap().lines().count() < 30);
    }

    #[test]
    fn two_namespaces_joined_with_nat_take_less_than_60_lines() {
        let program = workspace::root().join("examples/embed-net/src/main.rs");
        assert!(fs::read_to_string(program).unwrap().lines().count() < 60);
    }
}
