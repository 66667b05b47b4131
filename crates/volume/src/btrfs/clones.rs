//! A clone is a writable snapshot of a volume, in a folder of its own.

use super::store::{COMPRESS, Store, compress, options};
use super::{BtrfsDriver, quota};
use crate::{Clones, Error, Result, VolumeDriver, VolumeSpec, VolumeState};
use std::os::fd::AsFd;

impl Clones for BtrfsDriver {
    fn clone_volume(&self, volume: &VolumeState, wanted: &VolumeSpec) -> Result<VolumeState> {
        let (_pool, origin) = self.look(volume)?;
        self.validate(wanted)?;
        let data = origin.whole_data("clone")?;
        self.make(wanted, |store| store.begin_as(data.as_fd(), "clone into"))
    }
}

impl BtrfsDriver {
    /// Makes a volume out of what `begin` puts into `next`.
    pub(super) fn make(
        &self,
        wanted: &VolumeSpec,
        begin: impl FnOnce(&Store<'_>) -> Result<std::os::fd::OwnedFd>,
    ) -> Result<VolumeState> {
        let name = &wanted.name;
        let _users = self.lock(name)?;
        let pool = self.places.open_or_make()?;
        if self.places.is_file()? {
            super::file::check_room(&self.places.place, &self.places.options, name, "be made")?;
        }
        let store = Store::make(&pool, name)?;
        let failed = |operation| move |errno| Error::volume(operation, name, errno);
        let fill = || {
            let next = begin(&store)?;
            if let Some(how) = wanted.options.get(COMPRESS) {
                compress(next.as_fd(), how).map_err(failed("set the compression of"))?;
            }
            // A clone has the limit of its origin until it is given one, or none.
            quota::set(next.as_fd(), wanted.size_bytes).map_err(failed("limit"))?;
            let options = options(next.as_fd()).map_err(failed("look at"))?;
            store.finish()?;
            self.state(name, options)
        };
        match fill() {
            Ok(state) => Ok(state),
            Err(error) => {
                // What stays is taken away by the next call for this name; the error that is told is the first.
                let _ = store.remove(&pool);
                let _ = std::fs::remove_dir(self.users_folder(name));
                Err(error)
            }
        }
    }
}
