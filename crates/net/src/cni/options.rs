//! What a network of plugins can be made with, and what is recorded of it.

use super::config::{List, check_name};
use super::find::Found;
use super::version::Version;
use crate::{Error, NetworkSpec, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where configurations are.
const CONF_FOLDER: &str = "/etc/cni/net.d";

/// Where plugins are: by custom, and with Debian's package.
const BIN_FOLDERS: &str = "/opt/cni/bin:/usr/lib/cni";

const CONFIG: &str = "config";
const CONF_DIR: &str = "conf-dir";
const BIN_DIR: &str = "bin-dir";
const GC: &str = "gc";
/// What no user gives: the configuration itself, and the version that was chosen.
const LIST: &str = "list";
const VERSION: &str = "cni-version";

/// A network that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The name of a list, or a file.
    pub config: String,
    /// Where lists are looked for by name.
    pub conf_folder: PathBuf,
    /// Where plugins are.
    pub bin_folders: Vec<PathBuf>,
    /// The list is nobody else's on this host: what plugins hold for others is garbage.
    pub gc: bool,
}

/// A network that was made.
pub(super) struct Made {
    pub list: List,
    pub version: Version,
    pub folders: Vec<PathBuf>,
    pub gc: bool,
}

/// Reads what is asked for. The list says all that a driver could choose: nothing of it can be asked for besides.
pub(super) fn wanted(spec: &NetworkSpec) -> Result<Wanted> {
    let invalid = |what: &str, problem: String| Error::Invalid {
        network: spec.name.clone(),
        what: what.to_owned(),
        problem: problem.into(),
    };
    check_name(&spec.name).map_err(|problem| invalid("its name", problem.to_owned()))?;
    let chosen = [
        ("a subnet", !spec.subnets.is_empty()),
        ("a gateway", !spec.gateways.is_empty()),
        ("a range of addresses", !spec.ranges.is_empty()),
        ("an excluded address", !spec.excluded.is_empty()),
        ("IPv6", spec.ipv6.is_some()),
        ("the MTU", spec.mtu.is_some()),
        ("'internal'", spec.internal),
    ];
    if let Some((what, _)) = chosen.iter().find(|(_, is)| *is) {
        return Err(invalid(what, "cannot be chosen here: the list of plugins says it".to_owned()));
    }
    let known = [CONFIG, CONF_DIR, BIN_DIR, GC];
    if let Some(option) = spec.options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(invalid(&format!("the option {option:?}"), format!("is none of {}", known.join(", "))));
    }
    let option = |key: &str| spec.options.get(key).map(String::as_str);
    let gc = match option(GC) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(invalid(&format!("the option gc={other}"), "is neither true nor false".into()));
        }
    };
    let config = option(CONFIG).unwrap_or(&spec.name);
    let conf_folder = Path::new(option(CONF_DIR).unwrap_or(CONF_FOLDER));
    let mut bin_folders = Vec::new();
    for folder in option(BIN_DIR).unwrap_or(BIN_FOLDERS).split(':') {
        // Plugins and monitors have another working folder.
        if !folder.starts_with('/') {
            let problem = "is no path from the root: FOLDER[:FOLDER] is wanted".to_owned();
            return Err(invalid(&format!("the folder {folder:?} of the option bin-dir"), problem));
        }
        bin_folders.push(PathBuf::from(folder));
    }
    if config.is_empty() {
        return Err(invalid("the option config", "is empty".to_owned()));
    }
    Ok(Wanted { config: config.to_owned(), conf_folder: conf_folder.to_owned(), bin_folders, gc })
}

