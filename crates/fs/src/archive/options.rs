//! What callers choose, and what they are told.

use crate::copy::Owner;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip, which everybody reads.
    Gzip,
    /// By zstd: smaller, and many times faster; by several threads.
    Zstd,
}

/// What becomes of mounts in a tree that is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mounts<'a> {
    /// They are an error (`EXDEV`): the archive would have something else than the tree.
    #[default]
    Refuse,
    /// They become empty folders and files.
    Empty,
    /// Those on folders of these names in the archive are packed, too; the others become empty.
    Only(&'a [&'a Path]),
    /// What they show is packed, too. But for what the kernel shows of itself (procfs, sysfs, control groups, …), which is no
    /// data, and which to read may take for ever: such mounts become empty, and to ask for what is on one is an error.
    Enter,
}

/// How to pack.
#[derive(Clone, Copy, Default)]
pub struct Pack<'a> {
    /// How to compress.
    pub compression: Compression,
    /// What becomes of mounts.
    pub mounts: Mounts<'a>,
    /// Another name in the archive for the one thing that is packed, or for the folder of which all is.
    pub name: Option<&'a OsStr>,
    /// The owners in the archive, for those in the tree, also in access control lists. The same, where there is none.
    pub map: Option<&'a dyn Fn(Owner) -> Owner>,
}

/// What becomes of device nodes in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// They are an error.
    #[default]
    Refuse,
    /// They are left out, and the summary says so.
    LeaveOut,
    /// They are made. Whoever can open them has the machine's devices.
    Make,
}

/// What becomes of files that are there already. Folders always keep what is in them and not in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are an error (`EEXIST`).
    Refuse,
    /// Files, links and nodes replace each other; a folder in the place of one of them, or the other way round, is an error.
    #[default]
    Replace,
    /// As `Replace`, and folders are replaced with all that is in them, and replace others.
    ReplaceFolders,
}

/// How much an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive, after it was decompressed.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        Self { bytes: u64::MAX, entries: u64::MAX }
    }
}

/// How to unpack. By default, nothing that an archive holds gives anybody more rights than he has.
#[derive(Clone, Copy, Default)]
pub struct Unpack<'a> {
    /// The folder to unpack in, as a path below the one that nothing leads out of; links in it are followed there. Empty for
    /// that folder itself.
    pub at: Option<&'a Path>,
    /// Whether the folder that is unpacked into keeps its own owner, mode and times, also where the archive tells of it.
    pub keep_top: bool,
    /// The owners of the files, for those in the archive, also in access control lists. The same, where there is none.
    pub map: Option<&'a dyn Fn(Owner) -> Owner>,
    /// Whether setuid and setgid of files, capabilities of files, and `trusted.` attributes are kept. (Setgid of folders
    /// always is.) What is not is in the summary.
    pub privileges: bool,
    /// What becomes of device nodes.
    pub devices: Devices,
    /// What becomes of files that are there already.
    pub existing: Existing,
    /// How much is unpacked.
    pub limits: Limits,
}

/// Why something is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A socket: archives have no such.
    Socket,
    /// A file that was changed while it was read: the archive has some of it from before, some from after.
    Changed,
    /// A device node.
    Device,
    /// Setuid or setgid.
    SetId,
    /// An extended attribute, by its name, or an access control list in a form that is not read.
    Attribute(String),
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path in the archive.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// What was packed or unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files, folders and all others.
    pub entries: u64,
    /// Bytes of files' contents, without holes.
    pub bytes: u64,
    /// What is not as it was: the first thousand.
    pub left_out: Vec<LeftOut>,
    /// How many that are in all.
    pub left_out_count: u64,
}

impl Summary {
    /// Remarks for the user: a sentence for each thing that is not as it was, up to some, and how many more there are.
    pub fn notes(&self) -> Vec<String> {
        const MOST: usize = 20;
        let mut notes: Vec<String> = self.left_out.iter().take(MOST).map(ToString::to_string).collect();
        let more = self.left_out_count.saturating_sub(notes.len() as u64);
        notes.extend((more > 0).then(|| format!("so it is with {more} more")));
        notes
    }

    pub(super) fn leave_out(&mut self, path: &Path, why: Why) {
        const MOST: usize = 1000;
        self.left_out_count += 1;
        if self.left_out.len() < MOST {
            self.left_out.push(LeftOut { path: path.to_owned(), why });
        }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::Socket => write!(f, "{path} is a socket, and was left out"),
            Why::Changed => write!(f, "{path} was changed while it was read"),
            Why::Device => write!(f, "{path} is a device, and was left out"),
            Why::SetId => write!(f, "{path} has lost its set-id bits"),
            Why::Attribute(name) => write!(f, "{path} has lost its attribute {name}"),
        }
    }
}
