//! What is in a tree, with all that a copy or an archive must keep: for tests, which compare two of them.

use crate::object::Object;
use rustix::fs::{FileType, Mode, OFlags, makedev, mknodat, openat, readlinkat};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// All that belongs to a file, but for its time of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: FileType,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) device: u64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// A link's target, or a file's contents.
    pub(crate) contents: Vec<u8>,
    pub(crate) size: u64,
    /// Whether it has holes worth the name.
    pub(crate) sparse: bool,
    /// The first of the names of the same file.
    pub(crate) first_name: PathBuf,
}

/// Lists a tree, its top as the empty path.
pub(crate) fn list(root: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut found = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    let mut all = Vec::new();
    while let Some(path) = waiting.pop() {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        if meta.is_dir() {
            let entries = fs::read_dir(&full).unwrap();
            waiting.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        }
        all.push((path, meta));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, meta) in all {
        let fd = rustix::fs::open(root.join(&path), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        let object = Object::reference(fd.as_fd());
        let xattrs = object.xattrs().unwrap().into_iter().map(|name| {
            let value = object.xattr(&name).unwrap().unwrap();
            (name.into_string().unwrap(), value)
        });
        let kind = FileType::from_raw_mode(meta.mode());
        let contents = match kind {
            FileType::RegularFile if meta.len() < 64 << 20 => fs::read(root.join(&path)).unwrap(),
            FileType::RegularFile => samples(&root.join(&path), meta.len()),
            FileType::Symlink => readlinkat(&fd, c"", Vec::new()).unwrap().into_bytes(),
            _ => Vec::new(),
        };
        let first_name =
            if meta.is_dir() { &path } else { names.entry((meta.dev(), meta.ino())).or_insert(path.clone()) };
        let facts = Facts {
            kind,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            device: meta.rdev(),
            xattrs: xattrs.collect(),
            contents,
            size: if meta.is_dir() { 0 } else { meta.len() },
            sparse: meta.is_file() && meta.blocks() * 512 + (64 << 10) < meta.len(),
            first_name: first_name.clone(),
        };
        found.insert(path, facts);
    }
    found
}

/// A block at every power of two, and the last one.
fn samples(path: &Path, size: u64) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut found = Vec::new();
    let places = (12..63).map(|power| 1 << power).take_while(|place| *place < size);
    for place in places.chain([0, size.saturating_sub(4096)]) {
        let mut block = [0; 4096];
        let length = file.read_at(&mut block, place).unwrap();
        found.extend_from_slice(&block[..length]);
    }
    found
}

/// Two trees are the same; the first difference is told in words.
#[track_caller]
pub(crate) fn same(a: &BTreeMap<PathBuf, Facts>, b: &BTreeMap<PathBuf, Facts>) {
    let (names_a, names_b) = (a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert_eq!(names_a, names_b);
    for (path, facts) in a {
        let (mut ours, mut theirs) = (facts.clone(), b[path].clone());
        assert!(ours.contents == theirs.contents, "{}: other contents", path.display());
        ours.contents.clear();
        theirs.contents.clear();
        assert_eq!(ours, theirs, "{}", path.display());
    }
}

/// Makes a tree that has one of everything. Needs root.
pub(crate) fn make_everything(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("folder/deeper")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), "contents\n").unwrap();
    fs::write(at("nothing"), "").unwrap();
    fs::write(at("large"), vec![b'x'; 3 << 20]).unwrap();
    fs::write(at("folder/setuid"), "#!").unwrap();
    fs::write(at("folder/capable"), "program").unwrap();
    fs::write(at("folder/ümläut – 日本"), "not ASCII").unwrap();
    fs::write(at(&format!("folder/{}", "n".repeat(200))), "a long name").unwrap();
    fs::hard_link(at("file"), at("folder/deeper/second")).unwrap();
    fs::hard_link(at("file"), at("a third")).unwrap();
    symlink("/etc/passwd", at("folder/absolute")).unwrap();
    symlink("../../../../outside", at("folder/deeper/up")).unwrap();
    symlink("t".repeat(300), at("long target")).unwrap();
    fs::hard_link(at("folder/absolute"), at("folder/same link")).unwrap();
    let mut sparse = File::create(at("sparse")).unwrap();
    sparse.write_all(b"first").unwrap();
    sparse.seek(SeekFrom::Start(1 << 20)).unwrap();
    sparse.write_all(&[b'm'; 5000]).unwrap();
    sparse.set_len(4 << 20).unwrap();
    File::create(at("all hole")).unwrap().set_len(1 << 20).unwrap();
    let folder = OwnedFd::from(File::open(root).unwrap());
    let node =
        |name: &str, kind, device| mknodat(&folder, name, kind, Mode::from_raw_mode(0o640), device).unwrap();
    node("fifo", FileType::Fifo, 0);
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("disk", FileType::BlockDevice, makedev(259, 70000));
    std::os::unix::fs::chown(at("folder"), Some(1000), Some(1001)).unwrap();
    std::os::unix::fs::chown(at("nothing"), Some(3_000_000), Some(4_000_000_000)).unwrap();
    std::os::unix::fs::lchown(at("folder/absolute"), Some(5), Some(6)).unwrap();
    let xattr = |name: &str, key: &str, value: &[u8]| {
        let fd = openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        let key = std::ffi::CString::new(key).unwrap();
        Object::reference(fd.as_fd()).set_xattr(&key, value).unwrap();
    };
    xattr("file", "user.text", b"some text");
    xattr("file", "user.bytes", b"\0\x01\n=\xff");
    xattr("file", "user.empty", b"");
    xattr("folder", "user.on a folder", &[b'v'; 700]);
    xattr("folder/absolute", "trusted.of.a.link", b"x");
    xattr("null", "trusted.of.a.node", b"y");
    let capability = [&0x0200_0001_u32.to_le_bytes()[..], &0x2000_u32.to_le_bytes(), &[0; 12]].concat();
    xattr("folder/capable", "security.capability", &capability);
    xattr("folder/deeper", "system.posix_acl_default", &acl(1000));
    xattr("folder/setuid", "system.posix_acl_access", &acl(1001));
    let mode = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    mode("folder/setuid", 0o4755);
    mode("folder/deeper", 0o2770);
    mode("empty", 0o1777);
    mode("large", 0o000);
    let times = [("file", 981_173_106, 123_456_789), ("large", -14_182_940, 0), ("nothing", 1, 999_999_999)];
    for (name, seconds, nanoseconds) in times {
        set_mtime(&at(name), seconds, nanoseconds);
    }
    for name in ["null", "folder/absolute", "folder/deeper", "folder", ""] {
        set_mtime(&at(name), 1_000_000_007, 5);
    }
}

pub(crate) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let at = rustix::fs::CWD;
    rustix::fs::utimensat(at, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// An access control list that lets one more user read.
fn acl(user: u32) -> Vec<u8> {
    let none = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, none), (2, 4, user), (4, 5, none), (0x10, 5, none), (0x20, 5, none)];
    let entries = entries.iter().flat_map(|(tag, permissions, id)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    2_u32.to_le_bytes().into_iter().chain(entries).collect()
}
