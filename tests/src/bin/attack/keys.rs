//! Keys of the kernel that belong to whoever started the container.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::raw;

/// What the key holds.
const SECRET: &str = "the-hosts-own-key";

/// Looks for a key of the session and reads it.
pub(crate) fn read(name: &str) {
    match raw::search_session_key(name).and_then(raw::read_key) {
        Ok(bytes) => println!("key={}", String::from_utf8_lossy(&bytes)),
        Err(error) => println!("no key: {error}"),
    }
}

/// Runs a command with a session keyring of its own that holds the key.
pub(crate) fn run_with(name: &str, command: &[&str]) -> ExitCode {
    if let Err(error) = raw::make_session_key(name, SECRET.as_bytes()) {
        eprintln!("attack: no key can be made: {error}");
        return ExitCode::FAILURE;
    }
    let Some((program, args)) = command.split_first() else { return ExitCode::from(2) };
    eprintln!("attack: {}", Command::new(program).args(args).exec());
    ExitCode::FAILURE
}
