//! The cgroup hierarchies of the machine, and where a container stands in each.

use std::fs;
use std::path::{Path, PathBuf};

use super::mounts;

/// One mounted hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its controllers: of v1 by the mount's options (a named one as `name=systemd`), of v2 by `cgroup.controllers`.
    pub controllers: Vec<String>,
    /// Whether it is the unified one.
    pub v2: bool,
}

/// All hierarchies that are mounted here.
pub fn hierarchies() -> Vec<Hierarchy> {
    let mounts = mounts::of_self().expect("/proc/self/mountinfo can be read");
    let found = mounts.into_iter().filter_map(|mount| match mount.fs.as_str() {
        "cgroup" => {
            let options = mount.super_options.into_iter();
            let controllers = options.filter(|option| !matches!(option.as_str(), "rw" | "ro")).collect();
            Some(Hierarchy { mount: mount.point, controllers, v2: false })
        }
        "cgroup2" => {
            let text = fs::read_to_string(mount.point.join("cgroup.controllers")).unwrap_or_default();
            let controllers = text.split_whitespace().map(str::to_owned).collect();
            Some(Hierarchy { mount: mount.point, controllers, v2: true })
        }
        _ => None,
    });
    found.collect()
}

/// The hierarchy that has a controller.
pub fn hierarchy_of(controller: &str) -> Option<Hierarchy> {
    hierarchies().into_iter().find(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller))
}

/// Every cgroup at and below `top`, children before their parents (the order in which they can be removed).
pub fn walk(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(entries) = fs::read_dir(top) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.extend(walk(&entry.path()));
            }
        }
    }
    found.push(top.to_owned());
    found
}

/// The cgroup of a container (by its whole id) in the hierarchy of `controller`; not that of its monitor.
pub fn of_container(id: &str, controller: &str) -> Option<PathBuf> {
    let top = hierarchy_of(controller)?.mount;
    walk(&top).into_iter().find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(id))
            && !path.components().any(|part| part.as_os_str() == "monitor")
    })
}

/// What a file of a container's cgroup says, without the newline at its end.
pub fn value(id: &str, controller: &str, file: &str) -> Option<String> {
    let text = fs::read_to_string(of_container(id, controller)?.join(file)).ok()?;
    Some(text.trim_end().to_owned())
}

/// The path of a process within the hierarchy of `controller`, as `/proc/PID/cgroup` gives it; `""` means v2.
pub fn path_of(pid: i32, controller: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers.split(',').any(|name| name == controller).then(|| path.to_owned())
    })
}

/// The processes in a cgroup (not in those below it).
pub fn members(cgroup: &Path) -> Vec<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_stands_in_the_hierarchies_that_are_mounted() {
        for hierarchy in hierarchies().iter().filter(|hierarchy| !hierarchy.v2) {
            let controller = &hierarchy.controllers[0];
            assert!(path_of(crate::proc::own_pid(), controller).is_some(), "{hierarchy:?}");
        }
    }

    #[test]
    fn walk_gives_children_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let found = walk(dir.path());
        assert_eq!(found, [dir.path().join("a/b"), dir.path().join("a"), dir.path().to_owned()]);
    }
}
