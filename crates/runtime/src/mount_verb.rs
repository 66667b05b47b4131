//! Mounting a container's root where the host's other programs see it.

use crate::launch::internal;
use crate::plan::{self, Bundle};
use crate::prepare::{self, Mapping};
use crate::{Failure, FailureKind, MountRequest};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use tinyd_fs::resolve;
use tinyd_ns::clone::{Clone3, Cloned};
use tinyd_ns::idmap::IdMaps;
use tinyd_ns::{Namespaces, pidfd, process, socket};

/// Mounts the root, and what lies below it.
pub(crate) fn mount(request: &MountRequest) -> Result<(), Failure> {
    let bundle = Bundle::load(&request.bundle)?;
    let maps = plan::id_maps_of(&bundle)?;
    let user_namespace = maps.as_ref().map(make_user_namespace).transpose()?;
    let mapping = user_namespace.as_ref().zip(maps.as_ref().and_then(IdMaps::root));
    let mapping = mapping.map(|(fd, root)| Mapping { user_namespace: fd.as_fd(), root });
    if request.rootfs.overlays.is_empty() {
        return Err(Failure::new(FailureKind::Invalid, "this container's root is not an overlay"));
    }
    let mounts = prepare::rootfs(&request.rootfs, &request.bundle, None, mapping)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = openat(CWD, &request.target, flags, Mode::empty());
    let target = target.map_err(|errno| internal(&format!("open {}", request.target.display()), errno))?;
    let mut attached = false;
    let mut attach = || {
        let mut root = None;
        for (mount, overlay) in mounts.iter().zip(&request.rootfs.overlays) {
            match &root {
                None => {
                    mount.mount().attach(target.as_fd())?;
                    attached = true;
                    root = Some(mount.as_fd());
                }
                Some(root) => {
                    let name = CString::new(overlay.target.as_os_str().as_bytes())
                        .map_err(|_| rustix::io::Errno::INVAL)?;
                    mount.mount().attach(resolve::ensure_plain_dir(*root, &name)?.as_fd())?;
                }
            }
        }
        Ok(())
    };
    attach().map_err(|errno: rustix::io::Errno| {
        if attached {
            // The root takes the rest with it.
            let _ = rustix::mount::unmount(&request.target, rustix::mount::UnmountFlags::DETACH);
        }
        internal(&format!("mount {}", request.target.display()), errno)
    })
}

/// A user namespace with these maps, without a process in it.
fn make_user_namespace(maps: &IdMaps) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| internal("make a user namespace", error);
    let (ours, theirs) = socket::pair().map_err(|errno| failed(errno.into()))?;
    // SAFETY: this process has a single thread; the child waits for the end of the socket and exits.
    match unsafe { Clone3::new(Namespaces::USER).spawn() }.map_err(failed)? {
        Cloned::Child => {
            drop(ours);
            let _ = socket::receive(theirs.as_fd(), &mut [0; 1], drop);
            process::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let namespace = maps
                .write(pid)
                .map_err(std::io::Error::from)
                .and_then(|_| std::fs::File::open(format!("/proc/{pid}/ns/user")))
                .map(OwnedFd::from);
            drop(ours);
            let _ = pidfd::wait(&pidfd);
            namespace.map_err(failed)
        }
    }
}
