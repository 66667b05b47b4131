//! All that needs a newer kernel is refused by a seccomp filter, as an older kernel would (ENOSYS). What is found out about
//! the kernel holds for the life of a process, so this test has one of its own.

#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use tinyd_fs::mount::{DetachedMount, MountApi, private_namespace};
use tinyd_fs::overlay::{Overlay, Writable};
use tinyd_fs::pivot::{PutOld, RootConfig};
use tinyd_fs::resolve::{self, Resolver};
use tinyd_fs::{minimal_root, mountinfo};

/// Calls that came with Linux 5.2, 5.6 and 5.12.
const NEW: [libc::c_long; 8] = [
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_openat2,
    libc::SYS_mount_setattr,
];

/// Takes the newer calls from this thread and those that it starts.
fn forget_new_calls() {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The number of the call is the first field of what a filter sees.
    let mut filter = vec![step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0)];
    for (index, number) in NEW.into_iter().enumerate() {
        let to_refusal = (NEW.len() - index) as u8;
        filter.push(step((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, to_refusal, 0, number as u32));
    }
    let ret = (libc::BPF_RET | libc::BPF_K) as u16;
    filter.push(step(ret, 0, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(step(ret, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true).unwrap();
    // SAFETY: the program and its steps live through the call, which copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(result, 0);
}

fn folder(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

#[test]
fn everything_that_can_be_done_on_an_old_kernel_is_done() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    // The folder is removed by this thread, which keeps its root.
    std::thread::scope(|scope| {
        scope.spawn(|| with_old_calls(scratch.path()));
    });
}

fn with_old_calls(scratch: &Path) {
    forget_new_calls();
    let none = MountAttrFlags::empty();
    assert_eq!(DetachedMount::new(c"tmpfs", [], none).unwrap_err(), Errno::NOSYS, "the filter works");
    assert_eq!(Resolver::detect(), Resolver::Walk);
    assert_eq!(MountApi::detect(), MountApi::Classic);
    private_namespace().unwrap();

    // A root with a shell, whose links lead nowhere else.
    let root = scratch.join("root");
    minimal_root::create(&root).unwrap();
    minimal_root::populate(&root, Path::new("/")).unwrap();
    symlink("/etc", root.join("link")).unwrap();
    fs::write(root.join("etc/own"), "").unwrap();
    resolve::open(folder(&root).as_fd(), c"/link/../../link/own").unwrap();
    assert_eq!(resolve::open(folder(&root).as_fd(), c"/link/hostname").unwrap_err(), Errno::NOENT);

    // An overlay upon it, of as many layers as there may be.
    let mut lowers: Vec<_> = (0..499).map(|number| scratch.join(format!("lower-{number}"))).collect();
    for lower in &lowers {
        fs::create_dir(lower).unwrap();
    }
    lowers.push(root);
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| scratch.join(name));
    for path in [&upper, &work, &merged] {
        fs::create_dir(path).unwrap();
    }
    let overlay = Overlay {
        lowers: &lowers,
        writable: Writable { upper: &upper, work: &work, volatile: false },
        attributes: none,
        idmap: None,
        user_xattrs: false,
    };
    overlay.mount_at(MountApi::detect(), folder(&merged).as_fd(), |_, create| create()).unwrap();
    minimal_root::mount_file_systems(&merged).unwrap();
    let ran =
        std::process::Command::new("chroot").arg(&merged).args(["/bin/sh", "-c", "true"]).status().unwrap();
    assert!(ran.success());
    minimal_root::clean_up(&merged).unwrap();
    let below = |path: &Path| {
        let all = mountinfo::read_thread().unwrap();
        all.into_iter().filter(|mount| mount.mount_point.starts_with(path)).count()
    };
    assert_eq!(below(&merged), 1, "the overlay itself");

    minimal_root::mount_file_systems(&merged).unwrap();
    let put_old = PutOld::Through(c"old".into());
    RootConfig { root: merged.clone(), put_old, ..RootConfig::default() }.enter().unwrap();
    assert!(!merged.exists() && Path::new("/etc/own").exists() && !Path::new("/old").exists());
    fs::write("/written", "").unwrap();
    assert_eq!(below(Path::new("/")), 5);
}
