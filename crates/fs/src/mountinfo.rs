//! What is mounted, by proc_pid_mountinfo(5).

use crate::resolve::mount_id;
use crate::{Error, Result};
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountInfo {
    /// Number of the mount.
    pub id: u32,
    /// Number of the mount it is attached to.
    pub parent: u32,
    /// The folder of its file system that it shows.
    pub root: PathBuf,
    /// Where it is attached, seen from the root of the process.
    pub mount_point: PathBuf,
    /// Its own options: `rw`, `nosuid`, …
    pub options: Vec<String>,
    /// To whom it spreads what is mounted below it, and from whom it gets such mounts: `shared:7`, `master:3`.
    pub propagation: Vec<String>,
    /// `ext4`, `overlay`, …
    pub fs_type: String,
    /// What is mounted: a device, or whatever name was given.
    pub source: String,
    /// Options of the file system: `lowerdir=…`, …
    pub super_options: Vec<String>,
}

impl MountInfo {
    /// What is mounted below it shows in other copies of it too.
    pub fn is_shared(&self) -> bool {
        self.propagation.iter().any(|field| field.starts_with("shared:"))
    }

    /// What is mounted below another mount shows in it.
    pub fn is_slave(&self) -> bool {
        self.propagation.iter().any(|field| field.starts_with("master:"))
    }
}

/// The mount that an open file or folder lies on; `None` where the calling process does not see it.
pub fn of(fd: BorrowedFd<'_>) -> Result<Option<MountInfo>> {
    let id = mount_id(fd).map_err(Error::path("find the mount of", "an open file"))?;
    Ok(read()?.into_iter().find(|mount| u64::from(mount.id) == id))
}

/// The mounts that the calling process sees.
pub fn read() -> Result<Vec<MountInfo>> {
    read_from("/proc/self/mountinfo")
}

/// The mounts that the calling thread sees, which may have a mount namespace of its own.
pub fn read_thread() -> Result<Vec<MountInfo>> {
    read_from("/proc/thread-self/mountinfo")
}

fn read_from(path: &str) -> Result<Vec<MountInfo>> {
    let path = Path::new(path);
    let text = std::fs::read(path).map_err(Error::path("read", path))?;
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse_line).collect()
}

/// Reads one line. Paths may be any bytes; what is no UTF-8 elsewhere is replaced.
pub fn parse_line(line: impl AsRef<[u8]>) -> Result<MountInfo> {
    let line = line.as_ref();
    parse(line).ok_or_else(|| Error::MountInfo { line: text(line) })
}

fn parse(line: &[u8]) -> Option<MountInfo> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let _device = fields.next()?;
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let options = list(fields.next()?);
    // Any number of optional fields, ended by a hyphen.
    let mut propagation = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => propagation.push(text(field)),
        }
    }
    let fs_type = text(fields.next()?);
    let source = path(fields.next()?).display().to_string();
    let super_options = list(fields.next().unwrap_or_default());
    Some(MountInfo { id, parent, root, mount_point, options, propagation, fs_type, source, super_options })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn list(field: &[u8]) -> Vec<String> {
    text(field).split(',').map(str::to_owned).collect()
}

/// Blanks, tabs, line feeds and backslashes are written as a backslash and three octal digits.
fn path(bytes: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let escaped = digits
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))
            .map(|digits| digits.iter().fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0')));
        plain.push(escaped.map_or(*byte, |value| value as u8));
        at += if escaped.is_some() { 4 } else { 1 };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_paths_and_optional_fields() {
        let line = r"36 35 98:0 /a\040b /mnt\0111 rw,nosuid master:1 shared:2 - overlay none rw,lowerdir=/x";
        let info = parse_line(line).unwrap();
        assert_eq!(info.root, Path::new("/a b"));
        assert_eq!(info.mount_point, Path::new("/mnt\t1"));
        assert_eq!(info.options, ["rw", "nosuid"]);
        assert_eq!((info.is_shared(), info.is_slave()), (true, true));
        assert_eq!(info.fs_type, "overlay");
        assert_eq!(info.super_options, ["rw", "lowerdir=/x"]);
    }

    #[test]
    fn a_mount_point_may_be_any_bytes_and_a_field_any_sign() {
        let info = parse_line(b"1 0 0:5 / /mnt/\xff\xfe rw - tmpfs - rw").unwrap();
        assert_eq!(info.mount_point.as_os_str().as_encoded_bytes(), b"/mnt/\xff\xfe");
        // The file system's name comes after the first hyphen that is a field, wherever another one stands.
        assert_eq!((info.fs_type.as_str(), info.source.as_str()), ("tmpfs", "-"));
        assert_eq!((info.is_shared(), info.is_slave()), (false, false));
        assert!(parse_line(b"1 0 0:5 / - rw").is_err());
    }

    #[test]
    fn this_machine_is_understood_and_nonsense_is_not() {
        assert!(read().unwrap().iter().any(|mount| mount.mount_point == Path::new("/")));
        for line in ["", "1 2 3", "x 35 98:0 / / rw - ext4 a b", "1 2 0:0 / /"] {
            assert!(parse_line(line).is_err(), "{line:?}");
        }
    }
}
