//! The small program that starts containers and stays with them. All of it is in the crates `tinyd-runtime` and, for the names
//! of containers, `tinyd-program`.
#![no_main]

// The library in question is the one that a musl program is linked with.
#[cfg(target_env = "musl")]
mod unwinding;

use std::ffi::{c_char, c_int};
use tinyd_program::names;
use tinyd_runtime::heap::LaunchHeap;
use tinyd_runtime::startup;

#[global_allocator]
static HEAP: LaunchHeap = LaunchHeap;

/// Called by the C library.
// SAFETY: a program has one `main`, and this has its type.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    // SAFETY: these are the words that the C library gives `main`.
    unsafe { startup::take_words(count, words) };
    startup::enter(|| match startup::words().nth(1) {
        Some(verb) if verb == names::VERB => names::run(startup::words().skip(2)),
        _ => tinyd_runtime::entry::run(),
    })
}
