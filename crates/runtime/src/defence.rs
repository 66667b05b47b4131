//! The defences that the attack tests depend on, each with a name.
//!
//! In a build that anybody uses all of them are on, and asking is free: [`on`] is a constant. A test that cannot fail proves
//! nothing, so the feature `weakened`, which no release has (`cargo xtask tidy`), lets the environment variable
//! `TINYD_WEAKEN` switch them off by name, and `cargo xtask weakened` requires each attack to succeed then.

#[cfg(feature = "weakened")]
#[path = "defence/weakened.rs"]
mod switches;
#[cfg(not(feature = "weakened"))]
#[path = "defence/whole.rs"]
mod switches;

pub(crate) use switches::{choose, choose_for_client, command, leak, linger, passed_on, plan};

/// What stands between a container and its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "weakened"),
    allow(dead_code, reason = "some are only ever asked for to be switched off")
)]
pub(crate) enum Defence {
    /// The filter of system calls.
    Seccomp,
    /// Fewer capabilities than the host's root has.
    Capabilities,
    /// Nothing in the inheritable and ambient sets that was not asked for.
    EmptyInheritable,
    /// Paths that show nothing.
    MaskedPaths,
    /// Paths that cannot be written.
    ReadOnlyPaths,
    /// The container's view of its cgroups cannot be written.
    CgroupReadOnly,
    /// Nobody traces the program, or looks through its descriptors, before it is the command.
    NoDumpable,
    /// Nothing of the host's is open in the end.
    CloseDescriptors,
    /// The first folder is not one that a magic link leads to.
    CwdCheck,
    /// The program's own file cannot be changed through a process.
    ExeProtection,
    /// A command has a session, and a terminal, of its own.
    Session,
    /// A command has a keyring of its own.
    Keyring,
    /// Paths end in the root that they are looked up in.
    InRootResolution,
    /// Paths that must be plain lead through no link and no other mount.
    PlainPaths,
    /// What is packed is what a name means at one moment, and never what a link leads to.
    ArchiveReferences,
    /// The null device and the console are those that were made for this container.
    OwnDevices,
    /// What only looks like a number is no user.
    UserNumbers,
    /// Account files are regular, and only so much of them is read.
    AccountFileLimits,
    /// Every entry of an environment is NAME=VALUE.
    EnvCheck,
    /// The monitor's socket lies in a folder that only root enters.
    PrivateSocket,
    /// The monitor answers its own user alone.
    PeerCheck,
    /// Not a wall, but luck: the moment between giving up rights and exec is short.
    Haste,
}

/// *Child-side.* Whether a defence stands.
#[inline(always)]
pub(crate) fn on(defence: Defence) -> bool {
    !switches::off(defence)
}

/// *Child-side.* Keeps others from tracing this process until its next exec.
pub(crate) fn become_undumpable() -> Result<(), rustix::io::Errno> {
    if on(Defence::NoDumpable) { tinyd_ns::process::set_undumpable() } else { Ok(()) }
}
