//! Unpacking, entry by entry.

use super::options::{Devices, Summary, Unpack, Why};
use super::place::{Folders, components};
use super::problem::Problem;
use super::reader::Reader;
use super::records::{Entry, What};
use super::room::{Place, clear};
use super::stream;
use crate::copy::Owner;
use crate::object::{Id, Object};
use crate::{Error, Result, resolve, xattr};
use rustix::fs::{
    FileType, Mode, OFlags, Timespec, Timestamps, fstat, ftruncate, makedev, mkdirat, mknodat, openat,
    symlinkat,
};
use rustix::io::{Errno, pwrite, retry_on_intr};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const REFERENCE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);
const BUFFER: usize = 256 << 10;

type Step<T> = std::result::Result<T, Problem>;

/// A folder whose attributes are set at the end, when nothing is put into it any more.
struct Late {
    id: Id,
    entry: Entry,
}

struct Unpacker<'a> {
    folders: Folders<'a>,
    options: &'a Unpack<'a>,
    late: BTreeMap<Vec<u8>, Late>,
    /// The names of the devices that were left out: hard links to them are as well.
    left_devices: BTreeSet<Vec<u8>>,
    summary: Summary,
    buffer: Vec<u8>,
    /// The entry at hand.
    current: PathBuf,
}

pub(super) fn unpack(source: impl Read, into: BorrowedFd<'_>, options: &Unpack<'_>) -> Result<Summary> {
    let nowhere = |problem| Error::Archive { entry: PathBuf::new(), offset: 0, problem };
    let mut reader = Reader::new(stream::open(source).map_err(nowhere)?, options.limits);
    let owner = Owner { uid: 0, gid: 0 };
    let at = options.at.map(|path| path.as_os_str().as_bytes()).unwrap_or_default();
    let mut unpacker = Unpacker {
        folders: Folders::new(into, at, options.map.map_or(owner, |map| map(owner))),
        options,
        late: BTreeMap::new(),
        left_devices: BTreeSet::new(),
        summary: Summary::default(),
        buffer: vec![0; BUFFER],
        current: PathBuf::new(),
    };
    let failed = |unpacker: &Unpacker<'_>, offset, problem| Error::Archive {
        entry: unpacker.current.clone(),
        offset,
        problem,
    };
    loop {
        match reader.next() {
            Ok(Some(entry)) => {
                unpacker.current = Path::new(OsStr::from_bytes(&entry.path)).into();
                let done = unpacker.entry(entry, &mut reader);
                done.map_err(|problem| failed(&unpacker, reader.offset, problem))?;
            }
            Ok(None) => break,
            Err(problem) => return Err(failed(&unpacker, reader.offset, problem)),
        }
    }
    unpacker.finish().map_err(|problem| failed(&unpacker, reader.offset, problem))?;
    Ok(unpacker.summary)
}

