//! A container of Docker's defaults.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tinyd_tests::comparison::{Facts, host_namespaces};
use tinyd_tests::{Env, Running, eventually};

use super::peers::{self, Group};

/// How long the daemon may take to answer.
const READY: Duration = Duration::from_secs(60);

/// A daemon of our own, which ends when this is dropped.
struct Daemon<'env> {
    env: &'env Env,
    socket: String,
    running: Option<Running>,
}

impl<'env> Daemon<'env> {
    fn start(env: &'env Env, folder: &Path, group: &Group) -> Result<Daemon<'env>> {
        let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", place("sock"));
        let running = peers::privately(
            env,
            folder,
            &[
                "dockerd",
                "--host",
                &socket,
                "--data-root",
                &place("data"),
                "--exec-root",
                &place("exec"),
                "--pidfile",
                &place("pid"),
                "--cgroup-parent",
                &group.path(),
                // A container of this comparison has no network.
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ],
        )
        .limit(Duration::from_secs(600))
        .spawn();
        let daemon = Daemon { env, socket, running: Some(running) };
        let ready = eventually(READY, || daemon.docker(&["version"]).ok().map(drop));
        ready.context("the daemon does not answer")?;
        Ok(daemon)
    }

    /// By its path: another client may stand before it in `PATH`.
    fn docker(&self, words: &[&str]) -> Result<String> {
        let client = ["/usr/bin/docker", "--host", &self.socket];
        peers::said(&self.env.other(client.iter().chain(words).copied()).output())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal(rustix::process::Signal::TERM);
            let _ = running.wait();
        }
    }
}

/// Runs the probe in it.
pub(super) fn facts(env: &Env, image: &Path) -> Result<Facts> {
    let folder = peers::folder(env, "docker")?;
    let archive = peers::archive(env, image, &folder)?;
    // Dropped after the daemon.
    let group = Group::new(env);
    let daemon = Daemon::start(env, &folder, &group)?;
    daemon.docker(&["import", &archive.to_string_lossy(), "probe:1"])?;
    let namespaces = host_namespaces();
    let mut words = vec!["create", "--name", "probe", "--network", "none", "probe:1", "/probe"];
    words.extend(namespaces.iter().map(String::as_str));
    daemon.docker(&words)?;
    let mut facts = Facts::read(&daemon.docker(&["start", "--attach", "probe"])?);
    let inspected = daemon.docker(&["inspect", "probe"])?;
    let inspected: Value = serde_json::from_str(&inspected).context("`docker inspect` prints no JSON")?;
    facts.add_paths("masked", &inspected[0]["HostConfig"]["MaskedPaths"]);
    facts.add_paths("read-only", &inspected[0]["HostConfig"]["ReadonlyPaths"]);
    daemon.docker(&["rm", "probe"])?;
    Ok(facts)
}
