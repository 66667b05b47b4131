//! Mounting what a server has, within a time, or not at all.

use super::command::Line;
use super::gone;
use super::helper::{self, Helper};
use super::kind::Kind;
use super::marked;
use super::settle::Settle;
use super::wanted::Wanted;
use crate::patience::{until_so, within};
use crate::{Error, Result, mounted};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::Signal;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The program that mounts, if the host has it.
pub(super) fn program(remote: &Wanted, volume: &str) -> Result<PathBuf> {
    let (program, package) = remote.kind.helper();
    helper::find(program).ok_or_else(|| Error::NoHelper {
        volume: volume.to_owned(),
        kind: remote.kind.word(),
        program,
        package,
    })
}

/// A mount that is tried.
pub(super) struct Attempt<'a> {
    pub remote: &'a Wanted,
    pub volume: &'a str,
    pub path: &'a Path,
    /// Where a program belongs that runs as long as the mount.
    pub settle: Option<&'a Settle>,
    /// What it may take, and when that is over: others may have been waited for already.
    pub patience: Duration,
    pub until: Instant,
}

/// How far it came.
enum Outcome {
    Done,
    Failed(String),
    Slow,
}

impl Attempt<'_> {
    /// Mounts, unless it is mounted and answers. One that is shared has other users.
    pub(super) fn mount(&self, is_mounted: bool, is_shared: bool) -> Result<()> {
        let until = self.until;
        if is_mounted {
            match self.looked(until) {
                Some(Ok(())) => return Ok(()),
                // Others may have it, and it may answer again.
                None => return Err(self.error("does not answer any more", "", self.remedy())),
                Some(Err(error)) if is_shared && !is_dead(&error) => {
                    let problem = format!("has an error for who looks into it ({error}), and others use it");
                    let remedy = "see what happened on the server; once its other users are stopped it is mounted anew";
                    return Err(self.error(&problem, "", remedy));
                }
                Some(Err(_)) => gone::take_away(self.path, false)?,
            }
        }
        // Somebody was killed while he did this, and what he started may still try; or what is on its way from a cache is
        // still being brought to the server, which the next one who has the cache goes on with.
        marked::end(self.path, Signal::KILL);
        // Since it was made the file may have become another's.
        self.remote.check_files()?;
        let line = Line::of(self.remote, self.path)?;
        let program = program(self.remote, self.volume)?;
        let places = match self.remote.kind.is_served() {
            true => self.settle.map(Settle::places).unwrap_or_default(),
            false => Vec::new(),
        };
        let mut helper = Helper::start_in(&places, &program, &line.args, line.input, self.path)
            .map_err(|error| Error::path("start", &program, error))?;
        let outcome = self.follow(&mut helper, until).and_then(|outcome| match outcome {
            Outcome::Done => self.settle(&mut helper, until),
            outcome => Ok(outcome),
        });
        let error = match outcome {
            Ok(Outcome::Done) => {
                helper.leave();
                return Ok(());
            }
            Ok(Outcome::Failed(problem)) => self.error(&problem, &helper.words(), self.remedy()),
            Ok(Outcome::Slow) => self.error(&self.slow(), &helper.words(), self.remedy()),
            Err(error) => error,
        };
        helper.end();
        // The error that is told is the first.
        let _ = gone::take_away(self.path, false);
        Err(error)
    }

    /// Waits until it is mounted and answers.
    fn follow(&self, helper: &mut Helper, until: Instant) -> Result<Outcome> {
        let failed = |error| Error::path("wait for the program that mounts", self.path, error);
        let mut status = None;
        let is_over = until_so(until, || {
            status = helper.ended().map_err(failed)?;
            let is_there = self.remote.kind.is_served() && mounted::at(self.path)?.is_some();
            Ok(status.is_some() || is_there)
        })?;
        match status {
            _ if !is_over => return Ok(Outcome::Slow),
            Some(status) if self.remote.kind.is_served() || !status.success() => {
                return Ok(Outcome::Failed(match helper.words().is_empty() {
                    true => format!("could not be mounted, and nothing was said of it ({status})"),
                    false => "could not be mounted".to_owned(),
                }));
            }
            Some(_) if mounted::at(self.path)?.is_none() => {
                return Ok(Outcome::Failed("could not be mounted, and nothing was said of it".to_owned()));
            }
            _ => {}
        }
        match self.looked(until) {
            Some(Ok(())) => Ok(Outcome::Done),
            Some(Err(error)) => self.gone_again(helper, until, &error),
            None => Ok(Outcome::Slow),
        }
    }

    /// It was mounted and is not any more, or nobody serves it: what served it has said why, and ends or has ended.
    fn gone_again(&self, helper: &mut Helper, until: Instant, error: &io::Error) -> Result<Outcome> {
        let failed = |error| Error::path("wait for the program that mounts", self.path, error);
        let soon = (Instant::now() + Duration::from_millis(500)).min(until);
        until_so(soon, || helper.ended().map(|status| status.is_some()).map_err(failed))?;
        Ok(Outcome::Failed(match helper.words().is_empty() {
            true => format!("could not be mounted: nobody answers in it ({error})"),
            false => "could not be mounted".to_owned(),
        }))
    }

    /// Looks into it, which asks the server: s3fs and rclone mount before they do so. What the kernel remembers of the root
    /// would do for the first question, also when nobody serves it any more; it never does for the second.
    fn looked(&self, until: Instant) -> Option<io::Result<()>> {
        let (path, kind) = (self.path.to_owned(), self.remote.kind);
        within(until, move || {
            match kind {
                Kind::Rclone => std::fs::read_dir(&path)?.next().transpose().map(drop)?,
                _ => path.metadata().map(drop)?,
            }
            Ok(rustix::fs::statvfs(&path).map(drop)?)
        })
    }

    /// What must be true of a mount of ours.
    fn settle(&self, helper: &mut Helper, until: Instant) -> Result<Outcome> {
        match mount_change(self.path, MountPropagationFlags::PRIVATE) {
            Ok(()) => {}
            // What was looked at was the folder below it.
            Err(errno @ Errno::INVAL) => return self.gone_again(helper, until, &errno.into()),
            Err(errno) => return Err(Error::path("make private", self.path, errno)),
        }
        match mounted::at(self.path)? {
            Some(mount) if mount.has("nosuid") && mount.has("nodev") => Ok(Outcome::Done),
            None => self.gone_again(helper, until, &Errno::NOENT.into()),
            Some(_) => {
                Err(self.error("was mounted without nosuid and nodev", "", "take another type of volume"))
            }
        }
    }

    /// Others were at it for the whole time.
    pub(super) fn crowded(&self) -> Error {
        self.error(&self.slow(), "others who mount or unmount it wait for it as well", self.remedy())
    }

    fn slow(&self) -> String {
        format!("did not answer within {} s", self.patience.as_secs_f64())
    }

    fn remedy(&self) -> &'static str {
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let is_known = known.split_whitespace().any(|word| word == self.remote.kind.file_system());
        match (is_known, self.remote.kind) {
            (true, _) => {
                "check that the server runs, that this host may reach it, and what the credentials are"
            }
            (false, Kind::Nfs | Kind::Nfs4) => {
                "this kernel has no NFS now: load its module nfs, or take another type"
            }
            (false, Kind::Cifs) => "this kernel has no CIFS now: load its module cifs, or take another type",
            (false, _) => "this kernel has no FUSE now: load its module fuse, or take another type",
        }
    }

    fn error(&self, problem: &str, words: &str, remedy: &'static str) -> Error {
        let problem = match words.is_empty() {
            true => problem.to_owned(),
            false => format!("{problem}: {words}"),
        };
        Error::Remote { volume: self.volume.to_owned(), server: self.remote.server(), problem, remedy }
    }
}

/// The program that served it is dead, or the server has forgotten us: whoever has it mounted has nothing of it any more.
fn is_dead(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOTCONN | Errno::CONNABORTED | Errno::STALE))
}
