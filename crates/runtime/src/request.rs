//! What the engine asks of `tinyd-runtime`: plain records, sent as JSON in the first packets.

use crate::events::{Event, EventPlan};
use crate::health::HealthPlan;
use crate::restart::RestartPlan;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The first message on the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Start a container and watch over it.
    Start(Box<StartRequest>),
    /// Watch over one that runs and whose monitor was killed: the request of its start once more, without a session.
    TakeOver(Box<StartRequest>),
    /// Run a further command in one.
    Exec(Box<ExecRequest>),
    /// Mount a container's root file system where the host's other programs see it.
    Mount(Box<MountRequest>),
}

/// Start a container's bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRequest {
    /// The container's id, for messages and as name of its session keyring.
    pub id: String,
    /// The folder that holds `config.json`.
    pub bundle: PathBuf,
    /// The container's folder of run-time state; made when it is missing. See [`state`](crate::state) for what is in it.
    pub run_dir: PathBuf,
    /// The container's own cgroup, relative to each hierarchy's root; must not exist yet.
    pub cgroup: String,
    /// The cgroup that the monitor moves into; made when it is missing.
    pub monitor_cgroup: String,
    /// How the root file system is put together.
    pub rootfs: Rootfs,
    /// Run `tinyd-runtime` from a read-only mount of itself: for a container without a user namespace, whose root could
    /// otherwise change the program's file through `/proc` (CVE-2019-5736).
    pub protect_program: bool,
    /// The sender wants the command's output and exit on this socket.
    pub attach: bool,
    /// The sender connects the network namespace: it is sent a `Namespace` packet, and the command waits for `Connected`.
    pub connect: bool,
    /// The network namespace to live in, where the bundle has none of its own; the sender's where it is `None`.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// Files that are in the container's memory alone, mounted after everything that the bundle mounts.
    #[serde(default)]
    pub secrets: Vec<SecretMount>,
    /// The command's standard input is a pipe that `Stdin` packets fill; otherwise it reads nothing.
    pub interactive: bool,
    /// Rows and columns of the terminal, where the bundle asks for one.
    pub window: Option<(u16, u16)>,
    /// Where the output is kept.
    pub log: Option<LogSpec>,
    /// Where the record of the exit is copied, with fsync, after it was told.
    pub exit_copy: Option<PathBuf>,
    /// A folder that is synced to disk in the background once the command runs.
    pub sync: Option<PathBuf>,
    /// Done in this order when the command has ended, before anyone is told. Not done when the start fails: what the
    /// sender made is then the sender's to undo.
    pub release: Vec<Release>,
    /// Trees that are removed after everyone was told.
    pub trash: Vec<PathBuf>,
    /// How it is started again, should its policy want that at its end. `None` where it never is.
    #[serde(default)]
    pub restart: Option<RestartPlan>,
    /// Where its start and its end are told.
    #[serde(default)]
    pub events: Option<EventPlan>,
    /// How it is found out that it is healthy.
    #[serde(default)]
    pub health: Option<HealthPlan>,
}

impl StartRequest {
    /// Tells what happens to the container, where that is told.
    pub(crate) fn tell(&self, action: &str, more: &[(&str, String)]) {
        if let Some(events) = &self.events {
            events.tell(&self.id, action, more);
        }
    }
}

/// Secrets inside a container: on a file system in memory, that is not swapped out where the kernel can say so, and that nobody
/// inside may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretMount {
    /// A folder of them.
    Folder {
        /// Absolute path inside; made when it is missing.
        target: PathBuf,
        /// What is in it, by names of their own.
        files: Vec<SecretFile>,
    },
    /// A file by itself.
    File {
        /// Absolute path inside; made when it is missing.
        target: PathBuf,
        /// What is read there.
        file: SecretFile,
    },
}

/// A secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// What it is called, for messages.
    pub secret: String,
    /// The file of the host that holds it.
    pub source: PathBuf,
    /// The name that it has in its folder.
    pub name: String,
    /// The owner's number inside; the command's user where it is `None`.
    pub uid: Option<u32>,
    /// The group's number inside; that of the command's user where it is `None`.
    pub gid: Option<u32>,
    /// The bits of its mode.
    pub mode: u32,
}

