//! The volumes of a container that runs, which their drivers mount on the host for it.

use crate::bundle::mounts::source_of;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::life::Life;
use crate::lock::ContainerLock;
use crate::store::{BUNDLE_FILE, Record, UsedVolume, entries, make_folder};
use oci_spec::runtime::Spec;
use rustix::io::Errno;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tinyd_runtime::Release;
use tinyd_runtime::state;
use tinyd_volume::{Unmounting, VolumeDriver, VolumeState};

/// How long after a driver could not unmount a volume the next command tries again.
const RETRY: Duration = Duration::from_secs(60);

/// Longer than one takes that answers.
const SLOW: Duration = Duration::from_secs(2);

/// Whether a driver gave no answer to a command that tidies up: it holds that command up once, and the next a minute later.
#[derive(Default)]
pub(crate) struct Silent(bool);

impl Silent {
    /// Does what may have to wait for a driver; `work` tells whether it succeeded.
    pub(crate) fn unless(&mut self, core: &Core, id: &str, work: impl FnOnce() -> bool) {
        if !core.unmount_is_due(id) {
            return;
        }
        let mark = core.store.unmount_mark(id);
        let awaited = mark.exists();
        if self.0 && awaited {
            // Their turn comes before that one's who was waited for.
            return core.set_unmount(id, RETRY / 2);
        }
        let begun = Instant::now();
        self.0 |= !work() && begun.elapsed() > SLOW && (awaited || mark.exists());
    }
}

impl Core {
    /// Has the volumes of a container mounted, and filled where that could not be done before. What is mounted when it fails is
    /// for the caller to undo, as the start that it is a part of.
    pub(crate) fn mount_volumes(&self, record: &Record) -> Result<()> {
        if record.volumes.is_empty() {
            return Ok(());
        }
        if record.volumes.iter().any(|used| self.needs_its_driver(&used.state)) {
            let mark = self.store.unmount_mark(&record.id);
            mark.parent().map_or(Ok(()), |folder| make_folder(folder, 0o700))?;
            make_folder(&mark, 0o700)?;
        }
        let (mut elsewhere, mut mounted) = (Vec::new(), Vec::new());
        for used in &record.volumes {
            let driver = self.driver_of(&used.state)?;
            // Nobody turns one that has earlier states back to one of them meanwhile; who comes later sees that this container is
            // being started. Nor does anybody remove one, of any kind: the container's record says that it is used. So it is
            // not held while a server is waited for, which would keep everybody from all other volumes.
            let held = driver.snapshots().map(|_| self.volume_records().shared()).transpose()?;
            let path = driver.mount(&used.state, &record.id).map_err(|source| Error::Volume { source })?;
            self.announce_of("volume", "mount", &used.state.name, &[("container", record.id.clone())]);
            if path != used.state.path {
                elsewhere.push((used.mount.target.clone(), source_of(used, &path)));
            }
            drop(held);
            if !driver.is_plain(&used.state) {
                mounted.push((used, path));
            }
        }
        for (used, path) in mounted {
            self.fill_volume(record, used, &path)?;
        }
        match elsewhere.is_empty() {
            true => Ok(()),
            false => self.tell_bundle(record, &elsewhere),
        }
    }

    /// Its driver said only now where a volume is.
    fn tell_bundle(&self, record: &Record, places: &[(PathBuf, PathBuf)]) -> Result<()> {
        let file = self.store.container_file(&record.id, BUNDLE_FILE);
        let failed = |source| Error::Record { path: file.clone(), source };
        let text = fs::read(&file).map_err(|error| Error::file("read", &file, error))?;
        let mut bundle: Spec = serde_json::from_slice(&text).map_err(failed)?;
        let mut mounts = bundle.mounts().clone().unwrap_or_default();
        for mount in &mut mounts {
            if let Some((_, path)) = places.iter().find(|(target, _)| target == mount.destination()) {
                mount.set_source(Some(path.clone()));
            }
        }
        bundle.set_mounts(Some(mounts));
        state::store(&file, &bundle, false).map_err(|error| Error::file("write", file, error))
    }

    /// Has nothing mounted for a container any more. Goes on past errors and returns the first.
    pub(crate) fn unmount_volumes(&self, record: &Record) -> Result<()> {
        let mut first = Ok(());
        for used in &record.volumes {
            let done = self.driver_of(&used.state).and_then(|driver| {
                driver.unmount(&used.state, &record.id).map_err(|source| Error::Volume { source })
            });
            first = first.and(done);
        }
        match first {
            Ok(()) => self.unmark(&record.id),
            Err(error) => {
                self.postpone_unmount(&record.id);
                Err(error)
            }
        }
    }

