//! Which file goes where: the rules of Docker's `cp`, which are those of cp(1) but for `/.`.

use crate::failure::Failure;
use std::path::Path;

/// What a path is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    /// A symbolic link that was not followed.
    Link,
    Other,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its last name; none of a root, or where the path ends with `..`.
    pub(super) name: Option<String>,
    /// What is in it is meant.
    pub(super) contents: bool,
    /// As it is written it must be a folder, and what a link at its end leads to is meant.
    pub(super) folder: bool,
    pub(super) kind: Kind,
}

impl Source {
    /// What the text of a path says.
    pub(super) fn parse(text: &str) -> Self {
        let contents = text == "." || text.ends_with("/.");
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Self { name, contents, folder: contents || text.ends_with('/'), kind: Kind::Other }
    }
}

/// What is there where it is copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct There {
    /// Nothing where there is nothing.
    pub(super) kind: Option<Kind>,
    /// The path that was asked for; of a link that leads to no folder, where it leads. What is copied takes the place of the
    /// file that is meant, and the link stays.
    pub(super) path: String,
}

/// Where it goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The folder that is unpacked in.
    pub(super) folder: String,
    /// What it is called there. Without a name it is what is in a folder.
    pub(super) name: Option<String>,
}

/// Decides. `look` tells what the other side has at a path.
pub(super) fn plan(
    source: &Source,
    dest: &str,
    look: impl Fn(&str) -> Result<There, Failure>,
) -> Result<Plan, Failure> {
    let there = look(dest)?;
    if there.kind == Some(Kind::Folder) {
        let name = if source.contents { None } else { source.name.clone() };
        return Ok(Plan { folder: dest.to_owned(), name });
    }
    if there.kind == Some(Kind::Other) && source.kind == Kind::Folder {
        return Err(Failure::Failed(format!("cannot copy a folder over {dest:?}, which is none")));
    }
    if dest.ends_with('/') && source.kind != Kind::Folder {
        return Err(Failure::Failed(format!(
            "there is no folder {dest:?}: make it first, or leave the / away"
        )));
    }
    // A link takes the place of a link, as with cp -P: copied once more it is not to lead to what it says here.
    let path = Path::new(if source.kind == Kind::Link { dest } else { &there.path });
    let Some(name) = path.file_name() else {
        return Err(Failure::Failed(format!("there is no folder {dest:?}")));
    };
    let above = path.parent().map(|above| above.to_string_lossy().into_owned());
    let above = above.filter(|above| !above.is_empty()).unwrap_or_else(|| ".".to_owned());
    if look(&above)?.kind != Some(Kind::Folder) {
        return Err(Failure::Failed(format!(
            "there is no folder {above:?} that {dest:?} could be in: make it first"
        )));
    }
    Ok(Plan { folder: above, name: Some(name.to_string_lossy().into_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(source: &str, kind: Kind, dest: &str) -> Result<(String, Option<String>), String> {
        let source = Source { kind, ..Source::parse(source) };
        let look = |path: &str| {
            let (kind, path) = match path {
                "/" | "." | "/d" | "/d/" | "d" | "/d/to-folder" => (Some(Kind::Folder), path),
                "/d/file" => (Some(Kind::Other), path),
                "/d/link" => (Some(Kind::Other), "/real"),
                "/d/dangling" => (None, "/d/later"),
                "/d/astray" => (None, "/none/later"),
                _ => (None, path),
            };
            Ok(There { kind, path: path.to_owned() })
        };
        plan(&source, dest, look)
            .map(|plan| (plan.folder, plan.name))
            .map_err(|failure| failure.line().unwrap_or_default())
    }

    #[test]
    fn files_and_folders_go_where_dockers_cp_has_them_go() {
        let goes = |folder: &str, name: &str| Ok((folder.to_owned(), Some(name.to_owned())));
        for (source, kind, dest, expected) in [
            ("/a/f", Kind::Other, "/d", goes("/d", "f")),
            ("/a/f", Kind::Other, "/d/", goes("/d/", "f")),
            ("/a/f", Kind::Other, "/d/new", goes("/d", "new")),
            ("/a/f", Kind::Other, "/d/file", goes("/d", "file")),
            ("/a/f", Kind::Other, "new", goes(".", "new")),
            ("/a/f", Kind::Other, "/new", goes("/", "new")),
            ("/a/x", Kind::Folder, "/d", goes("/d", "x")),
            ("/a/x/", Kind::Folder, "/d", goes("/d", "x")),
            ("/a/x", Kind::Folder, "/d/new", goes("/d", "new")),
            ("/a/x", Kind::Folder, "/d/new/", goes("/d", "new")),
            ("/a/x/.", Kind::Folder, "/d/new", goes("/d", "new")),
            ("/a/x/.", Kind::Folder, "/d", Ok(("/d".to_owned(), None))),
            ("/", Kind::Folder, "/d", Ok(("/d".to_owned(), None))),
            ("/", Kind::Folder, "/d/new", goes("/d", "new")),
            (".", Kind::Folder, "/d", Ok(("/d".to_owned(), None))),
            ("/a/f", Kind::Other, "/d/to-folder", goes("/d/to-folder", "f")),
            ("/a/f", Kind::Other, "/d/link", goes("/", "real")),
            ("/a/f", Kind::Other, "/d/dangling", goes("/d", "later")),
            ("/a/x", Kind::Folder, "/d/dangling", goes("/d", "later")),
            ("/a/l", Kind::Link, "/d/to-folder", goes("/d/to-folder", "l")),
            ("/a/l", Kind::Link, "/d/link", goes("/d", "link")),
            ("/a/l", Kind::Link, "/d/astray", goes("/d", "astray")),
        ] {
            assert_eq!(decide(source, kind, dest), expected, "{source} to {dest}");
        }
        for (source, kind, dest, said) in [
            ("/a/x", Kind::Folder, "/d/file", "cannot copy a folder over"),
            ("/a/x", Kind::Folder, "/d/link", "cannot copy a folder over"),
            ("/a/f", Kind::Other, "/d/astray", "there is no folder \"/none\""),
            ("/a/f", Kind::Other, "/d/new/", "there is no folder \"/d/new/\""),
            ("/a/f", Kind::Other, "/none/new", "there is no folder \"/none\""),
        ] {
            let error = decide(source, kind, dest).unwrap_err();
            assert!(error.contains(said), "{source} to {dest}: {error}");
        }
    }
}
