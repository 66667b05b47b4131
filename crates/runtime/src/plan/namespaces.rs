//! The namespaces of a container: those that it gets of its own, and those that it joins.

use super::Joined;
use super::build::ranges;
use super::cstrings::c_path;
use super::spec::invalid;
use crate::config::{Linux, NamespaceKind, TimeOffset};
use crate::{Failure, FailureKind};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use tinyd_ns::Namespaces;
use tinyd_ns::idmap::{self, IdMaps};

const PROPERTY: &str = "linux.namespaces";

/// What a configuration says of namespaces.
pub(crate) struct Wanted {
    /// Made for the container.
    pub(crate) new: Namespaces,
    /// There already.
    pub(crate) joined: Vec<Joined>,
}

impl Wanted {
    /// Reads and checks it.
    pub(crate) fn of(linux: &Linux) -> Result<Self, Failure> {
        let mut wanted = Self { new: Namespaces::empty(), joined: Vec::new() };
        for namespace in linux.namespaces.iter().flatten() {
            let kind = match namespace.typ {
                NamespaceKind::Mount => Namespaces::MOUNT,
                NamespaceKind::Cgroup => Namespaces::CGROUP,
                NamespaceKind::Uts => Namespaces::UTS,
                NamespaceKind::Ipc => Namespaces::IPC,
                NamespaceKind::User => Namespaces::USER,
                NamespaceKind::Pid => Namespaces::PID,
                NamespaceKind::Network => Namespaces::NET,
                NamespaceKind::Time => Namespaces::TIME,
            };
            if wanted.all().contains(kind) {
                return Err(invalid(PROPERTY, format!("{kind} is named twice")));
            }
            match namespace.path.as_deref().filter(|path| !path.as_os_str().is_empty()) {
                None => wanted.new |= kind,
                Some(path) if path.is_absolute() => {
                    wanted.joined.push(Joined { kind, path: path.to_owned() });
                }
                Some(path) => {
                    return Err(invalid(PROPERTY, format!("{} is not an absolute path", path.display())));
                }
            }
        }
        wanted.check()?;
        Ok(wanted)
    }

    /// Of which kinds it has other ones than this process, or may have.
    pub(crate) fn all(&self) -> Namespaces {
        self.joined.iter().fold(self.new, |all, joined| all | joined.kind)
    }

    fn check(&self) -> Result<(), Failure> {
        if !self.all().contains(Namespaces::MOUNT) {
            // Everything that follows takes place in the container's own mounts.
            return Err(invalid(PROPERTY, "mount is missing: a container has mounts of its own"));
        }
        match self.joined.iter().find(|joined| joined.kind == Namespaces::MOUNT) {
            Some(joined) if joined.is_of_this_process() => {
                Err(invalid(PROPERTY, "mount: the container's root would become that of the host"))
            }
            _ => Ok(()),
        }
    }

    /// Those that are not this process's own.
    pub(crate) fn apart(&self) -> Namespaces {
        let joined = self.joined.iter().filter(|joined| !joined.is_of_this_process());
        joined.fold(self.new, |all, joined| all | joined.kind)
    }

    /// The maps of the user namespace, if there is one.
    pub(crate) fn id_maps(&self, linux: &Linux) -> Result<Option<IdMaps>, Failure> {
        let of = |mappings: &Option<Vec<_>>| ranges(mappings.as_deref().unwrap_or_default());
        let told = IdMaps { users: of(&linux.uid_mappings), groups: of(&linux.gid_mappings) };
        if !self.all().contains(Namespaces::USER) {
            return match told == IdMaps::default() {
                true => Ok(None),
                false => Err(invalid("linux.uidMappings", "there is no user namespace to map ids in")),
            };
        }
        let maps = match self.joined.iter().find(|joined| joined.kind == Namespaces::USER) {
            None => told,
            Some(joined) => {
                let there = joined.id_maps()?;
                if told != IdMaps::default() && told != there {
                    return Err(invalid(
                        "linux.uidMappings",
                        "are not those of the user namespace that is joined",
                    ));
                }
                there
            }
        };
        if let Err(error) = maps.check() {
            return Err(invalid("linux.uidMappings", error));
        }
        if maps.root().is_none() {
            return Err(invalid("linux.uidMappings", "user and group 0 must be mapped"));
        }
        Ok(Some(maps))
    }

    /// What is written of the clocks, where the container has some of its own.
    pub(crate) fn offsets(&self, linux: &Linux) -> Result<Option<CString>, Failure> {
        const PROPERTY: &str = "linux.timeOffsets";
        let none = HashMap::<String, TimeOffset>::new();
        let offsets = linux.time_offsets.as_ref().unwrap_or(&none);
        if !self.new.contains(Namespaces::TIME) {
            return match offsets.is_empty() {
                true => Ok(None),
                false => Err(invalid(PROPERTY, "clocks are set in a new time namespace, and there is none")),
            };
        }
        let mut lines = Vec::new();
        for (clock, offset) in offsets {
            if !["monotonic", "boottime"].contains(&clock.as_str()) {
                return Err(invalid(PROPERTY, format!("{clock:?} is none of monotonic and boottime")));
            }
            let (seconds, rest) = (offset.secs.unwrap_or(0), offset.nanosecs.unwrap_or(0));
            if rest > 999_999_999 {
                return Err(invalid(PROPERTY, format!("{clock}: {rest} nanoseconds are more than a second")));
            }
            lines.push(format!("{clock} {seconds} {rest}\n"));
        }
        lines.sort();
        c_path(PROPERTY, Path::new(&lines.concat())).map(Some)
    }
}

