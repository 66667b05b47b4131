//! The daemon's socket: root's and its group's, from the first moment on.

use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::net::UnixListener;

/// Those in this group may talk to the daemon, and are as good as root.
const GROUP: &str = "tinyd";

/// A socket that is listened on; its file goes with it.
pub(crate) struct Socket {
    path: PathBuf,
    /// Device and inode: the file may have become another daemon's.
    file: (u64, u64),
}

impl Socket {
    /// Listens at a path. A socket that a daemon left there is replaced; whether that one still lives is for the caller to know.
    pub(crate) fn listen(path: &Path) -> Result<(Self, UnixListener)> {
        let failed = |error: io::Error| {
            Error::with_source(ErrorKind::Internal, format!("listen on {}", path.display()), &error)
        };
        if fs::symlink_metadata(path).is_ok_and(|found| !is_socket(&found)) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{} is there, and is no socket", path.display()),
            )
            .with_hint("move it away, or name another path"));
        }
        // It is made where nobody else gets to, given its owner and mode there, and then put in its place.
        let folder = path.parent().unwrap_or(path).join(format!(".tinyd-socket-{}", std::process::id()));
        let within = folder.join("socket");
        let made = || -> io::Result<_> {
            fs::DirBuilder::new().mode(0o700).create(&folder)?;
            let listener = UnixListener::bind(&within)?;
            rustix::fs::chownat(CWD, &within, Some(Uid::ROOT), Some(group()), AtFlags::SYMLINK_NOFOLLOW)?;
            rustix::fs::chmodat(CWD, &within, Mode::from_bits_truncate(0o660), AtFlags::empty())?;
            let file = fs::symlink_metadata(&within)?;
            fs::rename(&within, path)?;
            Ok((listener, (file.dev(), file.ino())))
        };
        let outcome = made();
        let _ = fs::remove_file(&within);
        let _ = fs::remove_dir(&folder);
        let (listener, file) = outcome.map_err(failed)?;
        Ok((Self { path: path.to_owned(), file }, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_socket(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.file_type().is_socket()
}

/// The group's number, root's where there is no such group.
fn group() -> Gid {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    number(&groups, GROUP).map_or(Gid::ROOT, Gid::from_raw)
}

fn number(groups: &str, name: &str) -> Option<u32> {
    let mut fields = groups.lines().map(|line| line.split(':'));
    let mut found = fields.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    found.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\ntinydx:x:7:\ntinyd:x:990:ann,bob\nbroken\n";
        assert_eq!(number(groups, "tinyd"), Some(990));
        assert_eq!(number(groups, "tiny"), None);
        assert_eq!(number(groups, "broken"), None);
    }

    #[tokio::test]
    async fn root_a_socket_is_its_groups_and_goes_with_its_daemon() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s.sock");
        let (first, _listening) = Socket::listen(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, 0o660);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left");
        // The next daemon takes the place of one that was killed; the older one leaves it alone.
        let (second, _listening) = Socket::listen(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(Socket::listen(&path).is_err_and(|error| error.to_string().contains("no socket")));
        assert!(path.is_file());
    }
}
