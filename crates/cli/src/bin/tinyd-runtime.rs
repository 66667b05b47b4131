//! The small program that starts containers and stays with them. All of it is in the crates `tinyd-runtime` and, for the names
//! of containers, `tinyd-manager`.
#![forbid(unsafe_code)]

use tinyd_manager::name_service;

fn main() -> std::process::ExitCode {
    match std::env::args_os().nth(1) {
        Some(verb) if verb == name_service::VERB => name_service::main(),
        _ => tinyd_runtime::entry::main(),
    }
}
