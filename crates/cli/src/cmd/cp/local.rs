//! This machine's side of a copy.

use super::links::MAX_LINKS;
use super::plan::{Kind, Source, There};
use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use tinyd_fs::archive::{self, Devices, Mounts, Pack, Unpack};
use tinyd_fs::copy::Owner;

/// Bytes that are read or written at once.
const CHUNK: usize = 1 << 20;

/// What a path is; nothing where there is nothing.
pub(super) fn look(path: &str, follow: bool) -> Result<Option<Kind>, Failure> {
    match if follow { fs::metadata(path) } else { fs::symlink_metadata(path) } {
        Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
        Ok(found) if found.is_symlink() => Ok(Some(Kind::Link)),
        Ok(_) => Ok(Some(Kind::Other)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("look at {path}"), error)),
    }
}

/// What there is at a path that something is copied to, and where it leads.
pub(super) fn there(path: &str) -> Result<There, Failure> {
    let kind = look(path, true)?;
    if kind == Some(Kind::Folder) {
        return Ok(There { kind, path: path.to_owned() });
    }
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format!("look at {path}"), why);
    // Without a `/` at its end, which would lead on.
    let mut at: PathBuf = Path::new(path).components().collect();
    for _ in 0..=MAX_LINKS {
        match fs::read_link(&at) {
            Ok(says) => at = at.parent().unwrap_or(Path::new("")).join(says),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                let path = at.into_os_string().into_string();
                let path = path.map_err(|_| failed(&"it leads to a name that is no UTF-8"))?;
                return Ok(There { kind, path });
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(failed(&"it leads from link to link without an end"))
}

/// Packs a path: as `name`, or what is in it where it says so.
pub(super) fn pack(
    path: &str,
    follow: bool,
    name: Option<&str>,
    to: OwnedFd,
) -> Result<Vec<String>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed(format!("read {path}"), chain(error));
    let source = Source::parse(path);
    let options = |name| Pack { mounts: Mounts::Enter, name, ..Pack::default() };
    let mut sink = BufWriter::with_capacity(CHUNK, File::from(to));
    let whole = source.contents || source.name.is_none();
    let real =
        if follow || source.folder || whole { fs::canonicalize(path) } else { Ok(PathBuf::from(path)) };
    let real = real.map_err(|error| failed(&error))?;
    let done = if whole {
        let folder = File::open(&real).map_err(|error| failed(&error))?;
        archive::pack(folder.as_fd(), &[], &mut sink, &options(name.map(AsRef::as_ref)))
    } else {
        let (Some(own), Some(above)) = (real.file_name(), real.parent()) else {
            return Err(failed(&io::Error::from(io::ErrorKind::InvalidInput)));
        };
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let folder = File::open(above).map_err(|error| failed(&error))?;
        let called = name.or(source.name.as_deref()).map(AsRef::as_ref);
        archive::pack(folder.as_fd(), &[Path::new(own)], &mut sink, &options(called))
    };
    let summary = done.map_err(|error| failed(&error))?;
    sink.flush().map_err(|error| failed(&error))?;
    Ok(summary.notes())
}

/// Unpacks into a folder: what comes from a container is not trusted, and leads nowhere out of it.
pub(super) fn unpack(folder: &str, keep_owners: bool, from: OwnedFd) -> Result<Vec<String>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed(format!("write to {folder}"), chain(error));
    let into = File::open(folder).map_err(|error| failed(&error))?;
    let me = Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    let mine = |_: Owner| me;
    let options = Unpack {
        keep_top: true,
        map: if keep_owners { None } else { Some(&mine) },
        privileges: keep_owners,
        devices: Devices::LeaveOut,
        ..Unpack::default()
    };
    let source = BufReader::with_capacity(CHUNK, File::from(from));
    let summary = archive::unpack(source, into.as_fd(), &options).map_err(|error| failed(&error))?;
    Ok(summary.notes())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    line
}
