//! The mounts of a configuration: which are made in the child, which by the parent, with which options.

use super::build::ranges;
use super::cstrings::c_path;
use super::layers;
use super::options::{self, Below, Options};
use super::spec::invalid;
use super::{BindPlan, FileSystem, IdmapPlan, MadePlan, MountPlan, MountSource, RemountPlan, Role};
use crate::config::{Mount, Spec};
use crate::{Failure, annotation};
use rustix::mount::MountAttrFlags;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tinyd_fs::mount::Propagation;
use tinyd_ns::Namespaces;
use tinyd_ns::idmap::IdMaps;

/// File systems that a user namespace may mount, or that show what belongs to a namespace: the child makes them.
const OF_NAMESPACES: [&str; 8] =
    ["proc", "sysfs", "devpts", "tmpfs", "ramfs", "mqueue", "bpf", "binfmt_misc"];

/// What a mount is seen by.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) namespaces: Namespaces,
    /// Maps of the user namespace, if there is one.
    pub(super) maps: Option<&'a IdMaps>,
    /// The folder that relative sources begin at.
    pub(super) bundle: &'a Path,
    /// The root is a folder of the bundle's own: its maker's sources are paths of the host as they stand, links and all.
    pub(super) foreign: bool,
    /// What SELinux calls the files of file systems in memory.
    pub(super) label: Option<&'a str>,
}

pub(super) fn plan(spec: &Spec, scene: Scene<'_>) -> Result<Vec<MountPlan>, Failure> {
    let planned: Result<Vec<_>, _> = spec.mounts.iter().flatten().map(|mount| one(mount, scene)).collect();
    let mut planned = planned?;
    for at in 0..planned.len() {
        let (before, after) = planned.split_at_mut(at + 1);
        if let Some(MountPlan { target, source: MountSource::Cgroup { places, .. } }) = before.last_mut() {
            *places = after.iter().filter_map(|other| name_below(target, &other.target)).collect();
        }
    }
    Ok(planned)
}

/// The name by which one goes from a folder to what is below it.
fn name_below(folder: &CStr, path: &CStr) -> Option<CString> {
    let [folder, path] = [folder, path].map(|path| Path::new(OsStr::from_bytes(path.to_bytes())));
    let Some(Component::Normal(name)) = path.strip_prefix(folder).ok()?.components().next() else {
        return None;
    };
    CString::new(name.as_bytes()).ok()
}

fn one(mount: &Mount, scene: Scene<'_>) -> Result<MountPlan, Failure> {
    // Relative ones are those of old tools, and begin at the root.
    let target = Path::new("/").join(&mount.destination);
    if !target.components().any(|part| matches!(part, Component::Normal(_))) {
        return refuse(mount, "has the root's own place: that is root.path's");
    }
    let options = options::read(mount.options.as_deref().unwrap_or_default())?;
    if options.remount {
        let source = MountSource::Remount(remount(mount, options)?);
        return Ok(MountPlan { target: c_path("mounts", &target)?, source });
    }
    let kind = mount.typ.as_deref().unwrap_or(if options.bind { "bind" } else { "" });
    let source = if options.bind || kind == "bind" {
        MountSource::Bind(bind(mount, &options, scene)?)
    } else {
        file_system(mount, kind, &target, options, scene)?
    };
    Ok(MountPlan { target: c_path("mounts", &target)?, source })
}

fn refuse<T>(mount: &Mount, problem: impl std::fmt::Display) -> Result<T, Failure> {
    Err(invalid("mounts", format!("{}: {problem}", mount.destination.display())))
}

