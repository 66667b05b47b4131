//! `tinyd`: the command line of the container engine.
//!
//! *Invariant:* this program parses, shows and wires together; whatever a library user would miss belongs to an
//! engine. Everything but `engine` is written against the [`tinyd_engine::Engine`] trait.
//!
//! The library is the program: its `run` is all that `main.rs` calls. It is none to build on.
#![forbid(unsafe_code)]

mod app;
mod archive;
mod argv;
mod attach;
mod cmd;
mod complete;
mod console;
mod engine;
mod failure;
mod flow;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod globals;
mod interrupt;
mod opts;
mod order;
mod prune;
mod settings;
#[cfg(test)]
mod testing;

use std::path::Path;

/// The whole parser, of which manual pages are made (`examples/man.rs`). No part of any interface.
#[doc(hidden)]
pub fn command() -> clap::Command {
    cmd::root().bin_name("tinyd")
}

/// Runs the program with the arguments of the process; gives the exit code.
pub fn run() -> u8 {
    #[cfg(feature = "weakened")]
    if let Err(problem) = tinyd_runtime::weaken() {
        console::Console::standard().tell(&problem);
        return 125;
    }
    let arguments = std::env::args_os().skip(1).collect();
    let load = |file: Option<&Path>| settings::Settings::load(file, &|name| std::env::var_os(name));
    app::run(arguments, console::Console::standard(), &load, &engine::open)
}
