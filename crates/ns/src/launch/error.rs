//! Why a command did not start.

use std::ffi::OsString;
use std::io;

use crate::Namespaces;
use crate::idmap::IdMapError;
use crate::pidfd::Exit;

/// A command that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A text that no program can be given.
    #[error("{0:?} has a zero byte in it, which ends every argument")]
    Nul(OsString),
    /// Something was asked for that would change the caller's own namespace.
    #[error("{what} would be the caller's own without a new namespace of the kind {kind}")]
    NoNamespaceFor {
        /// What was asked for.
        what: &'static str,
        /// What it needs.
        kind: Namespaces,
    },
    /// The kernel gives no such process.
    #[error("cannot make a process in new namespaces ({namespaces}){}", reason(source, *namespaces))]
    Clone {
        /// What was asked for.
        namespaces: Namespaces,
        /// What clone3(2) says.
        source: io::Error,
    },
    /// Its user namespace got no maps.
    #[error("cannot map the users and groups of the new process")]
    Maps(#[source] IdMapError),
    /// The conversation with the new process failed.
    #[error("cannot talk to the new process")]
    Socket(#[source] io::Error),
    /// The new process failed to become the command.
    #[error("cannot run {program:?}: {step} failed")]
    Child {
        /// At what.
        step: Step,
        /// The command.
        program: OsString,
        /// What the kernel says.
        source: io::Error,
    },
    /// The new process ended before it was the command.
    #[error("the new process ended before it was the command (exit: {exit:?})")]
    Ended {
        /// How, if that can be told.
        exit: Option<Exit>,
    },
}

fn reason(error: &io::Error, namespaces: Namespaces) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) if !namespaces.contains(Namespaces::USER) => {
            ": it takes CAP_SYS_ADMIN, or a user namespace beside"
        }
        Some(libc::EPERM) => ": this machine does not let the caller make user namespaces",
        Some(libc::ENOSPC) => {
            ": there are as many as user.max_*_namespaces allows, or they are nested too deeply"
        }
        Some(libc::EINVAL) => ": this kernel lacks one of the kinds",
        _ => "",
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $text:literal,)*) => {
        /// What the new process does before it is the command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Step {
            pub(super) fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for Step {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

steps! {
    /// Taking on user and group 0 of its user namespace.
    Root = 1 "becoming root of the user namespace",
    /// [`private_mounts`](crate::isolate::private_mounts).
    PrivateMounts = 2 "making the mounts private",
    /// [`mount_proc`](crate::isolate::mount_proc).
    Proc = 3 "mounting /proc",
    /// [`set_host_name`](crate::isolate::set_host_name).
    HostName = 4 "setting the host name",
    /// Marking what was inherited to be closed on exec.
    Descriptors = 5 "closing descriptors on exec",
    /// execve(2).
    Exec = 6 "executing it",
}
