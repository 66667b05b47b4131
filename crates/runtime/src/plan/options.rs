//! The options of a mount, taken apart: the words of mount(8) that concern the mount, those of the specification, and what is
//! left, which is the file system's own business.

use super::Attributes;
use super::cstrings::c_path;
use crate::{Failure, annotation};
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use tinyd_fs::mount::Propagation;

/// The options of a mount.
pub(super) struct Options {
    /// Of the mount itself.
    pub(super) attributes: Attributes,
    /// Of those below it as well (`rro` and its like).
    pub(super) below: Attributes,
    pub(super) bind: bool,
    /// What is there is changed, and nothing new mounted.
    pub(super) remount: bool,
    pub(super) recursive: bool,
    pub(super) propagation: Option<Propagation>,
    /// And that of those below it (`rslave` and its like).
    pub(super) propagates_below: bool,
    /// Its ids must be mapped (`idmap`), and those of the mounts below it (`ridmap`).
    pub(super) idmap: Option<Below>,
    /// It begins with what lies in its place (`tmpcopyup`).
    pub(super) copy_up: bool,
    /// See [`annotation::SUBPATH`].
    pub(super) subpath: Option<PathBuf>,
    /// Words that every file system knows, and no bind.
    pub(super) of_any: Vec<CString>,
    /// What is left is the file system's own business.
    pub(super) own: Vec<(CString, CString)>,
}

/// Whether what is said of a mount holds for those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Left,
    Included,
}

impl Attributes {
    pub(crate) const NONE: Self = Self { set: MountAttrFlags::empty(), clear: MountAttrFlags::empty() };

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The last word wins.
    fn add(&mut self, set: MountAttrFlags, clear: MountAttrFlags) {
        self.set = self.set.difference(clear) | set;
        self.clear = self.clear.difference(set) | clear;
    }
}

const NONE: MountAttrFlags = MountAttrFlags::empty();
const RDONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
const NODEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
const NODIRATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODIRATIME;
const NOSYMFOLLOW: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW;
const NOATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOATIME;
const STRICTATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_STRICTATIME;
/// The times of access are a choice of one, and `relatime` is none of the others.
const ATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR__ATIME;

/// What a word sets and clears. With an `r` before it, it holds below as well.
const ATTRIBUTES: [(&str, MountAttrFlags, MountAttrFlags); 18] = [
    ("ro", RDONLY, NONE),
    ("rw", NONE, RDONLY),
    ("nosuid", NOSUID, NONE),
    ("suid", NONE, NOSUID),
    ("nodev", NODEV, NONE),
    ("dev", NONE, NODEV),
    ("noexec", NOEXEC, NONE),
    ("exec", NONE, NOEXEC),
    ("nodiratime", NODIRATIME, NONE),
    ("diratime", NONE, NODIRATIME),
    ("nosymfollow", NOSYMFOLLOW, NONE),
    ("symfollow", NONE, NOSYMFOLLOW),
    ("noatime", NOATIME, ATIME.difference(NOATIME)),
    ("strictatime", STRICTATIME, ATIME.difference(STRICTATIME)),
    ("relatime", NONE, ATIME),
    ("atime", NONE, ATIME),
    ("nostrictatime", NONE, ATIME),
    // The kernel's own choice where nothing else is said.
    ("norelatime", NONE, NONE),
];

/// Words for programs that read fstab(5), and for a mount(2) of long ago: they change nothing of a mount.
const IDLE: [&str; 14] = [
    "defaults",
    "newinstance",
    "silent",
    "loud",
    "iversion",
    "noiversion",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "group",
    "nofail",
    "_netdev",
];

/// Words about a file system as a whole that each of them takes.
const OF_ANY: [&str; 7] = ["sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime"];

/// Words that settle more than attributes.
const OTHERS: [&str; 14] = [
    "bind",
    "rbind",
    "remount",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
    "idmap",
    "ridmap",
    "tmpcopyup",
];

/// Every word that is known here, whatever the file system.
pub(crate) fn known() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|(word, ..)| [(*word).to_owned(), format!("r{word}")]);
    let others = OTHERS.iter().chain(&IDLE).chain(&OF_ANY).map(|word| (*word).to_owned());
    let mut all: Vec<String> = attributes.chain(others).collect();
    all.sort();
    all
}