impl Joined {
    fn is_of_this_process(&self) -> bool {
        let own = self.kind.id_of(std::process::id());
        let there = std::fs::metadata(&self.path);
        own.ok()
            .zip(there.ok())
            .is_some_and(|(own, file)| (own.device, own.inode) == (file.dev(), file.ino()))
    }

    /// Opens its file. NONBLOCK: a FIFO in its place must not keep us waiting.
    pub(crate) fn open(&self) -> std::io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(openat(CWD, &self.path, flags, Mode::empty())?.into())
    }

    fn id_maps(&self) -> Result<IdMaps, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            let what = format!("look into the user namespace {}", self.path.display());
            Failure::new(FailureKind::Invalid, what).caused_by(error)
        };
        let file = self.open().map_err(|error| failed(&error))?;
        idmap::maps_of(file.as_fd()).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(json: &str) -> Linux {
        crate::plan::read(json.as_bytes()).unwrap()
    }

    fn of(json: &str) -> Result<Wanted, Failure> {
        Wanted::of(&linux(json))
    }

    #[test]
    fn pure_namespaces_are_new_or_joined_and_each_once() {
        let wanted = of(r#"{"namespaces": [{"type": "mount"}, {"type": "network", "path": "/run/netns/a"},
            {"type": "time"}, {"type": "uts", "path": ""}]}"#)
        .unwrap();
        assert_eq!(wanted.new, Namespaces::MOUNT | Namespaces::TIME | Namespaces::UTS);
        assert_eq!(wanted.joined, [Joined { kind: Namespaces::NET, path: "/run/netns/a".into() }]);
        for (json, part) in [
            (r#"{"namespaces": [{"type": "pid"}]}"#, "mount is missing"),
            (
                r#"{"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}]}"#,
                "pid is named twice",
            ),
            (r#"{"namespaces": [{"type": "mount"}, {"type": "mount", "path": "/a"}]}"#, "mnt is named twice"),
            (r#"{"namespaces": [{"type": "mount"}, {"type": "pid", "path": "a"}]}"#, "not an absolute path"),
            (r#"{"namespaces": [{"type": "mount", "path": "/proc/self/ns/mnt"}]}"#, "of the host"),
        ] {
            let failure = of(json).err().unwrap().to_string();
            assert!(failure.contains(part), "{json}: {failure}");
        }
    }

    #[test]
    fn pure_joining_ones_own_namespace_sets_nothing_apart() {
        let wanted =
            of(r#"{"namespaces": [{"type": "mount"}, {"type": "ipc", "path": "/proc/self/ns/ipc"}]}"#);
        let wanted = wanted.unwrap();
        assert_eq!(wanted.all(), Namespaces::MOUNT | Namespaces::IPC);
        assert_eq!(wanted.apart(), Namespaces::MOUNT);
    }

    #[test]
    fn pure_clocks_are_set_in_a_namespace_of_their_own() {
        let offsets = |more: &str, offsets: &str| {
            let json = format!(r#"{{"namespaces": [{{"type": "mount"}}{more}], "timeOffsets": {offsets}}}"#);
            let linux = linux(&json);
            Wanted::of(&linux).unwrap().offsets(&linux)
        };
        let time = r#", {"type": "time"}"#;
        let both = r#"{"monotonic": {"secs": -7}, "boottime": {"secs": 5, "nanosecs": 6}}"#;
        assert_eq!(offsets(time, both).unwrap().unwrap().as_c_str(), c"boottime 5 6\nmonotonic -7 0\n");
        assert_eq!(offsets(time, "{}").unwrap().unwrap().as_c_str(), c"");
        assert_eq!(offsets("", "{}").unwrap(), None);
        for (more, bad) in [
            ("", both),
            (r#", {"type": "time", "path": "/a"}"#, both),
            (time, r#"{"realtime": {"secs": 1}}"#),
            (time, r#"{"monotonic": {"nanosecs": 1000000000}}"#),
        ] {
            assert!(offsets(more, bad).unwrap_err().to_string().contains("linux.timeOffsets"), "{bad}");
        }
    }

    #[test]
    fn pure_maps_need_a_namespace_and_root() {
        let maps = |json: &str| {
            let linux = linux(json);
            Wanted::of(&linux).unwrap().id_maps(&linux)
        };
        let one = r#"[{"containerID": 0, "hostID": 7, "size": 2}]"#;
        let user = r#"{"namespaces": [{"type": "mount"}, {"type": "user"}]"#;
        let found = maps(&format!(r#"{user}, "uidMappings": {one}, "gidMappings": {one}}}"#)).unwrap();
        assert_eq!(found, Some(IdMaps::contiguous(7, 2)));
        let high = r#"[{"containerID": 1, "hostID": 7, "size": 2}]"#;
        for bad in [
            format!("{user}}}"),
            format!(r#"{user}, "uidMappings": {one}}}"#),
            format!(r#"{user}, "uidMappings": {high}, "gidMappings": {high}}}"#),
            format!(r#"{{"namespaces": [{{"type": "mount"}}], "uidMappings": {one}, "gidMappings": {one}}}"#),
        ] {
            assert!(maps(&bad).unwrap_err().to_string().contains("linux.uidMappings"), "{bad}");
        }
    }
}
