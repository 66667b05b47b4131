//! A container's folder: made in one go, relative to descriptors, so that no path is walked twice.

use super::{BUNDLE_FILE, RECORD_FILE, Store};
use crate::error::{Error, Result};
use crate::restart::RESTART_FILE;
use crate::storage::{self, Layers};
use rustix::fs::{Gid, Mode, OFlags};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is written into a new container's folder.
pub(crate) struct Contents<'a> {
    /// `config.json`.
    pub bundle: &'a [u8],
    /// `container.json`.
    pub record: &'a [u8],
    /// `/etc/hostname`.
    pub hostname: &'a str,
    /// `/etc/hosts`.
    pub hosts: &'a str,
    /// `/etc/resolv.conf`.
    pub resolv_conf: &'a str,
    /// How many overlays lie below the root's own.
    pub trees: usize,
    /// Where the layers lie that are written. Those in a file are made when it is first mounted.
    pub layers: Layers,
    /// `restart.json`, where it has a policy.
    pub restart: Option<&'a [u8]>,
}

/// Makes the folder of a container that nobody knows yet: its intent covers it, so nothing is renamed into place.
pub(crate) fn make_empty(store: &Store, id: &str) -> Result<()> {
    let path = store.container(id);
    rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)).map_err(|errno| Error::file("make", path, errno))
}

/// Fills a folder that was just made.
pub(crate) fn fill(store: &Store, id: &str, contents: &Contents<'_>) -> Result<()> {
    let root = Folder::open(store.container(id))?;
    // What the command sees as its root folder is the upper layer's: open to every user inside.
    match contents.layers {
        Layers::Plain => root.make_layers(contents.trees)?,
        Layers::Held(size) => {
            root.make(storage::FOLDER, 0o700)?;
            let folder = root.path.join(storage::FOLDER);
            storage::hold(&folder, size)?;
            Folder::open(folder)?.make_layers(contents.trees)?;
        }
        Layers::InFile => root.make(storage::FOLDER, 0o700)?,
    }
    root.make("merged", 0o755)?;
    root.make("logs", 0o700)?;
    root.write("hostname", 0o644, contents.hostname.as_bytes())?;
    root.write("hosts", 0o644, contents.hosts.as_bytes())?;
    root.write("resolv.conf", 0o644, contents.resolv_conf.as_bytes())?;
    if let Some(state) = contents.restart {
        root.write(RESTART_FILE, 0o600, state)?;
    }
    root.write(BUNDLE_FILE, 0o600, contents.bundle)?;
    // The record comes last: with it the container is whole.
    root.write(RECORD_FILE, 0o600, contents.record)
}

/// Lets a group pass through a container's folder, or nobody: the group is root's of a user namespace, as which another
/// runtime reaches a mounted root by its path.
///
/// Not while layers are being put together: a folder whose group has no number inside cannot be entered through a mount
/// with mapped ids, not even by root.
pub(crate) fn let_pass(store: &Store, id: &str, group: Option<u32>) -> Result<()> {
    let path = store.container(id);
    let mode = if group.is_some() { 0o710 } else { 0o700 };
    rustix::fs::chown(&path, None, Some(Gid::from_raw(group.unwrap_or(0))))
        .and_then(|()| rustix::fs::chmod(&path, Mode::from_raw_mode(mode)))
        .map_err(|errno| Error::file("set the mode of", &path, errno))
}

struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    fn open(path: PathBuf) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(errno) => Err(Error::file("open", path, errno)),
        }
    }

    fn make(&self, name: &str, mode: u32) -> Result<()> {
        let wanted = Mode::from_raw_mode(mode);
        let made = rustix::fs::mkdirat(&self.fd, name, wanted).and_then(|()| match may_be_masked(mode) {
            true => rustix::fs::chmodat(&self.fd, name, wanted, rustix::fs::AtFlags::empty()),
            false => Ok(()),
        });
        made.map_err(|errno| Error::file("make", self.path.join(name), errno))
    }

    /// The layers of the root's own overlay, and of those below it.
    fn make_layers(&self, trees: usize) -> Result<()> {
        self.make("upper", 0o755)?;
        self.make("work", 0o700)?;
        if trees > 0 {
            self.make("trees", 0o700)?;
        }
        for tree in 0..trees {
            self.make(&format!("trees/{tree}"), 0o700)?;
            self.make(&format!("trees/{tree}/upper"), 0o755)?;
            self.make(&format!("trees/{tree}/work"), 0o700)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        write_new(self.fd.as_fd(), Path::new(name), mode, bytes)
            .map_err(|errno| Error::file("write", self.path.join(name), errno))
    }
}

fn write_new(folder: BorrowedFd<'_>, name: &Path, mode: u32, mut bytes: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let wanted = Mode::from_raw_mode(mode);
    let file = rustix::fs::openat(folder, name, flags, wanted)?;
    if may_be_masked(mode) {
        rustix::fs::fchmod(&file, wanted)?;
    }
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// A umask that takes rights from the owner itself is nobody's; one that takes them from others is common.
fn may_be_masked(mode: u32) -> bool {
    mode & 0o077 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn pure_a_folder_is_whole_and_has_its_modes() {
        let (_place, store) = testing::store();
        let id = "1".repeat(32);
        let contents = Contents {
            bundle: b"{}",
            record: b"[]",
            hostname: "h\n",
            hosts: "hosts\n",
            resolv_conf: "",
            layers: Layers::Plain,
            restart: None,
            trees: 2,
        };
        make_empty(&store, &id).unwrap();
        fill(&store, &id, &contents).unwrap();
        let mode =
            |name: &str| store.container_file(&id, name).metadata().unwrap().permissions().mode() & 0o7777;
        for (name, wanted) in [
            ("", 0o700),
            ("upper", 0o755),
            ("work", 0o700),
            ("merged", 0o755),
            ("trees/1/upper", 0o755),
            ("trees/1/work", 0o700),
            ("hosts", 0o644),
            ("config.json", 0o600),
        ] {
            assert_eq!(mode(name), wanted, "{name}");
        }
        assert_eq!(std::fs::read(store.container_file(&id, "hosts")).unwrap(), b"hosts\n");
        // An id is never given twice.
        assert!(make_empty(&store, &id).is_err());
    }
}
