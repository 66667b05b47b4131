//! The secrets of a container, as the runtime is asked for them.

use super::SecretRecord;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::store::RecordsLock;
use crate::validate::SECRETS;
use std::path::{Path, PathBuf};
use tinyd_engine::{ContainerSpec, SecretMount, UserNamespace};
use tinyd_runtime::{SecretFile, SecretMount as Wanted};

impl Core {
    /// Checks that a container can have its secrets.
    pub(crate) fn check_secrets(&self, spec: &ContainerSpec) -> Result<()> {
        for secret in &spec.secrets {
            for (field, id) in [("owner of a secret", secret.uid), ("group of a secret", secret.gid)] {
                if let Some(id) = id.filter(|id| spec.userns == UserNamespace::Auto && *id >= ids::RANGE) {
                    let problem = format!(
                        "lies outside the {} ids of its user namespace (see --userns host)",
                        ids::RANGE
                    );
                    return Err(Error::invalid(field, id.to_string(), problem));
                }
            }
            self.file_of(secret)?;
        }
        Ok(())
    }

    /// The secrets of a container, which nobody removes while the lock is there.
    pub(crate) fn hold_secrets(&self, spec: &ContainerSpec) -> Result<Option<RecordsLock<SecretRecord>>> {
        if spec.secrets.is_empty() {
            return Ok(None);
        }
        let held = self.secret_records().shared()?;
        self.check_secrets(spec)?;
        Ok(Some(held))
    }

    /// Where the runtime finds the secrets of a container, and where they are read inside.
    pub(crate) fn secret_mounts(&self, spec: &ContainerSpec) -> Result<Vec<Wanted>> {
        let folder = Path::new(SECRETS);
        let (mut named, mut mounts) = (Vec::new(), Vec::new());
        for secret in &spec.secrets {
            let target = secret.target.clone().unwrap_or_else(|| folder.join(&secret.name));
            let file = SecretFile {
                secret: secret.name.clone(),
                source: self.file_of(secret)?,
                name: target.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                uid: secret.uid,
                gid: secret.gid,
                mode: secret.mode.unwrap_or(0o400),
            };
            match target.parent() == Some(folder) {
                true => named.push(file),
                false => mounts.push(Wanted::File { target, file }),
            }
        }
        if !named.is_empty() {
            mounts.insert(0, Wanted::Folder { target: folder.to_owned(), files: named });
        }
        Ok(mounts)
    }

    /// What is wrong with a secret.
    pub(crate) fn check_secret(&self, name: &str) -> Result<()> {
        self.file_of(&SecretMount::named(name)).map(drop)
    }

    /// The file that has what a secret holds.
    fn file_of(&self, secret: &SecretMount) -> Result<PathBuf> {
        let record = self.known_secret(&secret.name)?;
        let file = self.secret_data().join(record.id);
        match std::fs::symlink_metadata(&file) {
            Ok(_) => Ok(file),
            Err(error) => Err(Error::file("read what the secret holds in", file, error)),
        }
    }
}
