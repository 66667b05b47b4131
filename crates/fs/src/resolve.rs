//! Paths inside a root (openat2(2), Linux 5.6). Whatever links and `..` they hold, they end below the root's descriptor.

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The longest path that is looked at, with its final zero byte (PATH_MAX).
const PATH_MAX: usize = 4096;

/// How often a path is looked up that others are changing; a lease on a file gives the same answer, and must not keep us.
const MAX_TRIES: u32 = 64;

/// *Child-side.* Opens a path as a reference (`O_PATH`), links followed inside the root.
pub fn open(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    open_with(root, path, OFlags::PATH)
}

/// *Child-side.* Opens a path, links followed inside the root. The magic links of `/proc` are not followed.
pub fn open_with(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    in_root(root, path, flags | OFlags::CLOEXEC, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// *Child-side.* Opens a path that must lie on the very mount `folder` is on, with no link on the way:
/// for files of procfs and sysfs that must not have been replaced.
pub fn open_beneath(folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    in_root(folder, path, flags | OFlags::CLOEXEC, how)
}

fn in_root(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, how: ResolveFlags) -> Result<OwnedFd, Errno> {
    for _ in 0..MAX_TRIES {
        match openat2(root, path, flags, Mode::empty(), how) {
            // A rename on the way kept the kernel from being sure that `..` stays inside: it asks to be asked again.
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// *Child-side.* Opens a folder as a reference, making it and the folders on the way (mode 0755) where they are missing.
///
/// # Errors
/// `ENOTDIR` where a file is in the way, `ELOOP` where a link leads nowhere, `ENAMETOOLONG`.
pub fn ensure_dir(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    match open_with(root, path, OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => {}
        result => return result,
    }
    let bytes = path.to_bytes();
    let mut buffer = [0; PATH_MAX];
    let mut folder = open_with(root, c"/", OFlags::PATH | OFlags::DIRECTORY)?;
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes[start..].iter().position(|byte| *byte == b'/').map_or(bytes.len(), |n| start + n);
        let name = &bytes[start..end];
        start = end + 1;
        if name.is_empty() || name == b"." {
            continue;
        }
        if end >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        // The whole prefix is looked up each time, so that a link's `..` means what it means from the root.
        buffer[..end].copy_from_slice(&bytes[..end]);
        buffer[end] = 0;
        let prefix = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
        folder = match open_with(root, prefix, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => make_dir(root, &folder, name, prefix)?,
            result => result?,
        };
    }
    Ok(folder)
}

fn make_dir(root: BorrowedFd<'_>, parent: &OwnedFd, name: &[u8], prefix: &CStr) -> Result<OwnedFd, Errno> {
    let mut buffer = [0; 256];
    let name = c_name(name, &mut buffer)?;
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    match open_with(root, prefix, OFlags::PATH | OFlags::DIRECTORY) {
        // The name is taken by a link to something that does not exist.
        Err(Errno::NOENT) => Err(Errno::LOOP),
        result => result,
    }
}

/// *Child-side.* Opens a folder directly below the root, making it where it is missing. A link in its place is refused
/// (`ELOOP`): for `/proc` and `/sys`, which must be what they seem (CVE-2019-19921).
pub fn ensure_plain_dir(root: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    match mkdirat(root, name, Mode::from_raw_mode(0o755)) {
        // A read-only root that has it is fine.
        Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {
            open_beneath(root, name, OFlags::PATH | OFlags::DIRECTORY)
        }
        Err(errno) => Err(errno),
    }
}

/// *Child-side.* Opens a file as a reference, making an empty one, and the folders on the way, where it is missing.
pub fn ensure_file(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    match open(root, path) {
        Err(Errno::NOENT) => {}
        result => return result,
    }
    let bytes = path.to_bytes();
    let split = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |n| n + 1);
    let (folder, name) = bytes.split_at(split);
    if name.is_empty() || folder.len() >= PATH_MAX {
        return Err(Errno::INVAL);
    }
    let mut buffer = [0; PATH_MAX];
    buffer[..folder.len()].copy_from_slice(folder);
    let folder = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
    let folder = ensure_dir(root, folder)?;
    let mut buffer = [0; 256];
    let name = c_name(name, &mut buffer)?;
    // Neither a link nor a file that came in between is taken: O_EXCL refuses both.
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    match open(root, path) {
        Err(Errno::NOENT) => Err(Errno::LOOP),
        result => result,
    }
}

fn c_name<'buffer>(name: &[u8], buffer: &'buffer mut [u8; 256]) -> Result<&'buffer CStr, Errno> {
    let room = buffer.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?;
    room.copy_from_slice(name);
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::NAMETOOLONG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, std::fs::File) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("root/there")).unwrap();
        let root = std::fs::File::open(folder.path().join("root")).unwrap();
        (folder, root)
    }

    #[test]
    fn links_that_point_outside_end_inside() {
        let (folder, root) = root();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        symlink("../../../outside", folder.path().join("root/relative")).unwrap();
        symlink(folder.path().join("outside"), folder.path().join("root/absolute")).unwrap();
        assert_eq!(open(root.as_fd(), c"/relative").unwrap_err(), Errno::NOENT);
        assert_eq!(open(root.as_fd(), c"/absolute").unwrap_err(), Errno::NOENT);
        assert_eq!(ensure_dir(root.as_fd(), c"/relative").unwrap_err(), Errno::LOOP);
        assert_eq!(ensure_file(root.as_fd(), c"/relative").unwrap_err(), Errno::LOOP);
        assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_missing_is_made_through_links_inside() {
        let (folder, root) = root();
        symlink("/there", folder.path().join("root/link")).unwrap();
        ensure_dir(root.as_fd(), c"/link/./a//b/").unwrap();
        assert!(folder.path().join("root/there/a/b").is_dir());
        ensure_file(root.as_fd(), c"/link/new/file").unwrap();
        assert!(folder.path().join("root/there/new/file").is_file());
        ensure_file(root.as_fd(), c"top").unwrap();
        assert!(folder.path().join("root/top").is_file());
        assert_eq!(ensure_dir(root.as_fd(), c"/top/x").unwrap_err(), Errno::NOTDIR);
        ensure_dir(root.as_fd(), c"/new/../../../beside").unwrap();
        assert!(folder.path().join("root/beside").is_dir());
    }

    #[test]
    fn beneath_takes_no_link_and_crosses_no_mount() {
        let (folder, root) = root();
        symlink("there", folder.path().join("root/link")).unwrap();
        assert_eq!(open_beneath(root.as_fd(), c"link", OFlags::PATH).unwrap_err(), Errno::LOOP);
        assert_eq!(open_beneath(root.as_fd(), c"../x", OFlags::PATH).unwrap_err(), Errno::XDEV);
        let slash = std::fs::File::open("/").unwrap();
        assert_eq!(open_beneath(slash.as_fd(), c"proc/self", OFlags::PATH).unwrap_err(), Errno::XDEV);
    }

    #[test]
    fn a_link_in_place_of_proc_is_refused() {
        let (folder, root) = root();
        symlink("there", folder.path().join("root/proc")).unwrap();
        assert_eq!(ensure_plain_dir(root.as_fd(), c"proc").unwrap_err(), Errno::LOOP);
        ensure_plain_dir(root.as_fd(), c"sys").unwrap();
        ensure_plain_dir(root.as_fd(), c"sys").unwrap();
    }

    #[test]
    fn overlong_names_are_refused() {
        let (_folder, root) = root();
        let name = std::ffi::CString::new("x".repeat(300)).unwrap();
        assert_eq!(ensure_dir(root.as_fd(), &name).unwrap_err(), Errno::NAMETOOLONG);
        let path = std::ffi::CString::new("x/".repeat(3000)).unwrap();
        assert_eq!(ensure_dir(root.as_fd(), &path).unwrap_err(), Errno::NAMETOOLONG);
    }
}
