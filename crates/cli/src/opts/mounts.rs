//! What all options together mount.

use super::{mount, volume};
use tinyd_engine::{BindMount, ImageMount, TmpfsMount, VolumeMount, VolumesFrom};

/// Mounts, by kind.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) binds: Vec<BindMount>,
    pub(super) volumes: Vec<VolumeMount>,
    pub(super) images: Vec<ImageMount>,
    pub(super) tmpfs: Vec<TmpfsMount>,
}

impl Mounts {
    /// Those of `--volume`, whose volumes are of the driver given, of `--mount` and of `--tmpfs`.
    pub(super) fn collect(
        short: Vec<volume::Mount>,
        long: Vec<mount::Mount>,
        tmpfs: Vec<TmpfsMount>,
        driver: Option<&str>,
    ) -> Self {
        let mut all = Self { tmpfs, ..Self::default() };
        for one in short {
            match one {
                volume::Mount::Bind(bind) => all.binds.push(bind),
                volume::Mount::Volume(volume) => {
                    all.volumes.push(VolumeMount { driver: driver.map(str::to_owned), ..volume });
                }
            }
        }
        for one in long {
            match one {
                mount::Mount::Bind(bind) => all.binds.push(bind),
                mount::Mount::Volume(volume) => all.volumes.push(volume),
                mount::Mount::Image(image) => all.images.push(image),
                mount::Mount::Tmpfs(tmpfs) => all.tmpfs.push(tmpfs),
            }
        }
        all
    }
}

/// `CONTAINER[:ro|:rw]`.
pub(super) fn from(text: &str) -> Result<VolumesFrom, String> {
    let (container, read_only) = match text.rsplit_once(':') {
        None => (text, false),
        Some((container, "ro")) => (container, true),
        Some((container, "rw")) => (container, false),
        Some(_) => ("", false),
    };
    match container.is_empty() {
        true => Err("write it like db or db:ro".to_owned()),
        false => Ok(VolumesFrom { container: container.to_owned(), read_only }),
    }
}
