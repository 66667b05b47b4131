//! A daemon for a whole test: `TINYD_TESTS_SERVED=1` runs each test's commands through one, where the test knows nothing of it.
//!
//! Every command works the same with and without a daemon, so the tests of commands are run in both ways. A test that says nothing
//! of a daemon's commands begins with `unserved!("why")`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::env::Env;
use crate::wait::eventually;

/// The variable that asks for it.
const VARIABLE: &str = "TINYD_TESTS_SERVED";
/// A daemon that does not listen after this long never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the commands of this test go through a daemon that it knows nothing of.
pub fn is_served() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Notes that a test is not run through a daemon: in the file `TINYD_UNSERVED`, which `cargo xtask test` shows, where that is set.
#[doc(hidden)]
pub fn not_served(place: &str, reason: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("{place} {name} ({reason})\n");
    // One write each: tests run side by side.
    let file = std::env::var_os("TINYD_UNSERVED");
    let opened = file.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
    match opened {
        Some(mut file) => drop(file.write_all(line.as_bytes())),
        None => drop(std::io::stderr().write_all(format!("NOT SERVED {line}").as_bytes())),
    }
}

/// Ends the test here where its commands would go through a daemon, and says why it would say nothing of them then.
#[macro_export]
macro_rules! unserved {
    ($reason:literal) => {
        if $crate::is_served() {
            $crate::not_served(module_path!(), $reason);
            return;
        }
    };
}

/// The daemon of one test. Its end leaves the containers as they are: those are the test's.
#[derive(Debug)]
pub(crate) struct Served {
    daemon: Child,
}

impl Served {
    /// Starts one where that is wanted, and waits until it listens.
    pub(crate) fn if_wanted(env: &Env) -> Option<Served> {
        if !is_served() {
            return None;
        }
        let mut command = env.cmd(["daemon", "--no-web", "--live-restore"]).command();
        let said = File::create(env.files().join("daemon.log")).expect("a file of the test can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let daemon = command.spawn().expect("the daemon can be started");
        let served = Served { daemon };
        let socket = env.run_root().join("tinyd.sock");
        let listens = eventually(PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).ok());
        assert!(listens.is_some(), "the daemon listens on {}", socket.display());
        Some(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed())
            && let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::TERM);
        }
        if eventually(PATIENCE, || self.daemon.try_wait().ok().flatten()).is_none() {
            let _ = self.daemon.kill();
        }
        let _ = self.daemon.wait();
    }
}
