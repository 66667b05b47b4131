//! A minimal `/dev`: the nodes that the OCI runtime specification names, and those that somebody asks for, on a file system
//! of its own.

use crate::mount::DetachedMount;
use crate::{Error, Result};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, fstat, makedev, mkdirat, mknodat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Name, major and minor number of the character devices that every container has.
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Where other file systems of a `/dev` are mounted.
const FOLDERS: [&str; 3] = ["pts", "shm", "mqueue"];

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A device of blocks.
    Block,
    /// A device of characters.
    Char,
    /// A FIFO, whose numbers are not looked at.
    Fifo,
}

/// A node of a `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is, seen from `/dev`; plain names only. Folders on the way are made (mode 0755). It stands in place of a
    /// node that is there already.
    pub path: PathBuf,
    /// What it stands for.
    pub kind: NodeKind,
    /// The number of its driver.
    pub major: u32,
    /// The number of the device.
    pub minor: u32,
    /// Who may do what: the lower 12 bits of a mode.
    pub mode: u32,
    /// User and group, as the caller's namespace numbers them.
    pub owner: (u32, u32),
}

/// Makes a `/dev` that belongs to `owner` (user, group; as the caller's namespace numbers them), not attached yet.
/// `options` are those of tmpfs(5), `mode=755` for example; `nodes` are made beside those that every `/dev` has.
///
/// The nodes are made by the caller, whose umask must leave them open to all (0), and who needs CAP_MKNOD outside of user namespaces: inside one nobody may make nodes,
/// and none could be opened on a file system made there.
pub fn make<'a>(
    options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
    attributes: MountAttrFlags,
    owner: (u32, u32),
    nodes: &[Node],
) -> Result<DetachedMount> {
    let mount =
        DetachedMount::new(c"tmpfs", options, attributes).map_err(Error::file_system("make", "tmpfs"))?;
    fill(&mount, owner).map_err(Error::file_system("fill", "/dev"))?;
    for node in nodes {
        add(&mount, node, owner).map_err(|errno| Error::Path {
            operation: "make",
            path: Path::new("/dev").join(&node.path),
            source: errno.into(),
        })?;
    }
    Ok(mount)
}

/// The nodes that every `/dev` has, as ones to be asked for.
pub fn standard_nodes(owner: (u32, u32)) -> Vec<Node> {
    let node = |(name, major, minor): (&str, u32, u32)| Node {
        path: name.into(),
        kind: NodeKind::Char,
        major,
        minor,
        mode: 0o666,
        owner,
    };
    NODES.map(node).to_vec()
}

/// Makes a file system of nodes alone, not attached yet; whoever wants one somewhere mounts it there. Like [`make`] it asks for an
/// umask of 0.
pub fn make_nodes(nodes: &[Node]) -> Result<DetachedMount> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = DetachedMount::new(c"tmpfs", [(c"mode", c"755")], attributes)
        .map_err(Error::file_system("make", "tmpfs"))?;
    for node in nodes {
        add(&mount, node, (0, 0)).map_err(|errno| Error::Path {
            operation: "make the node",
            path: node.path.clone(),
            source: errno.into(),
        })?;
    }
    Ok(mount)
}

/// *Child-side.* Makes the links of a `/dev` in a folder that is there already; what has their names stays.
pub fn link_standard(folder: BorrowedFd<'_>) -> std::result::Result<(), Errno> {
    LINKS.iter().try_for_each(|(target, name)| existing_is_fine(symlinkat(*target, folder, *name)))
}

