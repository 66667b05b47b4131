//! Without openat2(2): a path is walked from the root, one component at a time.
//!
//! What makes this safe is that it only ever goes *down*. Each component is opened with `O_PATH|O_NOFOLLOW` in the folder
//! that was opened before it, so whatever is opened is an entry of a folder inside the root. Links are read and walked by
//! this code, not by the kernel. `..` is not asked of the kernel either (a folder that was moved out of the root a moment
//! ago would answer with a folder outside): its component is taken off the list of those passed, and the list is walked
//! again from the root.

use super::{PATH_MAX, Rules, mount_id};
use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat, readlinkat_raw};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// As many links as the kernel follows (MAXSYMLINKS).
const MAX_LINKS: u32 = 40;

/// Each `..` may cost a walk from the root: a hostile path of 4 KiB with 40 links could keep us for minutes.
const MAX_STEPS: u32 = 1 << 16;

const REFERENCE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Gives `EAGAIN` where a component became another while it was looked at.
pub(super) fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, rules: Rules) -> Result<OwnedFd, Errno> {
    let path = path.to_bytes();
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if rules.beneath && path.first() == Some(&b'/') {
        return Err(Errno::XDEV);
    }
    let mut walk = Walk {
        root,
        rules,
        mount: if rules.one_mount { Some(mount_id(root)?) } else { None },
        passed: Bytes::EMPTY,
        rest: Bytes::EMPTY,
        folder: None,
        links: 0,
        steps: 0,
    };
    walk.rest.push(path)?;
    walk.run(flags)
}

struct Walk<'fd> {
    root: BorrowedFd<'fd>,
    rules: Rules,
    /// The only mount that is allowed.
    mount: Option<u64>,
    /// The folders passed, without links, each with a `/` behind it.
    passed: Bytes,
    /// What is still to be walked.
    rest: Bytes,
    /// The folder that `passed` names; none where it must be walked to again, or is the root.
    folder: Option<OwnedFd>,
    links: u32,
    steps: u32,
}

impl Walk<'_> {
    fn run(&mut self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut buffer = [0; 256];
        loop {
            let Some((name, end)) = self.next(&mut buffer)? else {
                self.enter()?;
                return self.open_in(c".", flags);
            };
            match name.to_bytes() {
                b"." => continue,
                b".." => {
                    self.go_up()?;
                    continue;
                }
                _ => {}
            }
            self.enter()?;
            let found = self.open_in(name, REFERENCE)?;
            match FileType::from_raw_mode(fstat(&found)?.st_mode) {
                FileType::Symlink if end == End::Last && flags.contains(OFlags::NOFOLLOW) => {
                    return match flags.intersection(OFlags::PATH | OFlags::DIRECTORY) {
                        OFlags::PATH => Ok(found),
                        flags if flags.contains(OFlags::DIRECTORY) => Err(Errno::NOTDIR),
                        _ => Err(Errno::LOOP),
                    };
                }
                FileType::Symlink => self.follow(&found)?,
                FileType::Directory if end != End::Last => {
                    self.passed.push(name.to_bytes())?;
                    self.passed.push(b"/")?;
                    self.folder = Some(found);
                }
                kind if end == End::Last => {
                    if flags.contains(OFlags::DIRECTORY) && kind != FileType::Directory {
                        return Err(Errno::NOTDIR);
                    }
                    if flags.contains(OFlags::PATH) {
                        return Ok(found);
                    }
                    return match self.open_in(name, flags | OFlags::NOFOLLOW) {
                        // It was no link a moment ago.
                        Err(Errno::LOOP) => Err(Errno::AGAIN),
                        result => result,
                    };
                }
                _ => return Err(Errno::NOTDIR),
            }
        }
    }

    /// Takes the next component off the rest.
    fn next<'buffer>(
        &mut self,
        buffer: &'buffer mut [u8; 256],
    ) -> Result<Option<(&'buffer CStr, End)>, Errno> {
        let rest = self.rest.get();
        let Some(start) = rest.iter().position(|byte| *byte != b'/') else {
            return Ok(None);
        };
        let length = rest[start..].iter().position(|byte| *byte == b'/');
        let end = length.map_or(rest.len(), |length| start + length);
        let kind = if end == rest.len() { End::Last } else { End::Folder };
        let name = super::make::c_name(&rest[start..end], buffer)?;
        self.rest.drop_front(end);
        Ok(Some((name, kind)))
    }

    fn go_up(&mut self) -> Result<(), Errno> {
        // What is passed was opened, and was a folder: there is nothing left to check of it.
        match self.passed.get().split_last() {
            None if self.rules.beneath => Err(Errno::XDEV),
            None => Ok(()),
            Some((_, names)) => {
                let keep = names.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                self.passed.truncate(keep);
                self.folder = None;
                Ok(())
            }
        }
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Errno> {
        self.links += 1;
        if self.rules.no_links || self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let mut buffer = [0; PATH_MAX];
        let length = readlinkat_raw(link, c"", &mut buffer[..])?;
        let target = &buffer[..length];
        match target.first() {
            None => return Err(Errno::NOENT),
            Some(_) if length == buffer.len() => return Err(Errno::NAMETOOLONG),
            Some(first) => {
                if fstatfs(link)?.f_type == PROC_SUPER_MAGIC && is_magic(target) {
                    return Err(Errno::LOOP);
                }
                if *first == b'/' {
                    if self.rules.beneath {
                        return Err(Errno::XDEV);
                    }
                    self.passed.truncate(0);
                    self.folder = None;
                }
            }
        }
        self.rest.put_before(target)
    }

    /// Sees to it that `folder` is what `passed` names.
    fn enter(&mut self) -> Result<(), Errno> {
        if self.folder.is_some() {
            return Ok(());
        }
        let mut start = 0;
        while let Some(length) = self.passed.get()[start..].iter().position(|byte| *byte == b'/') {
            let mut buffer = [0; 256];
            let name = super::make::c_name(&self.passed.get()[start..start + length], &mut buffer)?;
            start += length + 1;
            self.folder = match self.open_in(name, REFERENCE | OFlags::DIRECTORY) {
                Ok(folder) => Some(folder),
                // It was there, and a folder, when it was passed.
                Err(Errno::NOENT | Errno::NOTDIR) => return Err(Errno::AGAIN),
                Err(errno) => return Err(errno),
            };
        }
        Ok(())
    }

    fn open_in(&mut self, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Errno::LOOP);
        }
        let folder = self.folder.as_ref().map_or(self.root, AsFd::as_fd);
        let found = openat(folder, name, flags, Mode::empty())?;
        match self.mount {
            Some(allowed) if mount_id(found.as_fd())? != allowed => Err(Errno::XDEV),
            _ => Ok(found),
        }
    }
}

