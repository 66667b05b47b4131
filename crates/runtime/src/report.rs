//! What parent and child say to each other between clone and exec. Both ends are the same program, so the packets are
//! plain numbers.
//!
//! | packet | from | payload |
//! |---|---|---|
//! | `Mapped` | parent | – : the id maps are written, the child may take on root's ids |
//! | `Turn` | both | – : the mounts before the next of the other's are made; only where their order matters |
//! | `Mounts` | parent | descriptors of prepared mounts, in the order in which the plan uses them; several packets |
//! | `Identity` | parent | [`Identity`](crate::identity::Identity): who to become |
//! | `Assembled` | child | – : its mounts are in place; only where the parent has something to do before the root is changed |
//! | `Pivot` | parent | – : the answer to that |
//! | `Terminal` | child | the descriptor of the terminal's master |
//! | `Waiting` | child | – : it waits at its [gate](crate::init::Gate); what it says from here on it says there |
//! | `Ready` | child | – : only the giving up of rights and the exec are left |
//! | `Failed` | child | stage, operand, errno |
//!
//! After `Ready` the end of the connection means that the exec succeeded, or that a filter killed the child on its way there; before it,
//! that the child died. A failure is told in either case.

use rustix::io::Errno;

/// What a packet from the parent is: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    Mapped = 1,
    Mounts = 2,
    Identity = 3,
    Pivot = 4,
    Turn = 5,
}

/// Where the child was when something failed. The operand is an index into the part of the plan that the stage works
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    JoinCgroup = 1,
    JoinNamespaces,
    Clocks,
    NewNamespaces,
    CgroupNamespace,
    Parent,
    MappedRoot,
    Hostname,
    Domainname,
    Loopback,
    Keyring,
    PrivateMounts,
    Propagation,
    Root,
    Layer,
    Mount,
    Device,
    Mask,
    ReadOnlyPath,
    Sysctl,
    Terminal,
    MakeWorkingDirectory,
    ReadOnlyRoot,
    Pivot,
    Label,
    Affinity,
    Personality,
    MemoryPolicy,
    Rlimit,
    Session,
    Stdio,
    WorkingDirectory,
    NoNewPrivileges,
    Seccomp,
    Listener,
    Capabilities,
    User,
    Init,
    Descriptors,
    Gate,
    Exec,
}

impl Stage {
    const ALL: [Self; 41] = [
        Self::JoinCgroup,
        Self::JoinNamespaces,
        Self::Clocks,
        Self::NewNamespaces,
        Self::CgroupNamespace,
        Self::Parent,
        Self::MappedRoot,
        Self::Hostname,
        Self::Domainname,
        Self::Loopback,
        Self::Keyring,
        Self::PrivateMounts,
        Self::Propagation,
        Self::Root,
        Self::Layer,
        Self::Mount,
        Self::Device,
        Self::Mask,
        Self::ReadOnlyPath,
        Self::Sysctl,
        Self::Terminal,
        Self::MakeWorkingDirectory,
        Self::ReadOnlyRoot,
        Self::Pivot,
        Self::Label,
        Self::Affinity,
        Self::Personality,
        Self::MemoryPolicy,
        Self::Rlimit,
        Self::Session,
        Self::Stdio,
        Self::WorkingDirectory,
        Self::NoNewPrivileges,
        Self::Seccomp,
        Self::Listener,
        Self::Capabilities,
        Self::User,
        Self::Init,
        Self::Descriptors,
        Self::Gate,
        Self::Exec,
    ];
}

/// A failure in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildFailure {
    pub(crate) stage: Stage,
    pub(crate) operand: u16,
    pub(crate) errno: Errno,
}

/// Turns an errno into a failure at a stage.
pub(crate) fn at(stage: Stage) -> impl Fn(Errno) -> ChildFailure {
    at_operand(stage, 0)
}

/// Likewise, for the operand with that index.
pub(crate) fn at_operand(stage: Stage, operand: usize) -> impl Fn(Errno) -> ChildFailure {
    move |errno| ChildFailure { stage, operand: operand as u16, errno }
}

/// A packet from the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Terminal,
    Ready,
    Assembled,
    Waiting,
    Turn,
    Failed(ChildFailure),
}

impl Report {
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        match self {
            Self::Terminal => bytes[0] = 1,
            Self::Ready => bytes[0] = 2,
            Self::Assembled => bytes[0] = 4,
            Self::Waiting => bytes[0] = 5,
            Self::Turn => bytes[0] = 6,
            Self::Failed(failure) => {
                bytes[0] = 3;
                bytes[1] = failure.stage as u8;
                bytes[2..4].copy_from_slice(&failure.operand.to_le_bytes());
                bytes[4..8].copy_from_slice(&failure.errno.raw_os_error().to_le_bytes());
            }
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; Self::LENGTH] = bytes.try_into().ok()?;
        match bytes[0] {
            1 => Some(Self::Terminal),
            2 => Some(Self::Ready),
            4 => Some(Self::Assembled),
            5 => Some(Self::Waiting),
            6 => Some(Self::Turn),
            3 => {
                let errno = i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
                Some(Self::Failed(ChildFailure {
                    stage: *Stage::ALL.iter().find(|stage| **stage as u8 == bytes[1])?,
                    operand: u16::from_le_bytes([bytes[2], bytes[3]]),
                    // The kernel's end at 4095; others cannot be kept as one.
                    errno: (1..=4095).contains(&errno).then(|| Errno::from_raw_os_error(errno))?,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_survives() {
        let mut reports =
            vec![Report::Terminal, Report::Ready, Report::Assembled, Report::Waiting, Report::Turn];
        reports.extend(
            Stage::ALL.map(|stage| Report::Failed(ChildFailure { stage, operand: 258, errno: Errno::NOSPC })),
        );
        for report in reports {
            assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
        }
        assert_eq!(Report::from_bytes(&[3, 99, 0, 0, 0, 0, 0, 0]), None);
        for errno in [0_i32, -1, 4096, i32::MIN] {
            let packet = [&[3, 1, 0, 0], &errno.to_le_bytes()[..]].concat();
            assert_eq!(Report::from_bytes(&packet), None, "{errno}");
        }
        assert_eq!(Report::from_bytes(&[]), None);
    }
}
