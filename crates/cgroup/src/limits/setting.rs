//! Settings that few groups have, or that one version of the control groups alone knows: each is told by its files.

use crate::dir::Dir;
use crate::driver::HierarchyVersion;
use crate::error::{Error, Result};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

const NOT_HERE: &str = "this kernel has no such setting: leave it out";

/// The controllers that are enabled for a setting's sake. The files of the groups themselves (`cgroup.*`) are of none; what is of
/// another one, which only a later kernel has, is written where its file is there.
const CONTROLLERS: [&str; 10] =
    ["cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "misc", "dmem", "perf_event"];

/// What is about the groups themselves and not for a caller to set: it would move processes, or end them.
const KEPT: [&str; 6] = [
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.kill",
    "cgroup.freeze",
    "cgroup.type",
    "cgroup.subtree_control",
];

/// A setting. Settings are written in their order, behind all other limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What it is called, for messages.
    pub name: String,
    /// The file of version 1 and what is written there; `None` where that has no such thing.
    pub v1: Option<(String, String)>,
    /// Likewise of version 2. Each line is written by itself.
    pub v2: Option<(String, String)>,
}

impl Setting {
    fn on(&self, version: HierarchyVersion) -> Option<&(String, String)> {
        match version {
            HierarchyVersion::V1 => self.v1.as_ref(),
            HierarchyVersion::V2 => self.v2.as_ref(),
        }
    }

    /// By its name on v2; `None` for what is of none.
    pub(crate) fn controller(&self) -> Option<&'static str> {
        let (file, _) = self.v2.as_ref().or(self.v1.as_ref())?;
        let prefix = file.split_once('.').map(|(prefix, _)| prefix)?;
        let prefix = if prefix == "blkio" { "io" } else { prefix };
        CONTROLLERS.into_iter().find(|controller| *controller == prefix)
    }

    pub(super) fn check(&self) -> Result<()> {
        let refused = |reason| Err(Error::Setting { name: self.name.clone(), reason });
        for (file, _) in self.v1.iter().chain(&self.v2) {
            let plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !plain || file.starts_with('.') || !file.contains('.') {
                return refused("is no file of a group");
            }
            if KEPT.contains(&file.as_str()) {
                return refused("is not to be set: it moves processes, or ends them");
            }
        }
        Ok(())
    }

    /// Whether groups of a version can have it.
    pub(crate) fn require(&self, version: HierarchyVersion) -> Result<()> {
        match (self.on(version), version) {
            (Some(_), _) => Ok(()),
            (None, HierarchyVersion::V1) => self.not_on("needs cgroup v2, which has no such controller here"),
            (None, HierarchyVersion::V2) => self.not_on("is a matter of cgroup v1: v2 has no such setting"),
        }
    }

    fn not_on(&self, reason: &'static str) -> Result<()> {
        Err(Error::Setting { name: self.name.clone(), reason })
    }

    pub(crate) fn write(&self, dir: &Dir, version: HierarchyVersion) -> Result<()> {
        let Some((file, value)) = self.on(version) else { return self.require(version) };
        let controller = self.controller().unwrap_or("core");
        let explained = |errno: Errno| match (errno, file.as_str()) {
            (Errno::INVAL, "cpu.rt_runtime_us" | "cpu.rt_period_us") => {
                Some("a group has no more real time than the group above: give that some first")
            }
            _ => None,
        };
        for line in value.lines() {
            dir.write_known_or(controller, file, line, NOT_HERE, |_, value, errno| {
                dir.explained(file, value, errno, explained(errno))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use crate::limits::Limits;

    fn setting(v1: Option<(&str, &str)>, v2: Option<(&str, &str)>) -> Setting {
        let owned = |(file, value): (&str, &str)| (file.to_owned(), value.to_owned());
        Setting { name: "the.setting".into(), v1: v1.map(owned), v2: v2.map(owned) }
    }

    #[test]
    fn pure_a_setting_is_written_where_its_version_has_it() {
        let (folder, dir) = fake(&[("cpu.idle", ""), ("memory.swappiness", ""), ("cgroup.procs", "")]);
        let text = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let idle = setting(Some(("cpu.idle", "1")), Some(("cpu.idle", "1")));
        idle.write(&dir, HierarchyVersion::V2).unwrap();
        let swappiness = setting(Some(("memory.swappiness", "7")), None);
        swappiness.write(&dir, HierarchyVersion::V1).unwrap();
        assert_eq!((text("cpu.idle"), text("memory.swappiness")), ("1".into(), "7".into()));
        let error = swappiness.write(&dir, HierarchyVersion::V2).unwrap_err().to_string();
        assert!(error.contains("the.setting") && error.contains("cgroup v1"), "{error}");
        let high = setting(None, Some(("memory.high", "7")));
        assert!(high.require(HierarchyVersion::V1).unwrap_err().to_string().contains("cgroup v2"));
        assert!(high.write(&dir, HierarchyVersion::V2).unwrap_err().to_string().contains("memory.high"));
    }

    #[test]
    fn pure_what_is_no_setting_is_refused() {
        for file in ["memory/high", "../x.y", "high", "", ".high", "a\nb.c"] {
            assert!(setting(None, Some((file, "1"))).check().is_err(), "{file:?}");
        }
        for file in KEPT {
            assert!(setting(None, Some((file, "1"))).check().is_err(), "{file}");
        }
        for (file, controller) in [
            ("memory.high", Some("memory")),
            ("blkio.leaf_weight", Some("io")),
            ("cgroup.max.depth", None),
            ("tomorrow.max", None),
        ] {
            let setting = setting(None, Some((file, "1")));
            setting.check().unwrap();
            assert_eq!(setting.controller(), controller, "{file}");
        }
    }

    #[test]
    fn pure_settings_go_to_the_version_that_has_their_controller() {
        let both = setting(Some(("cpu.idle", "1")), Some(("cpu.idle", "1")));
        let unified = setting(None, Some(("cpu.weight", "7")));
        let limits = Limits { settings: vec![both.clone(), unified.clone()], ..Limits::default() };
        assert_eq!(limits.controllers(), ["cpu"]);
        let (mine, rest) = limits.split(|controller| controller == "cpu");
        assert_eq!((mine.settings, rest.settings), (vec![both], vec![unified]));
    }
}