impl Unpacker<'_> {
    fn entry(&mut self, mut entry: Entry, reader: &mut Reader<'_>) -> Step<()> {
        let path = std::mem::take(&mut entry.path);
        let names = components(&path)?;
        self.judge(&mut entry);
        if let Some((name, parents)) = names.split_last() {
            let name = CString::new(*name).map_err(|_| Problem::file("create")(Errno::INVAL))?;
            self.make(entry, &name, parents, &names, reader)?;
        } else if entry.what == What::Folder {
            if self.options.keep_top {
                return Ok(());
            }
            let top = self.folders.existing(&[])?;
            let id = Id::of(&fstat(&top).map_err(Problem::file("open"))?);
            self.late.insert(Vec::new(), Late { id, entry });
        } else {
            return Err(Problem::Name(String::from_utf8_lossy(&path).into_owned()));
        }
        self.summary.entries += 1;
        Ok(())
    }

    /// Takes away what is not to be kept, and tells of it.
    fn judge(&mut self, entry: &mut Entry) {
        for key in std::mem::take(&mut entry.unread) {
            self.summary.leave_out(&self.current, Why::Attribute(key));
        }
        if !self.options.privileges && entry.what != What::Folder && entry.mode & 0o6000 != 0 {
            let counts = !matches!(entry.what, What::Symlink(_) | What::HardLink(_));
            entry.mode &= 0o1777;
            if counts {
                self.summary.leave_out(&self.current, Why::SetId);
            }
        }
        let (summary, current, privileges) = (&mut self.summary, &self.current, self.options.privileges);
        entry.xattrs.retain(|(name, _)| {
            let privilege = name == b"security.capability" || name.starts_with(b"trusted.");
            let overlay = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
            let keep = xattr::belongs(name) && !overlay && (privileges || !privilege);
            if !keep {
                summary.leave_out(current, Why::Attribute(String::from_utf8_lossy(name).into_owned()));
            }
            keep
        });
    }

    fn make(
        &mut self,
        entry: Entry,
        name: &CString,
        parents: &[&[u8]],
        names: &[&[u8]],
        reader: &mut Reader<'_>,
    ) -> Step<()> {
        if let What::Device { .. } = entry.what {
            match self.options.devices {
                Devices::Refuse => return Err(Problem::Device),
                Devices::LeaveOut => {
                    self.leave_device(names);
                    return Ok(());
                }
                Devices::Make => {}
            }
        }
        if let What::HardLink(link) = &entry.what
            && self.left_devices.contains(&components(link)?.join(&b'/'))
        {
            self.leave_device(names);
            return Ok(());
        }
        // Found before anything is removed: it may be the very name that is to be replaced.
        let target = match &entry.what {
            What::HardLink(link) => Some(self.link_target(link)?),
            _ => None,
        };
        let is_folder = entry.what == What::Folder;
        let parent = &*self.folders.ensure(parents)?;
        let there = clear(parent, name, is_folder, target.as_ref(), self.options.existing)?;
        if there == Some(Place::Same) {
            return Ok(());
        }
        let mode = Mode::RUSR | Mode::WUSR;
        match &entry.what {
            What::Folder => {
                if there != Some(Place::Kept) {
                    mkdirat(parent, name, Mode::RWXU).map_err(Problem::file("create"))?;
                }
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                // It may be that something is mounted on it.
                let made = resolve::open_plain(parent.as_fd(), name, flags).map_err(Problem::file("open"))?;
                let id = Id::of(&fstat(&made).map_err(Problem::file("open"))?);
                self.late.insert(names.join(&b'/'), Late { id, entry });
                if there == Some(Place::Emptied) {
                    self.folders.forget();
                }
                return Ok(());
            }
            What::File => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(parent, name, flags, mode).map_err(Problem::file("create"))?;
                self.contents(&file, &entry, reader)?;
                self.attributes(&Object::opened(file.as_fd()), &entry)?;
            }
            What::HardLink(_) => {
                let Some(target) = &target else { return Err(Problem::file("link")(Errno::NOENT)) };
                let linked = Object::reference(target.as_fd()).link(parent.as_fd(), name);
                linked.map_err(Problem::file("link"))?;
            }
            What::Symlink(link) => {
                if link.is_empty() || link.contains(&0) {
                    return Err(Problem::Name(String::from_utf8_lossy(link).into_owned()));
                }
                symlinkat(&link[..], parent, name).map_err(Problem::file("create"))?;
                self.made(parent, name, FileType::Symlink, &entry)?;
            }
            What::Fifo => {
                mknodat(parent, name, FileType::Fifo, mode, 0).map_err(Problem::file("create"))?;
                self.made(parent, name, FileType::Fifo, &entry)?;
            }
            What::Device { block, major, minor } => {
                let kind = if *block { FileType::BlockDevice } else { FileType::CharacterDevice };
                let device = makedev(*major, *minor);
                mknodat(parent, name, kind, mode, device).map_err(Problem::file("create"))?;
                self.made(parent, name, kind, &entry)?;
            }
        }
        if there.is_some() {
            self.folders.forget();
        }
        Ok(())
    }

    /// Leaves a device out, or another name of one.
    fn leave_device(&mut self, names: &[&[u8]]) {
        self.summary.leave_out(&self.current, Why::Device);
        self.left_devices.insert(names.join(&b'/'));
    }

    /// The file that a hard link is to: below the root, and not through the link that it may be.
    fn link_target(&self, link: &[u8]) -> Step<OwnedFd> {
        let names = components(link)?;
        let Some((name, parents)) = names.split_last() else {
            return Err(Problem::Name(String::from_utf8_lossy(link).into_owned()));
        };
        let name = CString::new(*name).map_err(|_| Problem::file("link")(Errno::INVAL))?;
        let parent = self.folders.existing(parents)?;
        resolve::open_plain(parent.as_fd(), &name, REFERENCE).map_err(Problem::file("link"))
    }

    /// The attributes of what was just made under a name, if it is still that.
    fn made(&self, parent: &OwnedFd, name: &CString, kind: FileType, entry: &Entry) -> Step<()> {
        let made = resolve::open_beneath(parent.as_fd(), name, REFERENCE).map_err(Problem::file("open"))?;
        if FileType::from_raw_mode(fstat(&made).map_err(Problem::file("open"))?.st_mode) != kind {
            let replaced = std::io::Error::other("it was replaced by something else meanwhile");
            return Err(Problem::File { operation: "open", source: replaced });
        }
        self.attributes(&Object::reference(made.as_fd()), entry)
    }

    fn contents(&mut self, file: &OwnedFd, entry: &Entry, reader: &mut Reader<'_>) -> Step<()> {
        let Some(map) = &entry.map else {
            return self.part(file, 0, entry.size, reader);
        };
        for part in &map.parts {
            self.part(file, part.offset, part.size, reader)?;
        }
        ftruncate(file, map.size).map_err(Problem::file("write"))
    }

    fn part(&mut self, file: &OwnedFd, mut at: u64, size: u64, reader: &mut Reader<'_>) -> Step<()> {
        let end = at.checked_add(size).ok_or(Problem::Sparse)?;
        self.summary.bytes += size;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
            let read = reader.read(&mut self.buffer[..most])?;
            if read == 0 {
                return Err(Problem::Truncated);
            }
            let mut done = 0;
            while done < read {
                let bytes = &self.buffer[done..read];
                let place = at + done as u64;
                done += retry_on_intr(|| pwrite(file, bytes, place)).map_err(Problem::file("write"))?;
            }
            at += read as u64;
        }
        Ok(())
    }

    /// In this order: changing the owner takes setuid and capabilities away, and an access control list changes the mode.
    fn attributes(&self, object: &Object<'_>, entry: &Entry) -> Step<()> {
        let same = |owner| owner;
        let map: &dyn Fn(Owner) -> Owner = self.options.map.unwrap_or(&same);
        let owner = map(entry.owner);
        object.set_owner(owner.uid, owner.gid).map_err(Problem::file("give an owner to"))?;
        for (name, value) in &entry.xattrs {
            let mut value = value.clone();
            xattr::map_ids(name, &mut value, map);
            let name =
                CString::new(&name[..]).map_err(|_| Problem::file("set the attributes of")(Errno::INVAL))?;
            object.set_xattr(&name, &value).map_err(Problem::file("set the attributes of"))?;
        }
        if !matches!(entry.what, What::Symlink(_)) {
            object.set_mode(entry.mode).map_err(Problem::file("set the mode of"))?;
        }
        let (seconds, nanoseconds) = entry.mtime;
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let mtime = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        let times = Timestamps { last_access: now, last_modification: mtime };
        object.set_times(&times).map_err(Problem::file("set the times of"))
    }

    /// Gives the folders what is theirs, the deepest first.
    fn finish(&mut self) -> Step<()> {
        while let Some((path, late)) = self.late.pop_last() {
            self.current = Path::new(OsStr::from_bytes(&path)).into();
            let folder = match self.folders.existing(&components(&[b"./", &path[..]].concat())?) {
                Ok(folder) => folder,
                // Another entry came in its place.
                Err(Problem::File { source, .. }) if is_gone(&source) => continue,
                Err(problem) => return Err(problem),
            };
            if Id::of(&fstat(&folder).map_err(Problem::file("open"))?) == late.id {
                self.attributes(&Object::reference(folder.as_fd()), &late.entry)?;
            }
        }
        self.current.clear();
        Ok(())
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP];
    gone.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
