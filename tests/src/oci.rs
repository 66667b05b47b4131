//! Bundles for `tinyd-runtime` as another engine calls it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::command::Cmd;
use crate::env::Env;
use crate::output::Output;
use crate::{paths, roots};

/// The runtime with a `--root` of this test's own. Dropping it deletes all its containers.
#[derive(Debug)]
pub struct Oci<'env> {
    env: &'env Env,
}

impl<'env> Oci<'env> {
    /// That of this test.
    pub fn of(env: &'env Env) -> Oci<'env> {
        Oci { env }
    }

    /// Where it keeps its containers.
    pub fn root(&self) -> PathBuf {
        self.env.run_root().join("oci")
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        paths::tinyd().with_file_name("tinyd-runtime")
    }

    /// A command of the runtime.
    pub fn cmd<S: Into<OsString>>(&self, words: impl IntoIterator<Item = S>) -> Cmd {
        let mut all: Vec<OsString> = vec![self.program().into(), "--root".into(), self.root().into()];
        all.extend(words.into_iter().map(Into::into));
        self.env.other(all)
    }

    /// Runs a command of it to its end.
    #[track_caller]
    pub fn run<S: Into<OsString>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        self.cmd(words).output()
    }

    /// The same for one that leaves a process behind, which keeps the streams: they are not the test's own.
    #[track_caller]
    pub fn leave<S: Into<OsString>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        let said = self.env.files().join("said");
        let script = "\"$@\" < /dev/null > /dev/null 2> \"$0\"; code=$?; cat \"$0\" >&2; exit $code";
        self.cmd(words).under([OsString::from("sh"), "-c".into(), script.into(), said.into()]).output()
    }

    /// Makes a bundle whose process is this command, in a root that is not changed. Its control group has the bundle's name with
    /// the test's before it.
    #[track_caller]
    pub fn bundle(&self, name: &str, command: &[&str], change: impl FnOnce(&mut Value)) -> PathBuf {
        let folder = self.env.files().join(name);
        fs::create_dir(&folder).expect("the folder of a bundle can be made");
        self.run([OsString::from("spec"), "-b".into(), folder.clone().into()]).ok();
        let path = folder.join("config.json");
        let text = fs::read(&path).expect("the runtime has written a configuration");
        let mut config: Value = serde_json::from_slice(&text).expect("a configuration is JSON");
        config["root"]["path"] = json!(roots::busybox());
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(command);
        config["linux"]["cgroupsPath"] = json!(format!("/{}-{name}", self.env.tag()));
        change(&mut config);
        fs::write(&path, config.to_string()).expect("a bundle can be written");
        folder
    }

    /// Creates a container of a bundle, whose name it has; its streams are the null device.
    #[track_caller]
    pub fn create(&self, bundle: &Path) -> Output {
        self.leave([OsString::from("create"), "-b".into(), bundle.into(), name_of(bundle)])
    }

    /// Creates a container and starts it.
    #[track_caller]
    pub fn launch(&self, bundle: &Path) {
        self.create(bundle).ok();
        self.run([OsString::from("start"), name_of(bundle)]).ok();
    }

    /// Runs a container of a bundle, whose name it has, to its end.
    #[track_caller]
    pub fn run_bundle(&self, bundle: &Path) -> Output {
        self.run([OsString::from("run"), "-b".into(), bundle.into(), name_of(bundle)])
    }

    /// Runs a script in a container of a bundle that was changed, to its end.
    #[track_caller]
    pub fn look(&self, name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Output {
        self.run_bundle(&self.bundle(name, &["sh", "-c", script], change))
    }

    /// What the runtime says of a container's state.
    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        self.run(["state", id]).ok().json()
    }

    /// The number of a container's first process.
    #[track_caller]
    pub fn pid(&self, id: &str) -> i32 {
        let pid = self.state(id)["pid"].as_i64().expect("a state has a pid");
        i32::try_from(pid).expect("a pid is a small number")
    }

    /// The word for its state.
    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().expect("a state has a status").to_owned()
    }
}

impl Drop for Oci<'_> {
    fn drop(&mut self) {
        let folders = fs::read_dir(self.root()).into_iter().flatten().flatten();
        for folder in folders {
            // A test that fails has said so already.
            let _ = self.cmd([OsString::from("delete"), "--force".into(), folder.file_name()]).output();
        }
    }
}

fn name_of(bundle: &Path) -> OsString {
    bundle.file_name().expect("a bundle has a name").to_owned()
}
