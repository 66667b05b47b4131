//! The OCI bundle of a container: its `config.json`, which any OCI runtime can take.

mod devices;
pub(crate) mod etc;
mod hidden;
mod linux;
pub(crate) mod mounts;
mod process;

use crate::capabilities;
use crate::devices::{self as host_devices, Node};
use crate::error::{Error, Result};
use crate::store::Record;
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder, RootBuilder, Spec};
use std::collections::HashMap;
use std::path::Path;
use tinyd_cgroup::DeviceRule;
use tinyd_engine::{ContainerSpec, Resources};
use tinyd_ns::caps::CapSet;
use tinyd_runtime::annotation;

/// The version of the runtime specification that bundles are written for.
pub(crate) const OCI_VERSION: &str = "1.2.0";

/// What a bundle depends on besides the container's record.
pub(crate) struct Host {
    /// The capabilities of the container.
    pub capabilities: CapSet,
    /// The paths that show nothing inside.
    pub masked: Vec<String>,
    /// The devices that it is given.
    pub devices: Vec<Node>,
    /// Which devices it may use; none where this host cannot say so.
    pub device_rules: Vec<DeviceRule>,
}

impl Host {
    /// Looks at this host for a container.
    pub(crate) fn detect(spec: &ContainerSpec) -> Result<Self> {
        // What the engine itself may not have it cannot give.
        let capabilities = capabilities::of(&spec.security, CapSet::bounding())?;
        let privileged = spec.security.privileged;
        let mut nodes = if privileged { host_devices::all()? } else { Vec::new() };
        nodes.extend(host_devices::nodes(&spec.devices)?);
        Ok(Self {
            capabilities,
            masked: if privileged { Vec::new() } else { hidden::masked_here() },
            device_rules: devices::rules(&nodes, capabilities, privileged),
            devices: nodes,
        })
    }
}

/// The `config.json` of a container whose folder is `folder`.
pub(crate) fn config(record: &Record, folder: &Path, host: &Host) -> Result<Vec<u8>> {
    let failed = |part| move |source| Error::Bundle { part, source };
    let spec = &record.spec;
    let mut config = Spec::default();
    config.set_version(OCI_VERSION.to_owned());
    let root = RootBuilder::default().path("merged").readonly(spec.read_only).build();
    config.set_root(Some(root.map_err(|error| failed("root")(error.into()))?));
    config.set_hostname(Some(record.hostname.clone()));
    config.set_process(Some(process::process(record, host)?));
    config.set_mounts(Some(mounts::mounts(record, folder)));
    config.set_linux(Some(linux::linux(record, host)?));
    config.set_annotations(annotations(record)?);
    serde_json::to_vec(&config).map_err(|error| failed("text")(error.into()))
}

/// The bundle of a container.
pub(crate) fn read(path: &Path) -> Result<Spec> {
    let json = std::fs::read(path).map_err(|source| Error::file("read", path, source))?;
    serde_json::from_slice(&json).map_err(|source| Error::Record { path: path.to_owned(), source })
}

/// A bundle's configuration with other limits.
pub(crate) fn with_limits(text: &[u8], limits: &Resources) -> Result<Spec> {
    let failed = |source: serde_json::Error| Error::Bundle { part: "limits", source: source.into() };
    let mut config: Spec = serde_json::from_slice(text).map_err(failed)?;
    if let Some(linux) = config.linux_mut() {
        let devices = linux.resources().as_ref().and_then(|old| old.devices().clone());
        let mut resources = linux::resources(limits)?;
        resources.set_devices(devices);
        linux.set_resources(Some(resources));
    }
    Ok(config)
}

