//! Configurations and answers of CNI plugins, and what is kept of networks: administrators, plugins and other versions of
//! ours write them.

use serde_json::{Map, Value};
use tinyd_net::names::ServerSpec;
use tinyd_net::{EndpointState, NetworkState, fuzzing};

use crate::protocol::json;

/// What plugins are told and did not say.
const OURS: [&str; 6] = ["name", "cniVersion", "capabilities", "runtimeConfig", "prevResult", "args"];

/// Longest complaint that is shown, in characters.
const SHOWN: usize = 601;

/// Reads a document as each of them.
pub fn cni(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        config(text);
        if let Some((container, link)) = fuzzing::attachment(text) {
            assert!(!container.is_empty() && !container.starts_with('.'), "{container:?}");
            assert_eq!(format!("{container}@{link}.json"), text);
        }
    }
    answer(data);
    if let Some((written, result)) = fuzzing::record(data) {
        let (_, again) = fuzzing::record(&written).expect("a record can be read again");
        assert!(alike(&again.into(), &result.into()));
    }
    json::<NetworkState>(data);
    json::<EndpointState>(data);
    json::<ServerSpec>(data);
}

fn config(text: &str) {
    let Ok(facts) = fuzzing::plan(text) else { return };
    assert_eq!(fuzzing::plan(text).expect("the same again"), facts);
    assert!(!facts.versions.is_empty() && !facts.told.is_empty());
    assert!(facts.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)));
    for program in &facts.programs {
        assert!(!program.is_empty() && !program.contains(['/', '\0']), "{program:?}");
        assert!(program != "." && program != "..");
    }
    let whole: Value = serde_json::from_str(text).expect("it was read");
    let plugins = match &whole["plugins"] {
        Value::Array(plugins) => plugins.clone(),
        _ => vec![whole.clone()],
    };
    assert_eq!(plugins.len(), facts.told.len(), "each is told something");
    for (plugin, told) in plugins.iter().zip(&facts.told) {
        let told: Value = serde_json::from_slice(told).expect("a plugin can read it");
        let (plugin, told) = (plugin.as_object().expect("an object"), told.as_object().expect("an object"));
        assert_eq!((&told["name"], &told["cniVersion"]), (&whole["name"], &facts.versions[0].into()));
        assert_eq!(told["prevResult"], serde_json::json!({ "ips": [] }), "the result before, and no other");
        assert!(!told.contains_key("capabilities"));
        // Only what it takes, of what there is.
        let given = told.get("runtimeConfig").and_then(Value::as_object).cloned().unwrap_or_default();
        for (capability, value) in given {
            assert!(["ips", "mac", "aliases"].contains(&capability.as_str()) && !value.is_null());
            assert_eq!(plugin["capabilities"][capability], true);
        }
        let (told, own) = (others(told), others(plugin));
        assert!(alike(&told, &own), "its own words are left alone: {told} {own}");
    }
}

/// Whether two documents say the same. The last digit of a number with sixteen of them or more may be another one: what reads
/// them is not exact without its feature `float_roundtrip`.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            _ if one == other => true,
            (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 1e-15,
            _ => false,
        },
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |((key, one), (other_key, other))| key == other_key && alike(one, other);
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        _ => one == other,
    }
}

/// The words that are the plugin's own.
fn others(object: &Map<String, Value>) -> Value {
    let is_own = |key: &str| !OURS.contains(&key) && !key.starts_with("cni.dev/");
    object.iter().filter(|(key, _)| is_own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn answer(said: &[u8]) {
    if let Ok(kept) = fuzzing::result(said) {
        // It is written into a file, and told to the plugins that are called later.
        let written = kept.to_string();
        let again = fuzzing::result(written.as_bytes()).expect("what was kept can be read");
        assert!(alike(&again, &kept), "{again} {kept}");
        if let Ok((links, servers)) = fuzzing::got(&kept, "eth0") {
            assert_eq!(fuzzing::got(&kept, "eth0"), Ok((links.clone(), servers)));
            let first = links.first().is_none_or(|link| link.name == "eth0");
            assert!(
                first || links.iter().all(|link| link.name != "eth0"),
                "the one that was asked for is first"
            );
            for address in links.iter().flat_map(|link| &link.addresses) {
                assert_eq!(address.to_string().parse().as_ref(), Ok(address));
            }
        }
    }
    let (refusal, words) = fuzzing::refusal(said);
    for line in [refusal.map(|(_, words)| words), Some(words)].into_iter().flatten() {
        assert!(line.chars().count() <= SHOWN && !line.contains(char::is_control), "{line:?}");
    }
    let _ = fuzzing::versions(said);
}
