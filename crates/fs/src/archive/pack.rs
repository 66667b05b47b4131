//! Packing: from folder to folder in the order of the names, without recursion and without holding those above open.

use super::contents::Output;
use super::encode::{Meta, encode};
use super::header::kind;
use super::options::{Mounts, Pack, Summary, Why};
use super::problem::Problem;
use super::sparse::Map;
use super::stream::Sink;
use crate::copy::Owner;
use crate::folder::{self, FOLDER};
use crate::object::{Id, Object};
use crate::{Error, Result, resolve, xattr};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, major, minor, openat, readlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::io::Write;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

const REFERENCE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

type Step<T> = std::result::Result<T, Problem>;

struct Packer<'a, W: Write> {
    out: Output<W>,
    options: &'a Pack<'a>,
    summary: Summary,
    /// The first names of files that have several.
    names: HashMap<Id, Vec<u8>>,
    /// Where we are, as the archive has it.
    path: Vec<u8>,
}

/// A folder, and the names in it that are still to come.
struct Folder {
    fd: OwnedFd,
    names: std::vec::IntoIter<CString>,
}

/// A folder further up.
struct Above {
    id: Id,
    names: std::vec::IntoIter<CString>,
    /// The length of its path.
    path: usize,
}

pub(super) fn pack(
    root: BorrowedFd<'_>,
    what: &[&Path],
    sink: impl Write,
    options: &Pack<'_>,
) -> Result<Summary> {
    let sink = Sink::new(sink, options.compression).map_err(Problem::Write);
    let sink = sink.map_err(|problem| Error::Archive { entry: Path::new("").into(), offset: 0, problem })?;
    let mut packer = Packer {
        out: Output::new(sink),
        options,
        summary: Summary::default(),
        names: HashMap::new(),
        path: Vec::new(),
    };
    match packer.all(root, what) {
        Ok(()) => {
            let (offset, summary) = (packer.out.offset(), packer.summary);
            let failed = |problem| Error::Archive { entry: Path::new("").into(), offset, problem };
            packer.out.finish().map_err(failed)?;
            Ok(summary)
        }
        Err(problem) => {
            let entry = Path::new(OsStr::from_bytes(&packer.path)).into();
            Err(Error::Archive { entry, offset: packer.out.offset(), problem })
        }
    }
}

