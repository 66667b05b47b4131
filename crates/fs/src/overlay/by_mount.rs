//! Overlays by mount(2): all options in one string of less than 4 KiB.
//!
//! Paths of image stores are long: some thirty layers would fill it. So the layers are opened and the working folder is
//! `/proc/self/fd`, where the path of each is its number: 500 layers take 2,000 bytes. It is changed in a thread that has a
//! working folder of its own.

use super::layers::Layers;
use super::{AsMappedRoot, MountedOverlay, Overlay};
use crate::mount::{self, DetachedMount};
use crate::{Error, Result};
use rustix::fs::CWD;
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

/// What mount(2) reads of the options (without the final zero byte).
const MAX_OPTIONS: usize = 4095;

/// Mounts it attached nowhere: in a mount namespace that is the helping thread's alone, from which a copy is taken.
pub(super) fn mount(overlay: &Overlay<'_>, as_mapped_root: &mut AsMappedRoot<'_>) -> Result<MountedOverlay> {
    in_thread(|| {
        let failed = |operation| Error::file_system::<Errno>(operation, "overlay");
        mount::private_namespace().map_err(failed("make a mount namespace for"))?;
        // Opened in here, for the kernel takes no layer of another mount namespace.
        let layers = Layers::open(overlay)?;
        if overlay.idmap.is_some() {
            layers.attach(overlay)?;
        }
        let mut made = Err(Error::file_system("mount", "overlay")(Errno::INVAL));
        // `/proc` is there for sure; it is covered in this namespace only, and the layers are opened already.
        let mut make = || made = mount_on("/proc", overlay, &layers);
        match &overlay.idmap {
            Some(idmap) => as_mapped_root(idmap.root, &mut make),
            None => make(),
        }
        made?;
        let mount = DetachedMount::clone_of(CWD, c"/proc", false).map_err(failed("take"))?;
        Ok(MountedOverlay { mount, _layers: layers.into_all() })
    })
}

/// Mounts it over a folder.
pub(super) fn mount_onto(overlay: &Overlay<'_>, target: BorrowedFd<'_>) -> Result<()> {
    if overlay.idmap.is_some() {
        return Err(Error::file_system("map the ids of", "overlay")(Errno::INVAL));
    }
    in_thread(|| {
        mount::own_working_folder().map_err(Error::file_system("mount", "overlay"))?;
        let layers = Layers::open(overlay)?;
        mount_on(&target.as_raw_fd().to_string(), overlay, &layers)
    })
}

fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, work);
        match helper.map_err(Error::file_system("start a thread for", "overlay"))?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn mount_on(target: &str, overlay: &Overlay<'_>, layers: &Layers) -> Result<()> {
    let names = Path::new("/proc/self/fd");
    rustix::process::chdir(names).map_err(Error::path("enter", names))?;
    let lowers: Vec<_> = layers.lowers.iter().map(name).collect();
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lowers.join(":"),
        name(&layers.upper),
        name(&layers.work)
    );
    for (wanted, flag) in [(overlay.writable.volatile, ",volatile"), (overlay.user_xattrs, ",userxattr")] {
        if wanted {
            options.push_str(flag);
        }
    }
    if options.len() > MAX_OPTIONS {
        return Err(Error::OptionsTooLong { call: "mount", bytes: options.len(), most: MAX_OPTIONS });
    }
    let failed = Error::file_system::<Errno>("mount", "overlay");
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL);
    let mounted = mount::classic_flags(overlay.attributes)
        .and_then(|flags| rustix::mount::mount("tinyd", target, "overlay", flags, options?.as_c_str()));
    mounted.map_err(failed)
}

/// A layer's path in `/proc/self/fd`.
fn name(layer: &OwnedFd) -> String {
    layer.as_raw_fd().to_string()
}
