//! Images whose files a container shows beside those of its own root.

use super::{Image, Tree};
use crate::core::Core;
use crate::error::Result;
use crate::store::{ShownTree, UsedImage};
use std::path::{Path, PathBuf};
use tinyd_engine::ImageMount;
use tinyd_runtime::OverlayMount;

impl Core {
    /// The images that are to be shown, found. `folder` is the container's, of whose trees the first `taken` are its root's.
    pub(crate) fn shown_images(
        &self,
        wanted: &[ImageMount],
        folder: &Path,
        taken: usize,
    ) -> Result<Vec<UsedImage>> {
        let mut number = taken;
        wanted
            .iter()
            .map(|mount| {
                let trees = shown(&self.image(&mount.image)?, mount.subpath.as_deref());
                let trees = trees.into_iter().map(|(below, lowers, subpath)| {
                    let own = folder.join(format!("trees/{number}"));
                    number += 1;
                    let target = match below.as_os_str().is_empty() {
                        true => mount.target.clone(),
                        false => mount.target.join(below),
                    };
                    let (upper, work) = (own.join("upper"), own.join("work"));
                    ShownTree { layers: OverlayMount { target, lowers, upper, work }, subpath }
                });
                Ok(UsedImage { mount: mount.clone(), trees: trees.collect() })
            })
            .collect()
    }
}

/// What is mounted of an image of which a part is wanted, or all: where below its place, which layers, and what of them.
fn shown(image: &Image, wanted: Option<&Path>) -> Vec<(PathBuf, Vec<PathBuf>, Option<PathBuf>)> {
    let wanted = wanted.unwrap_or(Path::new(""));
    // The tree that the part lies in; what the others have at that place is hidden by it.
    let holds = |tree: &&Tree| wanted.starts_with(&tree.target);
    let Some(base) = image.trees.iter().filter(holds).max_by_key(|tree| tree.target.components().count())
    else {
        return Vec::new();
    };
    let rest = wanted.strip_prefix(&base.target).ok().filter(|rest| !rest.as_os_str().is_empty());
    let mut all = vec![(PathBuf::new(), base.lowers.clone(), rest.map(Path::to_owned))];
    for tree in &image.trees {
        match tree.target.strip_prefix(wanted) {
            Ok(below) if !below.as_os_str().is_empty() => {
                all.push((below.to_owned(), tree.lowers.clone(), None));
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_part_lies_in_one_tree_and_has_those_below_it() {
        let tree = |target: &str, lower: &str| Tree { target: target.into(), lowers: vec![lower.into()] };
        let image = || Image { trees: vec![tree("", "/root"), tree("usr", "/usr"), tree("usr/local", "/l")] };
        let ask = |wanted: &str| {
            let all = shown(&image(), Some(Path::new(wanted)).filter(|path| !path.as_os_str().is_empty()));
            let line = |(below, lowers, rest): (PathBuf, Vec<PathBuf>, Option<PathBuf>)| {
                format!("{}={}+{}", below.display(), lowers[0].display(), rest.unwrap_or_default().display())
            };
            all.into_iter().map(line).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ask(""), "=/root+ usr=/usr+ usr/local=/l+");
        assert_eq!(ask("etc/app"), "=/root+etc/app");
        assert_eq!(ask("usr"), "=/usr+ local=/l+");
        assert_eq!(ask("usr/share"), "=/usr+share");
        assert_eq!(ask("usr/local/bin"), "=/l+bin");
    }
}
