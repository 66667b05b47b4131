//! Who a process is.

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// *Child-side.* Takes on a user, a group and supplementary groups, all of real, effective, saved and file-system ids.
/// Groups first: afterwards the right to change them may be gone.
///
/// # Errors
/// `EINVAL` for the largest number, which is nobody's and which the kernel takes for "as it is": the caller would go on as who
/// it was. Those of setgroups(2), setresgid(2) and setresuid(2).
pub fn become_user(uid: u32, gid: u32, groups: &[Gid]) -> Result<(), Errno> {
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    rustix::thread::set_thread_groups(groups)?;
    let gid = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// The file-system ids of a thread while this lives: files are made and looked up as this user and group, everything else
/// is done as before. The capabilities stay as they are only with SECBIT_NO_SETUID_FIXUP
/// ([`caps::set_no_setuid_fixup`](crate::caps::set_no_setuid_fixup)).
#[derive(Debug)]
pub struct FileSystemIds {
    uid: u32,
    gid: u32,
}

impl FileSystemIds {
    /// Takes them on. The kernel reports no failure of these calls; without CAP_SETUID and CAP_SETGID they do nothing.
    pub fn assume(uid: u32, gid: u32) -> Self {
        Self { gid: set_fsgid(gid), uid: set_fsuid(uid) }
    }
}

impl Drop for FileSystemIds {
    fn drop(&mut self) {
        set_fsuid(self.uid);
        set_fsgid(self.gid);
    }
}

fn set_fsuid(uid: u32) -> u32 {
    // SAFETY: setfsuid has no memory operands; it returns the id there was.
    unsafe { libc::setfsuid(uid) as u32 }
}

fn set_fsgid(gid: u32) -> u32 {
    // SAFETY: setfsgid has no memory operands; it returns the id there was.
    unsafe { libc::setfsgid(gid) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_number_that_means_unchanged_is_nobodys() {
        for (uid, gid) in [(u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
            assert_eq!(become_user(uid, gid, &[]), Err(Errno::INVAL), "{uid} {gid}");
        }
    }

    #[test]
    fn files_belong_to_the_assumed_user_for_as_long_as_it_is_assumed() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        std::thread::spawn(|| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
                .unwrap();
            let owner = |name: &str| {
                std::fs::write(folder.path().join(name), "").unwrap();
                let meta = std::fs::metadata(folder.path().join(name)).unwrap();
                (meta.uid(), meta.gid())
            };
            {
                let _ids = FileSystemIds::assume(1234, 5678);
                assert_eq!(owner("mapped"), (1234, 5678));
            }
            assert_eq!(owner("root"), (0, 0));
        })
        .join()
        .unwrap();
    }
}