/// What is recorded of a network: all that is needed when its file has changed or is gone.
pub(super) fn record(wanted: &Wanted, found: &Found, version: Version) -> BTreeMap<String, String> {
    let folders: Vec<_> = wanted.bin_folders.iter().map(|folder| folder.to_string_lossy()).collect();
    let path = std::path::absolute(&found.path).unwrap_or_else(|_| found.path.clone());
    let all = [
        (CONFIG, path.to_string_lossy().into_owned()),
        (BIN_DIR, folders.join(":")),
        (GC, wanted.gc.to_string()),
        (LIST, found.text.clone()),
        (VERSION, version.to_string()),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Reads what [`record`] wrote.
pub(super) fn made(network: &NetworkSpec) -> Result<Made> {
    let option = |key: &str| network.options.get(key).map(String::as_str).unwrap_or_default();
    let list = List::parse(option(LIST), option(CONFIG)).map_err(super::error_of(network))?;
    let version = Version::parse(option(VERSION)).ok_or_else(|| Error::Invalid {
        network: network.name.clone(),
        what: format!("the recorded version {:?}", option(VERSION)),
        problem: "is not spoken here".into(),
    })?;
    let folders = option(BIN_DIR).split(':').map(PathBuf::from).collect();
    Ok(Made { list, version, folders, gc: option(GC) == "true" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(options: &[(&str, &str)]) -> NetworkSpec {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        NetworkSpec { options: options.collect(), ..NetworkSpec::named("web") }
    }

    #[test]
    fn pure_what_is_not_said_is_the_custom() {
        let seen = wanted(&spec(&[])).unwrap();
        assert_eq!(
            (seen.config.as_str(), seen.conf_folder.to_str(), seen.gc),
            ("web", Some(CONF_FOLDER), false)
        );
        assert_eq!(seen.bin_folders, ["/opt/cni/bin", "/usr/lib/cni"].map(PathBuf::from));
        let options = [("config", "lan"), ("conf-dir", "/a"), ("bin-dir", "/b:/c"), ("gc", "true")];
        let seen = wanted(&spec(&options)).unwrap();
        assert_eq!((seen.config.as_str(), seen.conf_folder.to_str(), seen.gc), ("lan", Some("/a"), true));
        assert_eq!(seen.bin_folders, ["/b", "/c"].map(PathBuf::from));
    }

    #[test]
    fn pure_what_cannot_be_chosen_is_named() {
        let said = |spec: &NetworkSpec| wanted(spec).unwrap_err().to_string();
        let web = || spec(&[]);
        let subnets = vec!["10.9.0.0/24".parse().unwrap()];
        assert!(
            said(&NetworkSpec { subnets: subnets.clone(), ..web() }).contains("a subnet cannot be chosen")
        );
        assert!(said(&NetworkSpec { ranges: subnets, ..web() }).contains("a range"));
        assert!(
            said(&NetworkSpec { gateways: vec!["10.9.0.1".parse().unwrap()], ..web() }).contains("a gateway")
        );
        assert!(said(&NetworkSpec { ipv6: Some(false), ..web() }).contains("IPv6"));
        assert!(said(&NetworkSpec { mtu: Some(1400), ..web() }).contains("the MTU"));
        assert!(said(&NetworkSpec { internal: true, ..web() }).contains("'internal'"));
        assert!(said(&NetworkSpec::named("a/b")).contains("its name is none"));
        assert!(
            said(&spec(&[("colour", "blue")]))
                .contains("\"colour\" is none of config, conf-dir, bin-dir, gc")
        );
        // Ours alone.
        assert!(said(&spec(&[("list", "{}")])).contains("\"list\""));
        assert!(said(&spec(&[("gc", "yes")])).contains("gc=yes"));
        assert!(said(&spec(&[("bin-dir", "/a:b")])).contains("\"b\""));
        assert!(said(&spec(&[("bin-dir", "")])).contains("bin-dir"));
        assert!(said(&spec(&[("config", "")])).contains("config"));
    }

    #[test]
    fn pure_a_record_is_read_as_it_was_written() {
        let text = r#"{"cniVersion": "0.4.0", "name": "lan", "type": "bridge"}"#;
        let found =
            Found { path: "/x/y.conf".into(), text: text.into(), list: List::parse(text, "").unwrap() };
        let wanted = wanted(&spec(&[("bin-dir", "/b:/c"), ("gc", "true")])).unwrap();
        let options = record(&wanted, &found, Version::V0_4);
        let made = made(&NetworkSpec { options, ..NetworkSpec::named("web") }).unwrap();
        assert_eq!((made.list, made.version, made.gc), (found.list, Version::V0_4, true));
        assert_eq!(made.folders, wanted.bin_folders);
        assert!(super::made(&spec(&[])).is_err());
    }
}
