//! Removing everything of a container: what a failed verb undoes, what recovery does, and the end of `remove` are one.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{RECORD_FILE, Record, entries, remove_tree, rename, unlink};
use crate::{ids, names, storage};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::path::{Path, PathBuf};

impl Core {
    /// Removes everything of a container, whatever of it is there. Goes on past errors and returns them; without what its record
    /// says, or before its monitor is done, it does not begin.
    ///
    /// The order is that in which a monitor releases a container: name, lease, folder. Whoever finds a folder can repeat
    /// this.
    pub(crate) fn erase(&self, id: &str, name: Option<&str>) -> Vec<Error> {
        let record = match self.last_record(id) {
            Ok(record) => record,
            // Only it tells what else there is of the container: without it that would be left, and nobody would know.
            Err(error) => return vec![error],
        };
        let name = name.or(record.as_ref().and_then(|record| record.spec.name.as_deref()));
        let folder = self.store.container(id);
        let mut steps = vec![self.discard_cgroup(id)];
        if let Err(error) = self.await_monitor(id) {
            steps.push(Err(error));
            return steps.into_iter().filter_map(Result::err).collect();
        }
        steps.extend([
            unlink(&self.store.due(id)),
            unmount_below(&folder, true),
            record.as_ref().map_or(Ok(()), |record| self.leave_networks(record)),
            record.as_ref().map_or(Ok(()), |record| self.unmount_volumes(record)),
            remove_tree(&self.store.run_dir(id)),
            // What a record says is all there is; without one whatever holds the id is its own.
            match (name, &record) {
                (None, Some(_)) => Ok(()),
                (name, _) => names::free(&self.store, name, id),
            },
            match &record {
                Some(record) if record.slot.is_none() => Ok(()),
                _ => ids::release(&self.store, id, record.as_ref().and_then(|record| record.slot)),
            },
        ]);
        let trash = self.store.trash(id);
        let was_whole = record.is_some() && folder.exists();
        steps.push(rename(&folder, &trash));
        if let Some(record) = record.as_ref().filter(|_| was_whole) {
            self.announce(record, "destroy", &[]);
        }
        steps.push(storage::forget(record.as_ref(), &trash));
        // No container uses them any more; the folder in the trash is what the next command goes on for.
        let kept = self.remove_own_volumes(id, record.as_ref());
        // What could not be unmounted or removed only its record tells of: the next command goes on with that.
        let goes_on = !kept.is_empty() || record.as_ref().is_some_and(|record| self.awaits_unmount(record));
        steps.extend(kept.into_iter().map(Err));
        if goes_on {
            // No more of it than that.
            let rest = entries(&trash).unwrap_or_default().into_iter().filter(|name| name != RECORD_FILE);
            steps.extend(rest.map(|name| remove_tree(&trash.join(name))));
            return steps.into_iter().filter_map(Result::err).collect();
        }
        steps.push(remove_tree(&trash));
        // Last: until here nobody else may come to this container.
        steps.push(unlink(&self.store.lock(id)));
        steps.into_iter().filter_map(Result::err).collect()
    }

    /// Removes what a start made outside the container's folder.
    pub(crate) fn discard_run(&self, id: &str) -> Vec<Error> {
        let record = match self.last_record(id) {
            Ok(record) => record,
            Err(error) => return vec![error],
        };
        let killed = self.discard_cgroup(id);
        // It may be at work still: what it takes away is what the next run makes under the same names.
        if let Err(error) = self.await_monitor(id) {
            return killed.err().into_iter().chain([error]).collect();
        }
        let steps = [
            killed,
            record.as_ref().map_or(Ok(()), |record| self.leave_networks(record)),
            record.as_ref().map_or(Ok(()), |record| self.unmount_volumes(record)),
            remove_tree(&self.store.run_dir(id)),
        ];
        steps.into_iter().filter_map(Result::err).collect()
    }

    /// The record of a container that is there, or in the trash; none where it cannot be understood.
    fn last_record(&self, id: &str) -> Result<Option<Record>> {
        let found = match self.store.record(id) {
            Ok(None) => self.store.discarded_record(id),
            found => found,
        };
        match found {
            Err(Error::Record { .. }) => Ok(None),
            found => found,
        }
    }
}

/// The mounts below a folder, in the order in which they were made.
pub(crate) fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>> {
    // The kernel names mounts by their real paths.
    let Ok(folder) = folder.canonicalize() else { return Ok(Vec::new()) };
    let all = tinyd_fs::mountinfo::read().map_err(|source| Error::Tree {
        operation: "look for mounts below",
        path: folder.clone(),
        source: Box::new(source),
    })?;
    Ok(all.into_iter().map(|mount| mount.mount_point).filter(|point| point.starts_with(&folder)).collect())
}

/// Unmounts whatever is mounted below a folder, the last one first. A busy one is an error, or, where the folder goes
/// anyway, taken out of sight: the kernel unmounts it when its last user is gone.
pub(crate) fn unmount_below(folder: &Path, detach: bool) -> Result<()> {
    for point in mounts_below(folder)?.into_iter().rev() {
        let done = match unmount(&point, UnmountFlags::NOFOLLOW) {
            Err(Errno::BUSY) if detach => unmount(&point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH),
            done => done,
        };
        done.map_err(|errno| Error::file("unmount", point, errno))?;
    }
    Ok(())
}
