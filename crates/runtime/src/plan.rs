//! What the child will do, worked out before it exists: between clone and exec nothing is allocated, so every string,
//! pointer and filter is made here, by the parent, from the bundle's `config.json`.

mod build;
mod cstrings;
mod devices;
mod filter;
mod label;
mod layers;
mod links;
mod mounts;
mod namespaces;
mod options;
mod priority;
mod process;
mod resources;
mod secrets;
mod shared;
mod spec;
mod turns;
mod unique;

pub(crate) use build::pids as pids_of;
pub(crate) use build::{MAX_LAYERS, MAX_PREPARED, build, ends_as_one, id_maps_of, namespaces_of};
pub(crate) use cstrings::{CStrings, c_path};
pub(crate) use filter::{Filter, keep as keep_filter};
pub(crate) use label::Label;
pub(crate) use links::{Link, NUMBER as LINK_NUMBER};
pub(crate) use mounts::unheard;
pub(crate) use options::known as mount_options;
pub(crate) use priority::Priority;
pub(crate) use process::{for_exec, of_its_own, refuse_unknown_capabilities, ungranted};
pub use resources::everybodys_devices;
pub(crate) use resources::limits as limits_of;
pub(crate) use spec::{Bundle, CONFIG, invalid, read, read_all};
pub(crate) use turns::{Maker, Turns};

use crate::SecretFile;
use crate::init::Gate;
use crate::listener::Listener;
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use tinyd_fs::dev::Node;
use tinyd_fs::mount::{Changes, DetachedMount, Propagation};
use tinyd_ns::Namespaces;
use tinyd_ns::caps::CapSets;
use tinyd_ns::idmap::IdMaps;
use tinyd_ns::rlimit::Rlimit;

/// A container's start.
pub(crate) struct Plan {
    /// New namespaces, but for the cgroup one, which comes after the cgroups were joined.
    pub(crate) namespaces: Namespaces,
    pub(crate) cgroup_namespace: bool,
    /// Namespaces that are there already.
    pub(crate) joined: Vec<Joined>,
    /// What is written of the clocks of a new time namespace.
    pub(crate) time_offsets: Option<CString>,
    /// Maps of the user namespace, if there is one.
    pub(crate) id_maps: Option<IdMaps>,
    pub(crate) hostname: Option<CString>,
    pub(crate) domainname: Option<CString>,
    /// Where the overlays below the root are mounted.
    pub(crate) layers: Vec<CString>,
    pub(crate) mounts: Vec<MountPlan>,
    /// They are made in this order, one after the other.
    pub(crate) in_order: bool,
    /// Devices that lie in no file system that is made for them.
    pub(crate) strays: Strays,
    /// Network devices that move into the container.
    pub(crate) links: Vec<Link>,
    pub(crate) masked: Vec<CString>,
    pub(crate) read_only: Vec<CString>,
    /// Files below `/proc/sys`, and what is written to them.
    pub(crate) sysctls: Vec<(CString, CString)>,
    pub(crate) root_read_only: bool,
    /// Where mounts show that are made below the root later; and those on the mounts below it, where it says so. Private else.
    pub(crate) root_propagation: Option<(Propagation, bool)>,
    /// Where the root is attached before it becomes the root, for those who are to find it there meanwhile.
    pub(crate) shown_at: Option<CString>,
    pub(crate) process: ProcessPlan,
    /// `USER[:GROUP]`, or who the bundle says by number.
    pub(crate) user: UserPlan,
    pub(crate) limits: tinyd_cgroup::Limits,
}

/// Device nodes that are mounted, each by itself, in whatever the container has in their places: a node that is made in the root
/// stays there when the container is gone, and in a user namespace nobody could open it.
#[derive(Default)]
pub(crate) struct Strays {
    /// As they are made, by names that tell nothing.
    pub(crate) nodes: Vec<Node>,
    /// The name and the place of each.
    pub(crate) places: Vec<Stray>,
    /// `/dev` gets the links that every container has.
    pub(crate) links: bool,
}