    /// Something is mounted for a container still, of what can be unmounted without asking another program.
    fn has_mounted(&self, record: &Record) -> bool {
        let noted = |used: &UsedVolume| {
            let unmounting = self.driver_of(&used.state).ok()?.unmounting(&used.state)?;
            Some(fs::symlink_metadata(unmounting.users.join(&record.id)))
        };
        // Who cannot look does not know that it is gone.
        let is_there = |looked: std::io::Result<_>| {
            !looked.is_err_and(|error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound)
        };
        record.volumes.iter().filter_map(noted).any(is_there)
    }

    /// Those for whom a volume is mounted and who are gone: containers that do not run, commands that died.
    pub(crate) fn lost_users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        let mut users = self.driver_of(volume)?.users(volume).map_err(|source| Error::Volume { source })?;
        let mut lost = Vec::new();
        for user in users.drain(..) {
            let lives = self.store.intent(&user).exists()
                || self.monitored(&user)
                || self.store.trash(&user).exists()
                || self.is_visited_by(&user)?
                || match ids::is_id(&user).then(|| self.store.record(&user)).transpose()?.flatten() {
                    Some(record) => self.container_runs(&record)?,
                    None => false,
                };
            lost.extend((!lives).then_some(user));
        }
        Ok(lost)
    }

    fn unmark(&self, id: &str) -> Result<()> {
        let mark = self.store.unmount_mark(id);
        match rustix::fs::rmdir(&mark) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::file("remove", mark, errno)),
        }
    }

    /// How the monitor does that when the container has ended.
    pub(crate) fn release_volumes(&self, record: &Record) -> Vec<Release> {
        let step = |state: &VolumeState| {
            let unmounting = self.driver_of(state).ok()?.unmounting(state)?;
            let user = record.id.clone();
            let Unmounting { point, users, program } = unmounting;
            Some(Release::Unmount { point, users, user, program })
        };
        let container = [("container", record.id.clone())];
        let told = |used: &UsedVolume| self.announcing("volume", "unmount", &used.state.name, &container);
        record.volumes.iter().flat_map(|used| step(&used.state).into_iter().chain([told(used)])).collect()
    }

    /// What only a driver can unmount, the next command has it unmount: containers with such volumes have a mark.
    pub(crate) fn unmount_left(&self, silent: &mut Silent) -> Result<()> {
        let marks = entries(&self.store.run_root().join("unmount"))?;
        for id in marks.into_iter().filter(|id| ids::is_id(id)) {
            // What cannot be unmounted now is tried again, and keeps nobody from other containers.
            silent.unless(self, &id, || {
                self.unmount_left_of(&id).inspect_err(|_| self.postpone_unmount(&id)).is_ok()
            });
        }
        Ok(())
    }

    /// Whoever comes by may try again.
    fn unmount_is_due(&self, id: &str) -> bool {
        let mark = self.store.unmount_mark(id).symlink_metadata();
        let Ok(not_before) = mark.and_then(|mark| mark.modified()) else { return true };
        not_before.duration_since(SystemTime::now()).map_or(true, |wait| wait > RETRY)
    }

    pub(crate) fn postpone_unmount(&self, id: &str) {
        self.set_unmount(id, RETRY);
    }

    /// The time of a mark is the one before which nobody need try. What cannot be noted is tried earlier.
    fn set_unmount(&self, id: &str, pause: Duration) {
        let file = fs::File::open(self.store.unmount_mark(id));
        drop(file.and_then(|file| file.set_modified(SystemTime::now() + pause)));
    }

    /// It may be that something is mounted for a container still.
    pub(crate) fn awaits_unmount(&self, record: &Record) -> bool {
        self.has_mounted(record) || self.store.unmount_mark(&record.id).exists()
    }

    fn unmount_left_of(&self, id: &str) -> Result<()> {
        if self.store.unmount_mark(id).is_file() {
            return self.unmount_visit(id);
        }
        if self.store.intent(id).exists() || self.monitored(id) {
            return Ok(());
        }
        let Some(lock) = ContainerLock::try_acquire(&self.store, id)? else { return Ok(()) };
        let record = match self.store.record(id)? {
            Some(record) if matches!(self.life(&record, Some(&lock))?, Life::Running(_)) => return Ok(()),
            Some(record) => Some(record),
            None => self.store.discarded_record(id)?,
        };
        match record {
            Some(record) => self.unmount_volumes(&record),
            // Who removed the container had them unmounted.
            None => self.unmark(id),
        }
    }

    /// Its end for a user is more than a monitor knows how to do.
    pub(crate) fn needs_its_driver(&self, volume: &VolumeState) -> bool {
        let done_without =
            |driver: &dyn VolumeDriver| driver.is_plain(volume) || driver.unmounting(volume).is_some();
        !self.driver_of(volume).is_ok_and(|driver| done_without(driver.as_ref()))
    }
}