pub(super) fn read(words: &[String]) -> Result<Options, Failure> {
    let mut all = Options {
        attributes: Attributes::NONE,
        below: Attributes::NONE,
        bind: false,
        remount: false,
        recursive: false,
        propagation: None,
        propagates_below: true,
        idmap: None,
        copy_up: false,
        subpath: None,
        of_any: Vec::new(),
        own: Vec::new(),
    };
    let attribute = |word: &str| ATTRIBUTES.iter().find(|(name, ..)| *name == word);
    for word in words {
        if let Some((_, set, clear)) = attribute(word) {
            all.attributes.add(*set, *clear);
            continue;
        }
        if let Some((_, set, clear)) = word.strip_prefix('r').and_then(attribute) {
            all.below.add(*set, *clear);
            continue;
        }
        if let Some(propagation) = propagation(word.strip_prefix('r').unwrap_or(word)) {
            (all.propagation, all.propagates_below) = (Some(propagation), word.starts_with('r'));
            continue;
        }
        match word.as_str() {
            "bind" => all.bind = true,
            "remount" => all.remount = true,
            "rbind" => (all.bind, all.recursive) = (true, true),
            "idmap" => all.idmap = Some(Below::Left),
            "ridmap" => all.idmap = Some(Below::Included),
            "tmpcopyup" => all.copy_up = true,
            idle if IDLE.contains(&idle) => {}
            of_any if OF_ANY.contains(&of_any) => all.of_any.push(c_path("mounts", Path::new(of_any))?),
            own => {
                let (name, value) = own.split_once('=').unwrap_or((own, ""));
                if name == annotation::SUBPATH {
                    all.subpath = Some(PathBuf::from(value));
                } else if !(name.starts_with("x-") || name.starts_with("X-")) {
                    all.own.push((c_path("mounts", Path::new(name))?, c_path("mounts", Path::new(value))?));
                }
            }
        }
    }
    Ok(all)
}

fn propagation(word: &str) -> Option<Propagation> {
    match word {
        "private" => Some(Propagation::Private),
        "slave" => Some(Propagation::Slave),
        "shared" => Some(Propagation::Shared),
        "unbindable" => Some(Propagation::Unbindable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Options {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn pure_every_word_of_the_specification_sets_or_clears() {
        for (word, set, clear) in ATTRIBUTES {
            let here = of(&[word]);
            assert_eq!(here.attributes, Attributes { set, clear }, "{word}");
            assert!(here.below.is_none() && here.own.is_empty(), "{word}");
            let below = of(&[&format!("r{word}")]);
            assert_eq!(below.below, Attributes { set, clear }, "r{word}");
            assert!(below.attributes.is_none() && below.own.is_empty(), "r{word}");
        }
        for word in IDLE.iter().chain(&["x-systemd.automount", "X-mount.mkdir=755"]) {
            let idle = of(&[word]);
            assert!(idle.own.is_empty() && idle.of_any.is_empty() && idle.attributes.is_none(), "{word}");
        }
    }

    #[test]
    fn pure_every_word_that_is_told_is_known() {
        for word in known() {
            assert!(of(&[&word]).own.is_empty(), "{word}");
        }
        assert_eq!(known().len(), 2 * ATTRIBUTES.len() + OTHERS.len() + IDLE.len() + OF_ANY.len());
    }

    #[test]
    fn pure_the_last_word_wins() {
        assert_eq!(of(&["ro", "rw"]).attributes, Attributes { set: NONE, clear: RDONLY });
        assert_eq!(of(&["rw", "nosuid", "ro"]).attributes, Attributes { set: RDONLY | NOSUID, clear: NONE });
        let times = of(&["strictatime", "noatime"]).attributes;
        assert_eq!(times.set, NOATIME);
        assert_eq!(of(&["noatime", "relatime"]).attributes, Attributes { set: NONE, clear: ATIME });
        let slave = of(&["rshared", "slave"]);
        assert_eq!((slave.propagation, slave.propagates_below), (Some(Propagation::Slave), false));
        assert!(of(&["slave", "runbindable"]).propagates_below);
    }

    #[test]
    fn pure_what_is_left_is_the_file_systems_own() {
        let options = of(&["size=64k", "bind", "rbind", "huge", "ridmap", "tmpcopyup", "sync"]);
        let own: Vec<_> =
            options.own.iter().map(|(name, value)| (name.as_c_str(), value.as_c_str())).collect();
        assert_eq!(own, [(c"size", c"64k"), (c"huge", c"")]);
        assert!(options.bind && options.recursive && options.copy_up);
        assert_eq!(options.idmap, Some(Below::Included));
        assert_eq!(options.of_any, [c"sync".to_owned()]);
        assert_eq!(of(&["X-tinyd.subpath=a/b"]).subpath, Some(PathBuf::from("a/b")));
        assert!(read(&["a\0b".to_owned()]).is_err());
    }
}
