//! What the kernel can be asked of a btrfs by ioctl(2): `linux/btrfs.h`.
//!
//! Every structure has the size and the places that the headers give it; a test asks the compiler of C for them.
#![allow(unsafe_code, reason = "ioctl(2) has no safe wrapper")]
#![allow(dead_code, reason = "what the kernel alone reads or writes is part of a structure too")]

use rustix::io::Errno;
use rustix::ioctl::{Getter, NoArg, Setter, Updater, ioctl, opcode};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// BTRFS_IOCTL_MAGIC.
const BTRFS: u8 = 0x94;

type Answer<T> = std::result::Result<T, Errno>;

/// `struct btrfs_ioctl_vol_args_v2`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct VolArgs {
    fd: i64,
    transid: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// BTRFS_SUBVOL_RDONLY.
pub(super) const READ_ONLY: u64 = 1 << 1;
/// BTRFS_ROOT_SUBVOL_RDONLY, among the flags that [`SubvolumeInfo`] tells.
pub(super) const IS_READ_ONLY: u64 = 1;

impl VolArgs {
    fn new(name: &[u8], fd: RawFd, flags: u64) -> Answer<Self> {
        let mut args = Self { fd: i64::from(fd), transid: 0, flags, unused: [0; 4], name: [0; 4040] };
        // The last byte stays 0. The kernel takes 255 bytes and says so itself.
        args.name[..4039].get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name);
        Ok(args)
    }
}

/// Makes an empty subvolume.
pub(super) fn create(parent: BorrowedFd<'_>, name: impl AsRef<[u8]>) -> Answer<()> {
    let args = VolArgs::new(name.as_ref(), 0, 0)?;
    // SAFETY: BTRFS_IOC_SUBVOL_CREATE_V2 reads this structure and keeps nothing of it.
    unsafe { ioctl(parent, Setter::<{ opcode::write::<VolArgs>(BTRFS, 24) }, _>::new(args)) }
}

/// Makes a subvolume that begins as another one is.
pub(super) fn snapshot(
    parent: BorrowedFd<'_>,
    name: impl AsRef<[u8]>,
    of: BorrowedFd<'_>,
    read_only: bool,
) -> Answer<()> {
    let args = VolArgs::new(name.as_ref(), of.as_raw_fd(), if read_only { READ_ONLY } else { 0 })?;
    // SAFETY: BTRFS_IOC_SNAP_CREATE_V2 reads this structure; the descriptor in it is open for as long as the call.
    unsafe { ioctl(parent, Setter::<{ opcode::write::<VolArgs>(BTRFS, 23) }, _>::new(args)) }
}

/// Deletes a subvolume: `NOTEMPTY` while others lie in it.
pub(super) fn destroy(parent: BorrowedFd<'_>, name: impl AsRef<[u8]>) -> Answer<()> {
    let args = VolArgs::new(name.as_ref(), 0, 0)?;
    // SAFETY: BTRFS_IOC_SNAP_DESTROY_V2 reads this structure and keeps nothing of it.
    unsafe { ioctl(parent, Setter::<{ opcode::write::<VolArgs>(BTRFS, 63) }, _>::new(args)) }
}

/// `struct btrfs_ioctl_timespec`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Time {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct SubvolumeInfo {
    /// The number of its tree.
    pub(super) id: u64,
    name: [u8; 256],
    parent_id: u64,
    dirid: u64,
    generation: u64,
    pub(super) flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    /// Whose copy it is, by a stream; else zeros.
    pub(super) received_uuid: [u8; 16],
    ctransid: u64,
    /// The transaction that made it.
    pub(super) otransid: u64,
    stransid: u64,
    rtransid: u64,
    ctime: Time,
    /// When it was made.
    pub(super) otime: Time,
    stime: Time,
    rtime: Time,
    reserved: [u64; 8],
}

/// What there is to say of a subvolume: `NOTTY` or `INVAL` of what is none.
pub(super) fn subvolume_info(subvolume: BorrowedFd<'_>) -> Answer<SubvolumeInfo> {
    // SAFETY: BTRFS_IOC_GET_SUBVOL_INFO fills this structure, for which any bytes are valid.
    unsafe { ioctl(subvolume, Getter::<{ opcode::read::<SubvolumeInfo>(BTRFS, 60) }, SubvolumeInfo>::new()) }
}

/// Lets a subvolume be written.
pub(super) fn make_writable(subvolume: BorrowedFd<'_>) -> Answer<()> {
    // SAFETY: BTRFS_IOC_SUBVOL_SETFLAGS reads one number.
    unsafe { ioctl(subvolume, Setter::<{ opcode::write::<u64>(BTRFS, 26) }, u64>::new(0)) }
}

/// `struct btrfs_ioctl_get_subvol_rootref_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct RootRefs {
    min_treeid: u64,
    refs: [[u64; 2]; 255],
    found: u8,
    align: [u8; 7],
}

