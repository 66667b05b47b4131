//! A container's folder as a bundle of somebody else's making: its `config.json` says what no option of ours would.

use std::fs;

use serde_json::Value;

use crate::env::Env;
use crate::mode::Mode;
use crate::output::Output;
use crate::roots;

/// Runs a script in a container of busybox whose bundle was changed, to its end, and removes it.
#[track_caller]
pub fn run(mode: &Mode, change: impl FnOnce(&mut Value), script: &str) -> Output {
    let image = roots::busybox();
    let words = ["--userns", mode.userns(), &image.to_string_lossy(), "sh", "-c", script];
    let bundle = Bundle::create(&mode.env, &words);
    bundle.edit(change);
    let output = mode.env.tinyd(["start", "-a", &bundle.id]);
    mode.env.tinyd(["rm", &bundle.id]).ok();
    output
}

/// As [`run`], with one more mount.
#[track_caller]
pub fn run_with_mount(mode: &Mode, mount: Value, script: &str) -> Output {
    run(mode, |config| config["mounts"].as_array_mut().expect("a bundle has mounts").push(mount), script)
}

/// A container that has been created, not started.
#[derive(Debug)]
pub struct Bundle<'env> {
    env: &'env Env,
    /// The whole id.
    pub id: String,
}

impl<'env> Bundle<'env> {
    /// Creates a container: the options of `create`, image and command.
    #[track_caller]
    pub fn create(env: &'env Env, words: &[&str]) -> Bundle<'env> {
        let id = env.tinyd(["create"].iter().chain(words).copied()).ok().text();
        Bundle { env, id }
    }

    /// Changes its `config.json`.
    #[track_caller]
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.env.root().join("containers").join(&self.id).join("config.json");
        let text = fs::read(&path).expect("a bundle has a config.json");
        let mut config = serde_json::from_slice(&text).expect("a config.json is JSON");
        change(&mut config);
        fs::write(&path, config.to_string()).expect("a bundle can be written");
    }

    /// Adds a bind behind all other mounts.
    #[track_caller]
    pub fn bind(&self, source: &str, target: &str) {
        self.edit(|config| {
            let mut mount = serde_json::json!({ "destination": target, "type": "bind", "source": source });
            mount["options"] = serde_json::json!(["rbind", "rprivate"]);
            let linux = &config["linux"];
            for ids in ["uidMappings", "gidMappings"].into_iter().filter(|ids| linux[ids].is_array()) {
                mount[ids] = linux[ids].clone();
            }
            config["mounts"].as_array_mut().expect("a bundle has mounts").push(mount);
        });
    }
}
