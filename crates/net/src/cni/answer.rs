//! What plugins say (section 5 of the specifications): results, errors, versions. Results of 0.4.0, 1.0.0 and 1.1.0 differ in
//! words that are of no use here: `version` of an address is there in the first alone, `mtu` and its like in the last.

use super::version::Version;
use crate::{Interface, Prefix};
use serde::Deserialize;
use serde_json::Value;
use std::net::IpAddr;

/// Of what a plugin complains, the last so many characters are shown.
const SHOWN: usize = 600;

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Success {
    cni_version: Option<String>,
    interfaces: Vec<Link>,
    ips: Vec<Address>,
    routes: Vec<Route>,
    dns: Dns,
}

#[derive(Deserialize)]
struct Link {
    name: String,
    #[serde(default)]
    mac: String,
    #[serde(default)]
    sandbox: String,
}

#[derive(Deserialize)]
struct Address {
    address: String,
    #[serde(default)]
    gateway: Option<IpAddr>,
    #[serde(default)]
    interface: Option<i64>,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
    #[serde(default)]
    gw: Option<IpAddr>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dns {
    nameservers: Vec<IpAddr>,
}

/// What a container got, as far as an engine wants to know.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Got {
    /// Its links, the one that was asked for first. The hardware address is zero where no plugin told it.
    pub interfaces: Vec<Interface>,
    /// Whom it asks for names.
    pub name_servers: Vec<IpAddr>,
}

/// Reads what ADD said. It is kept as it is, for the plugins that are called later.
pub(super) fn result(said: &[u8], version: Version) -> Result<Value, String> {
    if said.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    let value: Value = serde_json::from_slice(said).map_err(|error| format!("is no JSON: {error}"))?;
    let success = parse(&value)?;
    match success.cni_version {
        Some(other) if other != version.word() => {
            Err(format!("is of version {other:?}, where {version} was asked for"))
        }
        _ => Ok(value),
    }
}

/// What is in a result for the link `interface` of a container.
pub(super) fn got(result: &Value, interface: &str) -> Result<Got, String> {
    let success = parse(result)?;
    let mut interfaces = Vec::new();
    let mut places = Vec::new();
    for (index, link) in success.interfaces.iter().enumerate() {
        // What lies on the host has no sandbox.
        if link.sandbox.is_empty() {
            continue;
        }
        let before = index.checked_sub(1).and_then(|before| success.interfaces.get(before));
        places.push(index);
        interfaces.push(Interface {
            name: link.name.clone(),
            // By custom a pair is told with the host's end first.
            host_link: before.filter(|link| link.sandbox.is_empty()).map(|link| link.name.clone()),
            mac: mac(&link.mac).ok_or_else(|| format!("has the hardware address {:?}", link.mac))?,
            addresses: Vec::new(),
            gateways: Vec::new(),
        });
    }
    if interfaces.is_empty() && !success.ips.is_empty() {
        let name = interface.to_owned();
        interfaces.push(Interface {
            name,
            host_link: None,
            mac: [0; 6],
            addresses: Vec::new(),
            gateways: Vec::new(),
        });
    }
    for ip in &success.ips {
        let address: Prefix = ip.address.parse().map_err(|error| format!("has a wrong address: {error}"))?;
        let at = match ip.interface.and_then(|index| usize::try_from(index).ok()) {
            None => Some(0),
            // One of the host's own is nothing to the container.
            Some(index) => places.iter().position(|place| *place == index),
        };
        let Some(link) = at.and_then(|at| interfaces.get_mut(at)) else { continue };
        link.addresses.push(address);
        if let Some(gateway) = default_route(&success.routes, ip, address) {
            link.gateways.push(gateway);
        }
    }
    interfaces.sort_by_key(|link| link.name != interface);
    Ok(Got { interfaces, name_servers: success.dns.nameservers })
}

/// Where the default route of an address's family goes.
fn default_route(routes: &[Route], ip: &Address, address: Prefix) -> Option<IpAddr> {
    let everywhere = if address.address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    let route = routes.iter().find(|route| route.dst == everywhere)?;
    route.gw.or(ip.gateway)
}

fn parse(value: &Value) -> Result<Success, String> {
    // `null` is what some plugins say for nothing.
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, part| !part.is_null());
    }
    Success::deserialize(value).map_err(|error| format!("makes no sense: {error}"))
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    if text.is_empty() {
        return Some(mac);
    }
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// The code and the words of an error, in one line; `None` for something else.
pub(super) fn refusal(said: &[u8]) -> Option<(u64, String)> {
    let value: Value = serde_json::from_slice(said).ok()?;
    let code = value.get("code")?.as_u64()?;
    let text =
        |key: &str| value.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let words: Vec<_> = [text("msg"), text("details")].into_iter().flatten().collect();
    let words = if words.is_empty() { "no reason was given".to_owned() } else { words.join(": ") };
    Some((code, last_words(words.as_bytes())))
}

/// The versions that a plugin says that it speaks.
pub(super) fn versions(said: &[u8]) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Spoken {
        #[serde(rename = "supportedVersions")]
        versions: Vec<String>,
    }
    let spoken: Spoken = serde_json::from_slice(said).map_err(|error| format!("makes no sense: {error}"))?;
    Ok(spoken.versions)
}

