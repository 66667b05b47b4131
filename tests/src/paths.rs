//! Where things are: the workspace, the programs under test, the caches.

use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, statfs};

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// The workspace folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace").to_owned()
}

/// The build folder: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // A relative one is relative to where cargo was called, which is the workspace for every documented command.
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// The `tinyd` under test: `TINYD_BIN`, which `cargo xtask test` sets, or the release build.
pub fn tinyd() -> PathBuf {
    match std::env::var_os("TINYD_BIN") {
        Some(path) => path.into(),
        None => target().join("release/tinyd"),
    }
}

/// The folder of the root file systems made for tests: `TINYD_TEST_CACHE`, or `test-roots` in the build folder.
pub fn cache() -> PathBuf {
    match std::env::var_os("TINYD_TEST_CACHE") {
        Some(path) => path.into(),
        None => target().join("test-roots"),
    }
}

/// The folder of the packages from npm that the tests of the web page use: `browser` in the build folder.
pub fn browser() -> PathBuf {
    target().join("browser")
}

/// The interpreter with the packages from pip that a client in Python uses, in the build folder.
pub fn python() -> PathBuf {
    target().join("python/bin/python")
}

/// Where the tests' `--root` folders are made: `TINYD_TEST_DIR`, or `/tmp`. It is meant to be a real disk.
pub fn scratch() -> PathBuf {
    match std::env::var_os("TINYD_TEST_DIR") {
        Some(path) => path.into(),
        None => "/tmp".into(),
    }
}

/// Where the tests' `--run-root` folders are made: a tmpfs, as `/run` is on a usual machine.
pub fn run_scratch() -> PathBuf {
    ["/run", "/dev/shm"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| is_tmpfs(path))
        .unwrap_or_else(|| panic!("neither /run nor /dev/shm is a tmpfs: run-time state has no place"))
}

/// Whether `path` lies on a tmpfs.
pub fn is_tmpfs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type == TMPFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_this_crate() {
        assert!(workspace().join("tests/Cargo.toml").is_file());
    }

    #[test]
    fn proc_is_no_tmpfs() {
        assert!(!is_tmpfs(Path::new("/proc")));
        assert!(is_tmpfs(&run_scratch()));
    }
}
