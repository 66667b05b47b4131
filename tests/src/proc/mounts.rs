//! `/proc/PID/mountinfo`, as proc_pid_mountinfo(5) describes it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The root of the mount within its file system (field 4).
    pub root: String,
    /// Where it is mounted (field 5).
    pub point: PathBuf,
    /// The options of the mount itself (field 6).
    pub options: Vec<String>,
    /// The optional fields: `shared:N`, `master:N`, …
    pub propagation: Vec<String>,
    /// The file system's type.
    pub fs: String,
    /// What is mounted.
    pub source: String,
    /// The options of the file system (the last field).
    pub super_options: Vec<String>,
    /// The line as it stood.
    pub line: String,
}

impl Mount {
    /// Whether the mount, or the file system behind it, has this option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().chain(&self.super_options).any(|found| found == option)
    }
}

/// The mounts that a process sees.
///
/// # Errors
/// Those of reading the file: the process is gone, or may not be looked at.
pub fn of(pid: i32) -> io::Result<Vec<Mount>> {
    read(&format!("/proc/{pid}/mountinfo"))
}

/// The mounts that this process sees.
///
/// # Errors
/// Those of reading the file.
pub fn of_self() -> io::Result<Vec<Mount>> {
    read("/proc/self/mountinfo")
}

fn read(path: &str) -> io::Result<Vec<Mount>> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let root = unescape(left.next()?);
    let point = unescape(left.next()?);
    let options = list(left.next()?);
    let propagation = left.map(str::to_owned).collect();
    let mut right = right.splitn(3, ' ');
    Some(Mount {
        root: root.to_string_lossy().into_owned(),
        point: point.into(),
        options,
        propagation,
        fs: right.next()?.to_owned(),
        source: unescape(right.next()?).to_string_lossy().into_owned(),
        super_options: list(right.next()?),
        line: line.to_owned(),
    })
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// Blank, tab, newline and backslash stand as three octal digits after a backslash.
fn unescape(text: &str) -> OsString {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let value = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_of_a_line() {
        let line =
            r"36 35 98:0 /mnt1 /a\040b rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue";
        let mount = parse(line).unwrap();
        assert_eq!(mount.root, "/mnt1");
        assert_eq!(mount.point, PathBuf::from("/a b"));
        assert_eq!(mount.propagation, ["shared:1", "master:2"]);
        assert_eq!((mount.fs.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
        assert!(mount.has("noatime") && mount.has("errors=continue") && !mount.has("ro"));
    }

    #[test]
    fn a_line_without_optional_fields() {
        let mount = parse("22 27 0:21 / /proc rw,relatime - proc proc rw").unwrap();
        assert!(mount.propagation.is_empty());
        assert_eq!(mount.super_options, ["rw"]);
    }

    #[test]
    fn this_process_has_a_proc() {
        assert!(of_self().unwrap().iter().any(|mount| mount.fs == "proc"));
    }
}
