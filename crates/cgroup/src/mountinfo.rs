//! The hierarchies in `/proc/self/mountinfo` (proc_pid_mountinfo(5)), wherever they are mounted.

use crate::driver::HierarchyVersion;
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Options of a v1 mount that are controllers; the others (`rw`, `xattr`, `release_agent=…`) are not.
const CONTROLLERS: &[&str] = &[
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "freezer",
    "devices",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
    "dmem",
    "debug",
];

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    version: HierarchyVersion,
    controllers: Vec<&'static str>,
    named: Option<String>,
    mountpoint: PathBuf,
    root: PathBuf,
}

impl Hierarchy {
    /// v1 or v2.
    pub fn version(&self) -> HierarchyVersion {
        self.version
    }

    /// The v1 controllers mounted together here. Empty for a named hierarchy, and for v2, whose controllers stand in
    /// `cgroup.controllers`.
    pub fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    /// Its usual name: the controllers joined by commas, `name=…`, or `unified`.
    pub fn name(&self) -> String {
        match (&self.named, self.version) {
            (_, HierarchyVersion::V2) => "unified".to_owned(),
            (Some(name), _) if self.controllers.is_empty() => format!("name={name}"),
            _ => self.controllers.join(","),
        }
    }

    /// Where it is mounted.
    pub fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    /// The group that the mount point shows: `/`, or a subtree that was bind-mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    fn same_hierarchy(&self, other: &Self) -> bool {
        self.version == other.version && self.controllers == other.controllers && self.named == other.named
    }
}

/// What decides whether a mount can be reached by its path.
struct Mount<'a> {
    id: u32,
    parent: u32,
    point: &'a [u8],
}

/// Each hierarchy once, in the order of the file.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Hierarchy>> {
    let mut mounts = Vec::new();
    let mut found: Vec<(usize, Hierarchy)> = Vec::new();
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let (mount, hierarchy) = parse_line(line).ok_or(Error::Mountinfo { line: number + 1 })?;
        if let Some(hierarchy) = hierarchy {
            found.push((mounts.len(), hierarchy));
        }
        mounts.push(mount);
    }
    let mut kept: Vec<Hierarchy> = Vec::new();
    for (at, hierarchy) in found {
        if is_covered(&mounts, at) {
            continue;
        }
        match kept.iter_mut().find(|k| k.same_hierarchy(&hierarchy)) {
            None => kept.push(hierarchy),
            // The whole hierarchy is better than a bind mount of a subtree of it.
            Some(other) if other.root != Path::new("/") && hierarchy.root == Path::new("/") => {
                *other = hierarchy;
            }
            Some(_) => {}
        }
    }
    Ok(kept)
}

