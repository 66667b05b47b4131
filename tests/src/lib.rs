//! The harness of the black-box tests: it runs the built `tinyd` as a user would, looks at the result from outside
//! (the kernel's own files), and holds every test to leaving the machine as it found it.
//!
//! Invariant: this crate never calls into the engine. What it knows of a container it has from the command line, from
//! `/proc`, from the cgroup file systems and from the folders under the test's own `--root` and `--run-root`.
//!
//! A test makes an [`Env`]. Each has a tag that is part of all its paths, so that tests may run side by side; when it is
//! dropped its containers are removed, and whatever is still there afterwards is a leak, and fails the test.
//!
//! With `TINYD_TESTS_SERVED=1` an [`Env`] starts a daemon first, and all its commands go through that. `cargo xtask test` runs
//! the tests of commands in this way too (`SERVED` in `xtask/src/test.rs`), for every command works the same with and without a
//! daemon. A test that says nothing of that begins with [`unserved!`], which has the reason.
//!
//! ```no_run
//! use tinyd_tests::{Env, require, roots};
//!
//! fn a_command_prints_what_it_was_told() {
//!     require!(root);
//!     let env = Env::new();
//!     let image = roots::busybox();
//!     let output = env.tinyd(["run", "--rm", image.to_str().unwrap(), "echo", "hello"]).ok();
//!     assert_eq!(output.stdout(), "hello\n");
//! }
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a harness reports trouble by failing the test that uses it, and says in its output what that needs"
)]

pub mod attack;
pub mod bundle;
pub mod certificates;
mod command;
pub mod comparison;
mod crowd;
mod dice;
pub mod engines;
mod env;
pub mod frames;
pub mod ground;
pub mod grpc;
pub mod kill;
pub mod leak;
pub mod load;
mod mode;
mod moment;
mod need;
mod netns;
pub mod oci;
mod output;
pub mod packages;
pub mod paths;
mod pipes;
pub mod proc;
pub mod protobuf;
mod pty;
pub mod remove;
mod rescue;
pub mod roots;
mod running;
mod served;
pub mod small;
pub mod tracer;
mod wait;
pub mod web;

pub use command::{Cmd, NO_NETWORK};
pub use crowd::crowd;
pub use dice::Dice;
pub use env::Env;
pub use mode::{Container, Mode, in_both_modes};
pub use moment::Moments;
pub use netns::Machine;
pub use output::Output;
pub use pty::Pty;
pub use running::Running;
pub use served::is_served;
pub use wait::{eventually, wait_until};

pub use need::{Missing, Need};
#[doc(hidden)]
pub use need::{check_need, kernel_is_before, skip};
#[doc(hidden)]
pub use served::not_served;