fn annotations(record: &Record) -> Result<Option<HashMap<String, String>>> {
    let mut all = HashMap::new();
    if let Some(text) = &record.spec.user {
        let user = crate::validate::User::parse(text)?;
        // With both numbers there is nothing left to look up.
        if user.uid.is_none() || user.gid.is_none() {
            all.insert(annotation::USER.to_owned(), text.clone());
        }
    }
    if record.spec.init {
        all.insert(annotation::INIT.to_owned(), "true".to_owned());
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// The container's ids on the host; `None` without a user namespace.
fn id_map(record: &Record) -> Option<Vec<LinuxIdMapping>> {
    // A builder without rules of its own cannot fail; if it did, there would be no map, and so no container.
    let map = LinuxIdMappingBuilder::default()
        .container_id(0u32)
        .host_id(record.id_base()?)
        .size(crate::ids::RANGE);
    map.build().ok().map(|map| vec![map])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{record_with, store};
    use serde_json::{Value, json};
    use tinyd_engine::BindMount;
    use tinyd_net::Namespace;

    fn make(record: &Record) -> Value {
        let host = Host {
            capabilities: CapSet::DEFAULT,
            masked: hidden::masked("0-1", true),
            devices: Vec::new(),
            device_rules: devices::rules(&[], CapSet::DEFAULT, false),
        };
        serde_json::from_slice(&config(record, Path::new("/c"), &host).unwrap()).unwrap()
    }

    #[test]
    fn pure_the_plain_container() {
        let (_place, store) = store();
        let record = record_with(&store, |_| {});
        let config = make(&record);
        assert_eq!(config["ociVersion"], "1.2.0");
        assert_eq!(config["root"], json!({"path": "merged", "readonly": false}));
        assert_eq!(config["hostname"], "box");
        assert_eq!(config["process"]["args"], json!(["true"]));
        assert_eq!(config["process"]["cwd"], "/");
        assert_eq!(config["process"]["user"], json!({"uid": 0, "gid": 0}));
        assert_eq!(config["process"]["noNewPrivileges"], false);
        assert_eq!(config["process"]["terminal"], false);
        assert_eq!(config["process"].get("rlimits"), None);
        assert_eq!(config["process"].get("oomScoreAdj"), None);
        assert_eq!(
            config["process"]["env"],
            json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box"])
        );
        let caps = &config["process"]["capabilities"];
        let sorted = |set: &str| {
            let mut names: Vec<String> = serde_json::from_value(caps[set].clone()).unwrap();
            names.sort();
            names
        };
        assert!(sorted("bounding").contains(&"CAP_CHOWN".to_owned()));
        assert_eq!(sorted("bounding"), sorted("effective"));
        assert_eq!(sorted("bounding"), sorted("permitted"));
        assert_eq!(sorted("inheritable"), sorted("ambient"));
        assert_eq!(sorted("ambient"), Vec::<String>::new());
        let linux = &config["linux"];
        assert_eq!(linux["cgroupsPath"], format!("/tinyd/{}", record.id));
        assert_eq!(linux["resources"]["pids"], json!({"limit": 2048}));
        let rules = linux["resources"]["devices"].as_array().unwrap();
        assert_eq!(rules[0], json!({"allow": false, "access": "rwm"}));
        assert_eq!(rules[1], json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}));
        assert!(rules[1..].iter().all(|rule| rule["allow"] == true && rule["type"] == "c"));
        assert_eq!(linux["resources"].as_object().unwrap().len(), 2);
        let kinds: Vec<&str> =
            linux["namespaces"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["pid", "mount", "uts", "ipc", "cgroup", "network"]);
        assert_eq!(linux.get("uidMappings"), None);
        assert_eq!(linux["sysctl"]["net.ipv4.ip_unprivileged_port_start"], "0");
        assert_eq!(linux["sysctl"]["net.ipv4.ping_group_range"], "0 2147483647");
        assert!(linux["seccomp"]["defaultAction"].as_str().unwrap().starts_with("SCMP_ACT_"));
        assert_eq!(linux.get("devices"), None);
        assert_eq!(config.get("annotations"), None);
        let targets: Vec<&str> = config["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["destination"].as_str().unwrap())
            .collect();
        assert_eq!(
            targets,
            [
                "/proc",
                "/dev",
                "/dev/pts",
                "/sys",
                "/sys/fs/cgroup",
                "/dev/mqueue",
                "/dev/shm",
                "/etc/resolv.conf",
                "/etc/hostname",
                "/etc/hosts",
            ]
        );
    }

    #[test]
    fn pure_a_user_namespace_maps_everything() {
        let (_place, store) = store();
        let record = record_with(&store, |record| {
            record.slot = Some(2);
            record.spec.binds = vec![BindMount::new("/data", "/mnt").read_only()];
        });
        let config = make(&record);
        let map = json!([{"hostID": 0x1002_0000, "containerID": 0, "size": 65536}]);
        assert_eq!(config["linux"]["uidMappings"], map);
        assert_eq!(config["linux"]["gidMappings"], map);
        assert_eq!(config["linux"]["sysctl"]["net.ipv4.ping_group_range"], "0 65535");
        let mounts = config["mounts"].as_array().unwrap();
        let binds: Vec<&Value> = mounts.iter().filter(|one| one["type"] == "bind").collect();
        assert_eq!(binds.len(), 4);
        assert!(binds.iter().all(|one| one["uidMappings"] == map && one["gidMappings"] == map));
        assert_eq!(binds[3]["options"], json!(["rbind", "rprivate", "rro", "ridmap"]));
        assert!(
            mounts.iter().filter(|one| one["type"] != "bind").all(|one| one.get("uidMappings").is_none())
        );
        let last = config["linux"]["namespaces"].as_array().unwrap().last().unwrap()["type"].clone();
        assert_eq!(last, "user");
    }

    #[test]
    fn pure_the_hosts_network_has_no_settings_of_its_own() {
        let (_place, store) = store();
        let host = |slot| {
            let record = record_with(&store, |record| {
                record.netns = Namespace::Host;
                record.slot = slot;
            });
            make(&record)
        };
        let plain = host(None);
        assert_eq!(plain["linux"].get("sysctl"), None);
        assert!(!plain["linux"]["namespaces"].to_string().contains("network"));
        let sys = |config: &Value| {
            config["mounts"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["destination"] == "/sys")
                .unwrap()
                .clone()
        };
        assert_eq!(sys(&plain)["type"], "sysfs");
        // sysfs belongs to the network namespace's owner, which is not this user namespace.
        assert_eq!(sys(&host(Some(0)))["source"], "/sys");
    }

    #[test]
    fn pure_users_and_limits() {
        let (_place, store) = store();
        let user = |text: &str| {
            let config = make(&record_with(&store, |record| record.spec.user = Some(text.to_owned())));
            (config["process"]["user"].clone(), config["annotations"][annotation::USER].clone())
        };
        assert_eq!(user("7:8"), (json!({"uid": 7, "gid": 8}), Value::Null));
        assert_eq!(user("7"), (json!({"uid": 7, "gid": 0}), json!("7")));
        // A runtime that does not know the annotation must not make root of a name.
        assert_eq!(user("web:8"), (json!({"uid": 65534, "gid": 8}), json!("web:8")));
        assert_eq!(user("0:web"), (json!({"uid": 0, "gid": 65534}), json!("0:web")));
        let record = record_with(&store, |record| {
            record.spec.resources = Resources {
                cpu_quota: Some(25_000),
                cpu_period: None,
                cpu_shares: Some(512),
                memory: Some(64 << 20),
                pids: Some(-1),
                ..Default::default()
            };
        });
        let mut limits = make(&record)["linux"]["resources"].clone();
        limits.as_object_mut().unwrap().remove("devices");
        assert_eq!(
            limits,
            json!({"memory": {"limit": 64 << 20}, "cpu": {"shares": 512, "quota": 25000, "period": 100_000}})
        );
    }
}
