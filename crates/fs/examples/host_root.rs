//! Puts a root made from this machine together, with a layer to write to, and shows what is in it and what is not.
//!
//! Everything is mounted in a mount namespace of this process alone and is gone with it. As root:
//! `cargo run -p tinyd-fs --example host_root`.

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use tinyd_fs::mount::{DetachedMount, private_namespace};
use tinyd_fs::overlay::{Overlay, Writable, needs_user_xattrs};
use tinyd_fs::{host_root, resolve};

fn main() -> Result<(), Box<dyn Error>> {
    private_namespace()?;

    let scratch = tempfile::tempdir()?;
    let host = host_root::prepare(&scratch.path().join("cache"))?;
    let root = overlay(&scratch.path().join("root"), host.skeleton)?;
    // Nothing is attached anywhere yet. The trees of programs go below the root, so the root itself comes first.
    let merged = scratch.path().join("merged");
    fs::create_dir(&merged)?;
    let target = openat(CWD, &merged, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    root.attach(target.as_fd())?;
    for tree in host.trees {
        let layer = overlay(&scratch.path().join(&tree.target), tree.source)?;
        let name = CString::new(tree.target.as_os_str().as_bytes())?;
        layer.attach(resolve::ensure_plain_dir(root.as_fd(), &name)?.as_fd())?;
    }

    let mut out = std::io::stdout().lock();
    for folder in ["", "etc", "usr/bin"] {
        let names: Vec<_> = fs::read_dir(merged.join(folder))?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<Result<_, std::io::Error>>()?;
        writeln!(out, "/{folder}: {} entries, {:?} …", names.len(), &names[..names.len().min(4)])?;
    }
    fs::write(merged.join("usr/written"), "in the upper layer")?;
    writeln!(out, "/usr/written on the host: {}", Path::new("/usr/written").exists())?;
    writeln!(out, "/etc/shadow inside: {}", merged.join("etc/shadow").exists())?;
    unmount(&merged, UnmountFlags::DETACH)?;
    Ok(())
}

/// An overlay of one layer, with the two folders that it writes to in `own`.
fn overlay(own: &Path, lower: PathBuf) -> Result<DetachedMount, Box<dyn Error>> {
    let (upper, work) = (own.join("upper"), own.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir(&work)?;
    let overlay = Overlay {
        lowers: &[lower],
        writable: Writable { upper: &upper, work: &work, volatile: true },
        attributes: MountAttrFlags::MOUNT_ATTR_NODEV,
        idmap: None,
        user_xattrs: needs_user_xattrs(),
    };
    // Without mapped ids nobody else has to be its maker.
    Ok(overlay.mount(|_, create| create())?.mount)
}