/// A step that frees something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// Remove a file or link; one that is not there is no error. A link that holds something else than the container's id is
    /// another's, and stays.
    Unlink(PathBuf),
    /// Free a name: a link of a folder that holds an id, if it is that container's own. It may have got another one since.
    Name {
        /// The folder of names.
        names: PathBuf,
        /// The name that it had when it was started.
        name: String,
        /// Whose it is.
        id: String,
        /// A file, where it was given another name: that one, as JSON.
        renamed: PathBuf,
    },
    /// Forget the size that the file system holds a folder to (`tinyd_fs::project`).
    Limit(PathBuf),
    /// Move a file or folder.
    Rename(PathBuf, PathBuf),
    /// Tell of something in a log of events.
    Tell {
        /// The log.
        log: PathBuf,
        /// What has happened, but for its moment.
        event: Box<Event>,
        /// Where the name stands that the container was given since.
        #[serde(default)]
        renamed: Option<PathBuf>,
    },
    /// Send whole netlink messages to the kernel as one packet. What they take away may be gone already.
    Netlink {
        /// The protocol, as socket(2) takes it.
        protocol: i32,
        /// The messages.
        packet: Vec<u8>,
    },
    /// Forget a user of what is mounted somewhere, and unmount that where it was the last one. Those who are in it keep it until
    /// they leave.
    Unmount {
        /// The mount point.
        point: PathBuf,
        /// A folder with an empty file for each user, which whoever changes it locks (flock(2)).
        users: PathBuf,
        /// Which one is gone.
        user: String,
        /// umount(8), where the kernel may wait for a server for ever on the way out: it is waited for as long as is bearable, and
        /// then left to it.
        #[serde(default)]
        program: Option<PathBuf>,
    },
    /// Let go of a network namespace that is bound to a file, and remove the file; one that is gone is no error.
    Unpin(PathBuf),
    /// Run a program to its end, at most ten seconds. Among the steps of connections, the files of later steps for the same one
    /// ([`Unlink`](Self::Unlink), [`Unpin`](Self::Unpin)) stay where it fails: by them the next command finds what is held still.
    Run {
        /// Its file.
        program: PathBuf,
        /// What it is given after its own name.
        arguments: Vec<String>,
        /// All of its environment.
        environment: Vec<(String, String)>,
        /// What it reads.
        stdin: Vec<u8>,
        /// Any end but 0 is a failure. Otherwise 1 is none: what it was to take away is gone.
        #[serde(default)]
        strict: bool,
    },
}

/// What the sender of a start tells of the connections that it has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The steps that undo them, done in this order when the command has ended.
    pub release: Vec<Release>,
    /// Programs that serve them.
    pub companions: Vec<Companion>,
}

/// A program that has to be there for as long as the container runs, and is not its own alone. When its process ends the
/// monitor starts the program again; a lock of the program's decides which of several started ones stays, and the others end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// A file of JSON that names the process: a [`ProcessId`](crate::state::ProcessId) called `process`. Whoever stays writes
    /// it.
    pub process: PathBuf,
    /// The program's file.
    pub program: PathBuf,
    /// What it is given after its own name. Its environment is empty, and it reads nothing.
    pub arguments: Vec<String>,
}

/// A root file system as a set of overlays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// The root first, then whatever lies below it (`usr` of a root made from the host). Empty: the bundle's `root.path`
    /// is used as it is.
    pub overlays: Vec<OverlayMount>,
    /// Skip every sync: for containers that do not outlive their command. Such an upper cannot be mounted twice.
    pub volatile: bool,
    /// Device nodes in it can be opened, within the rules of the container's control group.
    #[serde(default)]
    pub devices: bool,
    /// A file with a file system, in which all that is written lies.
    #[serde(default)]
    pub storage: Option<Storage>,
}

/// A file with a file system (`tinyd_fs::loop_file`), in which the written layers of all overlays lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// The file.
    pub file: PathBuf,
    /// An empty folder, at which it is mounted where nobody else sees it: the paths of the layers begin so. Their folders are
    /// made when they are missing.
    pub folder: PathBuf,
}

/// One overlay of a root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayMount {
    /// Where it is mounted, relative to the root; empty for the root itself.
    pub target: PathBuf,
    /// The layers that are read, topmost first.
    pub lowers: Vec<PathBuf>,
    /// The layer that is written.
    pub upper: PathBuf,
    /// The overlay's scratch folder, on the file system of `upper`.
    pub work: PathBuf,
}

/// A log of the command's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// The file that is written; older ones have `.1`, `.2`, … behind their names.
    pub path: PathBuf,
    /// A file that would grow beyond so many bytes is put away.
    pub max_bytes: u64,
    /// How many files are kept, the one being written among them.
    pub max_files: u32,
}

/// Run a further command in a running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The container's id, for messages.
    pub id: String,
    /// The folder that holds `config.json`.
    pub bundle: PathBuf,
    /// The container's folder of run-time state.
    pub run_dir: PathBuf,
    /// The container's cgroup.
    pub cgroup: String,
    /// See [`StartRequest::protect_program`].
    pub protect_program: bool,
    /// The command with its arguments.
    pub args: Vec<String>,
    /// `NAME=VALUE`, added to the bundle's environment.
    pub env: Vec<String>,
    /// Absolute path inside; the bundle's when `None`.
    pub cwd: Option<String>,
    /// `USER[:GROUP]`; the bundle's when `None`.
    pub user: Option<String>,
    /// Gives it a terminal.
    pub terminal: bool,
    /// Its standard input is a pipe that `Stdin` packets fill; otherwise it reads nothing.
    pub interactive: bool,
    /// The sender does not wait: the command's output goes nowhere and it outlives the connection.
    pub detach: bool,
    /// Rows and columns of the terminal.
    pub window: Option<(u16, u16)>,
    /// Where its start and its end are told, with what they say of it.
    #[serde(default)]
    pub events: Option<EventPlan>,
}

/// Mount a stopped container's root file system in the host's own mount namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// The container's id, for messages.
    pub id: String,
    /// The folder that holds `config.json`, which has the id maps.
    pub bundle: PathBuf,
    /// What is mounted.
    pub rootfs: Rootfs,
    /// An existing folder.
    pub target: PathBuf,
}
