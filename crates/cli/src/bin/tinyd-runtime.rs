//! The small program that starts containers and stays with them. All of it is in the crate `tinyd-runtime`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tinyd_runtime::entry::main()
}
