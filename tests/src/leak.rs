//! The leak checker: what of ours stands on the machine, before and after.
//!
//! Tests run side by side, so a check of one test counts only what can be *attributed* to it: by its tag, which is part of
//! all its paths and of the environment of what it starts, or by the id of a container that was seen under its root. What
//! nobody can attribute (links, firewall tables, a cgroup whose id was never seen) is compared for the whole machine at the
//! start and the end of the whole run, by `cargo xtask test`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::wait::eventually;

mod cgroups;
mod descriptors;
mod files;
mod links;
mod loops;
mod mounts;
pub(crate) mod processes;
mod sockets;

pub(crate) use cgroups::groups;
pub(crate) use files::is_id;
pub(crate) use loops::find as loop_files;

/// How long what is cleaned up after the answer (by the monitor) may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The name of the environment variable that marks what a test has started.
pub const MARK: &str = "TINYD_TEST";

/// What kind of thing was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A mount in our mount namespace.
    Mount,
    /// A control group.
    Cgroup,
    /// A process that is no zombie.
    Process,
    /// A file or folder under the engine's root or run root that is not part of its skeleton.
    File,
    /// A name in `/proc/net/unix`.
    Socket,
    /// An open descriptor of this process.
    Descriptor,
    /// A loop device, with the file behind it.
    LoopDevice,
    /// A network link.
    Link,
    /// A table of nftables.
    Table,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Which one it is, in words that find it again.
    pub what: String,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", format!("{:?}", self.kind).to_lowercase(), self.what)
    }
}

/// Whose things are counted.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Those of one test.
    Test(Owner),
    /// Everything on the machine that could be ours.
    Machine,
}

/// By what the things of one test are known.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    /// The word that is part of all its paths.
    pub tag: String,
    /// The ids of all containers it ever had.
    pub ids: BTreeSet<String>,
    /// The engine's folders: `--root` and `--run-root`.
    pub folders: Vec<PathBuf>,
    /// Whether every descriptor of this process is the test's: true where a test is a process of its own (nextest).
    pub alone: bool,
}

impl Owner {
    /// Whether a text (a path, a line, a command) names the test or one of its containers.
    pub fn is_named_in(&self, text: &str) -> bool {
        (!self.tag.is_empty() && text.contains(&self.tag))
            || self.ids.iter().any(|id| text.contains(id.as_str()))
    }
}

/// What was there at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<Item>);

impl Snapshot {
    /// Looks around.
    pub fn take(scope: &Scope) -> Snapshot {
        let mut items = BTreeSet::new();
        let mut add = |kind: Kind, found: Vec<String>| {
            items.extend(found.into_iter().map(|what| Item { kind, what }));
        };
        add(Kind::Mount, mounts::find(scope));
        add(Kind::LoopDevice, loops::find(scope));
        add(Kind::Cgroup, cgroups::find(scope));
        add(Kind::Process, processes::find(scope));
        add(Kind::Socket, sockets::find(scope));
        match scope {
            Scope::Test(owner) => {
                add(Kind::File, files::find(owner));
                add(Kind::Descriptor, descriptors::find(owner));
            }
            Scope::Machine => {
                add(Kind::Link, links::links());
                add(Kind::Table, links::tables());
            }
        }
        Snapshot(items)
    }

    /// What is in `after` and was not here.
    pub fn diff(&self, after: &Snapshot) -> Vec<Item> {
        after.0.difference(&self.0).cloned().collect()
    }

    /// All that was found.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.0.iter()
    }
}

/// Waits, for at most `patience`, until nothing is there that was not there before; gives what is left then.
pub fn left_over(before: &Snapshot, scope: &Scope, patience: Duration) -> Vec<Item> {
    let mut left = Vec::new();
    let clean = eventually(patience, || {
        left = before.diff(&Snapshot::take(scope));
        left.is_empty().then_some(())
    });
    if clean.is_some() { Vec::new() } else { left }
}

/// The items as a list, one a line, for a message.
pub fn describe(items: &[Item]) -> String {
    items.iter().map(|item| format!("  {item}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(words: &[&str]) -> Snapshot {
        Snapshot(words.iter().map(|word| Item { kind: Kind::File, what: (*word).to_owned() }).collect())
    }

    #[test]
    fn only_what_is_new_counts() {
        let left = snapshot(&["a", "b"]).diff(&snapshot(&["b", "c"]));
        assert_eq!(describe(&left), "  file: c\n");
    }

    #[test]
    fn an_owner_without_a_tag_owns_nothing() {
        assert!(!Owner::default().is_named_in("anything"));
        let owner = Owner { ids: ["0123".to_owned()].into(), ..Owner::default() };
        assert!(owner.is_named_in("/sys/fs/cgroup/pids/tinyd/0123"));
    }
}
