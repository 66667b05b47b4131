//! `--volume [SRC:]DST[:OPTIONS]`.

use std::path::{Path, PathBuf};
use tinyd_engine::{BindMount, Propagation, Relabel, VolumeMount};

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mount {
    /// A path of this machine.
    Bind(BindMount),
    /// A volume.
    Volume(VolumeMount),
}

/// A path of this machine (absolute, or beginning with `./` or `../`) or a volume's name, an absolute path inside, and how it
/// is mounted. A path inside alone gets a volume of its own.
pub(super) fn parse(text: &str) -> Result<Mount, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, words) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, words] => (Some(source), target, words),
        _ => return Err(wrong("it is not [SRC:]DST[:ro|:rw]")),
    };
    let target = inside(target)?;
    let mut mode = Mode::default();
    words.split(',').try_for_each(|word| if parts.len() < 3 { Ok(()) } else { mode.take(word) })?;
    let path = |source: &str| source.starts_with('/') || is_relative(source);
    match source {
        Some(source) if path(source) => match mode.no_copy {
            true => Err(wrong("'nocopy' is for volumes: a path of this machine is never filled")),
            false => Ok(Mount::Bind(BindMount {
                source: on_this_machine(source)?,
                target,
                read_only: mode.read_only,
                propagation: mode.propagation,
                idmap: mode.idmap,
                relabel: mode.relabel,
                ..BindMount::default()
            })),
        },
        Some(name) if name.contains('/') => {
            Err(wrong(&format!("'{name}' is neither a volume's name nor a path that begins with / or ./")))
        }
        _ if mode.propagation.spreads() => {
            let word = mode.propagation.word();
            Err(wrong(&format!("'{word}' is for paths of this machine: nothing is mounted below a volume")))
        }
        name => Ok(Mount::Volume(VolumeMount {
            name: name.map(str::to_owned),
            target,
            read_only: mode.read_only,
            no_copy: mode.no_copy,
            idmap: mode.idmap,
            relabel: mode.relabel,
            ..VolumeMount::default()
        })),
    }
}

/// Docker's words for how soon each side sees what the other writes. On Linux both see the same files.
pub(super) const CONSISTENCY: [&str; 3] = ["consistent", "cached", "delegated"];

/// The words behind the last colon.
#[derive(Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    idmap: bool,
    relabel: Option<Relabel>,
    propagation: Propagation,
}

impl Mode {
    fn take(&mut self, word: &str) -> Result<(), String> {
        match word {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "nocopy" => self.no_copy = true,
            "idmap" => self.idmap = true,
            // How fresh the files have to be that a virtual machine shows: here there is none between.
            word if CONSISTENCY.contains(&word) => {}
            "z" => self.relabel = Some(Relabel::Shared),
            "Z" => self.relabel = Some(Relabel::Private),
            _ => match Propagation::of_word(word) {
                Some(propagation) => self.propagation = propagation,
                None => {
                    let words = "ro, rw, nocopy, idmap, z, Z, a propagation such as rslave";
                    return Err(wrong(&format!("'{word}' is none of these: {words}")));
                }
            },
        }
        Ok(())
    }
}

/// A path inside that something can be mounted on.
pub(super) fn inside(target: &str) -> Result<PathBuf, String> {
    if !Path::new(target).is_absolute() || target.bytes().all(|byte| byte == b'/') {
        return Err(wrong(&format!("'{target}' must be an absolute path inside the container, below /")));
    }
    Ok(PathBuf::from(target))
}

pub(super) fn on_this_machine(source: &str) -> Result<PathBuf, String> {
    if !source.starts_with('/') && !is_relative(source) {
        return Err(wrong(&format!("'{source}' is no path of this machine: these begin with / or ./")));
    }
    std::path::absolute(source).map_err(|error| format!("find '{source}': {error}"))
}

fn is_relative(source: &str) -> bool {
    source == "." || source == ".." || source.starts_with("./") || source.starts_with("../")
}

fn wrong(what: &str) -> String {
    format!("{what}; write it like /srv/data:/data:ro, or data:/data for a volume")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_this_machine() {
        let bind = |source: &str, target: &str| Ok(Mount::Bind(BindMount::new(source, target)));
        assert_eq!(parse("/a:/b"), bind("/a", "/b"));
        assert_eq!(parse("/a:/b:rw"), bind("/a", "/b"));
        let with = |change: fn(&mut BindMount)| {
            let mut bind = BindMount::new("/a", "/b");
            change(&mut bind);
            Ok(Mount::Bind(bind))
        };
        assert_eq!(parse("/a:/b:z,rprivate"), with(|bind| bind.relabel = Some(Relabel::Shared)));
        assert_eq!(parse("/a:/b:Z"), with(|bind| bind.relabel = Some(Relabel::Private)));
        assert_eq!(parse("/a:/b:idmap"), with(|bind| bind.idmap = true));
        assert_eq!(parse("/a:/b:cached"), bind("/a", "/b"));
        assert_eq!(parse("/a:/b:delegated,ro"), Ok(Mount::Bind(BindMount::new("/a", "/b").read_only())));
        for word in ["private", "rprivate", "slave", "rslave", "shared", "rshared"] {
            let Ok(Mount::Bind(bind)) = parse(&format!("/a:/b:ro,{word}")) else { panic!("{word}") };
            assert_eq!((bind.propagation.word(), bind.read_only), (word, true));
        }
        let read_only = Mount::Bind(BindMount::new("/a b", "/c d").read_only());
        assert_eq!(parse("/a b:/c d:ro"), Ok(read_only.clone()));
        assert_eq!(parse("/a b:/c d:rw,ro"), Ok(read_only));
        let here = std::env::current_dir().expect("a folder");
        let source = |text| match parse(text) {
            Ok(Mount::Bind(bind)) => bind.source,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!((source("./x:/b"), source(".:/b")), (here.join("x"), here));
    }

    #[test]
    fn other_words_are_volumes() {
        let volume = |mount| Ok(Mount::Volume(mount));
        assert_eq!(parse("data:/b"), volume(VolumeMount::named("data", "/b")));
        assert_eq!(parse("/b"), volume(VolumeMount::anonymous("/b")));
        let mount = VolumeMount { read_only: true, no_copy: true, ..VolumeMount::named("data", "/b") };
        assert_eq!(parse("data:/b:ro,nocopy,consistent"), volume(mount));
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in [
            "",
            "a",
            "/a:b",
            "/a:",
            "a/b:/c",
            "/a:/",
            "/a://",
            "/a:/b:rx",
            "/a:/b:",
            "/a:/b:ro:x",
            "/a:/b:ro,,",
            "/a:/b:nocopy",
            "/a:/b:rshare",
            "data:/b:rshared",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("/srv/data:/data:ro"), "{text}: {message}");
        }
    }
}
