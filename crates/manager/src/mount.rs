//! `mount` and `unmount`: a stopped container's root file system, for the host's other programs.

use crate::core::Core;
use crate::erase::{mounts_below, unmount_below};
use crate::error::{Error, Result};
use crate::life::Life;
use crate::store::let_pass;
use std::path::PathBuf;
use tinyd_runtime::{MountRequest, Request};

impl Core {
    pub(crate) fn mount(&self, word: &str) -> Result<PathBuf> {
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        let merged = self.store.container_file(&id, "merged");
        match self.life(&record, Some(&lock))? {
            Life::Created | Life::Stopped(_) => {}
            Life::Gone(_) => return Err(self.no_such(word)),
            Life::Running(_) => {
                return Err(Error::WrongState {
                    action: "mount",
                    container: record.short().to_owned(),
                    state: "runs",
                    hint: Some("stop it first: its layers can be mounted once at a time"),
                });
            }
        }
        if !mounts_below(&merged)?.is_empty() {
            return Ok(merged);
        }
        // The monitor of a run that has just ended may hold the layers still.
        self.await_monitor(&record.id)?;
        let_pass(&self.store, &id, None)?;
        let request = Request::Mount(Box::new(MountRequest {
            bundle: self.store.container(&id),
            rootfs: record.rootfs.clone(),
            target: merged.clone(),
            id: id.clone(),
        }));
        let mounted = match self.launcher.launch(&self.runtime()?, &request, None, None, &mut || {}) {
            Ok(_) => let_pass(&self.store, &id, record.id_base()),
            Err(source) => {
                Err(Error::Launch { operation: "mount", container: record.short().to_owned(), source })
            }
        };
        match mounted {
            Ok(()) => Ok(merged),
            Err(error) => {
                // What was mounted before the failure goes; the failure is what the caller hears of.
                let _ = unmount_below(&merged, false);
                Err(error)
            }
        }
    }

    pub(crate) fn unmount(&self, word: &str) -> Result<String> {
        let id = self.resolve(word)?;
        let _lock = self.guard(&id)?;
        let merged = self.store.container_file(&id, "merged");
        if mounts_below(&merged)?.is_empty() {
            return Err(Error::WrongState {
                action: "unmount",
                container: crate::ids::short(&id).to_owned(),
                state: "is not mounted",
                hint: None,
            });
        }
        unmount_below(&merged, false)?;
        let_pass(&self.store, &id, None)?;
        Ok(id)
    }
}
