//! The eight kinds of namespace.

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

impl Namespaces {
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

#[cfg(test)]
mod tests {
    use super::*;

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
