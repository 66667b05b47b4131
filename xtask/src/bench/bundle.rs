//! Bundles for the peers.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::shell;

/// A bundle as the peer itself would write it, with our root and our command.
pub(super) fn make(program: &str, bundle: &Path, image: &Path, command: &[&str], userns: bool) -> Result<()> {
    fs::create_dir_all(bundle).with_context(|| format!("cannot make {}", bundle.display()))?;
    shell::read(Command::new(program).arg("spec").current_dir(bundle))?;
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = serde_json::from_str(&text).context("a bundle's config is no JSON")?;
    let config = adapted(config, image, command, userns);
    fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

fn adapted(mut config: Value, image: &Path, command: &[&str], userns: bool) -> Value {
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(command);
    // Root here may lack CAP_SYS_RESOURCE, and then no limit can be raised.
    if let Some(process) = config["process"].as_object_mut() {
        process.remove("rlimits");
    }
    config["root"] = json!({"path": image, "readonly": false});
    let mut kinds = vec!["pid", "network", "ipc", "uts", "mount", "cgroup"];
    if userns {
        kinds.push("user");
        let map = json!([{"containerID": 0, "hostID": 1_000_000, "size": 65536}]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
    }
    config["linux"]["namespaces"] = kinds.into_iter().map(|kind| json!({"type": kind})).collect();
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_gets_the_root_the_command_and_the_namespaces() {
        let config = json!({"process": {"terminal": true, "rlimits": []}, "linux": {"namespaces": []}});
        let plain = adapted(config.clone(), Path::new("/image"), &["/bin/true"], false);
        assert_eq!(plain["root"]["path"], "/image");
        assert_eq!(plain["process"]["args"], json!(["/bin/true"]));
        assert_eq!(plain["linux"]["namespaces"].as_array().unwrap().len(), 6);
        assert!(plain["linux"].get("uidMappings").is_none());
        let mapped = adapted(config, Path::new("/image"), &["/bin/true"], true);
        assert_eq!(mapped["linux"]["namespaces"].as_array().unwrap().len(), 7);
        assert_eq!(mapped["linux"]["uidMappings"][0]["size"], 65536);
    }
}
