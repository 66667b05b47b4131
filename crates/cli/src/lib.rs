//! `tinyd`: the command line of the container engine.
//!
//! *Invariant:* this program parses, shows and wires together; whatever a library user would miss belongs to an
//! engine. Everything but `engine` is written against the [`tinyd_engine::Engine`] trait.
//!
//! The library is the program: its `main` is all that `main.rs` calls. It is none to build on.
#![forbid(unsafe_code)]

mod app;
mod argv;
mod attach;
mod cmd;
mod console;
mod engine;
mod failure;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod globals;
mod interrupt;
mod opts;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    ExitCode::from(app::run(arguments, console::Console::standard(), &engine::open))
}
