//! `stat`, `copy_out` and `copy_in`.

use super::Shown;
use super::path::{Wanted, kind, told as told_stat};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::volumes::{CHUNK, limited, told};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use tinyd_engine::{ArchiveSummary, CopyIn, CopyOut, FileKind, FileStat};
use tinyd_fs::archive::{self, Devices, Mounts, Pack, Unpack};
use tinyd_fs::copy::Owner;

impl Core {
    pub(crate) fn stat(&self, container: &str, path: &str, follow: bool) -> Result<Option<FileStat>> {
        let wanted = Wanted::parse(path)?;
        self.with_root(container, "look into", Shown::Everything, |root| {
            let (file, stat, path) = match root.look(&wanted.path, follow || wanted.folder) {
                Err(Error::NoSuchFile { .. }) => return Ok(None),
                found => found?,
            };
            if wanted.folder && kind(&stat) != FileKind::Folder {
                return Err(root.failed(&wanted.path, Errno::NOTDIR));
            }
            Ok(Some(told_stat(&file, &stat, &path)))
        })
    }

    pub(crate) fn copy_out(&self, container: &str, request: &CopyOut, to: OwnedFd) -> Result<ArchiveSummary> {
        let wanted = Wanted::parse(&request.path)?;
        let name = request.name.as_deref().map(check_name).transpose()?;
        self.telling(container, "archive-path", "copy files of", Shown::Everything, |root| {
            let (_, stat, path) = root.look(&wanted.path, request.follow || wanted.folder)?;
            let is_folder = kind(&stat) == FileKind::Folder;
            if wanted.folder && !is_folder {
                return Err(root.failed(&wanted.path, Errno::NOTDIR));
            }
            let inside = |owner: Owner| root.owners.inside(owner);
            let options = Pack { mounts: Mounts::Enter, map: Some(&inside), name, ..Pack::default() };
            let whole = wanted.contents || path.file_name().is_none();
            if whole && is_folder {
                let folder = root.open(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                return packed(&folder, &[], to, &options, &path);
            }
            packed(&root.fd, &[&path], to, &Pack { name: name.or(path.file_name()), ..options }, &path)
        })
    }

    pub(crate) fn copy_in(&self, container: &str, request: &CopyIn, from: OwnedFd) -> Result<ArchiveSummary> {
        let wanted = Wanted::parse(&request.path)?;
        self.telling(container, "extract-to-dir", "copy files into", Shown::Everything, |root| {
            let (_, stat, path) = root.look(&wanted.path, true)?;
            if kind(&stat) != FileKind::Folder {
                return Err(root.failed(&wanted.path, Errno::NOTDIR));
            }
            if let Some(place) = root.fleeting(&path)? {
                let problem = format!(
                    "lies in memory ({}), and what is put there would be gone at the start: start container {} first",
                    place.display(),
                    root.container
                );
                return Err(Error::invalid("path", wanted.path.display().to_string(), problem));
            }
            let owner = |owner: Owner| {
                root.owners.seen(if request.keep_owners { owner } else { Owner { uid: 0, gid: 0 } })
            };
            let options = Unpack {
                at: Some(&path),
                keep_top: true,
                map: Some(&owner),
                privileges: request.keep_owners,
                devices: Devices::LeaveOut,
                ..Unpack::default()
            };
            let source = BufReader::with_capacity(CHUNK, File::from(from));
            let _limited = limited();
            let unpacked = archive::unpack(source, root.fd.as_fd(), &options);
            unpacked.map(|summary| told(&summary)).map_err(|source| Error::Tree {
                operation: "copy files into the container, at",
                path,
                source: Box::new(source),
            })
        })
    }
}

/// One name, for what is packed.
fn check_name(name: &str) -> Result<&OsStr> {
    match name {
        "" | "." | ".." => Err(Error::invalid("name", name, "is no name of a file")),
        name if name.contains(['/', '\0']) => {
            Err(Error::invalid("name", name, "must be one name, without /"))
        }
        name => Ok(OsStr::new(name)),
    }
}

/// Packs into a file, pipe or socket.
pub(super) fn packed(
    root: &OwnedFd,
    what: &[&Path],
    to: OwnedFd,
    options: &Pack<'_>,
    path: &Path,
) -> Result<ArchiveSummary> {
    let mut sink = BufWriter::with_capacity(CHUNK, File::from(to));
    let done = archive::pack(root.as_fd(), what, &mut sink, options).map_err(|source| Error::Tree {
        operation: "copy files of the container, from",
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    sink.flush().map_err(|error| Error::file("write the archive of", path, error))?;
    Ok(told(&done))
}
