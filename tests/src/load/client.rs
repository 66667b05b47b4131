//! A client of the daemon whose output goes to files, so that nobody has to read it while it comes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::env::Env;
use crate::wait::eventually;

/// How long one may take to its end.
const PATIENCE: Duration = Duration::from_secs(120);

/// One that goes on. Dropping it kills it.
pub(super) struct Client {
    child: Child,
    out: PathBuf,
    errors: PathBuf,
}

impl Client {
    /// Starts one; `file` names where its output goes.
    #[track_caller]
    pub(super) fn start(env: &Env, words: &[&str], file: &str) -> Client {
        let out = env.files().join(file);
        let errors = out.with_extension("errors");
        let made = |path: &Path| Stdio::from(File::create(path).expect("a file of the test can be made"));
        let mut command: Command = env.cmd(words.iter().copied()).command();
        command.stdin(Stdio::null()).stdout(made(&out)).stderr(made(&errors));
        let child = command.spawn().expect("a client can be started");
        Client { child, out, errors }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let sent = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .and_then(|handle| pidfd_send_signal(handle, signal));
        sent.expect("a child that was not waited for can be signalled");
    }

    /// Waits for its end; what is wrong with that in words.
    pub(super) fn end(&mut self) -> Result<(), String> {
        match eventually(PATIENCE, || self.child.try_wait().ok().flatten()) {
            Some(status) if status.success() => Ok(()),
            ended => Err(format!("it ended with {ended:?} and said {:?}", self.said())),
        }
    }

    /// What it wrote to standard output so far.
    pub(super) fn told(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it wrote to standard error so far.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
