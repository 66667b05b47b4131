//! `diff`: what a container has changed of its image.

use super::still::in_file;
use crate::bundle;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{BUNDLE_FILE, Record};
use crate::validate::SECRETS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tinyd_engine::{ChangeKind, FileChange, SecretMount};
use tinyd_fs::loop_file;
use tinyd_fs::overlay::{self, Change};

impl Core {
    pub(crate) fn diff(&self, container: &str) -> Result<Vec<FileChange>> {
        let id = self.resolve(container)?;
        let record = self.known(&id, container)?;
        let mut all = match &record.rootfs.storage {
            None => changes(&record)?,
            Some(storage) => {
                loop_file::visit(&storage.file, &storage.folder, || changes(&record)).map_err(in_file)??
            }
        };
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let made = self.mount_points(&record)?;
        Ok(told(without(all, &made)))
    }

    /// Where a start has made folders and files for what is mounted, and those of the trees of the root.
    fn mount_points(&self, record: &Record) -> Result<BTreeSet<PathBuf>> {
        let bundle = bundle::read(&self.store.container_file(&record.id, BUNDLE_FILE))?;
        let mounts = bundle.mounts().clone().unwrap_or_default();
        let trees = record.rootfs.overlays.iter().map(|tree| Path::new("/").join(&tree.target));
        let cwd = bundle.process().as_ref().map(|process| process.cwd().clone());
        let of_secrets = |secret: &SecretMount| {
            // Those in the folder of secrets are not mounted each by itself.
            [secret.target.clone().unwrap_or_default(), PathBuf::from(SECRETS)]
        };
        let secrets = record.spec.secrets.iter().flat_map(of_secrets);
        let mounts = mounts.iter().map(|mount| mount.destination().clone());
        Ok(mounts.chain(trees).chain(cwd).chain(secrets).collect())
    }
}

/// Those of all its trees.
fn changes(record: &Record) -> Result<Vec<Change>> {
    let mut all: Vec<Change> = Vec::new();
    for tree in &record.rootfs.overlays {
        let place = Path::new("/").join(&tree.target);
        let changes = match overlay::changes(&tree.lowers, &tree.upper) {
            // Of a container that was never started there may be nothing in its file.
            Err(error) if record.rootfs.storage.is_some() && is_missing(&error) => continue,
            changes => changes.map_err(|source| Error::Tree {
                operation: "compare with the image the container's",
                path: place.clone(),
                source: Box::new(source),
            })?,
        };
        if !changes.is_empty() && !tree.target.as_os_str().is_empty() {
            all.push(Change { kind: overlay::ChangeKind::Changed, path: place.clone(), empty: false });
        }
        all.extend(changes.into_iter().map(|change| Change { path: place.join(&change.path), ..change }));
    }
    Ok(all)
}

fn is_missing(error: &tinyd_fs::Error) -> bool {
    error.io().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Leaves away what is there only because something is mounted on it: nobody inside has made it, and nothing can be in it.
fn without(changes: Vec<Change>, made: &BTreeSet<PathBuf>) -> Vec<Change> {
    let is_place = |change: &Change| {
        change.kind == overlay::ChangeKind::Added && change.empty && made.contains(&change.path)
    };
    let mut kept: Vec<Change> = Vec::new();
    // From behind, so that what lies in a folder is known before the folder.
    let mut emptied: BTreeSet<PathBuf> = BTreeSet::new();
    for change in changes.into_iter().rev() {
        let above = change.path.parent().map(Path::to_owned);
        let holds = kept.last().is_some_and(|below: &Change| below.path.starts_with(&change.path));
        if is_place(&change) || (!holds && emptied.contains(&change.path)) {
            emptied.extend(above);
            continue;
        }
        kept.push(change);
    }
    kept.reverse();
    kept
}

fn told(changes: Vec<Change>) -> Vec<FileChange> {
    let kind = |kind| match kind {
        overlay::ChangeKind::Added => ChangeKind::Added,
        overlay::ChangeKind::Changed => ChangeKind::Changed,
        overlay::ChangeKind::Deleted => ChangeKind::Deleted,
    };
    let told = |change: Change| FileChange {
        kind: kind(change.kind),
        path: change.path.to_string_lossy().into_owned(),
    };
    changes.into_iter().map(told).collect()
}
