//! What is done off everybody's path: syncing after the start; after the end, telling and removing.

use crate::StartRequest;
use crate::launch::Running;
use crate::state::{self, EXIT_FILE, ExitRecord, RELEASE_FILE, SECCOMP_FILE, SOCKET_FILE, STATE_FILE};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How often, and how long, a cgroup is tried to be removed whose last processes are still on their way out.
const RETRIES: u32 = 50;
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Takes the room for the record of the exit while there is some. Without it the record is tried all the same.
pub(super) fn reserve(request: &StartRequest) {
    let _ = state::reserve(&request.run_dir.join(EXIT_FILE));
}

/// Removes what was made for the container. Nothing stops at an error: what cannot be removed
/// now is found by the engine's check.
pub(super) fn finish(request: &StartRequest, running: Running, exit: Option<&ExitRecord>) {
    let Running { cgroup, rootfs, child, .. } = running;
    drop((rootfs, child));
    for _ in 0..RETRIES {
        if cgroup.cgroup.remove().is_ok() {
            break;
        }
        let _ = cgroup.cgroup.kill();
        std::thread::sleep(RETRY_EVERY);
    }
    if let (Some(exit), Some(copy)) = (exit, &request.exit_copy) {
        let _ = state::store(copy, exit, true);
    }
    for name in [SOCKET_FILE, RELEASE_FILE, SECCOMP_FILE, "stdin", "stdout", "stderr"] {
        let _ = fs::remove_file(request.run_dir.join(name));
    }
    // The folders themselves go last, the first of them at the very end: as long as it is there, whoever comes next finds
    // what this process left should it be killed here.
    for tree in &request.trash {
        empty(tree);
    }
    for tree in request.trash.iter().rev() {
        let _ = tinyd_fs::remove_tree(tree);
    }
    // Last: for as long as it is there, and this process lives, all this is still being done.
    let _ = fs::remove_file(request.run_dir.join(STATE_FILE));
}

fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = tinyd_fs::remove_tree(&entry.path());
    }
}

/// Syncs the container's folder to disk while the command runs: a container that was told of survives a power failure.
pub(super) fn sync_in_background(request: &StartRequest) {
    let Some(folder) = request.sync.clone() else { return };
    // From here on the process has two threads, and clones nothing more. Where no thread is to be had, the kernel writes
    // the files in its own time.
    let _ = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || sync(&folder));
}

fn sync(folder: &Path) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let files =
        files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path());
    for path in files.chain([folder.to_owned()]).chain(folder.parent().map(Path::to_owned)) {
        let _ = fs::File::open(path).and_then(|file| file.sync_all());
    }
}
