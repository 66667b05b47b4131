//! What `--help` says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, require};

#[test]
fn t02_the_help_of_run_lists_the_options_that_it_always_had() {
    require!(program);
    let env = Env::new();
    let help = env.tinyd(["run", "--help"]).ok().stdout();
    let words: Vec<&str> = help.split(|c: char| c.is_whitespace() || "[](),;".contains(c)).collect();
    for option in ["--it", "-v", "-i", "--net", "-p", "--name", "--cpu", "--mem"] {
        assert!(words.contains(&option), "{option} is not in:\n{help}");
    }
    let place = |part: &str| help.find(part).unwrap_or_else(|| panic!("{part:?} is not in:\n{help}"));
    assert!(place("Run a command in a new container") < place("Usage: tinyd run"));
    assert!(place("Usage: tinyd run") < place("\nOptions:\n"));
    assert!(place("\nOptions:\n") < place("\nExamples:\n"));
    // The same by the other way to it.
    assert_eq!(env.tinyd(["help", "run"]).ok().stdout(), help);
}
