//! The small program that starts containers and stays with them; the engine finds it beside the program that uses it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tinyd_runtime::entry::main()
}
