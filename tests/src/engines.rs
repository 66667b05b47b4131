//! Other engines with `tinyd-runtime` in the place of their own runtime: Podman, containerd and Docker.
//!
//! Each has folders of the test's own, and a daemon its own network and mounts, with what it would write to the machine's `/etc`
//! and `/var/lib`. All of it ends with the test; groups that a failed test leaves are found by its tag.

mod containerd;
mod docker;
mod podman;

pub use containerd::Containerd;
pub use docker::Docker;
pub use podman::Podman;

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::oci::Oci;
use crate::proc::cgroups;
use crate::{Cmd, Env, Running, eventually, roots};

/// How long one of their commands may take, and a daemon until it answers.
const LIMIT: Duration = Duration::from_secs(120);
const READY: Duration = Duration::from_secs(60);

/// The image of busybox as what engines import.
#[track_caller]
pub fn archive(env: &Env) -> Vec<u8> {
    let image = roots::busybox();
    let words = ["tar".into(), "-C".into(), image.into_os_string(), "-c".into(), ".".into()];
    env.other(words).output().ok().stdout_bytes().to_vec()
}

/// Removes the groups that an engine made above those of its containers, and leaves.
pub fn remove_groups(env: &Env) {
    let remove_all = || {
        let mut left = 0;
        for hierarchy in cgroups::hierarchies() {
            let ours = cgroups::walk(&hierarchy.mount).into_iter();
            let mut ours: Vec<_> = ours.filter(|path| path.to_string_lossy().contains(env.tag())).collect();
            ours.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
            left += ours.iter().filter(|group| fs::remove_dir(group).is_err()).count();
        }
        (left == 0).then_some(())
    };
    // What watched over a container may end a moment after it.
    if eventually(Duration::from_secs(20), remove_all).is_none() && !std::thread::panicking() {
        panic!("groups that nobody is in can be removed");
    }
}

/// The network has loopback and one bridge that has an address, and leads nowhere. The runtime is there where the documents put it.
const GROUND: &str = r#"
set -eu
folder=$1 runtime=$2
shift 2
for name in etc usr/libexec; do
    upper=$folder/over/$name work=$folder/work/$name
    mkdir -p "$upper" "$work"
    mount -t overlay engines -o "lowerdir=/$name,upperdir=$upper,workdir=$work" "/$name"
done
cp "$runtime" /usr/libexec/tinyd-runtime
mount -t tmpfs engines /var/lib
ip link set lo up
ip link add uplink type bridge
ip addr add 10.77.0.1/24 dev uplink
ip link set uplink up
exec "$@" > "$folder/log" 2>&1
"#;

/// A daemon. It is asked to end, and waited for; one that is only dropped is killed.
#[derive(Debug)]
struct Daemon<'env> {
    env: &'env Env,
    running: Running,
}

impl<'env> Daemon<'env> {
    fn start(env: &'env Env, words: &[&str], ready: impl Fn() -> bool) -> Daemon<'env> {
        let folder = env.files().display().to_string();
        let runtime = Oci::of(env).program().display().to_string();
        let before = ["unshare", "--net", "--mount", "sh", "-c", GROUND, "sh", &folder, &runtime];
        let running = env.other([&before[..], words].concat()).limit(Duration::from_secs(3600)).spawn();
        let daemon = Daemon { env, running };
        let answers = eventually(READY, || ready().then_some(()));
        let log = || fs::read_to_string(env.files().join("log")).unwrap_or_default();
        assert!(answers.is_some(), "{} does not answer:\n{}", words[0], log());
        daemon
    }

    /// A command in its network and mounts.
    fn inside(&self, words: &[&str]) -> Cmd {
        let pid = self.running.pid().to_string();
        self.env.other([&["nsenter", "--target", &pid, "--net", "--mount"], words].concat()).limit(LIMIT)
    }

    fn end(self) {
        self.running.signal(Signal::TERM);
        self.running.wait();
        remove_groups(self.env);
    }
}
