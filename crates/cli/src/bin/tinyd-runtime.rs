//! The small program that starts containers and stays with them. All of it is in the crates `tinyd-runtime` and, for the names
//! of containers, `tinyd-manager`.
#![no_main]

use std::ffi::{c_char, c_int};
use tinyd_manager::name_service;

/// Called by the C library.
// SAFETY: a program has one `main`, and this has its type.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    tinyd_runtime::startup::enter(|| match std::env::args_os().nth(1) {
        Some(verb) if verb == name_service::VERB => name_service::run(),
        _ => tinyd_runtime::entry::run(),
    })
}