/// The end of a text, in one line.
pub(super) fn last_words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.replace(|c: char| c.is_control() && !c.is_whitespace(), "?");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = line.chars().count().saturating_sub(SHOWN);
    if cut == 0 { line } else { format!("…{}", line.chars().skip(cut).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, version: Version) -> Result<Got, String> {
        got(&result(text.as_bytes(), version)?, "eth0")
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn pure_results_of_each_version_say_the_same() {
        let wanted = Got {
            interfaces: vec![Interface {
                name: "eth0".into(),
                host_link: Some("veth1".into()),
                mac: [2, 0, 0, 0, 0, 0xab],
                addresses: vec![prefix("10.9.0.2/24"), prefix("fd00::2/64")],
                gateways: vec!["10.9.0.1".parse().unwrap(), "fd00::9".parse().unwrap()],
            }],
            name_servers: vec!["10.9.0.1".parse().unwrap()],
        };
        let rest = r#""interfaces": [{"name": "br0", "mac": "02:00:00:00:00:01"}, {"name": "veth1"},
            {"name": "eth0", "mac": "02:00:00:00:00:ab", "sandbox": "/run/netns/x"}],
            "routes": [{"dst": "10.0.0.0/8", "gw": "10.9.0.7"}, {"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::9"}],
            "dns": {"nameservers": ["10.9.0.1"], "search": ["x"]}"#;
        let old = format!(
            r#"{{"cniVersion": "0.4.0", "ips": [
                {{"version": "4", "address": "10.9.0.2/24", "gateway": "10.9.0.1", "interface": 2}},
                {{"version": "6", "address": "fd00::2/64", "gateway": "fd00::1", "interface": 2}}], {rest}}}"#
        );
        assert_eq!(read(&old, Version::V0_4).unwrap(), wanted);
        let newer = old.replace(r#""version": "4", "#, "").replace(r#""version": "6", "#, "");
        assert_eq!(read(&newer.replace("0.4.0", "1.0.0"), Version::V1_0).unwrap(), wanted);
        let newest = newer
            .replace("0.4.0", "1.1.0")
            .replace(r#""name": "eth0","#, r#""name": "eth0", "mtu": 1500, "socketPath": "", "pciID": "","#)
            .replace(
                r#"{"dst": "0.0.0.0/0"}"#,
                r#"{"dst": "0.0.0.0/0", "mtu": 1400, "table": 254, "scope": 0}"#,
            );
        assert_eq!(read(&newest, Version::V1_1).unwrap(), wanted);
    }

    #[test]
    fn pure_what_belongs_to_the_host_is_not_the_containers() {
        let text = r#"{"cniVersion": "1.0.0", "interfaces": [{"name": "br0"}, {"name": "net1", "sandbox": "x"},
            {"name": "eth0", "sandbox": "x"}], "ips": [{"address": "10.9.0.1/24", "interface": 0},
            {"address": "10.9.0.3/24", "interface": 1}, {"address": "10.9.0.2/24", "interface": 2}], "dns": null}"#;
        let got = read(text, Version::V1_0).unwrap();
        let seen: Vec<_> =
            got.interfaces.iter().map(|link| (link.name.as_str(), link.addresses[0].to_string())).collect();
        assert_eq!(seen, [("eth0", "10.9.0.2/24".to_owned()), ("net1", "10.9.0.3/24".to_owned())]);
        assert!(got.interfaces.iter().all(|link| link.gateways.is_empty()), "there is no default route");
    }

    #[test]
    fn pure_addresses_without_a_link_are_the_containers() {
        let got = read(r#"{"ips": [{"address": "10.9.0.2/24"}]}"#, Version::V1_0).unwrap();
        assert_eq!((got.interfaces[0].name.as_str(), got.interfaces[0].mac), ("eth0", [0; 6]));
        assert_eq!(got.interfaces[0].addresses, [prefix("10.9.0.2/24")]);
        assert_eq!(read("{}", Version::V1_0).unwrap(), Got::default());
    }

    #[test]
    fn pure_results_that_make_no_sense_are_refused() {
        for (text, part) in [
            ("  \n", "is empty"),
            ("hello", "is no JSON"),
            (
                r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.9.0.2/24"}}"#,
                "is of version \"0.2.0\", where 1.0.0",
            ),
            (r#"{"ips": [{"address": "10.9.0.2"}]}"#, "wrong address"),
            (r#"{"ips": [{}]}"#, "makes no sense"),
            (r#"{"interfaces": [{"name": "eth0", "sandbox": "x", "mac": "zz"}]}"#, "hardware address \"zz\""),
            (
                r#"{"interfaces": [{"name": "eth0", "sandbox": "x", "mac": "02:00:00:00:00:01:02"}]}"#,
                "hardware",
            ),
        ] {
            let problem = read(text, Version::V1_0).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn pure_errors_and_versions_are_read() {
        let said =
            refusal(br#"{"code": 11, "msg": "try again", "details": "later\nthan now\u0007"}"#).unwrap();
        assert_eq!(said, (11, "try again: later than now?".to_owned()));
        assert_eq!(refusal(br#"{"code": 100}"#).unwrap().1, "no reason was given");
        assert_eq!(refusal(b"{}"), None);
        assert_eq!(refusal(b"panic: x"), None);
        let long = "x".repeat(SHOWN) + "y";
        assert_eq!(last_words(long.as_bytes()).chars().count(), SHOWN + 1);
        assert!(last_words(long.as_bytes()).starts_with("…x") && last_words(long.as_bytes()).ends_with("xy"));
        let said = br#"{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}"#;
        assert_eq!(versions(said).unwrap(), ["0.4.0", "1.0.0"]);
        assert!(versions(b"{}").is_err());
    }
}