/// A subvolume that lies in this one, by the number of its tree and the inode of the folder it lies in.
pub(super) fn first_child(subvolume: BorrowedFd<'_>) -> Answer<Option<(u64, u64)>> {
    let mut args = RootRefs { min_treeid: 0, refs: [[0; 2]; 255], found: 0, align: [0; 7] };
    // SAFETY: BTRFS_IOC_GET_SUBVOL_ROOTREF reads and fills this structure, for which any bytes are valid.
    let done = unsafe {
        ioctl(subvolume, Updater::<{ opcode::read_write::<RootRefs>(BTRFS, 61) }, _>::new(&mut args))
    };
    match done {
        // There are more than fit.
        Ok(()) | Err(Errno::OVERFLOW) => Ok((args.found > 0).then_some((args.refs[0][0], args.refs[0][1]))),
        Err(errno) => Err(errno),
    }
}

/// `struct btrfs_ioctl_ino_lookup_user_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Lookup {
    dirid: u64,
    treeid: u64,
    name: [u8; 256],
    path: [u8; 3824],
}

/// Where a subvolume lies below this one: the path of its folder, which is empty or ends with a slash, and its name.
pub(super) fn locate_child(subvolume: BorrowedFd<'_>, child: (u64, u64)) -> Answer<(Vec<u8>, Vec<u8>)> {
    let mut args = Lookup { dirid: child.1, treeid: child.0, name: [0; 256], path: [0; 3824] };
    // SAFETY: BTRFS_IOC_INO_LOOKUP_USER reads and fills this structure, for which any bytes are valid.
    unsafe { ioctl(subvolume, Updater::<{ opcode::read_write::<Lookup>(BTRFS, 62) }, _>::new(&mut args))? };
    let text = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Ok((text(&args.path), text(&args.name)))
}

/// Commits, and lets the cleaner begin with what was deleted.
pub(super) fn sync(fd: BorrowedFd<'_>) -> Answer<()> {
    // SAFETY: BTRFS_IOC_SYNC takes no argument.
    unsafe { ioctl(fd, NoArg::<{ opcode::none(BTRFS, 8) }>::new()) }
}

/// `struct fstrim_range`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Trim {
    start: u64,
    length: u64,
    least: u64,
}

/// Gives all that is free back to the device (FITRIM of `linux/fs.h`).
pub(super) fn trim(fd: BorrowedFd<'_>) -> Answer<()> {
    let mut args = Trim { start: 0, length: u64::MAX, least: 0 };
    // SAFETY: FITRIM reads and fills this structure, for which any bytes are valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<Trim>(b'X', 121) }, _>::new(&mut args)) }
}

/// `struct btrfs_ioctl_quota_ctl_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct QuotaCtl {
    cmd: u64,
    status: u64,
}

/// Begins to count what each subvolume holds; where that is done already nothing happens.
pub(super) fn enable_quota(fd: BorrowedFd<'_>) -> Answer<()> {
    /// BTRFS_QUOTA_CTL_ENABLE.
    const ENABLE: u64 = 1;
    let mut args = QuotaCtl { cmd: ENABLE, status: 0 };
    // SAFETY: BTRFS_IOC_QUOTA_CTL reads and fills this structure, for which any bytes are valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<QuotaCtl>(BTRFS, 40) }, _>::new(&mut args)) }
}

/// `struct btrfs_ioctl_qgroup_limit_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct QgroupLimit {
    id: u64,
    flags: u64,
    max_referenced: u64,
    rest: [u64; 3],
}

/// Holds a subvolume to a number of bytes, or to none: `NOTCONN` where nothing is counted.
pub(super) fn limit(fd: BorrowedFd<'_>, id: u64, limit: Option<u64>) -> Answer<()> {
    /// BTRFS_QGROUP_LIMIT_MAX_RFER.
    const REFERENCED: u64 = 1;
    // All bits set take a limit away.
    let bytes = limit.unwrap_or(u64::MAX);
    let mut args = QgroupLimit { id, flags: REFERENCED, max_referenced: bytes, rest: [0; 3] };
    // SAFETY: BTRFS_IOC_QGROUP_LIMIT, declared as one that reads, reads this structure from us.
    unsafe { ioctl(fd, Updater::<{ opcode::read::<QgroupLimit>(BTRFS, 43) }, _>::new(&mut args)) }
}

/// `struct btrfs_ioctl_quota_rescan_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Rescan {
    unused: [u64; 8],
}

/// Counts anew, and waits until it is done.
pub(super) fn count_anew(fd: BorrowedFd<'_>) -> Answer<()> {
    let args = Rescan { unused: [0; 8] };
    // SAFETY: BTRFS_IOC_QUOTA_RESCAN reads this structure.
    match unsafe { ioctl(fd, Setter::<{ opcode::write::<Rescan>(BTRFS, 44) }, _>::new(args)) } {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    // SAFETY: BTRFS_IOC_QUOTA_RESCAN_WAIT takes no argument.
    unsafe { ioctl(fd, NoArg::<{ opcode::none(BTRFS, 46) }>::new()) }
}

/// `struct btrfs_ioctl_search_args` with its key.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Search {
    tree: u64,
    objectids: [u64; 2],
    offsets: [u64; 2],
    transids: [u64; 2],
    kinds: [u32; 2],
    items: u32,
    unused: u32,
    more: [u64; 4],
    found: [u8; 3992],
}

