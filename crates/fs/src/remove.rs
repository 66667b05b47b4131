//! Removing a tree, whatever was done to it meanwhile.

use crate::{Error, Result};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Removes a file, or a folder with everything below it. What is not there (any more) is no error.
///
/// No link is followed and no mount is entered: a folder that something is mounted on is an error (`EBUSY`). Any depth
/// takes the same few descriptors.
pub fn remove_tree(path: &Path) -> Result<()> {
    remove_at(CWD, path.as_os_str()).map_err(Error::path("remove", path))
}

/// As [`remove_tree`], of a name in a folder: whatever the folder's own path has come to lead to.
pub fn remove_tree_in(folder: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    remove_at(folder, name).map_err(Error::path("remove", name))
}

pub(crate) fn remove_at(at: BorrowedFd<'_>, name: &OsStr) -> std::result::Result<(), Errno> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    // Before it is opened, which would lead to what is mounted on it.
    match unlinkat(at, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let Some(folder) = open_folder(at, name)? else { return Ok(()) };
    empty(folder)?;
    ignore_missing(unlinkat(at, name, AtFlags::REMOVEDIR))
}

/// A folder on the way down, so that coming up again can be checked.
struct Level {
    device: u64,
    inode: u64,
    /// The folder that is being emptied inside it.
    name: CString,
}

fn empty(top: OwnedFd) -> std::result::Result<(), Errno> {
    let mut levels: Vec<Level> = Vec::new();
    let mut current = top;
    let device = fstat(&current)?.st_dev;
    loop {
        match first_folder_after_files(&current)? {
            Some(name) => {
                let Some(below) = open_folder(&current, OsStr::from_bytes(name.to_bytes()))? else {
                    continue;
                };
                let stat = fstat(&current)?;
                if fstat(&below)?.st_dev != device {
                    return Err(Errno::BUSY);
                }
                levels.push(Level { device: stat.st_dev, inode: stat.st_ino, name });
                current = below;
            }
            None => {
                let Some(level) = levels.pop() else { return Ok(()) };
                let above = openat(&current, "..", folder_flags(), Mode::empty())?;
                let stat = fstat(&above)?;
                if (stat.st_dev, stat.st_ino) != (level.device, level.inode) {
                    // Someone moved the folder while it was being emptied: `..` leads elsewhere now.
                    return Err(Errno::AGAIN);
                }
                ignore_missing(unlinkat(&above, &level.name, AtFlags::REMOVEDIR))?;
                current = above;
            }
        }
    }
}

/// Removes the files of a folder, and the name of a folder in it, if it has one.
fn first_folder_after_files(folder: &OwnedFd) -> std::result::Result<Option<CString>, Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            match unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Some(name.to_owned())),
                Err(errno) => return Err(errno),
            }
        }
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // File systems that do not tell the type in the folder.
            Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

fn open_folder(at: impl std::os::fd::AsFd, name: &OsStr) -> std::result::Result<Option<OwnedFd>, Errno> {
    match openat(at, name, folder_flags(), Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn ignore_missing(result: std::result::Result<(), Errno>) -> std::result::Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_removed_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::create_dir_all(tree.join("a/d")).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("kept"), "x").unwrap();
        std::fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(&other, tree.join("a/b/link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(other.join("kept").exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "a skip must be visible")]
    fn root_what_is_mounted_on_it_is_not_entered() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("SKIPPED: root_what_is_mounted_on_it_is_not_entered needs root");
        }
        let folder = tempfile::tempdir().unwrap();
        let (tree, disk) = (folder.path().join("tree"), folder.path().join("disk"));
        [&tree, &disk].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
        std::fs::write(disk.join("precious"), "x").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                crate::mount::private_namespace().unwrap();
                rustix::mount::mount_bind(&disk, &tree).unwrap();
                let error = remove_tree(&tree).unwrap_err();
                assert_eq!(
                    error.io().and_then(std::io::Error::raw_os_error),
                    Some(Errno::BUSY.raw_os_error())
                );
                assert!(disk.join("precious").exists());
            });
        });
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn depth_costs_no_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let mut at = std::fs::File::open(folder.path()).map(OwnedFd::from).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = openat(&at, "deep", folder_flags(), Mode::empty()).unwrap();
        }
        drop(at);
        remove_tree(&folder.path().join("deep")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
