//! The one error type of this crate, and what a caller of the [`Engine`](tinyd_engine::Engine) trait sees of it.

use crate::networks::name::is_default;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use tinyd_engine::ErrorKind;
use tinyd_runtime::FailureKind;
use tinyd_runtime::client::ClientError;

/// The crate's own result.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a verb of [`LocalEngine`](crate::LocalEngine) failed.
///
/// The trait's methods give it as [`tinyd_engine::Error`], which has the kind, the whole chain and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller is not root.
    #[error("tinyd needs root: it makes namespaces, mounts and control groups")]
    NotRoot,
    /// The store was written by a version that keeps it otherwise.
    #[error("the store in {} has schema {found:?}, and tinyd {} knows schema {known}", root.display(), env!("CARGO_PKG_VERSION"))]
    Schema {
        /// The engine's root.
        root: PathBuf,
        /// What is written there.
        found: String,
        /// What this version reads and writes.
        known: u32,
    },
    /// Neither the container nor its image names a command.
    #[error("Missing container command")]
    MissingCommand,
    /// A part of the request breaks a rule.
    #[error("{field} {value:?} {problem}")]
    Invalid {
        /// Which part: `name`, `environment entry`.
        field: &'static str,
        /// What it is.
        value: String,
        /// The rule, in a clause that follows the value.
        problem: Cow<'static, str>,
    },
    /// No container has such an id, name or prefix of an id.
    #[error("there is no container {word:?}")]
    NoSuchContainer {
        /// The word as it was given.
        word: String,
        /// A name or id that looks like it.
        similar: Option<String>,
    },
    /// A prefix of several ids.
    #[error("{word:?} fits {} containers: {}", candidates.len(), candidates.join(", "))]
    Ambiguous {
        /// The word as it was given.
        word: String,
        /// The first digits of each, with the name where it has one.
        candidates: Vec<String>,
    },
    /// A name that another container has.
    #[error("the name {name:?} is taken by container {id}")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        id: String,
    },
    /// A path of a container at which there is nothing.
    #[error("there is no {path:?} in container {container}")]
    NoSuchFile {
        /// The path inside.
        path: String,
        /// First digits of the container's id.
        container: String,
    },
    /// The container cannot do this where it stands.
    #[error("cannot {action} container {container}: it {state}")]
    WrongState {
        /// The verb.
        action: &'static str,
        /// First digits of its id.
        container: String,
        /// Where it stands, in a clause that follows `it`.
        state: &'static str,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A container that another one is to be started after will not be there.
    #[error("what is to be started after container {container} cannot be: it {why}")]
    Awaited {
        /// The word as it was given.
        container: String,
        /// Why, in a clause that follows `it`.
        why: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// Another command holds the container for too long.
    #[error("container {container} is busy: another command works on it")]
    Busy {
        /// First digits of its id.
        container: String,
    },
    /// No source of images knows the word.
    #[error("there is no image {word:?}")]
    NoSuchImage {
        /// The word as it was given.
        word: String,
    },
    /// No network has such a name.
    #[error("there is no network {name:?}")]
    NoSuchNetwork {
        /// The name.
        name: String,
        /// A name that looks like it.
        similar: Option<String>,
    },
    /// A prefix of several ids of networks.
    #[error("{word:?} fits {} networks: {}", candidates.len(), candidates.join(", "))]
    AmbiguousNetwork {
        /// The word as it was given.
        word: String,
        /// The first digits of each, with the name.
        candidates: Vec<String>,
    },
    /// A name that another network has.
    #[error("there is a network {name:?} already")]
    NetworkTaken {
        /// The name.
        name: String,
    },
    /// A network that containers are on.
    #[error("cannot remove network {name:?}: it is used by {}", containers.join(", "))]
    NetworkInUse {
        /// The network.
        name: String,
        /// What the containers are called.
        containers: Vec<String>,
        /// Those that run alone were looked for.
        force: bool,
    },
    /// Another command makes or removes networks for too long.
    #[error("another command works on the networks")]
    NetworksBusy,
    /// The engine was opened without the driver.
    #[error("this build has no network driver {name:?}; it has {}", there.join(", "))]
    NoNetworkDriver {
        /// Its name.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// A network that cannot be had.
    #[error(transparent)]
    Network {
        /// Why.
        source: tinyd_net::Error,
    },
    /// A link of a container that runs.
    #[error("cannot {operation} link {link} of container {container}")]
    Link {
        /// What failed.
        operation: &'static str,
        /// Its name inside.
        link: String,
        /// First digits of its id.
        container: String,
        /// Why.
        source: io::Error,
    },
    /// A volume, or a path of the host, that cannot be had.
    #[error(transparent)]
    Volume {
        /// Why.
        source: tinyd_volume::Error,
    },
    /// The engine was opened without the driver.
    #[error("this engine has no volume driver {name:?}; it has {}", there.join(", "))]
    NoVolumeDriver {
        /// Its name.
        name: String,
        /// Those that there are.
        there: Vec<String>,
        /// Why it was not found among the volume plugins, where these were looked at.
        source: Option<Box<tinyd_volume::Error>>,
    },
    /// No volume has such a name.
    #[error("there is no volume {name:?}")]
    NoSuchVolume {
        /// The name.
        name: String,
        /// A name that looks like it.
        similar: Option<String>,
    },
    /// A name that a volume of another kind has, or that another command makes.
    #[error("there is a volume {name:?} already")]
    VolumeTaken {
        /// The name.
        name: String,
    },
    /// A volume that containers use.
    #[error("cannot remove volume {name:?}: it is used by {}", containers.join(", "))]
    VolumeInUse {
        /// The volume.
        name: String,
        /// What the containers are called.
        containers: Vec<String>,
    },
    /// A volume that somebody makes or removes.
    #[error("volume {name:?} is being made, or removed, by another command")]
    VolumeUnfinished {
        /// The volume.
        name: String,
    },
    /// Of several things that should go, some could not.
    #[error("removed {}, and not the rest", removed.join(", "))]
    RemovedSome {
        /// What went.
        removed: Vec<String>,
        /// What kept the first of the others.
        source: Box<Error>,
    },
    /// A volume that running containers use.
    #[error("cannot turn back volume {name:?}: it is used by {}, which runs", containers.join(", "))]
    VolumeRuns {
        /// The volume.
        name: String,
        /// What the containers are called.
        containers: Vec<String>,
    },
    /// Another command makes or removes volumes for too long.
    #[error("another command works on the volumes")]
    VolumesBusy,
    /// No secret has such a name.
    #[error("there is no secret {name:?}")]
    NoSuchSecret {
        /// The name.
        name: String,
        /// A name that looks like it.
        similar: Option<String>,
    },
    /// A name that another secret has.
    #[error("there is a secret {name:?} already")]
    SecretTaken {
        /// The name.
        name: String,
    },
    /// A secret that containers use.
    #[error("cannot remove secret {name:?}: it is used by {}", containers.join(", "))]
    SecretInUse {
        /// The secret.
        name: String,
        /// What the containers are called.
        containers: Vec<String>,
    },
    /// Another command makes or removes secrets for too long.
    #[error("another command works on the secrets")]
    SecretsBusy,
    /// There are as many containers as there may be.
    #[error("the limit of {most} containers is reached")]
    TooMany {
        /// How many there may be.
        most: u32,
    },
    /// All ranges of ids for user namespaces are leased.
    #[error("all {slots} ranges of user ids are leased")]
    NoIdsLeft {
        /// How many there are.
        slots: u32,
    },
    /// `tinyd-runtime` is nowhere to be found.
    #[error("tinyd-runtime was not found")]
    NoRuntime {
        /// The places that were looked at.
        tried: Vec<PathBuf>,
    },
    /// A file or folder of the state.
    #[error("{operation} {}", path.display())]
    File {
        /// `open`, `write`, `make`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A record that does not hold what it should.
    #[error("understand {}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The container's `config.json` could not be made.
    #[error("make the {part} of the container's config.json")]
    Bundle {
        /// `capabilities`, `seccomp profile`.
        part: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The runtime refused, or could not be talked to.
    #[error("{operation} container {container}")]
    Launch {
        /// `start`, `run a command in`.
        operation: &'static str,
        /// First digits of its id.
        container: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// A control group.
    #[error("{operation} the control group of container {container}")]
    Cgroup {
        /// `kill`, `remove`.
        operation: &'static str,
        /// First digits of its id.
        container: String,
        /// Why.
        #[source]
        source: tinyd_cgroup::Error,
    },
    /// The control groups of all containers.
    #[error("{operation} the control groups below {path}")]
    Cgroups {
        /// `look into`.
        operation: &'static str,
        /// Their parent, below each hierarchy's root.
        path: String,
        /// Why.
        #[source]
        source: tinyd_cgroup::Error,
    },
    /// Limits that this host cannot set, or no control groups at all.
    #[error("set the container's limits")]
    Limits {
        /// Why.
        #[source]
        source: tinyd_cgroup::Error,
    },
    /// A tree or a mount.
    #[error("{operation} {}", path.display())]
    Tree {
        /// `remove`, `prepare the host's root in`.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<tinyd_fs::Error>,
    },
    /// What limits what a container writes.
    #[error("limit what the container may write (--storage-size)")]
    Storage {
        /// Why.
        #[source]
        source: Box<tinyd_fs::Error>,
    },
    /// A signal that the kernel did not take.
    #[error("send signal {signal} to container {container}")]
    Signal {
        /// Its number.
        signal: i32,
        /// First digits of the container's id.
        container: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The container was killed and is still there.
    #[error("container {container} did not end in time: process {pid} is {state}")]
    Stuck {
        /// First digits of its id.
        container: String,
        /// Its first process.
        pid: u32,
        /// The state of that process, as proc_pid_stat(5) has it.
        state: String,
    },
    /// A step failed and so did undoing what was done before it.
    #[error("undo what was done before the failure")]
    Undo {
        /// What could not be undone, a line each.
        left: Vec<String>,
        /// The first failure.
        #[source]
        source: Box<Error>,
    },
    /// A removal in which steps failed; the others were done.
    #[error("remove container {container}")]
    Remove {
        /// First digits of its id.
        container: String,
        /// The further failures, a line each.
        others: Vec<String>,
        /// The first failure.
        #[source]
        first: Box<Error>,
    },
}

impl Error {
    /// A failure of a system call on a file of the state.
    pub(crate) fn file(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::File { operation, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// A broken rule.
    pub(crate) fn invalid(
        field: &'static str,
        value: impl Into<String>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Invalid { field, value: value.into(), problem: problem.into() }
    }

    /// The error and what lies beneath it in one line, as a user is told.
    pub(crate) fn line(&self) -> String {
        if let Self::Launch { source: ClientError::Failed(failure), .. } = self {
            return std::iter::once(&failure.message)
                .chain(&failure.causes)
                .cloned()
                .collect::<Vec<_>>()
                .join(": ");
        }
        let mut line = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }

    /// This, after others went.
    pub(crate) fn after(self, removed: Vec<String>) -> Self {
        match removed.is_empty() {
            true => self,
            false => Self::RemovedSome { removed, source: Box::new(self) },
        }
    }

    /// The exit code of a start that failed so: 127, 126 or 125.
    pub(crate) fn exit_code(&self) -> u8 {
        tinyd_engine::Error::new(self.kind(), "").exit_code()
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotRoot => ErrorKind::Permission,
            Self::RemovedSome { source, .. } => source.kind(),
            Self::Schema { .. } => ErrorKind::Unsupported,
            Self::MissingCommand | Self::Invalid { .. } => ErrorKind::InvalidInput,
            Self::NoSuchContainer { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchNetwork { .. }
            | Self::NoSuchVolume { .. }
            | Self::NoSuchFile { .. }
            | Self::NoSuchSecret { .. } => ErrorKind::NotFound,
            Self::Ambiguous { .. } | Self::AmbiguousNetwork { .. } => ErrorKind::Ambiguous,
            Self::NameTaken { .. }
            | Self::NetworkTaken { .. }
            | Self::VolumeTaken { .. }
            | Self::SecretTaken { .. }
            | Self::TooMany { .. } => ErrorKind::Conflict,
            Self::WrongState { .. }
            | Self::Awaited { .. }
            | Self::Busy { .. }
            | Self::NetworksBusy
            | Self::NetworkInUse { .. }
            | Self::VolumesBusy
            | Self::SecretsBusy
            | Self::SecretInUse { .. }
            | Self::VolumeInUse { .. }
            | Self::VolumeUnfinished { .. }
            | Self::VolumeRuns { .. } => ErrorKind::WrongState,
            Self::NoRuntime { .. } | Self::NoVolumeDriver { .. } | Self::NoNetworkDriver { .. } => {
                ErrorKind::Unsupported
            }
            Self::Network { source } => match source {
                tinyd_net::Error::Invalid { .. } | tinyd_net::Error::Single { .. } => ErrorKind::InvalidInput,
                tinyd_net::Error::Unavailable { .. } => ErrorKind::Unsupported,
                _ => ErrorKind::Internal,
            },
            Self::Volume { source: tinyd_volume::Error::Invalid { .. } } => ErrorKind::InvalidInput,
            Self::Volume { source: tinyd_volume::Error::NoSnapshot { .. } } => ErrorKind::NotFound,
            Self::Storage { source } if matches!(**source, tinyd_fs::Error::NoProgram { .. }) => {
                ErrorKind::Unsupported
            }
            Self::Limits { source } => match source {
                tinyd_cgroup::Error::InvalidLimit { .. } => ErrorKind::InvalidInput,
                _ => ErrorKind::Unsupported,
            },
            Self::Launch { source: ClientError::Failed(failure), .. } => match failure.kind {
                FailureKind::Invalid => ErrorKind::InvalidInput,
                FailureKind::CommandNotFound => ErrorKind::CommandNotFound,
                FailureKind::CommandNotExecutable => ErrorKind::CommandNotExecutable,
                FailureKind::NotRunning | FailureKind::Paused => ErrorKind::WrongState,
                FailureKind::Unsupported => ErrorKind::Unsupported,
                FailureKind::Permission => ErrorKind::Permission,
                FailureKind::Internal => ErrorKind::Internal,
            },
            Self::Undo { source, .. } => source.kind(),
            _ => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRoot => Some("run it with sudo".to_owned()),
            Self::Schema { .. } => {
                Some("use the tinyd that wrote it or a newer one, or another --root".to_owned())
            }
            Self::NoSuchContainer { similar: Some(similar), .. } => Some(format!("did you mean {similar}?")),
            Self::NoSuchContainer { .. } => Some("tinyd ps -a lists all containers".to_owned()),
            Self::Ambiguous { .. } | Self::AmbiguousNetwork { .. } => Some("give more digits".to_owned()),
            Self::NameTaken { .. } => {
                Some("choose another name, or remove that container with tinyd rm".to_owned())
            }
            Self::WrongState { hint, .. } | Self::Awaited { hint, .. } => hint.map(str::to_owned),
            Self::NoSuchImage { .. } => Some(
                "an image is a folder that holds a root file system (/path or ./path), or the word host"
                    .to_owned(),
            ),
            Self::NoSuchNetwork { similar: Some(similar), .. } => Some(format!("did you mean {similar}?")),
            Self::NoSuchNetwork { name, .. } if is_default(name) => {
                Some("it is made when a container first needs it".to_owned())
            }
            Self::NoSuchNetwork { .. } => Some("tinyd network ls lists all networks".to_owned()),
            Self::NoSuchVolume { similar: Some(similar), .. }
            | Self::NoSuchSecret { similar: Some(similar), .. } => Some(format!("did you mean {similar}?")),
            Self::NoSuchSecret { .. } => Some("tinyd secret ls lists all secrets".to_owned()),
            Self::SecretTaken { .. } => Some("remove it first with tinyd secret rm".to_owned()),
            Self::NoSuchVolume { .. } => Some("tinyd volume ls lists all volumes".to_owned()),
            Self::VolumeTaken { .. } => {
                Some("choose another name, or remove that volume with tinyd volume rm".to_owned())
            }
            Self::VolumeRuns { .. } => Some("stop it first".to_owned()),
            Self::VolumeInUse { .. } | Self::SecretInUse { .. } => Some("remove what uses it first".to_owned()),
            Self::NetworkTaken { .. } => {
                Some("choose another name, or remove that network with tinyd network rm".to_owned())
            }
            Self::NetworkInUse { force: false, .. } => {
                Some("remove what uses it first; --force removes it where nothing of that runs".to_owned())
            }
            Self::NetworkInUse { force: true, .. } => Some("stop what runs on it first".to_owned()),
            Self::File { path, source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some(full(path))
            }
            Self::Remove { others, first, .. } if others.is_empty() => first.hint(),
            Self::RemovedSome { source, .. } => source.hint(),
            Self::TooMany { .. } => {
                Some("remove containers that are not needed, or raise --max-containers".to_owned())
            }
            Self::NoIdsLeft { .. } => {
                Some("remove containers that are not needed, or use --userns host".to_owned())
            }
            Self::NoRuntime { tried } => Some(format!(
                "it belongs beside tinyd, or set TINYD_RUNTIME; looked at {}",
                tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            )),
            Self::Launch { source: ClientError::Failed(failure), .. } => failure.hint.clone(),
            Self::Network {
                source:
                    tinyd_net::Error::Kernel { network, .. } | tinyd_net::Error::Unavailable { network, .. },
            } if is_default(network) => Some(
                "where this machine can have no such network, run it with --net none, or set TINYD_NETWORK=none"
                    .to_owned(),
            ),
            Self::Undo { left, source } => {
                let first = source.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
                Some(format!(
                    "{first}not everything could be undone ({}); tinyd system check --repair tries again",
                    left.join("; ")
                ))
            }
            Self::Remove { others, .. } if !others.is_empty() => {
                Some(format!("{}; tinyd system check --repair tries again", others.join("; ")))
            }
            _ => None,
        }
    }
}

/// What to do about a file system without room, and what it has none of.
fn full(path: &Path) -> String {
    let there = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    // Some file systems count no inodes at all.
    let lacks = match there.is_some_and(|fs| fs.f_files > 0 && fs.f_favail == 0) {
        true => "inodes",
        false => "space",
    };
    format!(
        "the file system of that path has no {lacks} left: remove what is not needed there; tinyd rm works"
    )
}

/// A chain of texts, for failures that came over a socket.
#[derive(Debug)]
struct Chain {
    text: String,
    next: Option<Box<Chain>>,
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Chain {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

impl From<Error> for tinyd_engine::Error {
    fn from(error: Error) -> Self {
        let (kind, hint) = (error.kind(), error.hint());
        let made = match error {
            // What failed stays the message; what was not undone is a hint.
            Error::Undo { source, .. } => Self::from(*source),
            Error::Launch { source: ClientError::Failed(failure), .. } => {
                let beneath = |next, text| Some(Box::new(Chain { text, next }));
                match failure.causes.into_iter().rev().fold(None, beneath) {
                    Some(chain) => Self::with_source(kind, failure.message, chain.as_ref()),
                    None => Self::new(kind, failure.message),
                }
            }
            other => match std::error::Error::source(&other) {
                Some(source) => Self::with_source(kind, other.to_string(), source),
                None => Self::new(kind, other.to_string()),
            },
        };
        match hint {
            Some(hint) => made.with_hint(hint),
            None => made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_runtime::Failure;

    #[test]
    fn pure_a_failure_of_the_runtime_keeps_its_words() {
        let mut failure =
            Failure::new(FailureKind::CommandNotFound, "execute nope").with_hint("look at PATH");
        failure.causes = vec!["no such file".to_owned(), "os error 2".to_owned()];
        let error = Error::Launch {
            operation: "start",
            container: "abc".to_owned(),
            source: ClientError::Failed(failure),
        };
        let seen = tinyd_engine::Error::from(error);
        assert_eq!(seen.to_string(), "execute nope");
        assert_eq!(seen.causes(), ["no such file", "os error 2"]);
        assert_eq!(seen.hint(), Some("look at PATH"));
        assert_eq!(seen.exit_code(), 127);
    }

    #[test]
    fn pure_what_failed_stays_the_message_when_undoing_fails_too() {
        let first = Error::NameTaken { name: "web".to_owned(), id: "0123".to_owned() };
        let error = Error::Undo { left: vec!["remove /x: busy".to_owned()], source: Box::new(first) };
        let seen = tinyd_engine::Error::from(error);
        assert_eq!(seen.kind(), ErrorKind::Conflict);
        assert_eq!(seen.to_string(), "the name \"web\" is taken by container 0123");
        assert!(seen.hint().is_some_and(|hint| hint.contains("remove /x: busy")));
    }
}