/// Where a device goes.
pub(crate) struct Stray {
    pub(crate) name: CString,
    pub(crate) target: CString,
    /// Its numbers, where something else in its place is an error.
    pub(crate) expected: Option<(FileType, u64)>,
}

/// A namespace that the container lives in with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) kind: Namespaces,
    pub(crate) path: PathBuf,
}

/// A mount below the root.
pub(crate) struct MountPlan {
    pub(crate) target: CString,
    pub(crate) source: MountSource,
}

pub(crate) enum MountSource {
    /// A file system that the child makes, because it belongs to its namespaces.
    New { file_system: FileSystem, attributes: MountAttrFlags, propagation: Option<Propagation>, role: Role },
    /// A file system that the parent makes.
    Made(MadePlan),
    /// `/dev`: made by the parent, who may make device nodes.
    Dev {
        options: Vec<(CString, CString)>,
        attributes: MountAttrFlags,
        propagation: Option<Propagation>,
        /// What it holds beside the nodes that every container has.
        nodes: Vec<Node>,
    },
    /// A file or folder of the host.
    Bind(BindPlan),
    /// Layers of folders of the host.
    Overlay(LayersPlan),
    /// Nothing: what has been mounted there is changed.
    Remount(RemountPlan),
    /// Secrets: made by the parent, in memory.
    Secrets(SecretsPlan),
    /// The container's cgroup in each hierarchy.
    Cgroup {
        attributes: MountAttrFlags,
        /// Filled in when the cgroup has been made.
        views: Vec<CgroupView>,
        /// Folders beside theirs that something is mounted on later.
        places: Vec<CString>,
    },
}

/// A file system, as fsopen(2) wants it described.
pub(crate) struct FileSystem {
    pub(crate) kind: CString,
    pub(crate) source: CString,
    pub(crate) options: Vec<(CString, CString)>,
}

impl FileSystem {
    /// *Child-side.* Makes it, attached nowhere yet.
    pub(crate) fn mount(
        &self,
        attributes: MountAttrFlags,
        propagation: Option<Propagation>,
    ) -> Result<DetachedMount, Errno> {
        let options = self.options.iter().map(|(name, value)| (name.as_c_str(), value.as_c_str()));
        let mount = DetachedMount::of_device(&self.kind, &self.source, options, attributes)?;
        if propagation.is_some() {
            mount.change(&Changes { propagation, ..Changes::NONE })?;
        }
        Ok(mount)
    }
}

/// A file system that only the host's rights, or the root's files, can make.
pub(crate) struct MadePlan {
    pub(crate) file_system: FileSystem,
    pub(crate) attributes: MountAttrFlags,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) idmap: Option<IdmapPlan>,
    /// It begins with what the root has in its place (`tmpcopyup`), and the mode, if one was asked for.
    pub(crate) copied: Option<Option<u32>>,
}

/// What becomes of a mount that is there.
pub(crate) struct RemountPlan {
    pub(crate) attributes: Attributes,
    /// Of the mounts below it as well.
    pub(crate) attributes_below: Attributes,
    pub(crate) propagation: Option<Propagation>,
    /// What its file system is told.
    pub(crate) options: Vec<(CString, CString)>,
}

impl RemountPlan {
    /// *Child-side.* Changes the mount that a path is of.
    pub(crate) fn change(&self, place: OwnedFd) -> Result<(), Errno> {
        if !self.options.is_empty() {
            let options = self.options.iter().map(|(name, value)| (name.as_c_str(), value.as_c_str()));
            tinyd_fs::mount::reconfigure(place.as_fd(), options)?;
        }
        let mount = DetachedMount::from_fd(place);
        let Attributes { set, clear } = self.attributes_below;
        if !self.attributes_below.is_none() {
            mount.change(&Changes { set, clear, recursive: true, ..Changes::NONE })?;
        }
        let Attributes { set, clear } = self.attributes;
        mount.change(&Changes { set, clear, propagation: self.propagation, ..Changes::NONE })
    }
}

