//! What is mounted where, by proc_pid_mountinfo(5): the kernel's table is read, and no path is walked, for a look at a mount
//! whose server is gone does not come back.

use crate::{Error, Result};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The table of the calling thread, which tests give a mount namespace of its own.
const TABLE: &str = "/proc/thread-self/mountinfo";

/// What is known of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `rw,nosuid,…`
    options: String,
}

impl Mount {
    /// Whether it is mounted so.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|word| word == option)
    }
}

/// What is mounted at exactly this path, the topmost where there are several.
pub(crate) fn at(path: &Path) -> Result<Option<Mount>> {
    let table = std::fs::read(TABLE).map_err(|error| Error::path("read", TABLE, error))?;
    let mut mounts = table.split(|byte| *byte == b'\n').filter_map(parse);
    Ok(mounts.rfind(|(place, _)| place == path).map(|(_, mount)| mount))
}

/// Whether something is mounted at a path or below it. The path has no links: the kernel names mounts by their real paths.
pub(crate) fn is_any_below(path: &Path) -> Result<bool> {
    let table = std::fs::read(TABLE).map_err(|error| Error::path("read", TABLE, error))?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse).any(|(place, _)| place.starts_with(path)))
}

/// Takes away what is mounted at a path, all of it: at once where nobody on this host is in it, else when the last one has
/// left. Only for file systems that need nobody to answer.
pub(crate) fn detach(path: &Path) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    loop {
        match rustix::mount::unmount(path, flags) {
            Ok(()) => {}
            // Nothing is mounted there, or nothing is there.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::path("unmount", path, errno)),
        }
    }
}

fn parse(line: &[u8]) -> Option<(PathBuf, Mount)> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let mut fields = line.split(|byte| *byte == b' ');
    let place = PathBuf::from(OsString::from_vec(plain(fields.nth(4)?)));
    let options = String::from_utf8_lossy(fields.next()?).into_owned();
    // Any number of optional fields, ended by a hyphen; without it it is no line.
    fields.find(|field| *field == b"-")?;
    Some((place, Mount { options }))
}

/// Blanks, tabs, line feeds and backslashes are written as a backslash and three octal digits.
fn plain(field: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match digits {
            Some(digits) if *first == b'\\' => {
                let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(value as u8);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_line_says_where_and_how() {
        let line = br"36 35 98:0 / /a\040b\134 rw,nosuid master:1 shared:2 - fuse.sshfs x:/y rw,nodev";
        let (place, mount) = parse(line).unwrap();
        assert_eq!(place, Path::new(r"/a b\"));
        assert!(mount.has("nosuid") && mount.has("rw") && !mount.has("nodev") && !mount.has("r"));
        assert_eq!(parse(b"1 2 0:1 / /a rw - tmpfs none rw").unwrap().0, Path::new("/a"));
        assert_eq!(parse(b"1 2 0:1 / /a rw tmpfs none rw"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn pure_only_a_mounts_own_place_is_one() {
        assert!(at(Path::new("/proc")).unwrap().is_some_and(|mount| mount.has("rw")));
        assert_eq!(at(Path::new("/proc/self")).unwrap(), None);
        assert!(is_any_below(Path::new("/")).unwrap() && !is_any_below(Path::new("/proc/self")).unwrap());
        let place = tempfile::tempdir().unwrap();
        assert_eq!(at(place.path()).unwrap(), None);
        detach(place.path()).unwrap();
        detach(&place.path().join("missing")).unwrap();
    }
}
