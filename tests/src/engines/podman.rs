//! Podman, which has no daemon.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{LIMIT, archive};
use crate::oci::Oci;
use crate::{Cmd, Env, Output};

/// Podman with a storage of the test's own.
#[derive(Debug)]
pub struct Podman<'env> {
    env: &'env Env,
    config: PathBuf,
    runtime: PathBuf,
}

impl<'env> Podman<'env> {
    /// One that calls `tinyd-runtime`.
    pub fn new(env: &'env Env) -> Self {
        Self::with(env, Oci::of(env).program())
    }

    /// One that calls this runtime.
    pub fn with(env: &'env Env, runtime: PathBuf) -> Self {
        // Its own default is more than the root of this machine may set.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        let engine = "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        let config = env.file("containers.conf", format!("{limits}{engine}"));
        Self { env, config, runtime }
    }

    /// The words before a verb.
    pub fn words(&self) -> Vec<OsString> {
        let folder = |name: &str| self.env.files().join(name).into_os_string();
        let mut all: Vec<OsString> = vec!["podman".into(), "--root".into(), folder("storage")];
        all.extend(["--runroot".into(), folder("run"), "--tmpdir".into(), folder("tmp")]);
        all.extend(["--storage-driver".into(), "vfs".into(), "--runtime".into()]);
        all.push(self.runtime.clone().into());
        all
    }

    /// A command of it.
    pub fn cmd(&self, words: &[&str]) -> Cmd {
        let mut all = self.words();
        all.extend(words.iter().map(Into::into));
        self.with_settings(self.env.other(all)).limit(LIMIT)
    }

    /// Another command that has what Podman needs of its environment.
    pub fn with_settings(&self, command: Cmd) -> Cmd {
        command.env("CONTAINERS_CONF", &self.config)
    }

    /// Runs a command of it to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.cmd(words).output()
    }

    /// Imports busybox under this name.
    #[track_caller]
    pub fn import(&self, name: &str) {
        self.cmd(&["import", "-", name]).stdin(archive(self.env)).output().ok();
    }

    /// Where its containers' control groups are.
    pub fn parent(&self) -> String {
        format!("--cgroup-parent=/{}", self.env.tag())
    }

    /// `podman run` without a network.
    #[track_caller]
    pub fn container(&self, words: &[&str]) -> Output {
        self.run(&[&["run", "--net", "none", &self.parent()], words].concat())
    }
}
