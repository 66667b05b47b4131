//! The mounts of a configuration: which are made in the child, which by the parent, with which options.

use super::cstrings::c_path;
use super::layers;
use super::spec::invalid;
use super::{BindPlan, MountPlan, MountSource, Role};
use crate::{Failure, annotation};
use oci_spec::runtime::{Linux, Mount, Spec};
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::path::{Component, Path, PathBuf};
use tinyd_fs::mount::Propagation;
use tinyd_ns::Namespaces;

/// The options of a mount, taken apart.
struct Options {
    set: MountAttrFlags,
    /// The attributes hold below it too (`rro` and its like).
    recursive_attributes: bool,
    bind: bool,
    recursive: bool,
    propagation: Propagation,
    /// Its ids must be mapped (`idmap`, `ridmap`).
    idmap: bool,
    /// See [`annotation::SUBPATH`].
    subpath: Option<PathBuf>,
    /// What is left is the file system's own business.
    own: Vec<(CString, CString)>,
}

pub(super) fn plan(spec: &Spec, linux: &Linux, namespaces: Namespaces) -> Result<Vec<MountPlan>, Failure> {
    spec.mounts().iter().flatten().map(|mount| one(mount, linux, namespaces)).collect()
}

fn one(mount: &Mount, linux: &Linux, namespaces: Namespaces) -> Result<MountPlan, Failure> {
    let user_namespace = namespaces.contains(Namespaces::USER);
    let target = mount.destination();
    if !target.is_absolute() {
        return Err(invalid("mounts", format!("{} is not an absolute path", target.display())));
    }
    let options = options(mount)?;
    let kind = mount.typ().as_deref().unwrap_or(if options.bind { "bind" } else { "" });
    let attributes = options.set;
    let new = |name: &str, role| -> Result<MountSource, Failure> {
        let kind = c_path("mounts", Path::new(name))?;
        Ok(MountSource::New { kind, options: options.own.clone(), attributes, role })
    };
    let source = match kind {
        _ if options.bind || kind == "bind" => {
            MountSource::Bind(bind(mount, &options, linux, user_namespace)?)
        }
        _ if options.propagation != Propagation::Private || options.idmap => {
            let target = target.display();
            return Err(invalid("mounts", format!("{target}: only binds have a propagation, or mapped ids")));
        }
        "proc" => new(kind, Role::Proc)?,
        "sysfs" if user_namespace && !namespaces.contains(Namespaces::NET) => {
            return Err(invalid(
                "mounts",
                "sysfs in a user namespace needs a network namespace of the container's own",
            ));
        }
        "sysfs" => new(kind, Role::Sys)?,
        "devpts" => new(kind, Role::Terminals)?,
        "tmpfs" if target == Path::new("/dev") => {
            MountSource::Dev { options: options.own.clone(), attributes, nodes: Vec::new() }
        }
        "overlay" => {
            let subpath = options.subpath.clone();
            MountSource::Overlay(layers::plan(target, &options.own, attributes, subpath)?)
        }
        "tmpfs" | "mqueue" => new(kind, Role::Plain)?,
        "cgroup" | "cgroup2" => MountSource::Cgroup { attributes, views: Vec::new() },
        other => {
            return Err(invalid(
                "mounts",
                format!("{}: file systems of type {other:?} are not mounted", target.display()),
            ));
        }
    };
    Ok(MountPlan { target: c_path("mounts", target)?, source })
}

fn bind(mount: &Mount, options: &Options, linux: &Linux, user_namespace: bool) -> Result<BindPlan, Failure> {
    if options.propagation == Propagation::Shared && user_namespace {
        let problem = "what a user namespace mounts does not spread to the host: rslave is possible";
        return Err(invalid("mounts", format!("{}: {problem}", mount.destination().display())));
    }
    let source = mount.source().clone().filter(|source| source.is_absolute()).ok_or_else(|| {
        invalid("mounts", format!("{}: a bind needs an absolute source", mount.destination().display()))
    })?;
    if !options.own.is_empty() {
        let names: Vec<_> = options.own.iter().map(|(name, _)| name.to_string_lossy()).collect();
        return Err(invalid(
            "mounts",
            format!("{}: unknown options {}", mount.destination().display(), names.join(",")),
        ));
    }
    let (source, subpath) = match &options.subpath {
        None => (source, None),
        Some(subpath) => {
            (above(&source, subpath).ok_or_else(|| no_subpath(mount, subpath))?, Some(subpath.clone()))
        }
    };
    Ok(BindPlan {
        role: if mount.destination() == &PathBuf::from("/sys") { Role::Sys } else { Role::Plain },
        source,
        subpath,
        recursive: options.recursive,
        attributes: options.set,
        attributes_recursive: options.recursive_attributes,
        propagation: options.propagation,
        idmap: idmap(mount, options, linux, user_namespace)?,
    })
}

