//! The working folder: of this container, or of the host (CVE-2024-21626).

use std::fs;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// Says whether the folder lies on one of the mounts that this process has.
pub(crate) fn run() {
    let own = statx(CWD, ".", AtFlags::empty(), StatxFlags::MNT_ID).is_ok_and(|stat| {
        let id = format!("{} ", stat.stx_mnt_id);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        mounts.lines().any(|line| line.starts_with(&id))
    });
    println!("inside={own}");
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) => println!("cwd={}", path.to_string_lossy()),
        Err(error) => println!("cwd is none: {error}"),
    }
}
