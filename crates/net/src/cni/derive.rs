//! What a plugin is told: its own part of the configuration, with what the specification says is put in and taken out
//! (section 3, deriving execution configuration from plugin configuration).

use super::config::{List, Plugin};
use super::version::Version;
use crate::{EndpointSpec, PublishedPort};
use serde_json::{Map, Value, json};

/// The capabilities by which plugins take what a container wants. They are conventions and not part of the specification.
pub(super) mod capability {
    pub(in crate::cni) const PORTS: &str = "portMappings";
    pub(in crate::cni) const ADDRESSES: &str = "ips";
    pub(in crate::cni) const MAC: &str = "mac";
    pub(in crate::cni) const ALIASES: &str = "aliases";
}

/// What is put in for one operation.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    /// What the container wants, by capability.
    pub wanted: Option<&'a Map<String, Value>>,
    /// The result of whoever was before.
    pub previous: Option<&'a Value>,
    /// For GC: the attachments that are there.
    pub valid: Option<&'a Value>,
}

/// The configuration for one call of a plugin.
pub(super) fn config(list: &List, plugin: &Plugin, version: Version, extra: Extra<'_>) -> Value {
    let mut object = plugin.object.clone();
    object.remove("capabilities");
    // They are ours to give.
    object.retain(|key, _| {
        !["runtimeConfig", "prevResult"].contains(&key.as_str()) && !key.starts_with("cni.dev/")
    });
    object.insert("cniVersion".to_owned(), version.word().into());
    object.insert("name".to_owned(), list.name.clone().into());
    if let Some(wanted) = extra.wanted {
        let taken: Map<_, _> = wanted.clone().into_iter().filter(|(key, _)| plugin.takes(key)).collect();
        if !taken.is_empty() {
            object.insert("runtimeConfig".to_owned(), taken.into());
        }
        if let Some(addresses) = wanted.get(capability::ADDRESSES)
            && !list.plugins.iter().any(|one| one.takes(capability::ADDRESSES))
        {
            add_args(&mut object, addresses);
        }
    }
    if let Some(previous) = extra.previous {
        object.insert("prevResult".to_owned(), previous.clone());
    }
    if let Some(valid) = extra.valid {
        object.insert("cni.dev/valid-attachments".to_owned(), valid.clone());
    }
    object.into()
}

/// The older way to ask for addresses, which nobody has to declare and nobody has to heed: `args.cni.ips`.
fn add_args(object: &mut Map<String, Value>, addresses: &Value) {
    let args = object.entry("args").or_insert_with(|| json!({}));
    if let Some(args) = args.as_object_mut() {
        let cni = args.entry("cni").or_insert_with(|| json!({}));
        if let Some(cni) = cni.as_object_mut() {
            cni.insert("ips".to_owned(), addresses.clone());
        }
    }
}

/// What a container wants, by capability.
pub(super) fn wanted(endpoint: &EndpointSpec, ports: &[PublishedPort]) -> Map<String, Value> {
    let mut wanted = Map::new();
    if !ports.is_empty() {
        wanted.insert(capability::PORTS.to_owned(), ports.iter().map(mapping).collect());
    }
    if !endpoint.addresses.is_empty() {
        let addresses: Vec<_> = endpoint.addresses.iter().map(ToString::to_string).collect();
        wanted.insert(capability::ADDRESSES.to_owned(), addresses.into());
    }
    if let Some(mac) = endpoint.mac {
        wanted.insert(capability::MAC.to_owned(), mac.map(|byte| format!("{byte:02x}")).join(":").into());
    }
    if !endpoint.names.is_empty() {
        wanted.insert(capability::ALIASES.to_owned(), endpoint.names.clone().into());
    }
    wanted
}

