//! mount(2): all options in one string of less than 4 KiB, and a path to mount on.

use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, mount};
use rustix::path::DecInt;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// What the kernel reads of the options, with the final zero byte.
const PAGE: usize = 4096;

const FLAGS: [(MountAttrFlags, MountFlags); 8] = [
    (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
    (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
    (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
    (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
    (MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
    (MountAttrFlags::MOUNT_ATTR_STRICTATIME, MountFlags::STRICTATIME),
    (MountAttrFlags::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
    // MS_NOSYMFOLLOW (Linux 5.10), which rustix does not name.
    (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, MountFlags::from_bits_retain(256)),
];

/// *Child-side.* Attributes as flags of mount(2).
pub(crate) fn flags(attributes: MountAttrFlags) -> Result<MountFlags, Errno> {
    let mut left = attributes;
    let mut flags = MountFlags::empty();
    for (attribute, flag) in FLAGS {
        if left.contains(attribute) {
            flags |= flag;
            left.remove(attribute);
        }
    }
    if left.is_empty() { Ok(flags) } else { Err(Errno::INVAL) }
}

pub(super) fn mount_at<'a>(
    kind: &CStr,
    options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
    attributes: MountAttrFlags,
    target: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut data = Text::<PAGE>::new();
    for (name, value) in options {
        if name.to_bytes().contains(&b',') || value.to_bytes().contains(&b',') {
            return Err(Errno::INVAL);
        }
        if !data.is_empty() {
            data.push(b",")?;
        }
        data.push(name.to_bytes())?;
        if !value.is_empty() {
            data.push(b"=")?;
            data.push(value.to_bytes())?;
        }
    }
    let mut path = Text::<32>::new();
    path.push(b"/proc/self/fd/")?;
    path.push(DecInt::from_fd(target).as_bytes())?;
    mount(kind, path.get()?, kind, flags(attributes)?, data.get()?)
}

/// A C string that is put together without allocating.
struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Text<SIZE> {
    fn new() -> Self {
        Self { bytes: [0; SIZE], length: 0 }
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let end = self.length + bytes.len();
        if end >= SIZE {
            return Err(Errno::TOOBIG);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    fn get(&self) -> Result<&CStr, Errno> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno::INVAL)
    }
}
