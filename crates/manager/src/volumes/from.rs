//! The folders and volumes of other containers.

use crate::core::Core;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use tinyd_engine::{BindMount, ContainerSpec, VolumeMount};

impl Core {
    /// What is wanted, with what the other containers have that it names. What it mounts itself is meant instead, and of two
    /// others that mount something at one place the last one counts.
    pub(crate) fn with_volumes_of_others<'a>(
        &self,
        wanted: &'a ContainerSpec,
    ) -> Result<Cow<'a, ContainerSpec>> {
        if wanted.volumes_from.is_empty() {
            return Ok(Cow::Borrowed(wanted));
        }
        let mut spec = wanted.clone();
        let mut taken: Vec<PathBuf> = Vec::new();
        taken.extend(spec.binds.iter().map(|bind| bind.target.clone()));
        taken.extend(spec.volumes.iter().map(|mount| mount.target.clone()));
        taken.extend(spec.images.iter().map(|mount| mount.target.clone()));
        taken.extend(spec.tmpfs.iter().map(|mount| mount.target.clone()));
        let mut free = |target: &Path| {
            let is_free = !taken.iter().any(|other| other.as_path() == target);
            taken.extend(is_free.then(|| target.to_owned()));
            is_free
        };
        for from in wanted.volumes_from.iter().rev() {
            let other = self.known(&self.resolve(&from.container)?, &from.container)?;
            let own = other.volumes.iter().any(|used| used.mount.name.is_none());
            if own && other.spec.remove {
                let problem =
                    "removes itself, and its volumes without a name with it; give them names to share them";
                return Err(Error::invalid("container", &from.container, problem));
            }
            for bind in other.spec.binds.iter().filter(|bind| free(&bind.target)) {
                spec.binds.push(BindMount {
                    read_only: bind.read_only || from.read_only,
                    strict: true,
                    ..bind.clone()
                });
            }
            for used in other.volumes.iter().filter(|used| free(&used.mount.target)) {
                spec.volumes.push(VolumeMount {
                    // Also one that was made for the other: it is not this one's own.
                    name: Some(used.state.name.clone()),
                    target: used.mount.target.clone(),
                    read_only: used.mount.read_only || from.read_only,
                    subpath: used.mount.subpath.clone(),
                    no_copy: true,
                    ..VolumeMount::default()
                });
            }
        }
        Ok(Cow::Owned(spec))
    }
}
