//! `tinyd`. All of it is in the library of the same name.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tinyd::main()
}
