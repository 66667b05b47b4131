//! The eight kinds of namespace.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

bitflags::bitflags! {
    /// A set of namespace kinds (namespaces(7)); the bits are those of clone3(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Namespaces: u64 {
        /// Mounts.
        const MOUNT = 0x0002_0000;
        /// The root of the cgroup hierarchies.
        const CGROUP = 0x0200_0000;
        /// Host and domain name.
        const UTS = 0x0400_0000;
        /// System V objects and POSIX message queues.
        const IPC = 0x0800_0000;
        /// User and group ids, capabilities, keys.
        const USER = 0x1000_0000;
        /// Process numbers.
        const PID = 0x2000_0000;
        /// Network devices, addresses, ports, rules.
        const NET = 0x4000_0000;
        /// Offsets of the monotonic and boot-time clocks. A process never moves into one itself, only its children do.
        const TIME = 0x0000_0080;
    }
}

/// Which namespace it is of its kind, as `/proc/<pid>/ns` tells them apart (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamespaceId {
    /// The device of nsfs.
    pub device: u64,
    /// The inode, which `readlink` shows: `net:[4026531840]`.
    pub inode: u64,
}

/// A word that names no kind of namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown namespace {0:?}: mnt, pid, net, ipc, uts, user, cgroup or time is wanted")]
pub struct UnknownNamespace(pub String);

impl Namespaces {
    /// What a process that is to be kept apart has of its own when nothing is said: process numbers, mounts, host name, System
    /// V objects and the network. A user namespace needs maps, the clocks' offsets a reason.
    pub const ISOLATED: Self =
        Self::PID.union(Self::MOUNT).union(Self::UTS).union(Self::IPC).union(Self::NET);

    /// The namespace of a single kind that the process `pid` is in.
    ///
    /// # Errors
    /// Those of stat(2) on `/proc/<pid>/ns`: not found when the process has ended, `EACCES` where it may not be looked at;
    /// `InvalidInput` for the empty set.
    pub fn id_of(self, pid: u32) -> io::Result<NamespaceId> {
        let name = self.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let file = std::fs::metadata(format!("/proc/{pid}/ns/{name}"))?;
        Ok(NamespaceId { device: file.dev(), inode: file.ino() })
    }

    /// The file in `/proc/<pid>/ns` of a single kind; of a set, that of the first kind in it.
    pub fn file_name(self) -> Option<&'static str> {
        Self::NAMES.iter().find(|(kind, _)| self.contains(*kind)).map(|(_, name)| *name)
    }

    /// The kind with that file name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    const NAMES: [(Self, &'static str); 8] = [
        (Self::USER, "user"),
        (Self::PID, "pid"),
        (Self::MOUNT, "mnt"),
        (Self::NET, "net"),
        (Self::UTS, "uts"),
        (Self::IPC, "ipc"),
        (Self::CGROUP, "cgroup"),
        (Self::TIME, "time"),
    ];
}

/// The names of `/proc`, with commas between: `pid,net`.
impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, name) in self.iter().filter_map(Self::file_name).enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl FromStr for Namespaces {
    type Err = UnknownNamespace;

    /// Reads one kind, as `/proc` or as OCI documents name it (`mnt` and `mount`, `net` and `network`).
    fn from_str(name: &str) -> Result<Self, UnknownNamespace> {
        let of_oci = match name {
            "mount" => "mnt",
            "network" => "net",
            other => other,
        };
        Self::from_file_name(of_oci).ok_or_else(|| UnknownNamespace(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_set_is_five_kinds() {
        assert_eq!(Namespaces::ISOLATED.to_string(), "mnt,uts,ipc,pid,net");
    }

    #[test]
    fn kinds_are_read_as_proc_and_oci_write_them() {
        for name in ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"] {
            assert_eq!(name.parse::<Namespaces>().unwrap().to_string(), name);
        }
        assert_eq!("mount".parse(), Ok(Namespaces::MOUNT));
        assert_eq!("network".parse(), Ok(Namespaces::NET));
        assert_eq!("root".parse::<Namespaces>(), Err(UnknownNamespace("root".into())));
    }

    #[test]
    fn the_id_is_what_the_link_shows() {
        let id = Namespaces::NET.id_of(std::process::id()).unwrap();
        let link = std::fs::read_link(format!("/proc/{}/ns/net", std::process::id())).unwrap();
        assert_eq!(link.to_str(), Some(format!("net:[{}]", id.inode).as_str()));
        assert_eq!(Namespaces::empty().id_of(1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn names_are_those_of_proc() {
        for kind in Namespaces::all() {
            let name = kind.file_name().unwrap();
            assert!(std::path::Path::new("/proc/self/ns").join(name).exists(), "{name}");
            assert_eq!(Namespaces::from_file_name(name), Some(kind));
        }
        assert_eq!(Namespaces::from_file_name("root"), None);
        assert_eq!(Namespaces::empty().file_name(), None);
    }
}
