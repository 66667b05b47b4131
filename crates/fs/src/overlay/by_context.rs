//! Overlays by fsopen(2): options one by one.

use super::layers::{Layers, by_descriptor};
use super::{AsMappedRoot, MountedOverlay, Overlay, Way};
use crate::mount::DetachedMount;
use crate::{Error, Result};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsopen,
};
use std::os::fd::{AsFd as _, OwnedFd};

/// How long a value of fsconfig(2) may be (without the final zero byte).
const MAX_VALUE: usize = 255;

pub(super) fn mount(
    overlay: &Overlay<'_>,
    way: Way,
    as_mapped_root: &mut AsMappedRoot<'_>,
) -> Result<MountedOverlay> {
    let failed = |operation| Error::file_system::<Errno>(operation, "overlay");
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open"))?;
    let layers = Layers::open(overlay)?;
    if way == Way::OneOption {
        let names: Vec<_> = layers.lowers.iter().map(by_descriptor).collect();
        let names = names.join(":");
        if names.len() > MAX_VALUE {
            return Err(Error::OptionsTooLong { call: "fsconfig", bytes: names.len(), most: MAX_VALUE });
        }
        fsconfig_set_string(&context, "lowerdir", names).map_err(failed("configure"))?;
    } else {
        for (layer, path) in layers.lowers.iter().zip(overlay.lowers) {
            set(&context, way, "lowerdir+", layer).map_err(Error::path("use as lowerdir", path))?;
        }
    }
    let writable = &overlay.writable;
    for (option, layer, path) in
        [("upperdir", &layers.upper, writable.upper), ("workdir", &layers.work, writable.work)]
    {
        set(&context, way, option, layer).map_err(Error::path("use as layer", path))?;
    }
    for (wanted, flag) in [(writable.volatile, "volatile"), (overlay.user_xattrs, "userxattr")] {
        if wanted {
            fsconfig_set_flag(&context, flag).map_err(failed("configure"))?;
        }
    }
    // Shown as the source in mountinfo.
    fsconfig_set_string(&context, "source", "tinyd").map_err(failed("configure"))?;
    let mut created = Err(Errno::INVAL);
    let mut create = || created = fsconfig_create(&context);
    match &overlay.idmap {
        Some(idmap) => as_mapped_root(idmap.root, &mut create),
        None => create(),
    }
    created.map_err(failed("create"))?;
    let mount = DetachedMount::from_context(context.as_fd(), overlay.attributes).map_err(failed("mount"))?;
    Ok(MountedOverlay { mount, _layers: layers.into_all() })
}

fn set(context: &OwnedFd, way: Way, option: &str, layer: &OwnedFd) -> std::result::Result<(), Errno> {
    match way {
        Way::Descriptors => fsconfig_set_fd(context, option, layer.as_fd()),
        _ => fsconfig_set_string(context, option, by_descriptor(layer)),
    }
}
