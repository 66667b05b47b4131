//! Volumes on other hosts and in stores of the cloud.

mod command;
mod credentials;
mod gone;
mod helper;
mod kind;
mod marked;
mod mount;
mod settle;
#[cfg(test)]
mod tests;
mod wanted;

use crate::patience::WHOLE;
use crate::slot::Slot;
use crate::{Error, Result, Unmounting, VolumeDriver, VolumeInfo, VolumeSpec, VolumeState, check_name};
use settle::Settle;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wanted::Wanted;

/// The driver's word.
const NAME: &str = "remote";

/// What unmounts a volume whose server may be gone.
const UMOUNT: &str = "umount";

/// Volumes on servers, each mounted for its first user by the program that the host has for that, and unmounted with the
/// last.
///
/// | option | |
/// |---|---|
/// | `type` | `nfs`, `nfs4`, `cifs`, `sshfs`, `s3` (by s3fs), `rclone` |
/// | `device` | `HOST:/PATH` (nfs; `:/PATH` with `addr=HOST` in `o`), `//HOST/SHARE`, `[USER@]HOST:[PATH]`, `BUCKET[:/FOLDER]`, `REMOTE:[PATH]` |
/// | `o` | the program's own words, with commas between; only those that cannot matter to the host |
/// | `credentials` | a file that is root's alone (mode 0600): of mount.cifs, a private key or a password for ssh, `KEY:SECRET`, rclone's configuration |
/// | `url` | s3: the endpoint of a store that is not Amazon's |
/// | `known_hosts` | sshfs: keys of servers; root's own without it |
/// | `cache` | rclone: a folder for files on their way, without which files can only be written from begin to end |
///
/// What was closed in a volume is at its server; with a `cache` it is on its way, which ends by itself also after the last
/// user. A volume is made without a word to its server. A server that does not answer within ten seconds is an error, and nothing
/// of it stays: no mount, no process. The data on the server is never removed.
#[derive(Clone, Debug)]
pub struct RemoteDriver {
    run: PathBuf,
    patience: Duration,
    settle: Option<Settle>,
}

impl RemoteDriver {
    /// Volumes that are mounted below a folder that need not last longer than the mounts.
    #[must_use]
    pub fn new(run: PathBuf) -> Self {
        Self { run, patience: WHOLE, settle: None }
    }

    /// Has the programs that serve mounts (sshfs, s3fs, rclone) live elsewhere than their caller, who may end before the users of
    /// the volume do: each writes `0` to every one of these files, as to `cgroup.procs`, before it does anything else. `places`
    /// is asked at each mount; where it tells none, or one cannot be written to, they stay where they are.
    #[must_use]
    pub fn with_place(mut self, places: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static) -> Self {
        self.settle = Some(Settle::new(places));
        self
    }
}

impl VolumeDriver for RemoteDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn shows_what_is_named(&self) -> bool {
        true
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        check_name("volume name", &wanted.name)?;
        let refuse =
            |what, value, problem: &'static str| Err(Error::Invalid { what, value, problem: problem.into() });
        if let Some(source) = &wanted.source {
            let problem = "is of this host: the option device says what the driver remote mounts";
            return refuse("mount source", source.display().to_string(), problem);
        }
        if let Some(size) = wanted.size_bytes {
            return refuse("volume size", size.to_string(), "cannot be set for what a server has");
        }
        let remote = Wanted::of(&wanted.options)?;
        remote.check_files()?;
        mount::program(&remote, &wanted.name).map(drop)
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        let slot = Slot::make(&self.run, &wanted.name)?;
        let (driver, name, path) = (NAME.to_owned(), wanted.name.clone(), slot.data());
        Ok(VolumeState { driver, name, path, made: Vec::new(), options: wanted.options.clone() })
    }

    /// Whether it has been made, since the machine started. The server is not asked, for it may not answer.
    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(NAME)?;
        Ok(VolumeInfo { available: Slot::of(volume).is_there()?, is_folder: true })
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        Ok(Vec::new())
    }

    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        volume.expect_driver(NAME)?;
        let (remote, slot) = (Wanted::of(&volume.options)?, Slot::of(volume));
        let place = slot.data();
        // Also those who wait for each other wait no longer.
        let until = Instant::now() + self.patience;
        let attempt = mount::Attempt {
            remote: &remote,
            volume: &volume.name,
            path: &place,
            settle: self.settle.as_ref(),
            patience: self.patience,
            until,
        };
        let attach = |_: &Path, is_mounted: bool| {
            let is_shared = slot.users()?.iter().any(|other| other != user);
            attempt.mount(is_mounted, is_shared)
        };
        slot.mount_until(until, user, attach)?.ok_or_else(|| attempt.crowded())
    }

    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).unmount(user, |path| gone::take_away(path, may_finish(volume)))
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).remove(|path| gone::take_away(path, may_finish(volume)))
    }

    fn unmounting(&self, volume: &VolumeState) -> Option<Unmounting> {
        let program = helper::find(UMOUNT).filter(|_| !may_finish(volume))?;
        Some(Unmounting { program: Some(program), ..Slot::of(volume).unmounting() })
    }

    fn asks_others(&self, _: &VolumeState) -> bool {
        true
    }

    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).users()
    }
}

/// What serves a volume with a cache may have files that are closed and not yet at the server.
fn may_finish(volume: &VolumeState) -> bool {
    volume.options.contains_key("cache")
}
