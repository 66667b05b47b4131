//! A plugin that the tests write: a shell script that notes what it is called with and does what the test wants.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tinyd_net::{CniDriver, NetworkSpec};

/// What the script does: it appends a line to `calls` for each call but VERSION, keeps its input beside it, and then does
/// what the file `PLUGIN.OPERATION` says, or answers what a good plugin would.
const SCRIPT: &str = r#"#!/bin/sh
set -u
me=${0##*/} place=${0%/*}/..
if [ "$CNI_COMMAND" = VERSION ]; then
    cat > "$place/VERSION.$me.in"
    if [ -e "$place/$me.VERSION" ]; then . "$place/$me.VERSION"; fi
    printf %s '{"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]}'
    exit
fi
number=$(cat "$place/calls" 2>/dev/null | wc -l)
echo "$me $CNI_COMMAND ${CNI_CONTAINERID-} ${CNI_IFNAME-} ${CNI_NETNS-}" >> "$place/calls"
cat > "$place/$number.in"
if [ -e "$place/$me.$CNI_COMMAND" ]; then . "$place/$me.$CNI_COMMAND"; fi
if [ "$CNI_COMMAND" = ADD ]; then
    version=$(sed 's/.*"cniVersion":"\([^"]*\)".*/\1/' "$place/$number.in")
    printf '{"cniVersion": "%s", "by": "%s", "interfaces": [{"name": "%s", "sandbox": "%s"}], "ips": [{"address": "10.9.0.2/24"}]}' \
        "$version" "$me" "$CNI_IFNAME" "$CNI_NETNS"
fi
"#;

/// One call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) plugin: String,
    pub(crate) operation: String,
    pub(crate) container: String,
    pub(crate) interface: String,
    pub(crate) netns: String,
}

/// A folder with configurations and scripted plugins.
pub(crate) struct Plugins(tempfile::TempDir);

impl Plugins {
    pub(crate) fn new(names: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("bin")).unwrap();
        fs::create_dir(place.path().join("net.d")).unwrap();
        let script = place.path().join("script");
        fs::write(&script, SCRIPT).unwrap();
        for name in names {
            // By another process: a child of another test, about to start, may hold open what this one writes (ETXTBSY).
            let path = place.path().join("bin").join(name);
            let status = Command::new("install").args(["-m", "755"]).arg(&script).arg(&path).status();
            assert!(status.unwrap().success());
        }
        Self(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets a plugin do something else: lines of shell, which may go on to what it would have done.
    pub(crate) fn teach(&self, plugin: &str, operation: &str, script: &str) {
        fs::write(self.path().join(format!("{plugin}.{operation}")), script).unwrap();
    }

    pub(crate) fn unteach(&self, plugin: &str, operation: &str) {
        fs::remove_file(self.path().join(format!("{plugin}.{operation}"))).unwrap();
    }

    /// Writes a configuration list with these plugins; `more` are members of it besides.
    pub(crate) fn list(&self, name: &str, version: &str, more: &str, plugins: &str) -> PathBuf {
        let text =
            format!(r#"{{"cniVersion": "{version}", "name": "{name}", {more} "plugins": [{plugins}]}}"#);
        let path = self.path().join("net.d").join(format!("{name}.conflist"));
        fs::write(&path, text).unwrap();
        path
    }

    /// What was called, since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Called> {
        let text = fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path().join("calls"));
        let called = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            Called { plugin: word(), operation: word(), container: word(), interface: word(), netns: word() }
        };
        text.lines().map(called).collect()
    }

    /// The same in short: `a ADD, b ADD`.
    pub(crate) fn order(&self) -> String {
        let calls = self.calls();
        let words: Vec<_> = calls.iter().map(|call| format!("{} {}", call.plugin, call.operation)).collect();
        words.join(", ")
    }

    /// What the call of this number read, counted since the calls were last asked for.
    pub(crate) fn input(&self, number: usize) -> Value {
        serde_json::from_slice(&fs::read(self.path().join(format!("{number}.in"))).unwrap()).unwrap()
    }

    pub(crate) fn driver(&self) -> CniDriver {
        CniDriver::new(&self.kept(), &self.pins()).with_limit(Duration::from_secs(20))
    }

    pub(crate) fn kept(&self) -> PathBuf {
        self.path().join("kept")
    }

    pub(crate) fn pins(&self) -> PathBuf {
        self.path().join("pins")
    }

    pub(crate) fn spec(&self, name: &str) -> NetworkSpec {
        let folder = |name: &str| self.path().join(name).to_str().unwrap().to_owned();
        let options = [("conf-dir", folder("net.d")), ("bin-dir", folder("bin"))];
        let options = options.into_iter().map(|(key, value)| (key.to_owned(), value));
        NetworkSpec { options: options.collect(), ..NetworkSpec::named(name) }
    }

    /// Nothing of an attachment is left: no record, no file, no mount.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        for folder in [self.kept(), self.pins()] {
            let files = files(&folder);
            assert!(files.iter().all(|file| *file == self.kept().join("lock")), "{files:?}");
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "{mounts}");
    }
}

/// All that is not a folder, below one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