/// The data of the items of a tree that have this object, kind and offset, or any offset.
pub(super) fn search(
    fd: BorrowedFd<'_>,
    tree: u64,
    object: u64,
    kind: u32,
    offset: Option<u64>,
) -> Answer<Vec<Vec<u8>>> {
    /// `struct btrfs_ioctl_search_header`: transid, objectid, offset, type, len.
    const HEADER: usize = 32;
    let offsets = offset.map_or([0, u64::MAX], |offset| [offset, offset]);
    let mut args = Search {
        tree,
        objectids: [object; 2],
        offsets,
        transids: [0, u64::MAX],
        kinds: [kind; 2],
        items: 32,
        unused: 0,
        more: [0; 4],
        found: [0; 3992],
    };
    // SAFETY: BTRFS_IOC_TREE_SEARCH reads and fills this structure, for which any bytes are valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<Search>(BTRFS, 17) }, _>::new(&mut args))? };
    let (mut items, mut rest) = (Vec::new(), &args.found[..]);
    for _ in 0..args.items {
        let length =
            rest.get(HEADER - 4..HEADER).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        let end = HEADER + length.ok_or(Errno::IO)? as usize;
        items.push(rest.get(HEADER..end).ok_or(Errno::IO)?.to_vec());
        rest = &rest[end..];
    }
    Ok(items)
}

/// `struct btrfs_ioctl_fs_info_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct FsInfo {
    max_id: u64,
    rest: [u64; 127],
}

/// The highest number of a device.
pub(super) fn last_device(fd: BorrowedFd<'_>) -> Answer<u64> {
    let mut args = FsInfo { max_id: 0, rest: [0; 127] };
    // SAFETY: BTRFS_IOC_FS_INFO reads flags of this structure, which are 0, and fills it; any bytes are valid for it.
    unsafe { ioctl(fd, Updater::<{ opcode::read::<FsInfo>(BTRFS, 31) }, _>::new(&mut args))? };
    Ok(args.max_id)
}

/// `struct btrfs_scrub_progress`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct ScrubProgress {
    pub(super) data_extents: u64,
    pub(super) tree_extents: u64,
    pub(super) data_bytes: u64,
    pub(super) tree_bytes: u64,
    pub(super) read_errors: u64,
    pub(super) csum_errors: u64,
    pub(super) verify_errors: u64,
    pub(super) no_csum: u64,
    pub(super) csum_discards: u64,
    pub(super) super_errors: u64,
    pub(super) malloc_errors: u64,
    pub(super) uncorrectable_errors: u64,
    pub(super) corrected_errors: u64,
    pub(super) last_physical: u64,
    pub(super) unverified_errors: u64,
}

/// `struct btrfs_ioctl_scrub_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct ScrubArgs {
    devid: u64,
    start: u64,
    end: u64,
    flags: u64,
    progress: ScrubProgress,
    unused: [u64; 109],
}

/// Reads a whole device and compares it with its checksums; what has a second copy is mended. `NODEV` where there is no
/// such device.
pub(super) fn scrub(fd: BorrowedFd<'_>, device: u64) -> Answer<ScrubProgress> {
    let mut args = ScrubArgs {
        devid: device,
        start: 0,
        end: u64::MAX,
        flags: 0,
        progress: ScrubProgress::default(),
        unused: [0; 109],
    };
    // SAFETY: BTRFS_IOC_SCRUB reads and fills this structure, for which any bytes are valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<ScrubArgs>(BTRFS, 27) }, _>::new(&mut args))? };
    Ok(args.progress)
}

/// `struct btrfs_ioctl_send_args`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct SendArgs {
    send_fd: i64,
    clone_sources_count: u64,
    clone_sources: *const u64,
    parent_root: u64,
    flags: u64,
    version: u32,
    reserved: [u8; 28],
}

/// Writes a read-only subvolume to a descriptor, or what of it is not in another one.
pub(super) fn send(subvolume: BorrowedFd<'_>, since: Option<u64>, to: BorrowedFd<'_>) -> Answer<()> {
    let sources = [since.unwrap_or_default()];
    let args = SendArgs {
        send_fd: i64::from(to.as_raw_fd()),
        clone_sources_count: u64::from(since.is_some()),
        clone_sources: sources.as_ptr(),
        parent_root: since.unwrap_or_default(),
        flags: 0,
        version: 0,
        reserved: [0; 28],
    };
    // SAFETY: BTRFS_IOC_SEND reads this structure and as many numbers as it says, all of which live as long as the call.
    unsafe { ioctl(subvolume, Setter::<{ opcode::write::<SendArgs>(BTRFS, 38) }, _>::new(args)) }
}

#[cfg(test)]
#[path = "ioctl_tests.rs"]
mod tests;
