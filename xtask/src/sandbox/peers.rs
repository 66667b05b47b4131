//! Where the other engines run: in a mount namespace and a network namespace of their own, so that what they write to
//! `/etc`, `/var`, `/run` and `/dev/shm`, what they mount and what they set of the network ends with them. Their control
//! groups are below one that is named for this run, and is removed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tinyd_tests::proc::cgroups::{hierarchies, walk};
use tinyd_tests::{Cmd, Env, Output, eventually};

/// Prepares the mounts, and becomes the command, which ends when we do. Its words: a folder, and the command.
const PRIVATELY: &str = r#"
set -eu
folder=$1
shift
for name in etc var; do
    mkdir -p "$folder/$name" "$folder/$name-work"
    mount -t overlay tinyd-sandbox -o "lowerdir=/$name,upperdir=$folder/$name,workdir=$folder/$name-work" "/$name"
done
mount -t tmpfs tinyd-sandbox /run
mount -t tmpfs tinyd-sandbox /dev/shm
exec setpriv --pdeathsig TERM "$@"
"#;

/// How the names of their control groups begin.
pub(super) const GROUP: &str = "sandbox-of-";

/// A folder for one of them.
pub(super) fn folder(env: &Env, name: &str) -> Result<PathBuf> {
    let folder = env.files().join(name);
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// A command in the namespaces of one of them.
pub(super) fn privately(env: &Env, folder: &Path, command: &[&str]) -> Cmd {
    let folder = folder.to_string_lossy();
    let words =
        ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", PRIVATELY, "sh", &folder];
    env.other(words.iter().chain(command).copied())
}

/// The control group below which a run's containers are, and which goes with it.
pub(super) struct Group(String);

impl Group {
    pub(super) fn new(env: &Env) -> Group {
        // Not below `tinyd`: that is the group of our own containers.
        Group(format!("{GROUP}{}", env.tag()))
    }

    /// Its path below each hierarchy.
    pub(super) fn path(&self) -> String {
        format!("/{}", self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            let top = hierarchy.mount.join(&self.0);
            // Who ends leaves its group a moment later.
            let gone = eventually(tinyd_tests::leak::PATIENCE, || {
                walk(&top).iter().for_each(|group| drop(fs::remove_dir(group)));
                (!top.exists()).then_some(())
            });
            if gone.is_none() {
                eprintln!("{} cannot be removed", top.display());
            }
        }
    }
}

/// The image as a tar archive, which both engines import.
pub(super) fn archive(env: &Env, image: &Path, folder: &Path) -> Result<PathBuf> {
    let archive = folder.join("image.tar");
    said(
        &env.other(["tar", "-C", &image.to_string_lossy(), "-cf", &archive.to_string_lossy(), "."]).output(),
    )?;
    Ok(archive)
}

/// What a command printed. Its failure is no panic: that would end this program before it has ended what it started.
pub(super) fn said(output: &Output) -> Result<String> {
    if output.code() != Some(0) {
        bail!("{output}");
    }
    Ok(output.stdout())
}
