//! `inspect`: all that is known of a container.

mod host;

use crate::bundle;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::restart::told;
use crate::store::{BUNDLE_FILE, Record, START_ERROR_FILE, StartError, UsedImage, UsedVolume};
use crate::time::{self, NEVER};
use crate::volumes::options;
use crate::{health, ports, validate};
use oci_spec::runtime::Spec;
use std::collections::BTreeMap;
use std::path::Path;
use tinyd_engine::{
    ContainerConfig, ContainerInspect, ContainerState, GraphDriver, MountPoint, NetworkSettings,
    RestartPolicy, SecretConfig, SecretMount,
};
use tinyd_net::Namespace;
use tinyd_runtime::state::load;

/// What `State.Error` says of a run that was cut off by the end of its host.
const HOST_RESTARTED: &str = "the host was restarted while it ran, and how it ended is not known";

/// The namespaces of a process, by their names in /proc/PID/ns.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

impl Core {
    pub(crate) fn inspect(&self, word: &str) -> Result<ContainerInspect> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let (life, restarting) = match self.life_shown(&record)? {
            (Life::Gone(_), _) => return Err(self.no_such(word)),
            shown => shown,
        };
        let folder = self.store.container(&id);
        let file = |name: &str| folder.join(name).display().to_string();
        let bundle = bundle::read(&folder.join(BUNDLE_FILE))?;
        let argv = validate::argv(&record.spec);
        let pid = match &life {
            Life::Running(live) => live.state.init.pid,
            _ => 0,
        };
        let restart = self.restart_state(&id)?;
        Ok(ContainerInspect {
            created: time::rfc3339(record.created_ns),
            path: argv.first().cloned().unwrap_or_default(),
            args: argv.into_iter().skip(1).collect(),
            state: self.state(&record, &life, restarting)?,
            image: record.spec.image.clone(),
            name: format!("/{}", record.spec.name.as_deref().unwrap_or(&id)),
            driver: "overlay".to_owned(),
            runtime: "tinyd-runtime".to_owned(),
            log_path: self.store.log(&id).display().to_string(),
            hostname_path: file("hostname"),
            hosts_path: file("hosts"),
            resolv_conf_path: file("resolv.conf"),
            bundle: folder.display().to_string(),
            graph_driver: graph_driver(&record, &folder),
            host_config: host::config(
                &record,
                &bundle,
                restart.map_or(RestartPolicy::No, |state| told(state.policy)),
            ),
            restart_count: restart.map_or(0, |state| state.count),
            mounts: mounts(&record),
            network_settings: NetworkSettings {
                sandbox_key: match (record.netns, pid) {
                    (Namespace::Host, _) | (_, 0) => String::new(),
                    _ => format!("/proc/{pid}/ns/net"),
                },
                // Nothing leads to one that does not run; what was asked for stands in the host's part.
                ports: match &life {
                    Life::Running(_) => ports::bindings(&record, &self.ports_of(&record, true)),
                    _ => BTreeMap::new(),
                },
                ..self.places_on_networks(&record, pid)
            },
            config: container_config(&record, &bundle),
            namespaces: namespaces(pid),
            id,
        })
    }

    fn state(&self, record: &Record, life: &Life, restarting: bool) -> Result<ContainerState> {
        let moment = |ns: i64| if ns == 0 { NEVER.to_owned() } else { time::rfc3339(ns) };
        let mut state = ContainerState {
            status: "created".to_owned(),
            running: false,
            paused: false,
            restarting: false,
            oom_killed: false,
            dead: false,
            pid: 0,
            monitor_pid: 0,
            exit_code: 0,
            exit_unknown: false,
            error: String::new(),
            started_at: NEVER.to_owned(),
            finished_at: NEVER.to_owned(),
            log_lost_bytes: self.lost_of_log(&record.id),
            health: self.health_state(record)?,
        };
        match life {
            Life::Created if restarting => {
                (state.restarting, state.running) = (true, true);
                state.status = "restarting".to_owned();
            }
            Life::Created => {}
            Life::Running(live) => {
                state.paused = self.is_frozen(&record.id)?;
                state.status = if state.paused { "paused" } else { "running" }.to_owned();
                state.running = true;
                state.pid = live.state.init.pid;
                state.monitor_pid = if live.monitored { live.state.monitor.pid } else { 0 };
                state.started_at = moment(live.state.started_ns);
                return Ok(state);
            }
            Life::Stopped(ended) | Life::Gone(ended) => {
                // As everyone who knows Docker's shape expects: such a container counts as one that runs.
                state.restarting = restarting;
                state.running = state.restarting;
                state.status = if state.restarting { "restarting" } else { "exited" }.to_owned();
                state.exit_code = i32::from(ended.record.code);
                state.exit_unknown = ended.unknown;
                state.oom_killed = ended.record.oom_killed;
                if ended.host_restarted {
                    state.error = HOST_RESTARTED.to_owned();
                }
                state.started_at = moment(ended.record.started_ns);
                state.finished_at = moment(ended.record.finished_ns);
            }
        }
        let path = self.store.container_file(&record.id, START_ERROR_FILE);
        if let Some(failed) = load::<StartError>(&path).map_err(|source| Error::file("read", path, source))? {
            // The exit of an earlier run stays what it was.
            if matches!(life, Life::Created) {
                state.exit_code = i32::from(failed.code);
            }
            state.error = failed.error;
        }
        Ok(state)
    }
}