fn file_system(
    mount: &Mount,
    kind: &str,
    target: &Path,
    mut options: Options,
    scene: Scene<'_>,
) -> Result<MountSource, Failure> {
    if let Some(label) = scene.label.filter(|_| ["tmpfs", "ramfs", "devpts"].contains(&kind)) {
        options.own.push((c"context".to_owned(), c_path("linux.mountLabel", Path::new(label))?));
    }
    let user_namespace = scene.maps.is_some();
    let idmap = idmap(mount, &options, scene)?;
    let attributes = options.attributes.set | options.below.set;
    match kind {
        "" => return refuse(mount, "has no type"),
        "none" => return refuse(mount, "the type none is for binds: rbind or bind is missing"),
        "overlay" if is_writable(&options) && idmap.is_none() && (user_namespace || !scene.foreign) => {
            let subpath = options.subpath.clone();
            return Ok(MountSource::Overlay(layers::plan(
                target,
                &options.own,
                attributes,
                subpath,
                scene.foreign,
            )?));
        }
        "cgroup" | "cgroup2" if idmap.is_none() => {
            return Ok(MountSource::Cgroup { attributes, views: Vec::new(), places: Vec::new() });
        }
        "sysfs" if user_namespace && !scene.namespaces.contains(Namespaces::NET) => {
            return refuse(
                mount,
                "sysfs in a user namespace needs a network namespace of the container's own",
            );
        }
        _ if options.subpath.is_some() => {
            return refuse(mount, format!("{} is for binds and layers", annotation::SUBPATH));
        }
        _ if options.copy_up && kind != "tmpfs" => return refuse(mount, "tmpcopyup is for tmpfs"),
        _ => {}
    }
    let mode = options.own.iter().find(|(name, _)| name.as_c_str() == c"mode");
    let mode = mode.and_then(|(_, value)| u32::from_str_radix(value.to_str().ok()?, 8).ok());
    let role = match kind {
        "proc" if target == Path::new("/proc") => Role::Proc,
        "sysfs" if target == Path::new("/sys") => Role::Sys,
        "devpts" if target == Path::new("/dev/pts") => Role::Terminals,
        // As other runtimes have it. A new /dev has no such folders.
        "tmpfs" if scene.foreign && mode.is_none() && !target.starts_with("/dev") => Role::AsItsPlace,
        _ => Role::Plain,
    };
    if kind == "tmpfs" && target == Path::new("/dev") && !options.copy_up && idmap.is_none() {
        return Ok(MountSource::Dev {
            options: options.own,
            attributes,
            propagation: options.propagation,
            nodes: Vec::new(),
        });
    }
    // The child has the host's rights as long as it has no user namespace, and its own network in any case.
    let by_parent = idmap.is_some() || options.copy_up || (user_namespace && !OF_NAMESPACES.contains(&kind));
    let of_device = !OF_NAMESPACES.contains(&kind) && attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY);
    let of_any = options.of_any.into_iter().chain(of_device.then(|| c"ro".to_owned()));
    let source = mount.source.as_deref().unwrap_or(Path::new(kind));
    let file_system = FileSystem {
        kind: c_path("mounts", Path::new(kind))?,
        source: c_path("mounts", source)?,
        options: options.own.into_iter().chain(of_any.map(|word| (word, CString::default()))).collect(),
    };
    let propagation = options.propagation;
    Ok(match by_parent {
        false => MountSource::New { file_system, attributes, propagation, role },
        true => {
            let copied = options.copy_up.then_some(mode);
            MountSource::Made(MadePlan { file_system, attributes, propagation, idmap, copied })
        }
    })
}

/// Options that are not named stay as they are, as mount(8) has it for what fstab(5) knows.
fn remount(mount: &Mount, options: Options) -> Result<RemountPlan, Failure> {
    if options.idmap.is_some() || options.copy_up || options.subpath.is_some() {
        return refuse(mount, "idmap, tmpcopyup and the like are for new mounts");
    }
    let of_any = options.of_any.into_iter().map(|word| (word, CString::default()));
    let own: Vec<_> = options.own.into_iter().chain(of_any).collect();
    if options.bind && !own.is_empty() {
        return refuse(mount, "a bind has no options of a file system");
    }
    Ok(RemountPlan {
        attributes: options.attributes,
        attributes_below: options.below,
        propagation: options.propagation,
        options: own,
    })
}

/// Of the options of an overlay.
fn is_writable(options: &Options) -> bool {
    options.own.iter().any(|(name, _)| name.as_c_str() == c"upperdir")
}

