use super::*;
use crate::listing::{list, make_everything, same};
use crate::mount::{DetachedMount, private_namespace};
use rustix::fs::{Mode, OFlags, linkat, mkdirat, mknodat, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::fs::{self, File};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED (needs root)");
    }
    root
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    tree(File::open(from).unwrap().as_fd(), File::open(to).unwrap().as_fd())
}

/// Two empty folders of a folder that is gone with the first.
fn two() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    (folder, from, to)
}

#[test]
fn root_a_copy_has_everything_that_its_source_has() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    let source = list(&from);
    copy(&from, &to).unwrap();
    same(&source, &list(&to));
    assert_eq!(source[Path::new("a third")].first_name, source[Path::new("folder/deeper/second")].first_name);
    assert!(source[Path::new("sparse")].sparse && source[Path::new("all hole")].sparse);
    // To another file system, which shares nothing and copies no ranges from this one.
    private(|| {
        let tmpfs = DetachedMount::new(c"tmpfs", [], MountAttrFlags::empty()).unwrap();
        let at = File::open(&to).unwrap();
        tmpfs.attach(at.as_fd()).unwrap();
        let top = openat(rustix::fs::CWD, &to, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        tree(File::open(&from).unwrap().as_fd(), top.as_fd()).unwrap();
        same(&source, &list(&to));
    });
}

#[test]
fn root_a_socket_is_a_socket_in_the_copy() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    let _listener = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    copy(&from, &to).unwrap();
    assert!(fs::symlink_metadata(to.join("socket")).unwrap().file_type().is_socket());
}

#[test]
fn root_owners_are_mapped_everywhere() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    let map = |owner: Owner| Owner { uid: owner.uid % 1_000_000 + 7, gid: owner.gid % 1_000_000 + 9 };
    tree_mapped(File::open(&from).unwrap().as_fd(), File::open(&to).unwrap().as_fd(), &map).unwrap();
    let (mut source, copy) = (list(&from), list(&to));
    let acl = "system.posix_acl_access";
    let setuid = Path::new("folder/setuid");
    assert_eq!(copy[setuid].xattrs[acl][16..20], 1008_u32.to_le_bytes());
    for facts in source.values_mut() {
        let owner = map(Owner { uid: facts.owner.0, gid: facts.owner.1 });
        facts.owner = (owner.uid, owner.gid);
    }
    for (path, key) in [("folder/setuid", acl), ("folder/deeper", "system.posix_acl_default")] {
        let value = copy[Path::new(path)].xattrs[key].clone();
        source.get_mut(Path::new(path)).unwrap().xattrs.insert(key.into(), value);
    }
    same(&source, &copy);
}

#[test]
fn root_what_the_target_has_of_its_own_is_not_inherited() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    // A default list on the target would be given to every entry.
    let folder = File::open(from.join("folder/deeper")).unwrap();
    let value = object::Object::opened(folder.as_fd()).xattr(c"system.posix_acl_default").unwrap().unwrap();
    let target = File::open(&to).unwrap();
    object::Object::opened(target.as_fd()).set_xattr(c"system.posix_acl_default", &value).unwrap();
    object::Object::opened(target.as_fd()).set_xattr(c"user.mine", b"x").unwrap();
    copy(&from, &to).unwrap();
    same(&list(&from), &list(&to));
}

#[test]
fn root_depth_costs_neither_stack_nor_descriptors() {
    if !is_root() {
        return;
    }
    const LEVELS: usize = 1_500;
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(1_200), ..most };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let (folder, from, to) = two();
    let mut at = OwnedFd::from(File::open(&from).unwrap());
    fs::write(from.join("first"), "x").unwrap();
    for _ in 0..LEVELS {
        mkdirat(&at, "folder", Mode::RWXU).unwrap();
        at = openat(&at, "folder", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    drop(openat(&at, "deep", flags, Mode::RUSR).unwrap());
    // The names of these are the deepest ones: a path to them is longer than the kernel takes.
    for name in ["deep too", "deep as well"] {
        linkat(&at, "deep", &at, name, rustix::fs::AtFlags::empty()).unwrap();
    }
    let (source, target) = (File::open(&from).unwrap(), File::open(&to).unwrap());
    let small = std::thread::Builder::new().stack_size(96 << 10);
    small.spawn(move || tree(source.as_fd(), target.as_fd())).unwrap().join().unwrap().unwrap();
    let mut at = OwnedFd::from(File::open(&to).unwrap());
    for _ in 0..LEVELS {
        at = openat(&at, "folder", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let stat = rustix::fs::statat(&at, "deep too", rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!(stat.st_nlink, 3);
    for path in [from, to] {
        crate::remove_tree(&path).unwrap();
    }
    drop(folder);
}

#[test]
fn what_the_target_has_is_named_and_kept() {
    let (_folder, from, to) = two();
    fs::create_dir(from.join("a")).unwrap();
    fs::write(from.join("a/file"), "new").unwrap();
    fs::write(to.join("a"), "old").unwrap();
    let error = copy(&from, &to).unwrap_err();
    assert_eq!(error.to_string(), "create a");
    assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::EXIST.raw_os_error()));
    assert_eq!(fs::read(to.join("a")).unwrap(), b"old");
    // A link in the way is not written through.
    let (_folder, from, to) = two();
    fs::write(from.join("b"), "new").unwrap();
    fs::write(to.join("c"), "old").unwrap();
    symlink("c", to.join("b")).unwrap();
    assert_eq!(copy(&from, &to).unwrap_err().to_string(), "create b");
    assert_eq!(fs::read(to.join("c")).unwrap(), b"old");
}

#[test]
fn a_copy_into_the_tree_itself_ends() {
    let (folder, from, _) = two();
    let to = from.join("a/b");
    fs::create_dir_all(&to).unwrap();
    for (from, to, named) in [(folder.path(), &to, "copy from/a/b"), (&from, &from, "copy .")] {
        let error = copy(from, to).unwrap_err();
        assert_eq!(error.to_string(), named);
    }
}

#[test]
fn root_a_mount_in_the_source_is_named() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    fs::create_dir_all(from.join("a/b")).unwrap();
    private(|| {
        let tmpfs = DetachedMount::new(c"tmpfs", [], MountAttrFlags::empty()).unwrap();
        tmpfs.attach(File::open(from.join("a/b")).unwrap().as_fd()).unwrap();
        let error = copy(&from, &to).unwrap_err();
        assert_eq!(error.to_string(), "open a/b");
        assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::XDEV.raw_os_error()));
    });
}

