//! Where a container's root file system comes from.

mod folder;
mod host;
mod shown;

pub(crate) use folder::FolderImage;
pub(crate) use host::HostImage;

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// An image, as the layers that are mounted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The root first, then what lies below it.
    pub trees: Vec<Tree>,
}

/// One overlay of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it belongs, relative to the root: empty for the root itself, else `usr`.
    pub target: PathBuf,
    /// Its layers, topmost first, as absolute paths of folders without a link in them: what becomes one later is not followed.
    pub lowers: Vec<PathBuf>,
}

/// A kind of image. The engine asks its sources in turn; the first that knows the word decides.
pub trait ImageSource: Send + Sync {
    /// The image that a word means to this source; `None` when it is another source's. `root` is the engine's own
    /// folder: a source may keep what it prepares in a folder of its own there.
    ///
    /// # Errors
    /// The word is this source's and there is no such image, or it cannot be prepared.
    fn resolve(&self, word: &str, root: &Path) -> std::result::Result<Option<Image>, Error>;
}

/// Asks sources in turn.
pub(crate) fn resolve(sources: &[Box<dyn ImageSource>], word: &str, root: &Path) -> Result<Image> {
    for source in sources {
        if let Some(image) = source.resolve(word, root)? {
            return Ok(image);
        }
    }
    Err(Error::NoSuchImage { word: word.to_owned() })
}