/// Ids that a mount shows under other numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IdmapPlan {
    /// The maps; those of the container's user namespace where there are none.
    pub(crate) maps: Option<IdMaps>,
    /// Those below it as well.
    pub(crate) recursive: bool,
}

/// What becomes of a mount's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: MountAttrFlags,
    pub(crate) clear: MountAttrFlags,
}

/// Secrets on a file system of their own.
pub(crate) struct SecretsPlan {
    pub(crate) files: Vec<SecretFile>,
    /// The only one is mounted, by this name, in place of the folder.
    pub(crate) alone: Option<CString>,
}

/// A hierarchy as the container sees it.
pub(crate) struct CgroupView {
    /// Name of its folder; empty when it is the whole mount.
    pub(crate) name: CString,
    pub(crate) links: Vec<CString>,
    /// The container's cgroup in it, on the host.
    pub(crate) source: PathBuf,
}

impl MountSource {
    /// Whether one hierarchy is the whole mount.
    pub(crate) fn is_one_hierarchy(views: &[CgroupView]) -> bool {
        matches!(views, [view] if view.name.is_empty())
    }
}

/// What a new file system is to the rest of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Proc,
    Sys,
    Terminals,
    /// In memory, with the rights of the folder that it covers, where there is one.
    AsItsPlace,
}

impl MountPlan {
    /// What is mounted on it shows on the host, so that it is the last to be attached.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(&self.source, MountSource::Bind(bind) if bind.propagation == Propagation::Shared)
    }
}

pub(crate) struct BindPlan {
    pub(crate) source: PathBuf,
    /// What is mounted of the source, looked up beneath it.
    pub(crate) subpath: Option<PathBuf>,
    pub(crate) recursive: bool,
    /// Of the mount itself.
    pub(crate) attributes: Attributes,
    /// Of the mounts below it as well.
    pub(crate) attributes_below: Attributes,
    pub(crate) propagation: Propagation,
    /// Of the mounts below it.
    pub(crate) propagation_below: Propagation,
    pub(crate) idmap: Option<IdmapPlan>,
    /// Whoever wrote it knows what is there: its path may lead through links, and it may be told to spread where nothing can.
    pub(crate) foreign: bool,
    /// It is `/sys` of the host, for a container with the host's network.
    pub(crate) role: Role,
}

/// Folders of the host, one upon the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LayersPlan {
    /// Topmost first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Another engine chose them: links on the way are its own.
    pub(crate) foreign: bool,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    /// Nothing is synced.
    pub(crate) volatile: bool,
    pub(crate) attributes: MountAttrFlags,
    /// What is mounted of them, looked up beneath.
    pub(crate) subpath: Option<PathBuf>,
}

/// A command: a container's own, or a further one.
pub(crate) struct ProcessPlan {
    pub(crate) args: CStrings,
    /// The last pointer but the null is free: `HOME`, once it is known, goes there.
    pub(crate) env: CStrings,
    pub(crate) has_home: bool,
    /// The paths where the program may be, in the order in which they are tried.
    pub(crate) candidates: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) caps: CapSets,
    pub(crate) no_new_privileges: bool,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) seccomp: Option<Filter>,
    /// Whom the filter asks.
    pub(crate) listener: Option<Listener>,
    pub(crate) umask: u32,
    /// The name of its session keyring; without one it keeps that of whoever starts it.
    pub(crate) keyring: Option<CString>,
    pub(crate) terminal: bool,
    /// The first process stays, reaps orphans, and passes signals on to the command.
    pub(crate) init: bool,
    pub(crate) window: Option<(u16, u16)>,
    pub(crate) priority: Priority,
    pub(crate) label: Option<Label>,
    /// Where the command waits, when it is only created.
    pub(crate) gate: Option<Gate>,
    /// So many descriptors from 3 on are the command's.
    pub(crate) preserved: u32,
}

/// Whom the command becomes.
#[derive(Clone, Debug)]
pub(crate) enum UserPlan {
    /// By number, with supplementary groups.
    Ids { uid: u32, gid: u32, groups: Vec<u32> },
    /// By the text that a user gave, looked up in the container's own files.
    Text(String),
}