/// Makes the nodes, links and folders in a folder that is there already; those that it has stay. Unlike [`make`] it does
/// not ask for an umask.
pub(crate) fn fill_folder(folder: BorrowedFd<'_>) -> std::result::Result<(), Errno> {
    for (name, major, minor) in NODES {
        let (device, mode) = (makedev(major, minor), Mode::from_raw_mode(0o666));
        match mknodat(folder, name, FileType::CharacterDevice, mode, device) {
            Ok(()) => chmodat(folder, name, mode, AtFlags::empty())?,
            Err(Errno::EXIST) => {
                let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                let kind = FileType::from_raw_mode(stat.st_mode);
                if kind != FileType::CharacterDevice || stat.st_rdev != device {
                    return Err(Errno::EXIST);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    for (target, name) in LINKS {
        existing_is_fine(symlinkat(target, folder, name))?;
    }
    for name in FOLDERS {
        existing_is_fine(mkdirat(folder, name, Mode::from_raw_mode(0o755)))?;
    }
    Ok(())
}

fn existing_is_fine(made: std::result::Result<(), Errno>) -> std::result::Result<(), Errno> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// Whether a descriptor is of the null device, by its number.
///
/// *Child-side.*
pub fn is_null(fd: impl AsFd) -> std::result::Result<bool, Errno> {
    let stat = fstat(fd)?;
    let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    Ok(character && stat.st_rdev == makedev(1, 3))
}

fn fill(mount: &DetachedMount, owner: (u32, u32)) -> std::result::Result<(), Errno> {
    let own = |name: &str| {
        if owner == (0, 0) {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let flags = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
        chownat(mount, name, Some(uid), Some(gid), flags)
    };
    own("")?;
    for (name, major, minor) in NODES {
        mknodat(mount, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))?;
        own(name)?;
    }
    for (target, name) in LINKS {
        symlinkat(target, mount, name)?;
        own(name)?;
    }
    for name in FOLDERS {
        mkdirat(mount, name, Mode::from_raw_mode(0o755))?;
        own(name)?;
    }
    Ok(())
}

fn add(mount: &DetachedMount, node: &Node, dev_owner: (u32, u32)) -> std::result::Result<(), Errno> {
    let own = |path: &Path, (uid, gid): (u32, u32)| {
        chownat(mount, path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)
    };
    let mut folder = PathBuf::new();
    for name in node.path.parent().into_iter().flat_map(Path::components) {
        folder.push(name);
        match mkdirat(mount, &folder, Mode::from_raw_mode(0o755)) {
            Ok(()) => own(&folder, dev_owner)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    match unlinkat(mount, &node.path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let (kind, device) = match node.kind {
        NodeKind::Block => (FileType::BlockDevice, makedev(node.major, node.minor)),
        NodeKind::Char => (FileType::CharacterDevice, makedev(node.major, node.minor)),
        NodeKind::Fifo => (FileType::Fifo, 0),
    };
    mknodat(mount, &node.path, kind, Mode::from_raw_mode(node.mode), device)?;
    own(&node.path, node.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{OFlags, openat};

    #[test]
    fn every_node_is_a_device_that_its_owner_can_open() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        rustix::process::umask(Mode::empty());
        let dev = make([(c"mode", c"755")], MountAttrFlags::empty(), (1234, 1235), &[]).unwrap();
        for (name, major, minor) in NODES {
            let stat = statat(&dev, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            assert_eq!((stat.st_rdev, stat.st_mode & 0o7777), (makedev(major, minor), 0o666), "{name}");
            assert_eq!((stat.st_uid, stat.st_gid), (1234, 1235));
        }
        let zero = openat(&dev, "zero", OFlags::RDONLY, Mode::empty()).unwrap();
        let mut buffer = [1; 4];
        assert_eq!(rustix::io::read(&zero, &mut buffer), Ok(4));
        assert_eq!(buffer, [0; 4]);
        assert_eq!(statat(&dev, "fd", AtFlags::SYMLINK_NOFOLLOW).unwrap().st_uid, 1234);
    }
    #[test]
    fn nodes_are_made_where_and_as_they_were_asked_for() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        rustix::process::umask(Mode::empty());
        let node = |path: &str, kind, (major, minor), mode| Node {
            path: path.into(),
            kind,
            major,
            minor,
            mode,
            owner: (7, 8),
        };
        let wanted = [
            node("a/b/zero", NodeKind::Char, (1, 5), 0o640),
            node("null", NodeKind::Char, (1, 3), 0o600),
            node("disk", NodeKind::Block, (8, 0), 0o660),
            node("pipe", NodeKind::Fifo, (9, 9), 0o622),
        ];
        let dev = make([(c"mode", c"755")], MountAttrFlags::empty(), (1234, 1235), &wanted).unwrap();
        for node in &wanted {
            let stat = statat(&dev, &node.path, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            let device = if node.kind == NodeKind::Fifo { 0 } else { makedev(node.major, node.minor) };
            assert_eq!((stat.st_rdev, stat.st_mode & 0o7777), (device, node.mode), "{}", node.path.display());
            assert_eq!((stat.st_uid, stat.st_gid), (7, 8));
        }
        let folder = statat(&dev, "a/b", AtFlags::SYMLINK_NOFOLLOW).unwrap();
        assert_eq!((folder.st_mode & 0o7777, folder.st_uid), (0o755, 1234));
        let in_the_way = [node("pts", NodeKind::Char, (1, 3), 0o600)];
        let error = make([(c"mode", c"755")], MountAttrFlags::empty(), (0, 0), &in_the_way).unwrap_err();
        assert!(error.to_string().contains("/dev/pts"), "{error}");
    }
}
