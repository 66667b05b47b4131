//! Removing a folder made by a test, without ever following a mount out of it.

use std::fs;
use std::io;
use std::path::Path;

use crate::proc::mounts;

/// Removes `path` and what is below it. "Not there" is success.
///
/// # Errors
/// When a mount lies at or below `path` (a bind mount would lead the removal into somebody else's files), and whatever
/// unlink(2) and rmdir(2) say.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    if let Some(mount) = mounts::of_self()?.iter().find(|mount| mount.point.starts_with(path)) {
        return Err(io::Error::other(format!("{} is still mounted", mount.point.display())));
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => remove_below(path),
        Ok(_) => fs::remove_file(path),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(err),
    }
}

fn remove_below(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let removed = if entry.file_type()?.is_dir() {
            remove_below(&entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        match removed {
            // The monitor may be at the same work.
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let gone = dir.path().join("gone");
        fs::create_dir_all(gone.join("a/b")).unwrap();
        std::os::unix::fs::symlink(&kept, gone.join("a/link")).unwrap();
        remove_tree(&gone).unwrap();
        assert!(!gone.exists());
        assert!(kept.join("file").is_file());
        remove_tree(&gone).unwrap();
    }

    #[test]
    fn a_folder_with_a_mount_is_refused() {
        let err = remove_tree(Path::new("/proc")).unwrap_err();
        assert!(err.to_string().contains("still mounted"), "{err}");
    }
}
