//! Docker.

use super::{Daemon, LIMIT, archive};
use crate::oci::Oci;
use crate::{Cmd, Env, Output};

/// The client, by its path: another may stand before it in `PATH`.
const CLIENT: &str = "/usr/bin/docker";

/// A dockerd of the test's own.
#[derive(Debug)]
pub struct Docker<'env> {
    env: &'env Env,
    host: String,
    daemon: Daemon<'env>,
}

impl<'env> Docker<'env> {
    /// Starts one whose default runtime is `tinyd-runtime`, and imports busybox.
    #[track_caller]
    pub fn start(env: &'env Env) -> Self {
        let folder = |name: &str| env.files().join(name).display().to_string();
        let host = format!("unix://{}", folder("docker.sock"));
        let config = env.file("daemon.json", "{}").display().to_string();
        let runtime = format!("tinyd={}", Oci::of(env).program().display());
        let words = [
            "dockerd",
            "--data-root",
            &folder("data"),
            "--exec-root",
            &folder("exec"),
            "--pidfile",
            &folder("docker.pid"),
            "--add-runtime",
            &runtime,
            "--default-runtime",
            "tinyd",
            "--host",
            &host,
            "--storage-driver",
            "vfs",
            "--cgroup-parent",
            &format!("/{}", env.tag()),
            "--config-file",
            &config,
        ];
        let version = [CLIENT, "--host", &host, "version"];
        let ready = || env.other(version).limit(LIMIT).output().code() == Some(0);
        let docker = Self { env, daemon: Daemon::start(env, &words, ready), host: host.clone() };
        docker.cmd(&["import", "-", "busybox"]).stdin(archive(env)).output().ok();
        docker
    }

    /// The words before a verb.
    pub fn words(&self) -> [&str; 3] {
        [CLIENT, "--host", &self.host]
    }

    /// A command of its client.
    pub fn cmd(&self, words: &[&str]) -> Cmd {
        self.env.other([&self.words()[..], words].concat()).limit(LIMIT)
    }

    /// Runs a command of its client to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.cmd(words).output()
    }

    /// A command in the daemon's network.
    pub fn inside(&self, words: &[&str]) -> Cmd {
        self.daemon.inside(words)
    }

    /// Ends it, with what is left of its containers.
    #[track_caller]
    pub fn end(self) {
        let ids = self.run(&["ps", "-aq"]).ok().stdout();
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            self.run(&[&["rm", "-f", "-v"], &ids[..]].concat()).ok();
        }
        self.daemon.end();
    }
}
