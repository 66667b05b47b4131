//! Taking a mount away whose server may be gone.
//!
//! umount(2) may wait for the server, also when it detaches lazily (what was the last to hold the file system writes it back
//! on its way out), and a process that waits so cannot end. So it is done by umount(8), which is started and not waited for
//! longer than it may take.

use super::helper::{self, Helper};
use super::marked;
use crate::patience::{until_so, within};
use crate::{Error, Result, mounted};
use rustix::io::Errno;
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What an orderly end may take, with the rest of the data.
const ORDERLY: Duration = Duration::from_secs(3);

/// What is waited for a program that brings the rest of the data to its server.
const FINISH: Duration = Duration::from_secs(4);

/// What any other step may take.
const STEP: Duration = Duration::from_millis(1200);

/// How a mount went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    /// Nobody has it any more.
    Wholly,
    /// It is out of sight; somebody of the host is in it still, and its server answers him.
    Later,
    /// It is out of sight, and nobody is answered any more.
    ByForce,
}

/// Takes away what is mounted at a path, and ends the programs that served it; but not one that `may_finish` what it has
/// still to bring to the server, after it has been waited for as long as is allowed.
pub(super) fn take_away(path: &Path, may_finish: bool) -> Result<()> {
    let mut went = Ok(Went::Wholly);
    // Mounts may lie upon one another, after a crash.
    for _ in 0..4 {
        if mounted::at(path)?.is_none() {
            break;
        }
        went = unmount(path);
    }
    match went {
        Ok(Went::Later) => {}
        Ok(Went::Wholly) if may_finish => drop(have_ended(path, FINISH)),
        _ => end_servers(path),
    }
    match mounted::at(path)? {
        None => Ok(()),
        Some(_) => went.and(Err(Error::path("unmount", path, Errno::BUSY))),
    }
}

/// Orderly; then, where somebody of the host is in it, or the server is silent, out of sight at once.
fn unmount(path: &Path) -> Result<Went> {
    match run(&["-i", "-c"], path, ORDERLY)? {
        Some(true) => return Ok(Went::Wholly),
        Some(false) if answers(path) => return run(&["-i", "-c", "-l"], path, STEP).map(|_| Went::Later),
        _ => {}
    }
    // Force ends what waits for the server, with an error for whoever waits.
    run(&["-i", "-c", "-l", "-f"], path, STEP).map(|_| Went::ByForce)
}

fn answers(path: &Path) -> bool {
    let path = path.to_owned();
    matches!(within(Instant::now() + STEP, move || rustix::fs::statvfs(&path)), Some(Ok(_)))
}

/// Whether it succeeded; `None` when it did not end in time, though it may have taken the mount out of sight.
fn run(options: &[&str], path: &Path, limit: Duration) -> Result<Option<bool>> {
    let umount = helper::find(super::UMOUNT).ok_or_else(|| {
        let problem =
            "is not on this host, which cannot unmount volumes without it: install the package mount".into();
        Error::Invalid { what: "program", value: "umount".to_owned(), problem }
    })?;
    let mut args: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
    args.push(path.display().to_string());
    let failed = |error| Error::path("start umount for", path, error);
    // It bears another mark: those who serve the mount are ended after it.
    let mut helper = Helper::start(&umount, &args, Stdio::null(), Path::new("umount")).map_err(failed)?;
    let ended =
        until_so(Instant::now() + limit, || helper.ended().map(|status| status.is_some()).map_err(failed))?;
    if !ended {
        helper.kill();
        return Ok(None);
    }
    let status = helper.ended().map_err(failed)?;
    Ok(Some(status.is_some_and(|status| status.success())))
}

/// They end by themselves when nothing is mounted any more; or they are told to.
fn end_servers(path: &Path) {
    if !have_ended(path, STEP) {
        marked::end(path, Signal::TERM);
        if !have_ended(path, STEP) {
            marked::end(path, Signal::KILL);
            have_ended(path, STEP);
        }
    }
}

fn have_ended(path: &Path, limit: Duration) -> bool {
    until_so(Instant::now() + limit, || Ok(!marked::exist(path))).unwrap_or(true)
}
