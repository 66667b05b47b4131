//! Paths of a container, below its root.

use super::Root;
use crate::error::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, readlinkat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinyd_engine::{FileKind, FileStat};
use tinyd_fs::resolve;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// A path as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Without `.`, `..` and what a `/` too many would be; `/` for the root.
    pub path: PathBuf,
    /// It ends with `/` or `/.`: it must be a folder.
    pub folder: bool,
    /// It ends with `/.`: what is in the folder is meant.
    pub contents: bool,
}

impl Wanted {
    /// Understands one. What is taken back by `..` is the component before, as it is written.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.contains('\0') {
            return Err(Error::invalid("path", text, "is no path: name one inside, such as /etc/passwd"));
        }
        let mut path = PathBuf::from("/");
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => drop(path.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let contents = text == "." || text.ends_with("/.");
        Ok(Self { folder: contents || text.ends_with('/') || path == Path::new("/"), contents, path })
    }
}

impl Root {
    /// Opens a reference to a path, and tells what it is. Links on the way are followed below the root; one at its end is where
    /// `follow` is set, and the path is then that of what it leads to.
    pub(super) fn look(&self, path: &Path, follow: bool) -> Result<(OwnedFd, Stat, PathBuf)> {
        let mut at = path.to_owned();
        for _ in 0..MAX_LINKS {
            let file = self.open(&at, OFlags::PATH | OFlags::NOFOLLOW)?;
            let stat = fstat(&file).map_err(|errno| self.failed(&at, errno))?;
            if !follow || kind(&stat) != FileKind::Symlink {
                return Ok((file, stat, at));
            }
            let target = readlinkat(&file, c"", Vec::new()).map_err(|errno| self.failed(&at, errno))?;
            at = at.parent().unwrap_or(Path::new("/")).join(std::ffi::OsStr::from_bytes(target.as_bytes()));
        }
        Err(self.failed(path, Errno::LOOP))
    }

    /// Opens a path, links followed below the root.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let text = CString::new(path.as_os_str().as_bytes()).map_err(|_| self.failed(path, Errno::INVAL))?;
        resolve::open_with(self.fd.as_fd(), &text, flags).map_err(|errno| self.failed(path, errno))
    }

    /// The place with memory that comes with the start, or that nobody has now, in which a path lies: by where its links lead.
    pub(super) fn fleeting(&self, path: &Path) -> Result<Option<&Path>> {
        let real = |path: &Path| -> Result<PathBuf> {
            let file = self.open(path, OFlags::PATH)?;
            let link = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
            std::fs::read_link(&link).map_err(|error| Error::file("read", link, error))
        };
        if self.places.is_empty() {
            return Ok(None);
        }
        let wanted = real(path)?;
        // What is not there yet nothing leads to.
        let places =
            self.places.iter().filter_map(|(place, fleeting)| Some((real(place).ok()?, place, *fleeting)));
        let above = places.filter(|(real, ..)| wanted.starts_with(real));
        let innermost = above.max_by_key(|(real, ..)| real.components().count());
        Ok(innermost.and_then(|(_, place, fleeting)| fleeting.then_some(place.as_path())))
    }

    pub(super) fn failed(&self, path: &Path, errno: Errno) -> Error {
        match errno {
            Errno::NOENT => {
                Error::NoSuchFile { path: path.display().to_string(), container: self.container.clone() }
            }
            errno => Error::file("open in the container", path, errno),
        }
    }
}

/// What a file is.
pub(super) fn kind(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// As callers are told.
pub(super) fn told(file: &OwnedFd, stat: &Stat, path: &Path) -> FileStat {
    let kind = kind(stat);
    let target = (kind == FileKind::Symlink).then(|| readlinkat(file, c"", Vec::new()).ok()).flatten();
    FileStat {
        path: path.display().to_string(),
        kind,
        mode: Mode::from_raw_mode(stat.st_mode).as_raw_mode(),
        size: if kind == FileKind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
        modified: moment(stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
        target: target.map(|target| target.to_string_lossy().into_owned()),
    }
}

fn moment(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    start.and_then(|start| start.checked_add(Duration::from_nanos(nanoseconds.into()))).unwrap_or(UNIX_EPOCH)
}
