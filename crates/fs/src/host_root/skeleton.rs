//! The folders and files of a skeleton.

use super::{TREES, etc, is_folder, set_mode};
use crate::{Error, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Folders of a root file system, by the Filesystem Hierarchy Standard, with their modes.
const FOLDERS: [(&str, u32); 23] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("home/user", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/local", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

const LINKS: [(&str, &str); 3] =
    [("/run", "var/run"), ("/run/lock", "var/lock"), ("/proc/self/mounts", "etc/mtab")];

/// Makes the skeleton of a root like `host`'s at `root`, which must not exist.
pub(super) fn make(host: &Path, root: &Path) -> Result<()> {
    make_folder(root, 0o755)?;
    for (name, mode) in FOLDERS {
        make_folder(&root.join(name), mode)?;
    }
    rustix::fs::chown(
        root.join("home/user"),
        Some(rustix::fs::Uid::from_raw(1000)),
        Some(rustix::fs::Gid::from_raw(1000)),
    )
    .map_err(Error::path("chown", root.join("home/user")))?;
    for (target, name) in LINKS {
        make_link(Path::new(target), &root.join(name))?;
    }
    for name in TREES {
        let source = host.join(name);
        if is_folder(&source) {
            make_folder(&root.join(name), 0o755)?;
        } else if let Ok(target) = fs::read_link(&source) {
            make_link(&target, &root.join(name))?;
        }
    }
    for name in etc::ALLOWED {
        copy(&host.join("etc").join(name), &root.join("etc").join(name))?;
    }
    write(&root.join("etc/passwd"), etc::PASSWD)?;
    write(&root.join("etc/group"), etc::GROUP)?;
    if !root.join("etc/nsswitch.conf").exists() {
        write(&root.join("etc/nsswitch.conf"), etc::NSSWITCH)?;
    }
    // Mount points of the files that the engine keeps for each container.
    for name in ["hostname", "hosts", "resolv.conf"] {
        write(&root.join("etc").join(name), "")?;
    }
    Ok(())
}

/// Copies what every user may read; links as links. What is missing is left out.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(from) else { return Ok(()) };
    if let Some(folder) = to.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder).map_err(Error::path("make", folder))?;
    }
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(Error::path("read", from))?;
        return make_link(&target, to);
    }
    if meta.is_dir() {
        make_folder(to, 0o755)?;
        for entry in fs::read_dir(from).map_err(Error::path("read", from))? {
            let name = entry.map_err(Error::path("read", from))?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    let readable_by_all = std::os::unix::fs::MetadataExt::mode(&meta) & 0o004 != 0;
    if meta.is_file() && readable_by_all {
        fs::copy(from, to).map_err(Error::path("copy", from))?;
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir(path).map_err(Error::path("make", path))?;
    // Not left to the umask.
    set_mode(path, mode)
}

fn make_link(target: &Path, path: &Path) -> Result<()> {
    symlink(target, path).map_err(Error::path("link", path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::path("write", path))?;
    set_mode(path, 0o644)
}
