//! The facts of our own containers.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::Facts;
use super::host::Host;
use super::probe;
use crate::env::Env;
use crate::{paths, roots};

/// Where Docker's facts are kept.
pub const DOCKER: &str = "docs/sandbox/docker.txt";

/// Where the accepted differences are.
pub const ACCEPTED: &str = "docs/sandbox/accepted.toml";

/// An image with the probe as `/probe`, in the surroundings of a test.
#[track_caller]
pub fn image(env: &Env) -> PathBuf {
    let image = env.files().join("image");
    let root = roots::busybox();
    env.other(["cp", "-a", &root.to_string_lossy(), &image.to_string_lossy()]).output().ok();
    probe::build(&image);
    image
}

/// Docker's facts as they are kept, with what is so here where a container inherits it.
///
/// # Panics
/// When they cannot be read.
#[track_caller]
pub fn docker() -> Facts {
    let path = paths::workspace().join(DOCKER);
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    Facts::read(&text).with_what_is_of(&Host::own())
}

/// The facts of a container with these options of `create`.
#[track_caller]
pub fn of_tinyd(env: &Env, options: &[&str], image: &Path) -> Facts {
    let mut words = vec!["create".to_owned()];
    words.extend(options.iter().map(|&option| option.to_owned()));
    words.extend([image.to_string_lossy().into_owned(), "/probe".to_owned()]);
    words.extend(probe::host_namespaces());
    let id = env.tinyd(words).ok().text();
    let said = env.tinyd(["start", "-a", &id]).ok().stdout();
    let mut facts = Facts::read(&said);
    let config = env.root().join("containers").join(&id).join("config.json");
    facts.add_config(&fs::read_to_string(config).expect("a container has its configuration"));
    env.tinyd(["rm", &id]).ok();
    facts
}

impl Facts {
    /// Adds the paths that an OCI configuration hides and protects: of those that this machine has not, the probe cannot
    /// know.
    ///
    /// # Panics
    /// When it is no such configuration.
    #[track_caller]
    pub fn add_config(&mut self, config: &str) {
        let config: Value = serde_json::from_str(config).expect("a configuration is JSON");
        self.add_paths("masked", &config["linux"]["maskedPaths"]);
        self.add_paths("read-only", &config["linux"]["readonlyPaths"]);
    }

    /// Adds a list of paths under this subject.
    pub fn add_paths(&mut self, subject: &str, list: &Value) {
        let paths = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        paths.for_each(|path| self.add(subject, path, "yes"));
    }
}
