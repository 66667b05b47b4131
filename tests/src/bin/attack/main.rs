//! What a hostile container runs: attacks that are too fast, or too far down, for a shell. The tests show the program to a
//! container (`-v …:/attack:ro`) and read what it says: lines of `name=number`, where every number but the first is
//! a success of the attack.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests talks to whoever called it"
)]

mod folder;
mod keys;
mod processes;
mod raw;
mod socket;
mod swap;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
attack look STOP                 reaches for processes that are about to become commands, until the file STOP is there
attack overwrite STOP            changes the program of such processes
attack swap STOP FOLDER TARGET [NAME…]
                                 exchanges FOLDER/NAME (d0, d1, …) with a link to TARGET
attack folder                    whether the folder it was started in is one of its own mounts
attack type TEXT                 types on whatever terminal it can reach
attack key NAME                  reads a key of the session
attack with-key NAME COMMAND…    (on the host) runs a command that has such a key
attack connect SOCKET            whether somebody behind a socket listens to it
attack algorithms                makes sockets of the kernel's algorithms
attack algorithms-of-i386        the same as a program of 32 bits
attack namespaces                makes namespaces, which nobody inside may
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["look", stop] => processes::look(Path::new(stop)),
        ["overwrite", stop] => processes::overwrite(Path::new(stop)),
        ["swap", stop, folder, target, names @ ..] => {
            swap::run(Path::new(stop), Path::new(folder), Path::new(target), names);
        }
        ["folder"] => folder::run(),
        ["type", text] => terminal::run(text),
        ["key", name] => keys::read(name),
        ["with-key", name, command @ ..] => return keys::run_with(name, command),
        ["connect", path] => socket::run(path),
        ["algorithms"] => raw::algorithms(),
        ["algorithms-of-i386"] => raw::algorithms_of_i386(),
        ["namespaces"] => raw::namespaces(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
