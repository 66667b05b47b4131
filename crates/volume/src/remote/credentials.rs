//! Files with secrets. They are named and never read by us, but for the first bytes of a key: the program that needs one
//! opens it itself, so that it is in no command line, no environment, no state and no error.

use crate::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How a private key of SSH begins (RFC 7468, and OpenSSH's own).
const KEY: &[u8] = b"-----BEGIN ";

/// Checks that a file is root's alone, and opens it.
pub(super) fn check(file: &Path) -> Result<File> {
    // Nobody is waited for at the other end of a FIFO, and no link leads elsewhere.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = open(file, flags, Mode::empty());
    let opened = opened.map_err(|errno| Error::path("open the file of credentials", file, errno))?;
    let data = fstat(&opened).map_err(|errno| Error::path("look at", file, errno))?;
    let refuse = |problem: &'static str| {
        let value = file.display().to_string();
        Err(Error::Invalid { what: "file of credentials", value, problem: problem.into() })
    };
    if FileType::from_raw_mode(data.st_mode) != FileType::RegularFile {
        return refuse("is not a regular file");
    }
    if data.st_uid != 0 {
        return refuse("does not belong to root: whoever it belongs to could change it. Use chown root");
    }
    match data.st_mode & 0o077 {
        0 => Ok(File::from(opened)),
        _ => refuse("can be read or written by others than root: use chmod 600"),
    }
}

/// Whether it is a private key; else it is a password.
pub(super) fn is_key(file: &Path) -> Result<bool> {
    let mut begin = [0; KEY.len()];
    match check(file)?.read_exact(&mut begin) {
        Ok(()) => Ok(begin == KEY),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::path("read", file, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::needs_root;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn root_only_what_is_roots_alone_is_used() {
        if needs_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("secret");
        fs::write(&file, "geheim").unwrap();
        let said = |mode, owner| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            chown(&file, Some(owner), None).unwrap();
            check(&file).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(said(0o600, 0), Ok(()));
        assert_eq!(said(0o400, 0), Ok(()));
        for mode in [0o640, 0o604, 0o620, 0o610, 0o644] {
            assert!(said(mode, 0).unwrap_err().contains("chmod 600"));
        }
        assert!(said(0o600, 1000).unwrap_err().contains("chown root"));
        assert_eq!(said(0o600, 0), Ok(()));
        assert!(!is_key(&file).unwrap());
        symlink(&file, place.path().join("link")).unwrap();
        assert!(check(&place.path().join("link")).is_err());
        assert!(check(place.path()).unwrap_err().to_string().contains("regular"));
        assert!(check(&place.path().join("missing")).is_err());
        fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
        assert!(is_key(&file).unwrap());
    }
}
