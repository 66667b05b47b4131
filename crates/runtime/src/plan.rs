//! What the child will do, worked out before it exists: between clone and exec nothing is allocated, so every string,
//! pointer and filter is made here, by the parent, from the bundle's `config.json`.

mod build;
mod cstrings;
mod devices;
mod filter;
mod layers;
mod mounts;
mod process;
mod resources;
mod secrets;
mod shared;
mod spec;

pub(crate) use build::{MAX_LAYERS, MAX_PREPARED, build, id_maps_of, namespaces_of};
pub(crate) use cstrings::{CStrings, c_path};
pub(crate) use filter::{Filter, keep as keep_filter};
pub(crate) use mounts::OPTIONS as MOUNT_OPTIONS;
pub(crate) use process::{for_exec, of_its_own};
pub use resources::everybodys_devices;
pub(crate) use resources::limits as limits_of;
pub(crate) use spec::{Bundle, CONFIG, invalid};

use crate::SecretFile;
use crate::init::Gate;
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::path::PathBuf;
use tinyd_fs::dev::Node;
use tinyd_fs::mount::Propagation;
use tinyd_ns::Namespaces;
use tinyd_ns::caps::CapSets;
use tinyd_ns::idmap::IdMaps;
use tinyd_ns::rlimit::Rlimit;

/// A container's start.
pub(crate) struct Plan {
    /// New namespaces, but for the cgroup one, which comes after the cgroups were joined.
    pub(crate) namespaces: Namespaces,
    pub(crate) cgroup_namespace: bool,
    /// Maps of the user namespace, if there is one.
    pub(crate) id_maps: Option<IdMaps>,
    pub(crate) hostname: Option<CString>,
    pub(crate) domainname: Option<CString>,
    /// Where the overlays below the root are mounted.
    pub(crate) layers: Vec<CString>,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) masked: Vec<CString>,
    pub(crate) read_only: Vec<CString>,
    /// Files below `/proc`, and what is written to them.
    pub(crate) sysctls: Vec<(CString, CString)>,
    pub(crate) root_read_only: bool,
    /// Where the root is attached before it becomes the root, for those who are to find it there meanwhile.
    pub(crate) shown_at: Option<CString>,
    pub(crate) process: ProcessPlan,
    /// `USER[:GROUP]`, or who the bundle says by number.
    pub(crate) user: UserPlan,
    pub(crate) limits: tinyd_cgroup::Limits,
}

/// A mount below the root.
pub(crate) struct MountPlan {
    pub(crate) target: CString,
    pub(crate) source: MountSource,
}

pub(crate) enum MountSource {
    /// A file system that the child makes, because it belongs to its namespaces.
    New { kind: CString, options: Vec<(CString, CString)>, attributes: MountAttrFlags, role: Role },
    /// `/dev`: made by the parent, who may make device nodes.
    Dev {
        options: Vec<(CString, CString)>,
        attributes: MountAttrFlags,
        /// What it holds beside the nodes that every container has.
        nodes: Vec<Node>,
    },
    /// A file or folder of the host.
    Bind(BindPlan),
    /// Layers of folders of the host.
    Overlay(LayersPlan),
    /// Secrets: made by the parent, in memory.
    Secrets(SecretsPlan),
    /// The container's cgroup in each hierarchy.
    Cgroup {
        attributes: MountAttrFlags,
        /// Filled in when the cgroup has been made.
        views: Vec<CgroupView>,
    },
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

/// What a new file system is to the rest of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Proc,
    Sys,
    Terminals,
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
    pub(crate) attributes: MountAttrFlags,
    pub(crate) propagation: Propagation,
    /// The attributes hold for the mounts below it too.
    pub(crate) attributes_recursive: bool,
    /// Shown with the ids of the container's user namespace.
    pub(crate) idmap: bool,
    /// It is `/sys` of the host, for a container with the host's network.
    pub(crate) role: Role,
}

/// Folders of the host, one upon the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LayersPlan {
    /// Topmost first.
    pub(crate) lowers: Vec<PathBuf>,
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
    pub(crate) umask: u32,
    pub(crate) keyring: CString,
    pub(crate) terminal: bool,
    /// The first process stays, reaps orphans, and passes signals on to the command.
    pub(crate) init: bool,
    pub(crate) window: Option<(u16, u16)>,
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
