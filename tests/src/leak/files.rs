//! The engine's folders: nothing may be in them but the skeleton that the engine keeps there for ever.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Owner;

/// What may stay, by its path below the root or run root, with all that is below it.
///
/// Everything else may stay only as an empty folder directly below the root or in [`SHELVES`], or as a lock (a file whose name ends in
/// `lock`): an unlinked lock file would let two processes hold "the same" lock.
const PERMANENT: [&str; 6] =
    ["host-root", "spare", "events", "revived", "schema", "volumes/btrfs/pool.btrfs"];

/// That of a daemon that was killed: nobody listens on it, and the next daemon puts its own in its place.
const SOCKET: &str = "tinyd.sock";

/// Folders in which the engine keeps a folder for each kind of thing.
const SHELVES: [&str; 4] = ["volumes", "volumes/plugins", "volumes/btrfs", "secrets"];

pub(super) fn find(owner: &Owner) -> Vec<String> {
    let mut found = Vec::new();
    for folder in &owner.folders {
        look(folder, folder, &mut found);
    }
    found
}

fn look(top: &Path, dir: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let below = path.strip_prefix(top).unwrap_or(&path);
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if PERMANENT.iter().any(|kept| below.starts_with(kept)) || (!is_folder && name.ends_with("lock")) {
            continue;
        }
        if name == SOCKET && UnixStream::connect(&path).is_err() {
            continue;
        }
        let is_shelf = dir == top || SHELVES.iter().any(|shelf| dir == top.join(shelf));
        if is_folder && is_shelf && !is_id(&name) {
            look(top, &path, found);
        } else {
            found.push(path.display().to_string());
        }
    }
}

/// Whether a name is a container's id: 32 hexadecimal digits.
pub(crate) fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(make: impl Fn(&Path)) -> usize {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        find(&Owner { folders: vec![dir.path().to_owned()], ..Owner::default() }).len()
    }

    #[test]
    fn the_skeleton_and_its_locks_may_stay() {
        let count = found_in(|dir| {
            fs::create_dir(dir.join("containers")).unwrap();
            fs::create_dir(dir.join("trash")).unwrap();
            fs::write(dir.join("containers/.lock"), "").unwrap();
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn a_container_a_lease_and_a_stray_file_are_found() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(found_in(|dir| fs::create_dir_all(dir.join("containers").join(id)).unwrap()), 1);
        assert_eq!(found_in(|dir| fs::create_dir(dir.join(id)).unwrap()), 1);
        assert_eq!(found_in(|dir| fs::write(dir.join("stray"), "").unwrap()), 1);
        let lease = |dir: &Path| {
            fs::create_dir(dir.join("leases")).unwrap();
            fs::write(dir.join("leases/100000"), "").unwrap();
        };
        assert_eq!(found_in(lease), 1);
    }
}
