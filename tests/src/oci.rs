//! Bundles for `tinyd-runtime` as another engine calls it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::attack::counts;
use crate::command::Cmd;
use crate::env::Env;
use crate::output::Output;
use crate::{eventually, paths, roots, wait_until};

/// The runtime with a `--root` of this test's own. Dropping it deletes all its containers.
#[derive(Debug)]
pub struct Oci<'env> {
    /// The surroundings.
    pub env: &'env Env,
    program: PathBuf,
    mapped: bool,
}

/// What became of a command that was run in one of the ways in which a bundle's can be.
#[derive(Debug)]
pub struct Said {
    /// The verb.
    pub way: &'static str,
    /// All verbs said that they did it.
    pub ran: bool,
    /// What the command said.
    pub stdout: String,
    /// What the verbs said.
    pub stderr: String,
}

impl<'env> Oci<'env> {
    /// That of this test.
    pub fn of(env: &'env Env) -> Oci<'env> {
        Oci::with(env, paths::tinyd().with_file_name("tinyd-runtime"))
    }

    /// That of this test, by another program.
    pub fn with(env: &'env Env, program: PathBuf) -> Oci<'env> {
        Oci { env, program, mapped: false }
    }

    /// Its bundles have user ids of their own.
    #[must_use]
    pub fn mapped(mut self, mapped: bool) -> Oci<'env> {
        self.mapped = mapped;
        self
    }

    /// Where it keeps its containers.
    pub fn root(&self) -> PathBuf {
        self.env.run_root().join("oci")
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.program.clone()
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
        self.leave_to(Path::new("/dev/null"), words)
    }

    /// The same for one whose process writes to this file.
    #[track_caller]
    pub fn leave_to<S: Into<OsString>>(&self, file: &Path, words: impl IntoIterator<Item = S>) -> Output {
        let said = tempfile::NamedTempFile::new_in(self.env.files()).expect("a file can be made");
        let script = "said=$1; shift; \"$@\" < /dev/null > \"$0\" 2> \"$said\"; code=$?; cat \"$said\" >&2; exit $code";
        let under = [
            OsString::from("sh"),
            "-c".into(),
            script.into(),
            file.into(),
            said.path().as_os_str().to_owned(),
        ];
        self.cmd(words).under(under).output()
    }

    /// The same as [`Oci::leave`] under another program.
    #[track_caller]
    pub fn leave_with<'a, S: Into<OsString>>(
        &self,
        under: impl IntoIterator<Item = &'a str>,
        words: impl IntoIterator<Item = S>,
    ) -> Output {
        let quiet = ["sh", "-c", "exec \"$@\" < /dev/null > /dev/null 2>&1", "sh"];
        self.cmd(words).under(under).under(quiet).output()
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
        if self.mapped {
            config["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({ "type": "user" }));
            for ids in ["uidMappings", "gidMappings"] {
                config["linux"][ids] = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
            }
        }
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

    /// Creates it with its output in a file, whose path is given as well.
    #[track_caller]
    pub fn create_to_file(&self, bundle: &Path) -> (Output, PathBuf) {
        let file = bundle.join("stdout");
        let words = [OsString::from("create"), "-b".into(), bundle.into(), name_of(bundle)];
        (self.leave_to(&file, words), file)
    }

    /// Runs a command by each verb that does: in a container of its own, in one that is created and then started, and as a further
    /// one, with these options, in a container that runs and was changed as well. The bundles' names begin with `name`.
    #[track_caller]
    pub fn in_each_way(
        &self,
        name: &str,
        command: &[&str],
        options: &[&str],
        change: impl Fn(&mut Value),
    ) -> [Said; 3] {
        let ran = self.bundle(&format!("{name}-run"), command, &change);
        let started = self.bundle(&format!("{name}-start"), command, &change);
        let joined = self.bundle(&format!("{name}-exec"), &["sleep", "1000"], &change);
        [self.by_run(&ran), self.by_start(&started), self.by_exec(&joined, command, options)]
    }

    /// Runs a bundle's command in the foreground.
    #[track_caller]
    pub fn by_run(&self, bundle: &Path) -> Said {
        Said::of("run", &self.run_bundle(bundle))
    }

    /// Creates a container, starts it, and waits for its end.
    #[track_caller]
    pub fn by_start(&self, bundle: &Path) -> Said {
        let id = bundle.file_name().and_then(|name| name.to_str()).expect("a bundle has a name");
        let (created, file) = self.create_to_file(bundle);
        if created.code() != Some(0) {
            return Said::of("create", &created);
        }
        let started = self.run(["start", id]);
        if started.code() == Some(0) {
            let ended = eventually(Duration::from_secs(30), || (self.status(id) == "stopped").then_some(()));
            assert!(ended.is_some(), "{id} does not end");
        }
        self.run(["delete", "--force", id]).ok();
        let stdout = fs::read(&file).expect("the output is in a file");
        Said { stdout: String::from_utf8_lossy(&stdout).into_owned(), ..Said::of("start", &started) }
    }

    /// Runs a further command in a container of a bundle.
    #[track_caller]
    pub fn by_exec(&self, bundle: &Path, command: &[&str], options: &[&str]) -> Said {
        let id = bundle.file_name().and_then(|name| name.to_str()).expect("a bundle has a name");
        let created = self.create(bundle);
        if created.code() != Some(0) {
            return Said::of("create, for exec", &created);
        }
        self.run(["start", id]).ok();
        let words = [&["exec"], options, &[id], command].concat();
        let said = Said::of("exec", &self.run(words));
        self.run(["delete", "--force", id]).ok();
        said
    }

    /// Starts the built `attack` in a container of its own: `verb`, the file that stops it, `rest`.
    #[track_caller]
    pub fn attack(
        &self,
        program: &str,
        verb: &str,
        rest: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> Attack<'_, 'env> {
        let signals = self.env.files().join(format!("signals-of-{verb}"));
        fs::create_dir(&signals).expect("a folder for signals can be made");
        let command =
            ["/mnt/attack", verb, "/mnt/signals/stop"].iter().chain(rest).copied().collect::<Vec<_>>();
        let id = format!("attack-{verb}");
        let bundle = self.bundle(&id, &command, |config| {
            config["root"]["path"] = json!(roots::debian());
            bind(config, program, "/mnt/attack");
            bind(config, signals.to_str().expect("plain names"), "/mnt/signals");
            change(config);
        });
        let (created, said) = self.create_to_file(&bundle);
        created.ok();
        self.run(["start", &id]).ok();
        let attack = Attack { oci: self, id, said, stop: signals.join("stop") };
        wait_until("the attack has begun", || attack.said().contains("ready"));
        attack
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

impl Said {
    fn of(way: &'static str, output: &Output) -> Said {
        Said { way, ran: output.code() == Some(0), stdout: output.stdout(), stderr: output.stderr() }
    }

    /// Requires that a verb refused, in one line that holds one of these texts, and that no command said anything.
    #[track_caller]
    pub fn refused(&self, texts: &[&str]) {
        let told = texts.iter().any(|text| self.stderr.contains(text));
        assert!(!self.ran && self.stdout.is_empty() && self.stderr.lines().count() == 1 && told, "{self:?}");
    }

    /// Requires that it was done, and gives what the command said.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert!(self.ran, "{self:?}");
        &self.stdout
    }
}

/// A container that attacks until it is told to stop.
#[derive(Debug)]
pub struct Attack<'oci, 'env> {
    oci: &'oci Oci<'env>,
    /// The container.
    pub id: String,
    said: PathBuf,
    stop: PathBuf,
}

impl Attack<'_, '_> {
    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("the output is in a file")
    }

    /// Stops it, and gives what it counted.
    #[track_caller]
    pub fn stop(self) -> BTreeMap<String, u64> {
        fs::write(&self.stop, "").expect("a signal can be given");
        wait_until("the attack has ended", || self.oci.status(&self.id) == "stopped");
        self.oci.run(["delete", &self.id]).ok();
        counts(&self.said())
    }
}

/// Adds a bind behind all other mounts. Below `/mnt` there is room for it: roots are shared between tests, and nobody's to write in.
pub fn bind(config: &mut Value, source: &str, target: &str) {
    let mounts = config["mounts"].as_array_mut().expect("a bundle has mounts");
    if target.starts_with("/mnt/") && !mounts.iter().any(|mount| mount["destination"] == "/mnt") {
        mounts.push(json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs" }));
    }
    let mount =
        json!({ "destination": target, "type": "bind", "source": source, "options": ["rbind", "rprivate"] });
    mounts.push(mount);
}

/// Has a container live in the PID namespace of another one's first process, and in the user namespace that this belongs to.
pub fn share_pids(config: &mut Value, pid: i64) {
    let all = config["linux"]["namespaces"].as_array_mut().expect("a bundle has namespaces");
    for kind in ["pid", "user"] {
        if let Some(one) = all.iter_mut().find(|one| one["type"] == kind) {
            one["path"] = json!(format!("/proc/{pid}/ns/{kind}"));
        }
    }
}

fn name_of(bundle: &Path) -> OsString {
    bundle.file_name().expect("a bundle has a name").to_owned()
}