/// Whether the ids of a bind are mapped; if so, as those of the container's user namespace are.
fn idmap(mount: &Mount, options: &Options, linux: &Linux, user_namespace: bool) -> Result<bool, Failure> {
    let refuse =
        |problem: &str| Err(invalid("mounts", format!("{}: {problem}", mount.destination().display())));
    let own = [mount.uid_mappings(), mount.gid_mappings()];
    match user_namespace {
        false if options.idmap => refuse("ids are mapped only where there is a user namespace"),
        false => Ok(false),
        true if own.iter().all(|mappings| mappings.is_none()) => Ok(options.idmap),
        true if own == [linux.uid_mappings(), linux.gid_mappings()] => Ok(true),
        true => refuse("mappings other than the container's own are not supported by this version"),
    }
}

/// What is left of a source without its end.
fn above(source: &Path, subpath: &Path) -> Option<PathBuf> {
    let mut root = source.components();
    let is_plain = subpath.components().count() > 0
        && subpath.components().rev().all(|part| {
            matches!(part, Component::Normal(_)) && root.next_back().is_some_and(|end| end == part)
        });
    is_plain.then(|| root.as_path().to_owned())
}

fn no_subpath(mount: &Mount, subpath: &Path) -> Failure {
    let (target, subpath) = (mount.destination().display(), subpath.display());
    invalid("mounts", format!("{target}: {} {subpath} is not the end of its source", annotation::SUBPATH))
}

/// The options that hold for every file system.
pub(crate) const OPTIONS: [&str; 29] = [
    "async",
    "bind",
    "defaults",
    "dev",
    "exec",
    "idmap",
    "newinstance",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nosuid",
    "nosymfollow",
    "private",
    "rbind",
    "relatime",
    "ridmap",
    "ro",
    "rprivate",
    "rro",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "unbindable",
];

fn options(mount: &Mount) -> Result<Options, Failure> {
    let mut all = Options {
        set: MountAttrFlags::empty(),
        recursive_attributes: false,
        bind: false,
        recursive: false,
        propagation: Propagation::Private,
        idmap: false,
        subpath: None,
        own: Vec::new(),
    };
    for option in mount.options().iter().flatten() {
        match option.as_str() {
            "bind" => all.bind = true,
            "rbind" => (all.bind, all.recursive) = (true, true),
            // Also what would be private without a word: whatever it was on the host.
            "private" | "rprivate" => all.propagation = Propagation::Private,
            "slave" | "rslave" => all.propagation = Propagation::Slave,
            "shared" | "rshared" => all.propagation = Propagation::Shared,
            "unbindable" | "runbindable" => all.propagation = Propagation::Unbindable,
            "idmap" | "ridmap" => all.idmap = true,
            "rw" => all.set -= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "suid" | "dev" | "exec" | "defaults" | "relatime" | "async" | "newinstance" => {}
            "ro" => all.set |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nosuid" => all.set |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => all.set |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "noexec" => all.set |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => all.set |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "strictatime" => all.set |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            "nodiratime" => all.set |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            "nosymfollow" => all.set |= MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW,
            "rro" => {
                all.set |= MountAttrFlags::MOUNT_ATTR_RDONLY;
                all.recursive_attributes = true;
            }
            own => {
                let (name, value) = own.split_once('=').unwrap_or((own, ""));
                if name == annotation::SUBPATH {
                    all.subpath = Some(PathBuf::from(value));
                    continue;
                }
                all.own.push((c_path("mounts", Path::new(name))?, c_path("mounts", Path::new(value))?));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_source_is_taken_off() {
        let split = |source: &str, subpath: &str| above(Path::new(source), Path::new(subpath));
        assert_eq!(split("/v/data/a/b", "a/b"), Some(PathBuf::from("/v/data")));
        assert_eq!(split("/v/data/a//b/", "a/./b"), Some(PathBuf::from("/v/data")));
        for (source, subpath) in [
            ("/v/a/b", "b/a"),
            ("/v/a", ""),
            ("/v/a", "/a"),
            ("/v/..", ".."),
            ("/v/a/..", "a/.."),
            ("/a", "v/a"),
        ] {
            assert_eq!(split(source, subpath), None, "{source} {subpath}");
        }
    }
}
