//! The one error type of this crate.

use std::io;
use std::path::PathBuf;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, on which object, and, where it is known, what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path that does not name a group below the hierarchies' roots.
    #[error("invalid cgroup path {path:?}: {reason}")]
    InvalidPath {
        /// The path as given.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A limit outside the range that the kernel takes, or in conflict with another one.
    #[error("invalid {name} {value}: {reason}")]
    InvalidLimit {
        /// Which limit, such as `memory limit`.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// `/proc/self/mountinfo` could not be understood (proc_pid_mountinfo(5)).
    #[error("line {line} of mountinfo is malformed")]
    Mountinfo {
        /// Counted from 1.
        line: usize,
    },
    /// There is no cgroup file system at all.
    #[error("no cgroup hierarchy is mounted: mount one, for example mount -t cgroup2 cgroup2 /sys/fs/cgroup")]
    NotMounted,
    /// A limit or an ability needs a controller that this host does not have.
    #[error("the cgroup controller {controller} is missing: {hint}")]
    MissingController {
        /// The controller's name, such as `memory`.
        controller: String,
        /// What to do.
        hint: String,
    },
    /// The controller is there, but the kernel was built or booted without one of its files.
    #[error("the cgroup controller {controller} has no {file} here: {hint}")]
    MissingFile {
        /// The controller's name, or `core` for what belongs to none.
        controller: &'static str,
        /// The file that is missing.
        file: String,
        /// What to do.
        hint: &'static str,
    },
    /// A setting that is none, or none of this host's control groups.
    #[error("{name} {reason}")]
    Setting {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A v2 controller could not be switched on for the children of a group.
    #[error("cannot enable the cgroup controller {controller} below {}: {hint}", group.display())]
    Enable {
        /// The controller's name.
        controller: String,
        /// The group whose `cgroup.subtree_control` refused.
        group: PathBuf,
        /// What to do.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A group that was to be made is there already.
    #[error("the cgroup {} exists already", path.display())]
    Exists {
        /// Its directory.
        path: PathBuf,
    },
    /// A group that was made by somebody else, and cannot be taken as it is.
    #[error("the cgroup {path} cannot be taken: {reason}")]
    NotFree {
        /// Its path below the hierarchies' roots.
        path: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// No hierarchy has such a group.
    #[error("there is no cgroup {path}")]
    NotFound {
        /// Its path below the hierarchies' roots.
        path: String,
    },
    /// mkdir(2) failed.
    #[error("cannot make the cgroup {}", path.display())]
    Make {
        /// Its directory.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A group's directory or file could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// What was opened.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file refused a value.
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file refused a value, for a reason that is known.
    #[error("cannot write {value:?} to {}: {hint}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The value.
        value: Box<str>,
        /// Why, and what to do.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The BPF program that stands for device rules on v2 could not be loaded or attached (bpf(2)).
    #[error("cannot {operation} the device filter of the cgroup {}: {hint}", path.display())]
    DeviceFilter {
        /// `load`, `attach`, or what else was done.
        operation: &'static str,
        /// The group's directory; the hierarchy's root when it was only tried.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Device rules that v1 has no way to say: it knows one default and exceptions from it, and no exception from an
    /// exception.
    #[error(
        "the device rule {rule} takes a part out of an earlier one, which cgroup v1 cannot do: list single devices \
         instead, or use cgroup v2"
    )]
    DeviceException {
        /// The later rule, with `allow` or `deny` before it.
        rule: String,
    },
    /// Events of a group could not be listened to.
    #[error("cannot watch {} for want of memory", path.display())]
    Watch {
        /// The file that tells of them.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file holds what this crate does not understand.
    #[error("cannot understand {text:?} in {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// A process that was to be moved out is not in the group.
    #[error("process {pid} is not in the cgroup {path}")]
    NotMember {
        /// Its process id.
        pid: u32,
        /// The group.
        path: String,
    },
    /// A process of the group could not be signalled.
    #[error("cannot kill process {pid} of the cgroup")]
    Signal {
        /// Its process id.
        pid: u32,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Processes were made faster than they could be killed.
    #[error("processes of the cgroup {path} appear faster than they can be killed: freeze it first")]
    StillForking {
        /// The group.
        path: String,
    },
    /// The group did not reach the wanted state in time.
    #[error("the cgroup {} is not {state} after {millis} ms", path.display())]
    Timeout {
        /// Its directory.
        path: PathBuf,
        /// `frozen` or `thawed`.
        state: &'static str,
        /// How long was waited.
        millis: u128,
    },
    /// systemd did not do what it was asked for.
    #[error("cannot {operation} the unit {unit}")]
    Systemd {
        /// `start`, `stop`, or what else was asked for.
        operation: &'static str,
        /// The unit's name.
        unit: String,
        /// What it said, or why it could not be asked.
        #[source]
        source: Box<crate::systemd::BusError>,
    },
    /// Device rules that systemd would open again: on v1 it writes the group's rules itself, and knows only what is allowed
    /// beside a general denial.
    #[error(
        "the device rule {rule} cannot be left to systemd on cgroup v1: deny all devices first and list what is allowed, or \
         use cgroup v2"
    )]
    SystemdDevices {
        /// The rule, with `allow` or `deny` before it.
        rule: String,
    },
    /// A directory could not be removed.
    #[error("cannot remove the cgroup {}", path.display())]
    Remove {
        /// Its directory.
        path: PathBuf,
        /// The kernel's answer; `EBUSY` when a process is still in it.
        #[source]
        source: io::Error,
    },
    /// Several directories could not be removed; each was tried.
    #[error("cannot remove the cgroup in {} hierarchies", others.len() + 1)]
    RemoveMany {
        /// All but the first.
        others: Vec<Error>,
        /// The first one, for a chain of causes.
        #[source]
        first: Box<Error>,
    },
}

impl Error {
    /// A controller that no hierarchy of this host offers.
    pub(crate) fn missing(controller: &str) -> Self {
        let hint = match controller {
            "memory" => "boot with cgroup_enable=memory and see that /proc/cgroups lists it; for cgroup v1 newer kernels \
                need CONFIG_MEMCG_V1, and without it cgroup v2 has the controller"
                .to_owned(),
            "net_cls" | "net_prio" => format!(
                "cgroup v2 has none, so limit the link's traffic instead (tc, nft); where /proc/cgroups lists it, {}",
                mount_v1(controller)
            ),
            "io" => {
                "see whether the root's cgroup.controllers lists it (CONFIG_BLK_CGROUP); v1 calls it blkio"
                    .to_owned()
            }
            "cpuset" | "cpu" | "cpuacct" | "pids" | "freezer" | "blkio" | "devices" | "hugetlb" => {
                format!("see whether /proc/cgroups lists it; on cgroup v1 {}", mount_v1(controller))
            }
            _ => "see whether /proc/cgroups lists it".to_owned(),
        };
        Error::MissingController { controller: controller.to_owned(), hint }
    }

    /// Folds what a tear-down collected into one answer.
    pub(crate) fn collect(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => {
                let first = errors.remove(0);
                Err(Error::RemoveMany { others: errors, first: Box::new(first) })
            }
        }
    }

    /// True when the group, or a file of it, is not (or no longer) there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::NotFound { .. } => true,
            Error::Open { source, .. }
            | Error::Read { source, .. }
            | Error::Write { source, .. }
            | Error::Refused { source, .. }
            | Error::Watch { source, .. }
            | Error::Remove { source, .. } => gone(source),
            _ => false,
        }
    }
}

fn mount_v1(controller: &str) -> String {
    format!("mount it with mount -t cgroup -o {controller} {controller} /sys/fs/cgroup/{controller}")
}

/// `ENOENT`, or `ENODEV`, which files of a removed group answer through descriptors opened before.
pub(crate) fn gone(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::NOENT.raw_os_error())
        || code == Some(rustix::io::Errno::NODEV.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn pure_display_leaves_the_source_to_the_chain() {
        let error = Error::Make { path: "/cg/a".into(), source: io::Error::from_raw_os_error(30) };
        assert_eq!(error.to_string(), "cannot make the cgroup /cg/a");
        assert!(error.source().is_some_and(|s| s.to_string().contains("os error 30")));
    }

    #[test]
    fn pure_missing_names_the_controller_and_the_remedy() {
        let text = Error::missing("memory").to_string();
        assert!(text.contains("memory") && text.contains("cgroup_enable=memory"), "{text}");
        for controller in ["pids", "blkio", "devices", "hugetlb", "net_cls", "net_prio"] {
            let text = Error::missing(controller).to_string();
            assert!(text.contains(&format!("mount -t cgroup -o {controller} ")), "{text}");
        }
    }

    #[test]
    fn pure_collect_keeps_every_error() {
        assert!(Error::collect(vec![]).is_ok());
        assert!(matches!(Error::collect(vec![Error::NotMounted]), Err(Error::NotMounted)));
        let many = Error::collect(vec![Error::NotMounted, Error::Mountinfo { line: 1 }, Error::NotMounted]);
        let Err(Error::RemoveMany { others, first }) = many else { panic!("{many:?}") };
        assert!(matches!(*first, Error::NotMounted));
        assert_eq!(others.len(), 2);
    }
}