impl<W: Write> Packer<'_, W> {
    fn all(&mut self, root: BorrowedFd<'_>, what: &[&Path]) -> Step<()> {
        if what.is_empty() {
            let fd = openat(root, c".", FOLDER, Mode::empty()).map_err(Problem::file("open"))?;
            if self.options.mounts == Mounts::Enter && shows_the_kernel(&fd)? {
                return Err(Problem::Kernel);
            }
            self.path.extend_from_slice(self.options.name.map_or(b".", OsStr::as_bytes));
            let stat = fstat(&fd).map_err(Problem::file("open"))?;
            self.write(kind::FOLDER, &stat, &Object::opened(fd.as_fd()), b"")?;
            if self.options.name.is_none() {
                self.path.clear();
            }
            return self.walk(fd);
        }
        for path in what {
            let mut names = Vec::new();
            for component in path.components() {
                match component {
                    Component::Normal(name) => names.push(name.as_bytes()),
                    Component::RootDir | Component::CurDir => {}
                    _ => return Err(Problem::Name(path.display().to_string())),
                }
            }
            self.path = names.join(&b'/');
            let Some(name) = names.pop() else { return Err(Problem::Name(path.display().to_string())) };
            let name = CString::new(name).map_err(|_| Problem::Name(path.display().to_string()))?;
            let parent = CString::new([b"/", &names.join(&b'/')[..]].concat())
                .map_err(|_| Problem::Name(path.display().to_string()))?;
            let parent = resolve::open_with(root, &parent, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(Problem::file("open"))?;
            // What was asked for may be a mount: that is no surprise to anybody.
            let source =
                resolve::open_plain(parent.as_fd(), &name, REFERENCE).map_err(Problem::file("open"))?;
            if self.options.mounts == Mounts::Enter && shows_the_kernel(&source)? {
                return Err(Problem::Kernel);
            }
            if let (Some(name), [_]) = (self.options.name, what) {
                self.path = name.as_bytes().to_vec();
            }
            if let Some(folder) = self.entry(&source)? {
                self.walk(folder)?;
            }
        }
        Ok(())
    }

    /// Packs all that is in a folder.
    fn walk(&mut self, top: OwnedFd) -> Step<()> {
        let mut levels: Vec<Above> = Vec::new();
        let mut at = Folder { names: folder::names(&top).map_err(Problem::file("list"))?, fd: top };
        loop {
            let length = self.path.len();
            let Some(name) = at.names.next() else {
                let Some(above) = levels.pop() else { return Ok(()) };
                at.fd = folder::climb(&at.fd, above.id).map_err(Problem::file("leave"))?;
                at.names = above.names;
                self.path.truncate(above.path);
                continue;
            };
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            if let Some(fd) = self.named(&at.fd, &name)? {
                let id = Id::of(&fstat(&at.fd).map_err(Problem::file("open"))?);
                levels.push(Above { id, names: at.names, path: length });
                at = Folder { names: folder::names(&fd).map_err(Problem::file("list"))?, fd };
            } else {
                self.path.truncate(length);
            }
        }
    }

    /// Packs what a name is; gives the folder that it is.
    fn named(&mut self, folder: &OwnedFd, name: &CStr) -> Step<Option<OwnedFd>> {
        let found = match Self::reference(folder, name) {
            Err(Errno::XDEV) if self.options.mounts != Mounts::Refuse => {
                let mount = resolve::open_plain(folder.as_fd(), name, REFERENCE);
                let mount = mount.map_err(Problem::file("open"))?;
                if !self.enters(&mount)? {
                    return self.empty(&mount).map(|()| None);
                }
                Ok(mount)
            }
            found => found,
        };
        match found {
            Ok(source) => self.entry(&source),
            // It went away meanwhile.
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Problem::file("open")(errno)),
        }
    }

    /// What a name is, whatever it becomes meanwhile; `EXDEV` where something is mounted.
    fn reference(folder: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
        #[cfg(feature = "weakened")]
        if super::weakened::follows_links() {
            return openat(folder, name, OFlags::PATH, Mode::empty());
        }
        resolve::open_beneath(folder.as_fd(), name, REFERENCE)
    }

    /// Whether what is mounted here is to be packed.
    fn enters(&self, mount: &OwnedFd) -> Step<bool> {
        match self.options.mounts {
            Mounts::Refuse | Mounts::Empty => Ok(false),
            Mounts::Only(places) => Ok(places.iter().any(|place| place.as_os_str().as_bytes() == self.path)),
            Mounts::Enter => Ok(!shows_the_kernel(mount)?),
        }
    }

    /// An empty folder or file in the place of a mount.
    fn empty(&mut self, mount: &OwnedFd) -> Step<()> {
        let mut stat = fstat(mount).map_err(Problem::file("open"))?;
        stat.st_size = 0;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let kind = if is_folder { kind::FOLDER } else { kind::FILE };
        self.write(kind, &stat, &Object::reference(mount.as_fd()), b"")
    }

    fn entry(&mut self, source: &OwnedFd) -> Step<Option<OwnedFd>> {
        let stat = fstat(source).map_err(Problem::file("open"))?;
        let object = Object::reference(source.as_fd());
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::Directory {
            let folder = openat(source, c".", FOLDER, Mode::empty()).map_err(Problem::file("open"))?;
            self.write(kind::FOLDER, &stat, &Object::opened(folder.as_fd()), b"")?;
            return Ok(Some(folder));
        }
        if file_type == FileType::Socket {
            self.summary.leave_out(Path::new(OsStr::from_bytes(&self.path)), Why::Socket);
            return Ok(None);
        }
        if stat.st_nlink > 1 {
            let first = self.names.entry(Id::of(&stat)).or_insert_with(|| self.path.clone());
            if *first != self.path {
                let first = first.clone();
                return self.write(kind::HARD_LINK, &stat, &object, &first).map(|()| None);
            }
        }
        let kind = match file_type {
            FileType::RegularFile => return self.file(&object).map(|()| None),
            FileType::Symlink => {
                let target = readlinkat(source, c"", Vec::new()).map_err(Problem::file("read"))?;
                return self.write(kind::SYMLINK, &stat, &object, target.as_bytes()).map(|()| None);
            }
            FileType::CharacterDevice => kind::CHARACTER,
            FileType::BlockDevice => kind::BLOCK,
            _ => kind::FIFO,
        };
        self.write(kind, &stat, &object, b"").map(|()| None)
    }

    fn file(&mut self, object: &Object<'_>) -> Step<()> {
        let file = object.open(OFlags::RDONLY).map_err(Problem::file("open"))?;
        let before = fstat(&file).map_err(Problem::file("open"))?;
        let object = Object::opened(file.as_fd());
        let size = u64::try_from(before.st_size).unwrap_or(0);
        let mut whole = true;
        if u64::try_from(before.st_blocks).unwrap_or(0).saturating_mul(512) < size {
            let map = Map::of(file.as_fd(), size).map_err(Problem::file("read"))?;
            let leading = map.encoded();
            let stored = leading.len() as u64 + map.stored();
            if map.stored() < size {
                self.headers(kind::FILE, &before, &object, b"", (stored, Some(size)))?;
                self.out.buffer.extend_from_slice(&leading);
                for part in &map.parts {
                    whole &= self.out.part(&file, part.offset, part.size)?;
                }
                self.summary.bytes += map.stored();
                self.out.pad(stored)?;
                return self.judge(&file, &before, whole);
            }
        }
        self.headers(kind::FILE, &before, &object, b"", (size, None))?;
        whole &= self.out.part(&file, 0, size)?;
        self.summary.bytes += size;
        self.out.pad(size)?;
        self.judge(&file, &before, whole)
    }

    /// Tells of a file that somebody wrote to while it was read.
    fn judge(&mut self, file: &OwnedFd, before: &Stat, whole: bool) -> Step<()> {
        let after = fstat(file).map_err(Problem::file("read"))?;
        let state = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        if !whole || state(before) != state(&after) {
            self.summary.leave_out(Path::new(OsStr::from_bytes(&self.path)), Why::Changed);
        }
        Ok(())
    }

    /// An entry without contents.
    fn write(&mut self, kind: u8, stat: &Stat, object: &Object<'_>, link: &[u8]) -> Step<()> {
        self.headers(kind, stat, object, link, (0, None))?;
        self.out.settle()
    }

    fn headers(
        &mut self,
        kind: u8,
        stat: &Stat,
        object: &Object<'_>,
        link: &[u8],
        (size, with_holes): (u64, Option<u64>),
    ) -> Step<()> {
        let same = |owner| owner;
        let map: &dyn Fn(Owner) -> Owner = self.options.map.unwrap_or(&same);
        let mut xattrs = Vec::new();
        // They belong to the file, whose first name has them.
        if kind != kind::HARD_LINK {
            for name in object.xattrs().map_err(Problem::file("read the attributes of"))? {
                if !xattr::belongs(name.to_bytes()) {
                    continue;
                }
                let value = object.xattr(&name).map_err(Problem::file("read the attributes of"))?;
                let Some(mut value) = value else { continue };
                xattr::map_ids(name.to_bytes(), &mut value, map);
                xattrs.push((name.into_bytes(), value));
            }
            xattrs.sort();
        }
        let is_folder = kind == kind::FOLDER;
        if is_folder {
            self.path.push(b'/');
        }
        let is_device = matches!(kind, kind::CHARACTER | kind::BLOCK);
        let meta = Meta {
            kind,
            path: &self.path,
            link,
            mode: stat.st_mode,
            owner: map(Owner { uid: stat.st_uid, gid: stat.st_gid }),
            mtime: (stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
            size,
            with_holes,
            device: if is_device { (major(stat.st_rdev), minor(stat.st_rdev)) } else { (0, 0) },
            xattrs: &xattrs,
        };
        encode(&meta, &mut self.out.buffer);
        if is_folder {
            self.path.pop();
        }
        self.summary.entries += 1;
        Ok(())
    }
}

fn shows_the_kernel(file: &OwnedFd) -> Step<bool> {
    crate::kernel_files::holds(file.as_fd()).map_err(Problem::file("look at the file system of"))
}