fn parse_line(line: &[u8]) -> Option<(Mount<'_>, Option<Hierarchy>)> {
    let mut fields = line.split(|b| *b == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let root = fields.nth(1)?;
    let point = fields.next()?;
    let _options = fields.next()?;
    // Any number of optional fields, ended by a hyphen.
    fields.find(|f| *f == b"-")?;
    let version = match fields.next()? {
        b"cgroup" => Some(HierarchyVersion::V1),
        b"cgroup2" => Some(HierarchyVersion::V2),
        _ => None,
    };
    let mount = Mount { id, parent, point };
    let Some(version) = version else { return Some((mount, None)) };
    let options = std::str::from_utf8(fields.nth(1)?).ok()?;
    let mut hierarchy = Hierarchy {
        version,
        controllers: Vec::new(),
        named: None,
        mountpoint: unescape(point),
        root: unescape(root),
    };
    if version == HierarchyVersion::V1 {
        for option in options.split(',') {
            if let Some(controller) = CONTROLLERS.iter().find(|c| **c == option) {
                hierarchy.controllers.push(controller);
            } else if let Some(name) = option.strip_prefix("name=") {
                hierarchy.named = Some(name.to_owned());
            }
        }
        // Of a controller that we do not know: nothing could be asked of it, and one could not be told from another.
        if hierarchy.controllers.is_empty() && hierarchy.named.is_none() {
            return Some((mount, None));
        }
    }
    Some((mount, Some(hierarchy)))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The kernel writes space, tab, line feed and backslash as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Whether another mount hides this one: stacked on it or on a mount it stands on, or mounted later on a folder above
/// it (as `ip netns exec` does with /sys). Path lookup would then end elsewhere.
fn is_covered(mounts: &[Mount<'_>], at: usize) -> bool {
    let mut below = None;
    let mut current = &mounts[at];
    // The parents form a tree; the bound is for a file that lies.
    for _ in 0..mounts.len() {
        let covered = mounts.iter().any(|other| {
            other.id != current.id
                && ((other.parent == current.id && other.point == current.point && Some(other.id) != below)
                    || (other.parent == current.parent && is_above(other.point, current.point)))
        });
        if covered {
            return true;
        }
        below = Some(current.id);
        match mounts.iter().find(|m| m.id == current.parent && m.id != current.id) {
            Some(parent) => current = parent,
            None => return false,
        }
    }
    false
}

fn is_above(upper: &[u8], lower: &[u8]) -> bool {
    upper.len() < lower.len()
        && lower.starts_with(upper)
        && (upper.ends_with(b"/") || lower[upper.len()] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Vec<(String, String)> {
        let show = |h: &Hierarchy| (h.name(), h.mountpoint().display().to_string());
        parse(text.as_bytes()).unwrap().iter().map(show).collect()
    }

    // Y14, Y19: the mount point is the fifth field, the controllers are options of the last one.
    #[test]
    fn pure_find_cgroup_mountpoint() {
        let text = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw shared:1 master:2 - ext4 /dev/vda rw
32 27 0:29 / /odd\\040place/cpu\\134x rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
33 27 0:30 / /m rw - cgroup cgroup rw,xattr,release_agent=/usr/lib/cpuset,memory
34 27 0:31 / /s rw - cgroup cgroup rw,xattr,name=systemd
35 27 0:32 / /two rw - cgroup2 none rw,nsdelegate
";
        let expected = [
            ("cpu,cpuacct", "/odd place/cpu\\x"),
            ("memory", "/m"),
            ("name=systemd", "/s"),
            ("unified", "/two"),
        ];
        assert_eq!(find(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(parse(text.as_bytes()).unwrap()[0].has("cpuacct"));
    }

    #[test]
    fn pure_the_whole_hierarchy_wins_over_a_bind_of_a_subtree() {
        let text = "\
33 27 0:30 /docker/abc /bind rw - cgroup cgroup rw,memory
34 27 0:30 / /whole rw - cgroup cgroup rw,memory
35 27 0:30 / /second rw - cgroup cgroup rw,memory
";
        assert_eq!(find(text), [("memory".to_owned(), "/whole".to_owned())]);
        let only = "33 27 0:30 /docker/abc /bind rw - cgroup cgroup rw,memory\n";
        assert_eq!(parse(only.as_bytes()).unwrap()[0].root(), Path::new("/docker/abc"));
    }

    #[test]
    fn pure_covered_mounts_are_not_there() {
        let base = "\
27 1 254:0 / / rw - ext4 /dev/vda rw
23 27 0:22 / /sys rw - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";
        assert_eq!(find(base).len(), 1);
        for cover in [
            "90 35 0:99 / /sys/fs/cgroup/memory rw - tmpfs tmpfs rw\n",
            "90 31 0:99 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n",
            "90 23 0:99 / /sys rw - sysfs sysfs rw\n",
            "90 23 0:99 / /sys/fs rw - tmpfs tmpfs rw\n",
        ] {
            assert_eq!(find(&format!("{base}{cover}")), [], "{cover}");
        }
        for harmless in [
            "90 31 0:99 / /sys/fs/cgroup/mem rw - tmpfs tmpfs rw\n",
            "90 35 0:99 / /sys/fs/cgroup/memory/a rw - tmpfs tmpfs rw\n",
            "90 27 0:99 / /system rw - tmpfs tmpfs rw\n",
        ] {
            assert_eq!(find(&format!("{base}{harmless}")).len(), 1, "{harmless}");
        }
    }

    #[test]
    fn pure_a_hierarchy_of_unknown_controllers_alone_has_no_name_and_is_left_out() {
        let unknown = "33 27 0:30 / /new rw - cgroup cgroup rw,xattr,newctl\n";
        assert_eq!(find(unknown), []);
        let known = "34 27 0:31 / /both rw - cgroup cgroup rw,newctl,pids\n";
        assert_eq!(find(&format!("{unknown}{known}")), [("pids".to_owned(), "/both".to_owned())]);
    }

    #[test]
    fn pure_malformed_lines_are_named_and_never_a_panic() {
        for bad in ["x", "1", "1 2 3 4 5", "1 2 0:1 / /p rw - cgroup none", "a 2 0:1 / /p rw - proc p rw"] {
            let text = format!("22 27 0:21 / /proc rw - proc proc rw\n{bad}\n");
            assert!(matches!(parse(text.as_bytes()), Err(Error::Mountinfo { line: 2 })), "{bad}");
        }
        assert!(parse(b"").unwrap().is_empty());
        // A loop of parents.
        let text = "1 2 0:1 / /a rw - cgroup c rw,cpu\n2 1 0:1 / /b rw - proc p rw\n";
        assert_eq!(find(text).len(), 1);
        assert_eq!(unescape(b"a\\04"), Path::new("a\\04"));
    }
}
