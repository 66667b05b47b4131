//! From the kernel to a program's first line.
//!
//! The standard library makes each program ready for stack overflows in Rust code before `main`: it reads and parses
//! `/proc/self/maps` and makes a second stack, which is a tenth of the time that a container's start takes. The programs of
//! the engine are entered from the C library instead, and do here what else the standard library would have done.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::stdio::{stderr, stdin, stdout};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Takes the words of the command line from who calls `main`: the standard library, when it is not entered first, finds them
/// with some C libraries only.
///
/// # Safety
/// They must be those that `main` was given.
pub unsafe fn take_words(count: c_int, words: *const *const c_char) {
    let taken = (0..usize::try_from(count).unwrap_or(0)).map(|index| {
        // SAFETY: there are as many as are counted, and each ends with a null.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    });
    let _ = WORDS.set(taken.collect());
}

/// The words of the command line, the name of the program first.
pub fn words() -> impl Iterator<Item = OsString> {
    let taken = WORDS.get_or_init(|| std::env::args_os().collect());
    taken.iter().cloned()
}

/// Does what `run` does, and gives its exit code as the C library wants it.
pub fn enter(run: impl FnOnce() -> u8) -> c_int {
    open_standard_streams();
    // Whoever writes to a pipe that nobody reads gets an error, and can say so.
    tinyd_ns::process::ignore_signal(libc::SIGPIPE);
    crate::defence::choose_for_client();
    let code = run();
    // Whoever cared has flushed it and looked at the error.
    let _ = std::io::stdout().flush();
    c_int::from(code)
}

/// Keeps descriptors that this process was started with, from `first` on, from the programs that it starts.
pub fn keep_from_programs(first: std::os::fd::RawFd) -> std::io::Result<()> {
    Ok(tinyd_ns::process::cloexec_from(first)?)
}

/// A file that is opened must not get the number of a standard stream: what is written to that one would end up in it.
fn open_standard_streams() {
    let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
    let none = PollFlags::empty();
    let mut streams = [&stdin, &stdout, &stderr].map(|stream| PollFd::from_borrowed_fd(*stream, none));
    if poll(&mut streams, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
        return;
    }
    for _ in streams.iter().filter(|stream| stream.revents().contains(PollFlags::NVAL)) {
        // The lowest number that is free is this stream's: those before it are open by now.
        match rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()) {
            Ok(null) => std::mem::forget(null),
            Err(_) => std::process::abort(),
        }
    }
}
