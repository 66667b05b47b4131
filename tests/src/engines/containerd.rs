//! containerd.

use std::path::PathBuf;

use super::{Daemon, LIMIT, Podman};
use crate::{Cmd, Env, Output};

/// A containerd of the test's own.
#[derive(Debug)]
pub struct Containerd<'env> {
    env: &'env Env,
    daemon: Daemon<'env>,
}

impl<'env> Containerd<'env> {
    /// Starts one. The plugins in `disabled` are not loaded; `settings` follow in its configuration.
    #[track_caller]
    pub fn start(env: &'env Env, disabled: &[&str], settings: &str) -> Self {
        let folder = |name: &str| env.files().join(name).display().to_string();
        let drivers =
            ["aufs", "devmapper", "zfs", "btrfs"].map(|name| format!("io.containerd.snapshotter.v1.{name}"));
        let disabled: Vec<&str> =
            drivers.iter().map(String::as_str).chain(disabled.iter().copied()).collect();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = {disabled:?}\n[grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n{settings}",
            folder("root"),
            folder("state"),
            folder("grpc.sock"),
            folder("ttrpc.sock"),
        );
        let config = env.file("containerd.toml", config).display().to_string();
        let ready = || ctr(env, &["version"]).output().code() == Some(0);
        Self { env, daemon: Daemon::start(env, &["containerd", "-c", &config], ready) }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        socket(self.env)
    }

    /// Runs a command of its client to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        ctr(self.env, words).output()
    }

    /// Imports busybox into a namespace; `changes` are those of `podman import`.
    #[track_caller]
    pub fn import(&self, namespace: &str, name: &str, changes: &[&str]) {
        let podman = Podman::new(self.env);
        let words = [&["import"], changes, &["-", name]].concat();
        podman.cmd(&words).stdin(super::archive(self.env)).output().ok();
        let image = self.env.files().join(name.replace('/', "-")).display().to_string();
        podman.run(&["save", "--format", "oci-archive", "-o", &image, name]).ok();
        self.run(&["-n", namespace, "images", "import", "--index-name", name, &image]).ok();
    }

    /// A command in the daemon's network.
    pub fn inside(&self, words: &[&str]) -> Cmd {
        self.daemon.inside(words)
    }

    /// Ends it.
    #[track_caller]
    pub fn end(self) {
        self.daemon.end();
    }
}

fn socket(env: &Env) -> PathBuf {
    env.files().join("grpc.sock")
}

fn ctr(env: &Env, words: &[&str]) -> Cmd {
    let socket = socket(env).display().to_string();
    env.other([&["ctr", "-a", &socket], words].concat()).limit(LIMIT)
}