fn graph_driver(record: &Record, folder: &Path) -> GraphDriver {
    let mut data = BTreeMap::new();
    if let Some(root) = record.rootfs.overlays.first() {
        let lowers: Vec<String> = root.lowers.iter().map(|layer| layer.display().to_string()).collect();
        data.insert("LowerDir".to_owned(), lowers.join(":"));
        data.insert("UpperDir".to_owned(), root.upper.display().to_string());
        data.insert("WorkDir".to_owned(), root.work.display().to_string());
        data.insert("MergedDir".to_owned(), folder.join("merged").display().to_string());
    }
    GraphDriver { name: "overlay".to_owned(), data }
}

fn mounts(record: &Record) -> Vec<MountPoint> {
    let point = |bind: &tinyd_engine::BindMount| MountPoint {
        kind: "bind".to_owned(),
        name: String::new(),
        driver: String::new(),
        subpath: String::new(),
        source: bind.source.display().to_string(),
        destination: bind.target.display().to_string(),
        mode: options::words_of_bind(bind).join(","),
        writable: !bind.read_only,
        id_mapped: record.slot.is_some(),
        propagation: bind.propagation.word().to_owned(),
    };
    let volume = |used: &UsedVolume| MountPoint {
        kind: "volume".to_owned(),
        name: used.state.name.clone(),
        source: used.state.path.display().to_string(),
        destination: used.mount.target.display().to_string(),
        driver: used.state.driver.clone(),
        subpath: used.mount.subpath.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        mode: options::words_of_volume(&used.mount).join(","),
        writable: !used.mount.read_only,
        id_mapped: record.slot.is_some(),
        propagation: "rprivate".to_owned(),
    };
    let image = |used: &UsedImage| MountPoint {
        kind: "image".to_owned(),
        name: String::new(),
        driver: String::new(),
        source: used.mount.image.clone(),
        subpath: used.mount.subpath.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        destination: used.mount.target.display().to_string(),
        mode: if used.mount.writable { "rw" } else { "ro" }.to_owned(),
        writable: used.mount.writable,
        id_mapped: record.slot.is_some(),
        propagation: "rprivate".to_owned(),
    };
    let binds = record.spec.binds.iter().map(point);
    binds.chain(record.volumes.iter().map(volume)).chain(record.images.iter().map(image)).collect()
}

fn container_config(record: &Record, bundle: &Spec) -> ContainerConfig {
    let spec = &record.spec;
    let process = bundle.process().as_ref();
    ContainerConfig {
        hostname: record.hostname.clone(),
        user: spec.user.clone().unwrap_or_default(),
        tty: spec.tty,
        open_stdin: spec.interactive,
        env: process.and_then(|process| process.env().clone()).unwrap_or_default(),
        cmd: spec.command.clone(),
        image: spec.image.clone(),
        working_dir: spec.workdir.clone().unwrap_or_else(|| "/".to_owned()),
        entrypoint: spec.entrypoint.clone(),
        labels: spec.labels.clone(),
        stop_signal: spec.stop_signal.unwrap_or(crate::ended::SIGTERM).to_string(),
        stop_timeout: spec.stop_timeout,
        healthcheck: spec.health.as_ref().map(health::config),
        secrets: spec.secrets.iter().map(secret_config).collect(),
    }
}

fn secret_config(secret: &SecretMount) -> SecretConfig {
    let target = secret.target.as_ref().map(|target| target.display().to_string());
    SecretConfig {
        name: secret.name.clone(),
        target: target.unwrap_or_default(),
        uid: secret.uid,
        gid: secret.gid,
        mode: secret.mode.unwrap_or(0o400),
    }
}

/// Those that are not the host's own.
fn namespaces(pid: u32) -> BTreeMap<String, String> {
    let of = |process: &str, kind: &str| std::fs::read_link(format!("/proc/{process}/ns/{kind}")).ok();
    let mut own = BTreeMap::new();
    if pid != 0 {
        for kind in NAMESPACES {
            if let Some(inside) = of(&pid.to_string(), kind)
                && of("self", kind).as_ref() != Some(&inside)
            {
                own.insert(kind.to_owned(), inside.display().to_string());
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use tinyd_engine::BindMount;

    #[test]
    fn root_t20_what_was_asked_for_is_seen() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let mut wanted = spec(place.path(), Some("web"));
        wanted.command = vec!["sh".into(), "-c".into(), "a  b".into()];
        wanted.env = vec!["A=1".into()];
        wanted.resources.memory = Some(64 << 20);
        wanted.binds = vec![BindMount::new("/", "/mnt").read_only()];
        let id = core.create(&wanted).unwrap().id;
        let seen = core.inspect("web").unwrap();
        assert_eq!((seen.id.as_str(), seen.name.as_str()), (id.as_str(), "/web"));
        assert_eq!((seen.path.as_str(), seen.args.join("|")), ("sh", "-c|a  b".to_owned()));
        assert_eq!((seen.state.status.as_str(), seen.state.pid), ("created", 0));
        assert_eq!(seen.state.started_at, NEVER);
        assert_eq!(seen.host_config.memory, 64 << 20);
        assert_eq!(seen.host_config.binds, ["/:/mnt:ro"]);
        assert_eq!(seen.host_config.cgroup_path, format!("/tinyd/{id}"));
        assert!(seen.host_config.masked_paths.contains(&"/proc/kcore".to_owned()));
        assert!(seen.config.env.contains(&"A=1".to_owned()));
        assert!(!seen.mounts[0].writable);
        assert!(seen.graph_driver.data["UpperDir"].ends_with("/upper"));
        assert!(seen.namespaces.is_empty());
        let json = serde_json::to_value(&seen).unwrap_or_default();
        assert_eq!(json["State"]["OOMKilled"], false);
    }
}
