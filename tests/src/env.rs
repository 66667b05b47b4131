//! The surroundings of one test: its folders, its program, its containers.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::fs::inotify;

use crate::command::Cmd;
use crate::leak::{self, Item, Owner, Scope, Snapshot};
use crate::output::Output;
use crate::pty::Pty;
use crate::served::Served;
use crate::{paths, remove, rescue};

/// One test's own `--root` and `--run-root`, and the leak check at its end.
///
/// Dropping it removes the containers, volumes and secrets that are left, waits for what is removed after the answer, and then
/// takes away by hand whatever is still there and fails the test with a list of it.
#[derive(Debug)]
pub struct Env {
    tag: String,
    folder: PathBuf,
    run_folder: PathBuf,
    program: PathBuf,
    ids: Mutex<BTreeSet<String>>,
    watch: Option<OwnedFd>,
    served: Option<Served>,
    before: Snapshot,
}

impl Env {
    /// Makes the folders of a new test.
    pub fn new() -> Env {
        Env::with_program_in(|_| paths::tinyd())
    }

    /// The same for another program than the built one: `program` is given the folder of the test's own files, and may
    /// make the program there.
    pub fn with_program_in(program: impl FnOnce(&Path) -> PathBuf) -> Env {
        let folder = tempfile::Builder::new()
            .prefix("tinyd-test-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(paths::scratch())
            .expect("a folder for the test can be made")
            .keep();
        let tag = folder.file_name().expect("a made folder has a name").to_string_lossy().into_owned();
        let run_folder = paths::run_scratch().join(&tag);
        let containers = folder.join("root/containers");
        // As private as the engine's own root.
        fs::create_dir_all(&containers).expect("the root can be made");
        // The engine takes a root that has containers for one that has the others too.
        for name in ["names", "ids", "trash"] {
            fs::create_dir(folder.join("root").join(name)).expect("the root can be filled");
        }
        for (name, mode) in
            [("", 0o711), ("containers", 0o711), ("names", 0o700), ("ids", 0o700), ("trash", 0o700)]
        {
            fs::set_permissions(folder.join("root").join(name), fs::Permissions::from_mode(mode))
                .expect("an own folder has the mode it is given");
        }
        fs::create_dir(&run_folder).expect("a run folder for the test can be made");
        let files = folder.join("files");
        fs::create_dir(&files).expect("a folder for the test's files can be made");
        let watch = watch(&containers);
        let mut env = Env {
            tag,
            folder,
            run_folder,
            program: program(&files),
            ids: Mutex::default(),
            watch,
            served: None,
            before: Snapshot::default(),
        };
        env.served = Served::if_wanted(&env);
        env.before = Snapshot::take(&env.scope());
        env
    }

    /// The word that is part of all paths of this test.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The engine's `--root`.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The engine's `--run-root`.
    pub fn run_root(&self) -> PathBuf {
        self.run_folder.join("run")
    }

    /// A folder for the test's own files, on a real disk; it goes with the test.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Writes a file into [`Env::files`] and gives its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files().join(name);
        fs::write(&path, contents).expect("a file of the test can be written");
        path
    }

