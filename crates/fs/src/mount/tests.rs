use super::*;
use crate::mountinfo;
use rustix::fs::{Mode, OFlags, mkdirat, openat};

#[test]
fn attributes_hold_without_being_attached() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    let mount = DetachedMount::new(c"tmpfs", [(c"size", c"64k")], MountAttrFlags::empty()).unwrap();
    mkdirat(&mount, "a", Mode::RWXU).unwrap();
    mount.change(&Changes::read_only(true)).unwrap();
    assert_eq!(mkdirat(&mount, "b", Mode::RWXU), Err(Errno::ROFS));
    let writable = Changes { clear: MountAttrFlags::MOUNT_ATTR_RDONLY, ..Changes::NONE };
    mount.change(&writable).unwrap();
    mkdirat(&mount, "b", Mode::RWXU).unwrap();
    openat(&mount, "b", OFlags::PATH, Mode::empty()).unwrap();
}

#[test]
fn an_unknown_kind_is_an_error() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    let error = DetachedMount::new(c"no-such-fs", [], MountAttrFlags::empty()).unwrap_err();
    assert_eq!(error, Errno::NODEV);
}

/// Runs in a thread with a mount namespace of its own.
fn in_own_namespace(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            work();
        });
    });
}

#[test]
fn a_file_system_is_mounted_the_same_by_both_apis() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(MountApi::detect(), MountApi::Descriptors, "this kernel has them");
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    in_own_namespace(|| {
        let mut seen = Vec::new();
        for api in [MountApi::Descriptors, MountApi::Classic] {
            let target = folder.path().join(format!("{api:?}"));
            std::fs::create_dir(&target).unwrap();
            let fd = openat(CWD, &target, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
            api.mount_at(c"tmpfs", [(c"size", c"64k"), (c"mode", c"751")], attributes, fd.as_fd()).unwrap();
            let mounts = mountinfo::read_thread().unwrap();
            let mount = mounts.into_iter().find(|mount| mount.mount_point == target).unwrap();
            seen.push((mount.options, mount.super_options, mount.fs_type, mount.source));
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&target).unwrap().permissions());
            assert_eq!(mode & 0o7777, 0o751);
        }
        assert_eq!(seen[0], seen[1]);
        assert!(seen[0].0.contains(&"noexec".to_owned()));
    });
    let outside = mountinfo::read().unwrap();
    assert!(!outside.iter().any(|mount| mount.mount_point.starts_with(folder.path())));
}

#[test]
fn what_mount_2_cannot_be_told_is_an_error() {
    let target = std::fs::File::open("/").unwrap();
    let mount = |name: &CStr, value: &CStr| {
        MountApi::Classic.mount_at(c"tmpfs", [(name, value)], MountAttrFlags::empty(), target.as_fd())
    };
    let long = std::ffi::CString::new("x".repeat(4096)).unwrap();
    assert_eq!(mount(c"a", &long), Err(Errno::TOOBIG));
    assert_eq!(mount(c"size", c"1k,uid=0"), Err(Errno::INVAL));
    assert_eq!(mount(c"no-such-option", c""), Err(Errno::INVAL));
}
