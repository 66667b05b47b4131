//! The seccomp section of an OCI `config.json` (runtime-spec, config-linux.md, "Seccomp").

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::arch::Architecture;
use super::program::FilterFlags;

/// A seccomp profile, in memory as in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to a call that no rule matches.
    pub default_action: Action,
    /// The errno of a default action that is `SCMP_ACT_ERRNO` or `SCMP_ACT_TRACE`; `EPERM` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The architectures that programs may call through, beside the native one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub architectures: Vec<Architecture>,
    /// How the filter is to be loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub flags: Vec<FilterFlag>,
    /// The socket of the agent that is to have the listener, if a rule says `SCMP_ACT_NOTIFY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<PathBuf>,
    /// What the agent is told beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub syscalls: Vec<Rule>,
}

/// One rule about some system calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The names of the calls.
    pub names: Vec<Cow<'static, str>>,
    /// What happens to a call that the rule matches.
    pub action: Action,
    /// The errno of `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`; `EPERM` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// The conditions on arguments (see the [module](super) for how they combine).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub args: Vec<Arg>,
}

/// A condition on one argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg {
    /// Which argument, from 0 to 5.
    pub index: u32,
    /// What it is compared with; for [`Op::MaskedEq`] the mask.
    pub value: u64,
    /// For [`Op::MaskedEq`], what the masked argument is compared with.
    #[serde(default)]
    pub value_two: u64,
    /// The comparison.
    pub op: Op,
}

/// How an argument is compared, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Not equal.
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    /// Less than.
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    /// Less or equal.
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    /// Equal.
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    /// Greater or equal.
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    /// Greater than.
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    /// `arg & value == value_two & value`.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Ends the thread: another name of [`KillThread`](Self::KillThread).
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// Ends the thread by SIGSYS, unhandled.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// Ends the process by SIGSYS, unhandled.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// Sends a SIGSYS that can be handled.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// Fails with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// Asks a tracer; fails with `ENOSYS` if there is none.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Lets it pass.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// Lets it pass, and logs it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Asks the holder of the listener ([`Program::load_with_listener`](super::Program::load_with_listener)).
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// A flag of seccomp(2) by its name in OCI documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FilterFlag {
    /// All threads of the process get the filter.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// Actions other than ALLOW are logged.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// No mitigation of Speculative Store Bypass.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// A call that the listener has taken is interrupted by fatal signals only.
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}

impl Op {
    /// All that there are.
    pub const ALL: [Self; 7] = [Self::Ne, Self::Lt, Self::Le, Self::Eq, Self::Ge, Self::Gt, Self::MaskedEq];
}

impl Action {
    /// All that there are.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::KillThread,
        Self::KillProcess,
        Self::Trap,
        Self::Errno,
        Self::Trace,
        Self::Allow,
        Self::Log,
        Self::Notify,
    ];
}

impl FilterFlag {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Tsync, Self::Log, Self::SpecAllow, Self::WaitKillableRecv];
}

impl Profile {
    /// This profile for the native architecture alone: a call through any other kills the process.
    #[must_use]
    pub fn native_only(mut self) -> Self {
        self.architectures.clear();
        self
    }

    /// The profile that lets every call pass, of the native architecture alone.
    #[must_use]
    pub fn allow_native() -> Self {
        Self {
            default_action: Action::Allow,
            default_errno_ret: None,
            architectures: Vec::new(),
            flags: Vec::new(),
            listener_path: None,
            listener_metadata: None,
            syscalls: Vec::new(),
        }
    }

    /// The profile's flags, as the loading functions take them.
    #[must_use]
    pub fn filter_flags(&self) -> FilterFlags {
        self.flags.iter().fold(FilterFlags::empty(), |all, flag| {
            all | match flag {
                FilterFlag::Tsync => FilterFlags::TSYNC,
                FilterFlag::Log => FilterFlags::LOG,
                FilterFlag::SpecAllow => FilterFlags::SPEC_ALLOW,
                FilterFlag::WaitKillableRecv => FilterFlags::WAIT_KILLABLE_RECV,
            }
        })
    }
}

/// Engines written in Go write `null` for a list that is empty.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
