//! Which mount a descriptor is on.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::os::fd::BorrowedFd;

/// *Child-side.* The number that mountinfo has for the mount a descriptor is on (statx(2), Linux 5.8; before, from
/// `/proc/self/fdinfo`).
pub(crate) fn mount_id(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    match statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::MNT_ID) {
        Ok(stat) if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) => {
            Ok(stat.stx_mnt_id)
        }
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => by_fdinfo(fd),
        Err(errno) => Err(errno),
    }
}

fn by_fdinfo(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, c"/proc/self/fdinfo", flags, Mode::empty())?;
    let file = openat(&folder, DecInt::from_fd(fd), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // Four lines of numbers; the one that is looked for is the third.
    let mut buffer = [0; 256];
    let length = rustix::io::read(&file, &mut buffer)?;
    buffer[..length]
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"mnt_id:"))
        .and_then(|value| str::from_utf8(value).ok()?.trim().parse().ok())
        .ok_or(Errno::NOTSUP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn both_ways_name_the_mount_of_mountinfo() {
        for path in ["/proc", "/sys", "/dev/shm", "/"] {
            let file = std::fs::File::open(path).unwrap();
            let id = mount_id(file.as_fd()).unwrap();
            assert_eq!(by_fdinfo(file.as_fd()).unwrap(), id, "{path}");
            let all = crate::mountinfo::read().unwrap();
            let named = all.iter().filter(|mount| mount.mount_point == std::path::Path::new(path));
            assert!(named.into_iter().any(|mount| u64::from(mount.id) == id), "{path} is mount {id}");
        }
    }
}