    /// A command of the program under test, with this test's folders before the verb.
    pub fn cmd<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let mut words: Vec<OsString> = vec![self.program.clone().into()];
        words.extend(["--root".into(), self.root().into(), "--run-root".into(), self.run_root().into()]);
        words.extend(args.into_iter().map(Into::into));
        Cmd::new(words, &self.tag)
    }

    /// Any other program, marked as this test's.
    pub fn other<S: Into<OsString>>(&self, words: impl IntoIterator<Item = S>) -> Cmd {
        Cmd::new(words.into_iter().map(Into::into).collect(), &self.tag)
    }

    /// Runs the program under test to its end.
    #[track_caller]
    pub fn tinyd<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.cmd(args).output()
    }

    /// Starts the program under test on a terminal of this size.
    #[track_caller]
    pub fn pty<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>, rows: u16, columns: u16) -> Pty {
        self.cmd(args).pty(rows, columns)
    }

    /// The ids of all containers that this test ever had.
    pub fn ids(&self) -> BTreeSet<String> {
        let mut ids = self.ids.lock().expect("no test panics while it notes an id");
        ids.extend(self.watched());
        ids.extend(self.containers());
        ids.extend(ids_in(&self.root().join("trash")));
        ids.clone()
    }

    /// The ids of the containers that exist now.
    pub fn containers(&self) -> BTreeSet<String> {
        ids_in(&self.root().join("containers"))
    }

    /// The files of this test that a loop device has at this moment. One that nobody uses any more may be open for a moment
    /// longer, by whoever looks through all devices for his own.
    pub fn loop_files(&self) -> Vec<String> {
        leak::loop_files(&self.scope())
    }

    /// What of this test's is on the machine and was not before it, after the time that clean-up may take.
    pub fn leaks(&self) -> Vec<Item> {
        self.leaks_within(leak::PATIENCE)
    }

    /// Requires that nothing of this test's is on the machine: no container, and nothing that one leaves behind.
    #[track_caller]
    pub fn assert_clean(&self) {
        let left = self.leaks();
        assert!(left.is_empty(), "left behind:\n{}", leak::describe(&left));
    }

    /// Requires that `system check` finds nothing of this test's. (Of the control groups, which all engines share, it sees
    /// those of other tests too.)
    #[track_caller]
    pub fn assert_checked(&self) {
        let said = self.tinyd(["system", "check"]).stdout();
        let ids = self.ids();
        let is_own =
            |line: &&str| line.contains(&self.tag) || ids.iter().any(|id| line.contains(id.as_str()));
        let own: Vec<&str> = said.lines().filter(is_own).collect();
        assert!(own.is_empty(), "system check: {own:#?}");
    }

    /// The same after a time of the caller's choice; none at all shows what is there at this moment.
    pub fn leaks_within(&self, patience: Duration) -> Vec<Item> {
        leak::left_over(&self.before, &self.scope(), patience)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::Test(Owner {
            tag: self.tag.clone(),
            ids: self.ids(),
            folders: vec![self.root(), self.run_root()],
            alone: std::env::var_os("NEXTEST").is_some(),
        })
    }

    /// The names that have appeared in the containers folder, however short their stay.
    fn watched(&self) -> Vec<String> {
        let Some(watch) = &self.watch else { return Vec::new() };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(watch, &mut buffer);
        let mut names = Vec::new();
        // It ends with EAGAIN when all has been read.
        while let Ok(event) = reader.next() {
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names.retain(|name| leak::is_id(name));
        names
    }

    fn remove_all(&self) {
        for id in self.containers() {
            let output = self.tinyd(["rm", "-f", &id]);
            if output.code() != Some(0) {
                report(&format!("a container of {} could not be removed\n{output}", self.tag));
            }
        }
        if self.root().join("volumes").exists() {
            let output = self.tinyd(["volume", "prune", "--all", "--force"]);
            if output.code() != Some(0) {
                report(&format!("the volumes of {} could not be removed\n{output}", self.tag));
            }
        }
        if self.root().join("secrets").exists() {
            for secret in self.tinyd(["secret", "ls", "-q"]).stdout().lines() {
                let output = self.tinyd(["secret", "rm", secret]);
                if output.code() != Some(0) {
                    report(&format!("a secret of {} could not be removed\n{output}", self.tag));
                }
            }
        }
    }
}

impl Default for Env {
    fn default() -> Env {
        Env::new()
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        // A hanging `rm` panics; the rescue below must come to pass all the same.
        let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.remove_all()));
        let left = self.leaks();
        drop(self.served.take());
        let scope = self.scope();
        let mut troubles = rescue::rescue(&scope);
        for folder in [&self.folder, &self.run_folder] {
            if let Err(err) = remove::remove_tree(folder) {
                troubles.push(format!("{}: {err}", folder.display()));
            }
        }
        let mut message = String::new();
        if removed.is_err() {
            message.push_str("removing its containers and volumes failed\n");
        }
        if !left.is_empty() {
            message.push_str(&format!("{} left behind:\n{}", self.tag, leak::describe(&left)));
        }
        for trouble in troubles {
            message.push_str(&format!("cannot be cleaned up by hand: {trouble}\n"));
        }
        if !message.is_empty() {
            // A second panic would abort the whole run and hide the first.
            if std::thread::panicking() {
                report(&message);
            } else {
                panic!("{message}");
            }
        }
    }
}

fn watch(folder: &Path) -> Option<OwnedFd> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    // The machine may be out of inotify instances; the folders are listed as well.
    let watch = inotify::init(flags).ok()?;
    inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO).ok()?;
    Some(watch)
}

fn ids_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.filter_map(|name: OsString| id_in(&name)).collect()
}

/// A name in the trash may have something behind the id.
fn id_in(name: &OsStr) -> Option<String> {
    let text = name.to_str()?;
    text.get(..32).filter(|start| leak::is_id(start)).map(str::to_owned)
}

fn report(message: &str) {
    // Past the capture of the test runner: this is said while another failure is on its way out.
    let _ = writeln!(std::io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_at_the_start_of_a_name() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(id_in(OsStr::new(id)).as_deref(), Some(id));
        assert_eq!(id_in(OsStr::new(&format!("{id}-1"))).as_deref(), Some(id));
        assert_eq!(id_in(OsStr::new("c1")), None);
    }

    #[test]
    fn a_container_that_stayed_for_a_moment_is_remembered() {
        let env = Env::with_program_in(|_| "/bin/true".into());
        let id = "0123456789abcdef0123456789abcdef";
        let folder = env.root().join("containers").join(id);
        fs::create_dir(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        assert!(env.ids().contains(id));
    }
}
