//! File systems whose files are no data: what the kernel shows of itself, and takes settings by.

use rustix::fs::{FsWord, fstatfs};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Their numbers (linux/magic.h, and the sources of those that it lacks). To read them may wait for ever (`/proc/kmsg`), or do
/// something.
const KINDS: [FsWord; 17] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x4249_4e4d, // binfmt_misc
    0x6e73_6673, // nsfs
    0x6573_5543, // fusectl
];

/// Whether a file, which may be a reference, lies on one of them.
///
/// # Errors
/// Those of fstatfs(2).
pub fn holds(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(KINDS.contains(&fstatfs(file)?.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use std::os::fd::AsFd as _;

    #[test]
    fn pure_the_kernels_own_are_told_from_data() {
        for (path, expected) in [("/proc/self/status", true), ("/sys", true), ("/dev", false), ("/", false)] {
            let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
            assert_eq!(holds(file.as_fd()).unwrap(), expected, "{path}");
        }
    }
}
