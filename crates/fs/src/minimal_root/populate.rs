//! Copying programs with what they need.

use super::libraries::{By, Host};
use super::open_root;
use crate::{Error, Result, resolve};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How long a file may be: a hostile one has holes of exabytes, which a copy would fill a disk with.
const MAX_FILE: u64 = 1 << 30;

/// Copies `/bin/sh` and everything it needs from the file system at `host` (`/` is this machine) into the root, so that
/// `/bin/sh -c true` runs there. Gives the paths of what was copied, as they are in the root.
///
/// Its interpreter and libraries are found by reading the files, as the dynamic linker would find them (ld.so(8)); nothing of
/// `host` is run. Both sides' links are followed inside them. What was there under a copied file's name is replaced.
///
/// # Errors
/// [`Error::MissingLibrary`], [`Error::Program`] for files that are not as elf(5) says.
pub fn populate(root: &Path, host: &Path) -> Result<Vec<PathBuf>> {
    populate_with(root, host, &[Path::new("/bin/sh")])
}

/// As [`populate`], of other programs: absolute paths in `host`, which they have in the root too.
pub fn populate_with(root: &Path, host: &Path, programs: &[&Path]) -> Result<Vec<PathBuf>> {
    let host = Host::open(host)?;
    let top = open_root(root)?;
    let mut copied = BTreeSet::new();
    let mut copy = |file: &File, put: &Path| {
        if copied.insert(put.to_owned()) {
            let failed = Error::path("copy", root.join(put.strip_prefix("/").unwrap_or(put)));
            copy_file(file, &top, put).map_err(failed)?;
        }
        Ok::<_, Error>(())
    };
    for program in programs {
        if !program.is_absolute() {
            return Err(Error::path("copy", *program)(Errno::INVAL));
        }
        let closure = host.closure(program)?;
        // Which folders a dynamic linker looks into by itself was settled when it was built: a library that was found in
        // one shows it. Without any, where the linker itself lies is the best guess.
        let standard = closure.iter().find(|found| found.by == By::Standard).or(closure.get(1));
        let standard = standard.and_then(|found| found.put.parent()).map(Path::to_owned);
        for found in &closure {
            copy(&found.file, &found.put)?;
            match (found.by, &standard) {
                (By::Cache, _) => {
                    let cache = Path::new("/etc/ld.so.cache");
                    copy(&host.file(cache).map_err(Error::path("open", cache))?, cache)?;
                }
                // There is no cache to find it by, so a link goes where the dynamic linker looks.
                (By::Configuration, Some(folder)) => {
                    let failed = Error::path("link", root.join(folder.strip_prefix("/").unwrap_or(folder)));
                    link(&found.put, &top, folder).map_err(failed)?;
                }
                _ => {}
            }
        }
    }
    Ok(copied.into_iter().collect())
}

fn copy_file(mut from: &File, root: &OwnedFd, path: &Path) -> std::io::Result<()> {
    let meta = from.metadata()?;
    if meta.len() > MAX_FILE {
        return Err(Errno::FBIG.into());
    }
    let (folder, name) = place(root, path)?;
    // Not written into what is there, which may be a link or be run by somebody.
    remove(&folder, &name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut to = File::from(openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR)?);
    std::io::Seek::rewind(&mut from)?;
    std::io::copy(&mut std::io::Read::take(from, MAX_FILE), &mut to)?;
    // Neither left to the umask, nor with anybody's rights but the user's own.
    let mode = std::os::unix::fs::MetadataExt::mode(&meta) & 0o755;
    fchmod(&to, Mode::from_raw_mode(mode | 0o444))?;
    Ok(())
}

fn link(target: &Path, root: &OwnedFd, folder: &Path) -> std::io::Result<()> {
    let Some(name) = target.file_name() else { return Err(Errno::INVAL.into()) };
    let (folder, name) = place(root, &folder.join(name))?;
    remove(&folder, &name)?;
    Ok(symlinkat(target, &folder, &name)?)
}

/// The folder of a path, made where it is missing, and the name in it.
fn place(root: &OwnedFd, path: &Path) -> std::result::Result<(OwnedFd, CString), Errno> {
    let folder = path.parent().ok_or(Errno::INVAL)?;
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let folder = CString::new(folder.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    Ok((resolve::ensure_dir(root.as_fd(), &folder)?, name))
}

fn remove(folder: &OwnedFd, name: &CString) -> std::result::Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