fn mapping(port: &PublishedPort) -> Value {
    let mut mapping = json!({
        "hostPort": port.host_port,
        "containerPort": port.container_port,
        "protocol": port.protocol.to_string(),
    });
    // Every address of the host is what a plugin understands by none.
    if let Some(host) = port.host.filter(|host| !host.is_unspecified()) {
        mapping["hostIP"] = host.to_string().into();
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn list(plugins: &str) -> List {
        let text = format!(r#"{{"cniVersion": "0.4.0", "name": "web", "plugins": [{plugins}]}}"#);
        List::parse(&text, "test").unwrap()
    }

    fn endpoint() -> EndpointSpec {
        EndpointSpec {
            container: "c1".into(),
            addresses: vec!["10.9.0.7".parse().unwrap()],
            mac: Some([2, 0, 0xab, 0, 0, 1]),
            names: vec!["db".into(), "c1".into()],
            ports: vec![
                PublishedPort { host: None, host_port: 8080, container_port: 80, protocol: Protocol::Tcp },
                PublishedPort {
                    host: Some("127.0.0.1".parse().unwrap()),
                    host_port: 53,
                    container_port: 5353,
                    protocol: Protocol::Udp,
                },
            ],
            ..Default::default()
        }
    }

    #[test]
    fn pure_each_plugin_gets_what_it_declares_and_the_rest_of_its_words_unchanged() {
        let list = list(
            r#"{"type": "a", "x": [1, {"y": null}], "capabilities": {"ips": true, "mac": true, "aliases": false}},
               {"type": "b", "capabilities": {"portMappings": true, "bandwidth": true}},
               {"type": "c", "runtimeConfig": {"forged": 1}, "prevResult": {"forged": 1}, "cni.dev/x": 1}"#,
        );
        let wanted = wanted(&endpoint(), &endpoint().ports);
        let previous = json!({"ips": []});
        let extra = Extra { wanted: Some(&wanted), previous: None, valid: None };
        let told = |index: usize, extra| config(&list, &list.plugins[index], Version::V1_0, extra);
        assert_eq!(
            told(0, extra),
            json!({
                "cniVersion": "1.0.0", "name": "web", "type": "a", "x": [1, {"y": null}],
                "runtimeConfig": {"ips": ["10.9.0.7"], "mac": "02:00:ab:00:00:01"},
            })
        );
        assert_eq!(
            told(1, Extra { previous: Some(&previous), ..extra }),
            json!({
                "cniVersion": "1.0.0", "name": "web", "type": "b", "prevResult": {"ips": []},
                "runtimeConfig": {"portMappings": [
                    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                    {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "127.0.0.1"},
                ]},
            })
        );
        assert_eq!(told(2, extra), json!({"cniVersion": "1.0.0", "name": "web", "type": "c"}));
        let valid = json!([{"containerID": "c1", "ifname": "eth0"}]);
        let told = told(2, Extra { valid: Some(&valid), ..Default::default() });
        assert_eq!(told["cni.dev/valid-attachments"], valid);
    }

    #[test]
    fn pure_addresses_that_nobody_declares_are_asked_for_in_the_older_way() {
        let list = list(r#"{"type": "a", "args": {"cni": {"labels": []}, "other": 1}}"#);
        let wanted = wanted(&endpoint(), &[]);
        let told = config(
            &list,
            &list.plugins[0],
            Version::V0_4,
            Extra { wanted: Some(&wanted), ..Default::default() },
        );
        assert_eq!(
            told,
            json!({
                "cniVersion": "0.4.0", "name": "web", "type": "a",
                "args": {"cni": {"labels": [], "ips": ["10.9.0.7"]}, "other": 1},
            })
        );
    }

    #[test]
    fn pure_a_single_plugin_keeps_its_name() {
        let text = r#"{"cniVersion": "0.4.0", "cniVersions": ["1.1.0"], "name": "lan", "type": "ptp"}"#;
        let list = List::parse(text, "test").unwrap();
        let told = config(&list, &list.plugins[0], list.versions[0], Extra::default());
        assert_eq!(
            (&told["name"], &told["cniVersion"], &told["type"]),
            (&"lan".into(), &"1.1.0".into(), &"ptp".into())
        );
    }

    #[test]
    fn pure_who_wants_nothing_asks_for_nothing() {
        assert!(wanted(&EndpointSpec::default(), &[]).is_empty());
    }
}