#[test]
fn root_a_full_target_is_told_with_the_file_that_did_not_fit() {
    if !is_root() {
        return;
    }
    let (_folder, from, _to) = two();
    fs::create_dir(from.join("a")).unwrap();
    fs::write(from.join("a/large"), vec![1; 300 << 10]).unwrap();
    let tmpfs = DetachedMount::new(c"tmpfs", [(c"size", c"64k")], MountAttrFlags::empty()).unwrap();
    let error = tree(File::open(&from).unwrap().as_fd(), tmpfs.as_fd()).unwrap_err();
    assert_eq!(error.to_string(), "write a/large");
    assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
}

#[test]
fn root_contents_are_shared_where_the_file_system_can() {
    if !is_root() {
        return;
    }
    let (folder, _from, to) = two();
    let image = folder.path().join("image");
    File::create(&image).unwrap().set_len(400 << 20).unwrap();
    let made = std::process::Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED (needs mkfs.xfs)");
        return;
    }
    private(|| {
        let mounted = std::process::Command::new("mount").args(["-o", "loop"]).args([&image, &to]).status();
        assert!(mounted.unwrap().success());
        let (a, b) = (to.join("a"), to.join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        fs::write(a.join("large"), vec![7; 64 << 20]).unwrap();
        rustix::fs::sync();
        let free = || rustix::fs::statvfs(&to).unwrap();
        let before = free();
        copy(&a, &b).unwrap();
        rustix::fs::sync();
        let after = free();
        let used = (before.f_bfree - after.f_bfree) * after.f_frsize;
        assert!(used < 8 << 20, "{used} bytes for a copy of 64 MiB");
        assert!(fs::read(b.join("large")).unwrap() == fs::read(a.join("large")).unwrap());
    });
}

/// Somebody changes a folder into a link and back while it is copied, and a file into a FIFO, a device and a link.
#[test]
fn root_whoever_changes_the_source_leads_the_copy_nowhere() {
    if !is_root() {
        return;
    }
    let (folder, from, to) = two();
    let secret = folder.path().join("secret");
    fs::create_dir_all(secret.join("below")).unwrap();
    fs::write(secret.join("below/file"), "SECRET").unwrap();
    fs::create_dir_all(from.join("x/below")).unwrap();
    fs::write(from.join("x/below/file"), "mine").unwrap();
    symlink(&secret, from.join("y")).unwrap();
    fs::write(from.join("f"), "mine").unwrap();
    symlink(secret.join("below/file"), from.join("l")).unwrap();
    let source = File::open(&from).unwrap();
    mknodat(&source, "p", rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    let done = AtomicBool::new(false);
    let (mut copies, mut links, mut moved) = (0, 0, 0);
    std::thread::scope(|scope| {
        for (a, b) in [("x", "y"), ("f", "l"), ("f", "p")] {
            let (source, done) = (&source, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let _ =
                        rustix::fs::renameat_with(source, a, source, b, rustix::fs::RenameFlags::EXCHANGE);
                }
            });
        }
        for round in 0..400 {
            let target = to.join(format!("{round}"));
            fs::create_dir(&target).unwrap();
            match copy(&from, &target) {
                Ok(()) => copies += 1,
                Err(error) => {
                    moved += 1;
                    let known = [Errno::NOTDIR, Errno::LOOP, Errno::EXIST, Errno::NOENT];
                    let errno = error.io().unwrap().raw_os_error();
                    assert!(
                        known.iter().any(|known| Some(known.raw_os_error()) == errno),
                        "{error}: {errno:?}"
                    );
                }
            }
            for (path, facts) in list(&target) {
                assert!(facts.contents != b"SECRET", "{} was read", path.display());
                links += usize::from(facts.kind == rustix::fs::FileType::Symlink);
            }
            crate::remove_tree(&target).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    eprintln!("{copies} copies, {moved} given up, {links} links copied as links");
    assert!(copies > 0 && links > 0);
    assert_eq!(fs::metadata(secret.join("below/file")).unwrap().nlink(), 1);
}

/// Runs in a thread with a mount namespace of its own.
fn private(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            work();
        });
    });
}