/// What stands behind a component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Last,
    /// At least a `/`: it must be a folder.
    Folder,
}

/// Whether a link of procfs leads to what its process holds, and not to where its text says. Those that do as they say
/// (`self`, `mounts`, `net`) are relative names; the others show a whole path, or a kind and a number (`pipe:[7]`).
fn is_magic(target: &[u8]) -> bool {
    matches!(target.first(), Some(b'/' | b'(')) || target.contains(&b':')
}

/// Bytes in a buffer of a path's length, for nothing may be allocated here.
struct Bytes {
    buffer: [u8; PATH_MAX],
    start: usize,
    end: usize,
}

impl Bytes {
    const EMPTY: Self = Self { buffer: [0; PATH_MAX], start: 0, end: 0 };

    fn get(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let room = self.buffer.get_mut(self.end..self.end + bytes.len()).ok_or(Errno::NAMETOOLONG)?;
        room.copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(())
    }

    fn truncate(&mut self, length: usize) {
        self.end = self.start + length;
    }

    fn drop_front(&mut self, length: usize) {
        self.start += length;
    }

    fn put_before(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let length = self.end - self.start;
        if bytes.len() + length > PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.buffer.copy_within(self.start..self.end, bytes.len());
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        (self.start, self.end) = (0, bytes.len() + length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_proc_that_are_no_names_are_known() {
        for target in ["/etc/passwd", "pipe:[17]", "anon_inode:inotify", "(unreachable)/x", "net:[402]"] {
            assert!(is_magic(target.as_bytes()), "{target}");
        }
        for target in ["1234", "self/mounts", "1/task/1", "self/net"] {
            assert!(!is_magic(target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn bytes_never_leave_their_buffer() {
        let mut bytes = Bytes::EMPTY;
        bytes.push(&[b'a'; PATH_MAX]).unwrap();
        assert_eq!(bytes.push(b"b"), Err(Errno::NAMETOOLONG));
        assert_eq!(bytes.put_before(b"b"), Err(Errno::NAMETOOLONG));
        bytes.drop_front(PATH_MAX - 2);
        bytes.put_before(b"link/").unwrap();
        assert_eq!(bytes.get(), b"link/aa");
    }
}