/// Tells of the options that a bind has no use for: other words are its file system's own, which is made already, so that the kernel
/// leaves them out.
pub(crate) fn unheard(mounts: &[Mount]) -> Vec<String> {
    let tell = |mount: &Mount| {
        let options = options::read(mount.options.as_deref()?).ok()?;
        let is_bind = !options.remount && (options.bind || mount.typ.as_deref() == Some("bind"));
        let place = mount.destination.display();
        (is_bind && !options.own.is_empty())
            .then(|| format!("mounts: {place}: a bind has no options {}", names(&options.own)))
    };
    mounts.iter().filter_map(tell).collect()
}

fn names(options: &[(CString, CString)]) -> String {
    options.iter().map(|(name, _)| name.to_string_lossy()).collect::<Vec<_>>().join(",")
}

fn bind(mount: &Mount, options: &Options, scene: Scene<'_>) -> Result<BindPlan, Failure> {
    let propagation = options.propagation.unwrap_or(Propagation::Private);
    if propagation == Propagation::Shared && scene.maps.is_some() {
        return refuse(mount, "what a user namespace mounts does not spread to the host: rslave is possible");
    }
    if options.copy_up {
        return refuse(mount, "tmpcopyup is for tmpfs");
    }
    let Some(source) = mount.source.as_ref().filter(|source| !source.as_os_str().is_empty()) else {
        return refuse(mount, "a bind needs a source");
    };
    // Another engine is told of them, and means what mount(2) makes of them.
    if !options.own.is_empty() && !scene.foreign {
        return refuse(mount, format!("unknown options {}", names(&options.own)));
    }
    let source = scene.bundle.join(source);
    let (source, subpath) = match &options.subpath {
        None => (source, None),
        Some(subpath) => {
            (above(&source, subpath).ok_or_else(|| no_subpath(mount, subpath))?, Some(subpath.clone()))
        }
    };
    Ok(BindPlan {
        role: if mount.destination == Path::new("/sys") { Role::Sys } else { Role::Plain },
        foreign: scene.foreign,
        source,
        subpath,
        recursive: options.recursive,
        attributes: options.attributes,
        attributes_below: options.below,
        propagation,
        propagation_below: match propagation {
            // A part of a tree that is attached nowhere cannot be changed by itself, and peers of the host's would not be such any more.
            Propagation::Shared => propagation,
            // What the host mounts there shows, and no more.
            _ if options.recursive && !options.propagates_below => Propagation::Slave,
            _ => propagation,
        },
        idmap: idmap(mount, options, scene)?,
    })
}

/// How the ids of a mount are mapped, if they are; those of the mounts below it where that is said.
fn idmap(mount: &Mount, options: &Options, scene: Scene<'_>) -> Result<Option<IdmapPlan>, Failure> {
    let (users, groups) = (&mount.uid_mappings, &mount.gid_mappings);
    let maps = match (users, groups) {
        (None, None) if options.idmap.is_none() => return Ok(None),
        (None, None) if scene.maps.is_none() => {
            return refuse(
                mount,
                "ids are mapped by a mount's own mappings, or where there is a user namespace",
            );
        }
        (None, None) => None,
        (Some(users), Some(groups)) => {
            let own = IdMaps { users: ranges(users), groups: ranges(groups) };
            if let Err(error) = own.check() {
                return refuse(mount, error);
            }
            // The namespace that is there will do.
            (scene.maps != Some(&own)).then_some(own)
        }
        _ => return refuse(mount, "uidMappings and gidMappings come together"),
    };
    Ok(Some(IdmapPlan { maps, recursive: options.idmap == Some(Below::Included) }))
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
    let (target, subpath) = (mount.destination.display(), subpath.display());
    invalid("mounts", format!("{target}: {} {subpath} is not the end of its source", annotation::SUBPATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_folder_begins_with_a_name() {
        let below = |path| name_below(c"/sys/fs/cgroup", path);
        assert_eq!(below(c"/sys/fs/cgroup/systemd/release_agent").as_deref(), Some(c"systemd"));
        for path in [c"/sys/fs/cgroup", c"/sys/fs/cgroups/a", c"/sys", c"/sys/fs/cgroup/../a"] {
            assert_eq!(below(path), None, "{path:?}");
        }
    }

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
