//! `tinyd`. All of it is in the library of the same name.
#![no_main]

use std::ffi::{c_char, c_int};

/// Called by the C library.
// SAFETY: a program has one `main`, and this has its type.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    tinyd_runtime::startup::enter(tinyd::run)
}
