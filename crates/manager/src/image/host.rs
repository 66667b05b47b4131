//! The word `host`: a root made from this machine.

use super::{Image, ImageSource, Tree};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// `host`, or a bare `/`.
pub(crate) struct HostImage;

impl ImageSource for HostImage {
    fn resolve(&self, word: &str, root: &Path) -> Result<Option<Image>> {
        if word != "host" && word != "/" {
            return Ok(None);
        }
        let cache = root.join("host-root");
        let made = tinyd_fs::host_root::prepare(&cache).map_err(|source| Error::Tree {
            operation: "prepare the host's root in",
            path: cache,
            source: Box::new(source),
        })?;
        let skeleton = Tree { target: PathBuf::new(), lowers: vec![made.skeleton] };
        let below =
            made.trees.into_iter().map(|tree| Tree { target: tree.target, lowers: vec![tree.source] });
        Ok(Some(Image { trees: std::iter::once(skeleton).chain(below).collect() }))
    }
}
