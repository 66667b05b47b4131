//! The capabilities by name and number.

use std::fmt;
use std::str::FromStr;

macro_rules! capabilities {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        /// One capability of Linux, numbered as in `linux/capability.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Capability {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        impl Capability {
            /// Every capability this crate knows, in the order of their numbers.
            pub const ALL: &[Capability] = &[$(Capability::$variant),*];

            /// The name as the kernel's headers and OCI documents write it: `CAP_CHOWN`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Capability::$variant => $name,)*
                }
            }
        }
    };
}

capabilities! {
    Chown = 0 "CAP_CHOWN",
    DacOverride = 1 "CAP_DAC_OVERRIDE",
    DacReadSearch = 2 "CAP_DAC_READ_SEARCH",
    Fowner = 3 "CAP_FOWNER",
    Fsetid = 4 "CAP_FSETID",
    Kill = 5 "CAP_KILL",
    Setgid = 6 "CAP_SETGID",
    Setuid = 7 "CAP_SETUID",
    Setpcap = 8 "CAP_SETPCAP",
    LinuxImmutable = 9 "CAP_LINUX_IMMUTABLE",
    NetBindService = 10 "CAP_NET_BIND_SERVICE",
    NetBroadcast = 11 "CAP_NET_BROADCAST",
    NetAdmin = 12 "CAP_NET_ADMIN",
    NetRaw = 13 "CAP_NET_RAW",
    IpcLock = 14 "CAP_IPC_LOCK",
    IpcOwner = 15 "CAP_IPC_OWNER",
    SysModule = 16 "CAP_SYS_MODULE",
    SysRawio = 17 "CAP_SYS_RAWIO",
    SysChroot = 18 "CAP_SYS_CHROOT",
    SysPtrace = 19 "CAP_SYS_PTRACE",
    SysPacct = 20 "CAP_SYS_PACCT",
    SysAdmin = 21 "CAP_SYS_ADMIN",
    SysBoot = 22 "CAP_SYS_BOOT",
    SysNice = 23 "CAP_SYS_NICE",
    SysResource = 24 "CAP_SYS_RESOURCE",
    SysTime = 25 "CAP_SYS_TIME",
    SysTtyConfig = 26 "CAP_SYS_TTY_CONFIG",
    Mknod = 27 "CAP_MKNOD",
    Lease = 28 "CAP_LEASE",
    AuditWrite = 29 "CAP_AUDIT_WRITE",
    AuditControl = 30 "CAP_AUDIT_CONTROL",
    Setfcap = 31 "CAP_SETFCAP",
    MacOverride = 32 "CAP_MAC_OVERRIDE",
    MacAdmin = 33 "CAP_MAC_ADMIN",
    Syslog = 34 "CAP_SYSLOG",
    WakeAlarm = 35 "CAP_WAKE_ALARM",
    BlockSuspend = 36 "CAP_BLOCK_SUSPEND",
    AuditRead = 37 "CAP_AUDIT_READ",
    Perfmon = 38 "CAP_PERFMON",
    Bpf = 39 "CAP_BPF",
    CheckpointRestore = 40 "CAP_CHECKPOINT_RESTORE",
}

/// A name that is no capability known to this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct UnknownCapability(pub String);

impl Capability {
    /// The number of the bit in a capability set.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The capability called `name`, in any case, with or without `CAP_`.
    ///
    /// # Errors
    /// [`UnknownCapability`]; `ALL` is not a capability, but a set ([`CapSet::all`](super::CapSet::all)).
    pub fn from_name(name: &str) -> Result<Capability, UnknownCapability> {
        let short = match name.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
            _ => name,
        };
        let known = Capability::ALL.iter().find(|cap| cap.name()[4..].eq_ignore_ascii_case(short));
        known.copied().ok_or_else(|| UnknownCapability(name.to_owned()))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Capability, UnknownCapability> {
        Capability::from_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_have_no_gap_and_end_at_checkpoint_restore() {
        for (number, cap) in Capability::ALL.iter().enumerate() {
            assert_eq!(usize::from(cap.number()), number);
        }
        assert_eq!(Capability::ALL.last(), Some(&Capability::CheckpointRestore));
        assert_eq!(Capability::CheckpointRestore.number(), 40);
    }

    #[test]
    fn the_numbers_are_those_of_the_kernels_headers() {
        use rustix::thread::CapabilitySet as Kernel;
        for cap in Capability::ALL {
            let flag = Kernel::from_name(&cap.name()[4..]).unwrap();
            assert_eq!(flag.bits(), 1 << cap.number(), "{cap}");
        }
    }

    #[test]
    fn names_are_read_in_every_usual_form() {
        for cap in Capability::ALL {
            for form in [cap.name().to_owned(), cap.name().to_lowercase(), cap.name()[4..].to_owned()] {
                assert_eq!(form.parse(), Ok(*cap));
            }
        }
        assert_eq!("cap_Net_Raw".parse(), Ok(Capability::NetRaw));
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "CAP_", "ALL", "CAP_CAP_CHOWN", "CHOWN ", "CAP_ÖÖ", "Öäü", "SYS_ADMINS"] {
            assert_eq!(Capability::from_name(name), Err(UnknownCapability(name.to_owned())));
        }
    }
}
