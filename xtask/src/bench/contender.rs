//! Who runs: tinyd, the floor, and the peers that Debian has.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tinyd_tests::Env;
use tinyd_tests::proc::cgroups::hierarchies;

use super::{floor, word};
use crate::shell;

/// What a reader must know to judge the figures.
pub(super) const NOTES: &str = "\
floor: a static C program with the same namespaces (user too), cgroups, overlay, mounts and clean-up, and nothing else.
tinyd: run --rm --net none; overlay root; seccomp, capabilities, masks and an exit record besides.
crun, runc: `run` of a ready bundle on the same root, without an overlay and without seccomp; the bundle's making does
not count. userns: with a user namespace of 65,536 ids. Each run is followed by a pause of 30 ms.";

/// The controllers whose cgroups tinyd makes.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
const COMMAND: &str = "/bin/true";

/// One that is timed.
#[derive(Clone)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// A peer may be left out when it does not work here.
    pub(super) is_peer: bool,
    /// Whether it must not see the v2 mount of a hybrid layout.
    pub(super) without_v2: bool,
    words: Vec<OsString>,
}

/// Stands in the words of a contender for something that must be new in each round.
const FRESH: &str = "@round@";

impl Contender {
    /// Its command line for one round.
    pub(super) fn words(&self, round: usize) -> Vec<OsString> {
        let fresh = |word: &OsString| match word.to_str() {
            Some(text) => text.replace(FRESH, &round.to_string()).into(),
            None => word.clone(),
        };
        self.words.iter().map(fresh).collect()
    }
}

/// All of them, with what they need in the folders of `env`.
pub(super) fn all(env: &Env, image: &Path) -> Result<Vec<Contender>> {
    let ours = |name: &'static str, options: &[&str]| {
        let mut words: Vec<OsString> = ["run", "--rm", "--net", "none"].map(Into::into).to_vec();
        words.extend(options.iter().map(Into::into));
        words.extend([word(image), COMMAND.into()]);
        Contender { name, is_peer: false, without_v2: false, words: env.cmd(words).words().to_vec() }
    };
    let mut contenders = vec![
        Contender { name: "floor", is_peer: false, without_v2: false, words: floor_words(env, image)? },
        ours("tinyd", &[]),
        ours("tinyd userns=host", &["--userns", "host"]),
    ];
    for (name, program, userns) in [
        ("crun", "crun", false),
        ("crun userns", "crun", true),
        ("runc", "runc", false),
        ("runc userns", "runc", true),
    ] {
        let bundle = env.files().join(name.replace(' ', "-"));
        make_bundle(program, &bundle, image, userns)?;
        contenders.push(Contender {
            name,
            is_peer: true,
            without_v2: program == "crun",
            words: peer_words(program, &bundle, name),
        });
    }
    Ok(contenders)
}

fn floor_words(env: &Env, image: &Path) -> Result<Vec<OsString>> {
    let scratch = env.files().join(format!("floor-{FRESH}"));
    let mut words = vec![word(&floor::build()?), word(image), word(&scratch), COMMAND.into()];
    let used = |name: &String| CONTROLLERS.contains(&name.as_str());
    let mounted = hierarchies().into_iter().filter(|one| one.v2 || one.controllers.iter().any(used));
    let mut mounts: Vec<PathBuf> = mounted.map(|one| one.mount).collect();
    // cpu and cpuacct may be one hierarchy.
    mounts.dedup();
    words.extend(mounts.iter().map(|mount| word(mount)));
    Ok(words)
}

fn peer_words(program: &str, bundle: &Path, name: &str) -> Vec<OsString> {
    let id = format!("tinyd-bench-{}-{FRESH}", name.replace(' ', "-"));
    let mut words: Vec<OsString> = vec![program.into(), "--root".into(), word(&bundle.join("state"))];
    words.extend(["run".into(), "--bundle".into(), word(bundle), id.into()]);
    words
}

/// A bundle as the peer itself would write it, with our root and our command.
fn make_bundle(program: &str, bundle: &Path, image: &Path, userns: bool) -> Result<()> {
    fs::create_dir_all(bundle).with_context(|| format!("cannot make {}", bundle.display()))?;
    shell::read(Command::new(program).arg("spec").current_dir(bundle))?;
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = adapted(serde_json::from_str(&text).context("a bundle's config is no JSON")?, image, userns);
    fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

fn adapted(mut config: Value, image: &Path, userns: bool) -> Value {
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!([COMMAND]);
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
    fn each_round_has_its_own_names() {
        let words = peer_words("crun", Path::new("/b"), "crun userns");
        let contender = Contender { name: "crun", is_peer: true, without_v2: true, words };
        assert_eq!(contender.words(7).last().unwrap(), "tinyd-bench-crun-userns-7");
    }

    #[test]
    fn a_bundle_gets_the_root_the_command_and_the_namespaces() {
        let config = json!({"process": {"terminal": true, "rlimits": []}, "linux": {"namespaces": []}});
        let plain = adapted(config.clone(), Path::new("/image"), false);
        assert_eq!(plain["root"]["path"], "/image");
        assert_eq!(plain["process"]["args"], json!(["/bin/true"]));
        assert_eq!(plain["linux"]["namespaces"].as_array().unwrap().len(), 6);
        assert!(plain["linux"].get("uidMappings").is_none());
        let mapped = adapted(config, Path::new("/image"), true);
        assert_eq!(mapped["linux"]["namespaces"].as_array().unwrap().len(), 7);
        assert_eq!(mapped["linux"]["uidMappings"][0]["size"], 65536);
    }
}
