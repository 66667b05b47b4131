//! Environments that would be taken for something else (A22, CVE-2026-57231).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use serde_json::json;
use tinyd_tests::attack::SECRET;
use tinyd_tests::bundle::Bundle;
use tinyd_tests::{in_both_modes, require};

/// A variable of the caller's.
const MARKER: &str = "TINYD_SECRET";

#[test]
fn a22_an_entry_without_a_value_does_not_take_the_hosts() {
    require!(root);
    in_both_modes(|mode| {
        let words = ["--userns", mode.userns(), "host", "env"];
        let bundle = Bundle::create(&mode.env, &words);
        for entry in [MARKER, "=x", "", "=", "PATH"] {
            bundle.edit(|config| config["process"]["env"] = json!(["A=1", entry]));
            let output = mode.env.cmd(["start", "-a", &bundle.id]).env(MARKER, SECRET).output().fails(125);
            assert_eq!(output.stdout(), "", "{entry:?}: {output}");
            assert!(!output.stderr().contains(SECRET), "{entry:?}: {output}");
        }
        bundle.edit(|config| config["process"]["env"] = json!(["A=1", "B="]));
        let output = mode.env.cmd(["start", "-a", &bundle.id]).env(MARKER, SECRET).output().ok();
        assert_eq!(
            output.stdout().lines().filter(|line| line.starts_with(['A', 'B'])).count(),
            2,
            "{output}"
        );
    });
}

#[test]
fn a22_nothing_of_the_callers_environment_is_seen_by_any_process() {
    require!(root);
    in_both_modes(|mode| {
        let words = ["run", "-d", "--userns", mode.userns(), "-e", "GIVEN=1", "host", "sleep", "300"];
        let id = mode.env.cmd(words).env(MARKER, SECRET).output().ok().text();
        let show = "cat /proc/1/environ /proc/self/environ";
        let exec = mode.env.cmd(["exec", &id, "sh", "-c", show]).env(MARKER, SECRET).output().ok();
        assert!(exec.stdout().contains("GIVEN=1") && !exec.stdout().contains(SECRET), "{exec}");
        assert!(!exec.stdout().contains(MARKER), "{exec}");
        // Nor in what was written down.
        let config = mode.env.root().join("containers").join(&id).join("config.json");
        assert!(!fs::read_to_string(config).unwrap().contains(SECRET));
    });
}
