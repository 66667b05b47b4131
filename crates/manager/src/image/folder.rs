//! A folder that holds a root file system.

use super::{Image, ImageSource, Tree};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A path, told from a name by how it begins: `/`, `./` or `../`.
pub(crate) struct FolderImage;

impl ImageSource for FolderImage {
    fn resolve(&self, word: &str, root: &Path) -> Result<Option<Image>> {
        if !["/", "./", "../"].iter().any(|start| word.starts_with(start)) && word != "." && word != ".." {
            return Ok(None);
        }
        let folder = match Path::new(word).canonicalize() {
            Ok(folder) => folder,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoSuchImage { word: word.to_owned() });
            }
            Err(error) => return Err(Error::file("resolve the image", word, error)),
        };
        if !folder.is_dir() {
            return Err(Error::invalid("image", word, "is not a folder"));
        }
        // The layer that is written must not lie in the one that is read, nor the other way round.
        let own = root.canonicalize().map_err(|source| Error::file("resolve", root, source))?;
        if own.starts_with(&folder) || folder.starts_with(&own) {
            return Err(Error::invalid("image", word, "holds the engine's own state, or lies in it"));
        }
        Ok(Some(Image { trees: vec![Tree { target: PathBuf::new(), lowers: vec![folder] }] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::resolve;
    use crate::testing;

    #[test]
    fn pure_words_are_paths_or_not() {
        let (place, store) = testing::store();
        let sources: Vec<Box<dyn ImageSource>> = vec![Box::new(FolderImage)];
        let ask = |word: &str| resolve(&sources, word, store.root());
        let image = place.path().join("image");
        std::fs::create_dir(&image).unwrap();
        std::os::unix::fs::symlink("image", place.path().join("link")).unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        let real = image.canonicalize().unwrap();
        let found = ask(place.path().join("link").to_str().unwrap()).unwrap();
        assert_eq!(found.trees, [Tree { target: PathBuf::new(), lowers: vec![real] }]);
        assert!(matches!(ask("redis"), Err(Error::NoSuchImage { .. })));
        assert!(matches!(ask("/nowhere/at/all"), Err(Error::NoSuchImage { .. })));
        assert!(matches!(ask(place.path().join("file").to_str().unwrap()), Err(Error::Invalid { .. })));
        // The engine's own folder lies below this one.
        assert!(matches!(ask(place.path().to_str().unwrap()), Err(Error::Invalid { .. })));
        assert!(matches!(ask(store.containers().to_str().unwrap()), Err(Error::Invalid { .. })));
    }
}
