//! `cargo xtask contract`: adds what is new to the lock of the gRPC contract.

use anyhow::{Context, Result};

use crate::shell;
use crate::workspace::cargo;

/// By the test that compares the two, told to write instead of to complain: what would break a client it still refuses.
pub(crate) fn run() -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "tinyd-api", "--test", "contract"]);
    command.args(["no_client_of_the_last_release_is_broken", "--", "--nocapture"]);
    shell::run(command.env("TINYD_CONTRACT", "add")).context("the contract cannot be locked")
}
