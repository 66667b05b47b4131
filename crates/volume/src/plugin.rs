//! Volumes of Docker's volume plugins.

mod client;
mod discover;
pub(crate) mod fuzzing;
pub(crate) mod http;
mod protocol;
#[cfg(test)]
mod tests;

use crate::error::is_there;
use crate::patience::WHOLE;
use crate::{
    Error, Result, Users, VolumeDetails, VolumeDriver, VolumeInfo, VolumeSpec, VolumeState, check_name,
    mounted,
};
use protocol::{Fault, Question, Session};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The option that says where a plugin listens. It is ours, and not told to the plugin.
const SOCKET: &str = "socket";

/// What is waited for a plugin that should take back what it did not finish.
const UNDO: Duration = Duration::from_secs(3);

/// What a plugin is given between an Unmount and the Mount that needed it: rclone 1.60 waits for itself for ever where it is asked
/// before its own watcher has seen that the mount is gone.
const BREATH: Duration = Duration::from_millis(200);

/// The volumes of a plugin: another program, which speaks the Docker volume plugin protocol (version 1) at a unix socket.
/// All options are the plugin's own, but for `socket`.
///
/// Ten seconds are all that a plugin has for an operation. One that refuses, hangs, dies or says what cannot be gives
/// [`Error::Plugin`]; what it may have done of the operation it is asked to take back.
///
/// Who uses a volume is noted below a folder of ours, for the protocol has no question for that, and many a plugin counts
/// each `Mount`.
#[derive(Clone, Debug)]
pub struct PluginDriver {
    name: String,
    socket: PathBuf,
    is_explicit: bool,
    run: PathBuf,
    patience: Duration,
}

/// Whose the volumes of a plugin are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each host has its own.
    Local,
    /// All hosts have the same.
    Global,
}

impl PluginDriver {
    /// The plugin by a name, which listens in `/run/docker/plugins` or is described in `/etc/docker/plugins` or
    /// `/usr/lib/docker/plugins`. `run` is a folder for the lists of users, which need not outlast the machine.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none, or none that listens at a unix socket.
    pub fn discover(name: &str, run: PathBuf) -> Result<Self> {
        let socket = discover::socket(Path::new("/"), name)?;
        Ok(Self { name: name.to_owned(), socket, is_explicit: false, run, patience: WHOLE })
    }

    /// A plugin that listens at this socket, under a name of the user's choice.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a socket that is not an absolute path, and a name that is none.
    pub fn at(name: &str, socket: PathBuf, run: PathBuf) -> Result<Self> {
        check_name("volume driver", name)?;
        if !socket.is_absolute() {
            let value = socket.display().to_string();
            let problem = "is not an absolute path".into();
            return Err(Error::Invalid { what: "socket of a volume plugin", value, problem });
        }
        Ok(Self { name: name.to_owned(), socket, is_explicit: true, run, patience: WHOLE })
    }

    /// The plugin that a volume is wanted of, or was made by: [`at`](Self::at) the socket that its options name, or
    /// [`discover`](Self::discover)ed.
    ///
    /// # Errors
    /// Those of the two.
    pub fn of(name: &str, options: &BTreeMap<String, String>, run: PathBuf) -> Result<Self> {
        match options.get(SOCKET) {
            Some(socket) => Self::at(name, socket.into(), run),
            None => Self::discover(name, run),
        }
    }

    /// Whose the volumes are; a plugin that does not say has its own on each host.
    ///
    /// # Errors
    /// [`Error::Plugin`].
    pub fn scope(&self) -> Result<Scope> {
        match Self::told_scope(&self.session()) {
            Err(Fault { unknown: true, .. }) => Ok(Scope::Local),
            told => Ok(told?),
        }
    }

    fn told_scope(session: &Session<'_>) -> std::result::Result<Scope, Fault> {
        let said = session.call("VolumeDriver.Capabilities", &Question::default())?;
        Ok(match said.capabilities.unwrap_or_default().scope.as_str() {
            "global" => Scope::Global,
            _ => Scope::Local,
        })
    }

    fn session(&self) -> Session<'_> {
        self.session_for(self.patience)
    }

    fn session_for(&self, patience: Duration) -> Session<'_> {
        Session { plugin: &self.name, socket: &self.socket, until: Instant::now() + patience }
    }

    /// The handshake.
    fn activate(&self, session: &Session<'_>, volume: &str) -> Result<()> {
        let said =
            session.call("Plugin.Activate", &Question::default()).map_err(|fault| named(fault, volume))?;
        let abilities = said.implements.unwrap_or_default();
        match abilities.iter().any(|ability| ability == "VolumeDriver") {
            true => Ok(()),
            false => Err(session.lied(volume, format!("has no volumes: it implements {abilities:?}")).into()),
        }
    }

    fn has(&self, session: &Session<'_>, name: &str) -> std::result::Result<bool, Fault> {
        let question = Question { name, ..Question::default() };
        match session.call("VolumeDriver.Get", &question) {
            Ok(said) => Ok(said.volume.is_some_and(|volume| volume.name == name)),
            Err(fault) if fault.refused => {
                // Only the list says whether it is that there is none.
                let list = session.call("VolumeDriver.List", &Question::default())?;
                match list.volumes.unwrap_or_default().iter().any(|volume| volume.name == name) {
                    true => Err(fault),
                    false => Ok(false),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    fn state(&self, name: &str, mountpoint: Option<&str>, options: BTreeMap<String, String>) -> VolumeState {
        // What a plugin says of a volume that is mounted for nobody is not looked at.
        let path = mountpoint.map(PathBuf::from).filter(|path| path.is_absolute()).unwrap_or_default();
        VolumeState { driver: self.name.clone(), name: name.to_owned(), path, made: Vec::new(), options }
    }

    /// Those for whom something was asked for, and those for whom it was got.
    fn folders(&self, volume: &VolumeState) -> Result<(PathBuf, PathBuf)> {
        volume.expect_driver(&self.name)?;
        check_name("volume name", &volume.name)?;
        let folder = self.run.join(&self.name).join(&volume.name);
        Ok((folder.join("users"), folder.join("mounted")))
    }

    /// Takes a list of users, which others have while the plugin does something for them: who waits for them waits for it, and
    /// no longer than for it.
    fn lock_within(session: &Session<'_>, list: &Path, volume: &str) -> Result<Users> {
        Users::lock_until(list, session.until)?.ok_or_else(|| session.silent(volume))
    }

    /// Asks for the mount. A plugin that outlived our notes, or was killed and put itself right, may have it for this user
    /// still, and refuses it; who gave it back may have it.
    fn mount_for(&self, session: &Session<'_>, name: &str, user: &str) -> Result<PathBuf> {
        let question = Question { name, id: user, ..Question::default() };
        match self.mount_once(session, name, user) {
            Err(fault) if fault.refused && session.call("VolumeDriver.Unmount", &question).is_ok() => {
                std::thread::sleep(BREATH);
                Ok(self.mount_once(session, name, user)?)
            }
            result => Ok(result?),
        }
    }

    /// Asks for the mount once, and takes it back unless it is one that can be used.
    fn mount_once(
        &self,
        session: &Session<'_>,
        name: &str,
        user: &str,
    ) -> std::result::Result<PathBuf, Fault> {
        let question = Question { name, id: user, ..Question::default() };
        let fault = match session.call("VolumeDriver.Mount", &question) {
            Ok(said) => match session.place(name, &said.mountpoint.unwrap_or_default()) {
                Ok(path) => return Ok(path),
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        if !fault.refused {
            // The error that is told is the first.
            let _ = self.session_for(UNDO).call("VolumeDriver.Unmount", &question);
        }
        Err(fault)
    }

    /// Nothing that this host would see is left of a volume.
    fn is_unmounted(session: &Session<'_>, name: &str) -> Result<bool> {
        let said = session.call("VolumeDriver.Path", &Question { name, ..Question::default() });
        match said {
            Ok(said) => match said.mountpoint.filter(|place| !place.is_empty()) {
                Some(place) => Ok(mounted::at(Path::new(&place))?.is_none()),
                None => Ok(true),
            },
            Err(fault) => Ok(fault.refused),
        }
    }
}

impl VolumeDriver for PluginDriver {
    fn name(&self) -> &str {
        &self.name
    }

    fn shows_what_is_named(&self) -> bool {
        true
    }

    /// Whether the plugin would take the options only `create` can tell: it has no call for that.
    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        check_name("volume name", &wanted.name)?;
        let refuse =
            |what, value, problem: &'static str| Err(Error::Invalid { what, value, problem: problem.into() });
        if let Some(source) = &wanted.source {
            return refuse(
                "mount source",
                source.display().to_string(),
                "cannot be shown by a volume plugin",
            );
        }
        if let Some(size) = wanted.size_bytes {
            let problem = "cannot be told to a volume plugin; it may have an option of its own for it";
            return refuse("volume size", size.to_string(), problem);
        }
        if let Some(socket) = wanted.options.get(SOCKET).filter(|socket| Path::new(socket) != self.socket) {
            return refuse("volume option", format!("socket={socket}"), "is not where this plugin listens");
        }
        self.activate(&self.session(), &wanted.name)
    }

    /// A volume that the plugin has already, made by whomever, is this one.
    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        let session = self.session();
        let name = &*wanted.name;
        let mut options = wanted.options.clone();
        if self.is_explicit {
            options.insert(SOCKET.to_owned(), self.socket.display().to_string());
        }
        if !self.has(&session, name)? {
            let told: BTreeMap<_, _> =
                wanted.options.iter().map(|(word, value)| (&**word, &**value)).collect();
            let told = told.into_iter().filter(|(word, _)| *word != SOCKET).collect();
            let question = Question { name, opts: Some(&told), ..Question::default() };
            if let Err(fault) = session.call("VolumeDriver.Create", &question) {
                if !fault.refused {
                    // It was not there before. The error that is told is the first.
                    let _ = self
                        .session_for(UNDO)
                        .call("VolumeDriver.Remove", &Question { name, ..Question::default() });
                }
                return Err(fault.into());
            }
        }
        let said = session.call("VolumeDriver.Path", &Question { name, ..Question::default() });
        let place = said.ok().and_then(|said| said.mountpoint);
        Ok(self.state(name, place.as_deref(), options))
    }

    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(&self.name)?;
        let available = self.has(&self.session(), &volume.name)?;
        Ok(VolumeInfo { available, is_folder: true })
    }

    fn details(&self, volume: &VolumeState) -> Result<VolumeDetails> {
        volume.expect_driver(&self.name)?;
        let session = self.session();
        let question = Question { name: &volume.name, ..Question::default() };
        let said = session.call("VolumeDriver.Get", &question)?.volume.unwrap_or_default().status;
        let words = match said {
            Some(Value::Object(words)) => words,
            _ => Map::new(),
        };
        let text = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let status = words.into_iter().map(|(word, value)| (word, text(value))).collect();
        let is_global = match Self::told_scope(&session) {
            Ok(scope) => scope == Scope::Global,
            // One that has no answer to that has its own on each host.
            Err(fault) if fault.refused => false,
            Err(fault) => return Err(fault.into()),
        };
        Ok(VolumeDetails { is_global, status })
    }

    /// Those whose names are names here too.
    fn list(&self) -> Result<Vec<VolumeState>> {
        let said = self.session().call("VolumeDriver.List", &Question::default())?;
        let named = said.volumes.unwrap_or_default();
        let named = named.iter().filter(|volume| check_name("volume name", &volume.name).is_ok());
        let socket = (SOCKET.to_owned(), self.socket.display().to_string());
        let options: BTreeMap<_, _> = self.is_explicit.then_some(socket).into_iter().collect();
        Ok(named
            .map(|volume| self.state(&volume.name, volume.mountpoint.as_deref(), options.clone()))
            .collect())
    }

    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        let (asked, got) = self.folders(volume)?;
        let session = self.session();
        let users = Self::lock_within(&session, &asked, &volume.name)?;
        let has_it = Users::list(&got)?.iter().any(|other| other == user);
        let name = &*volume.name;
        if has_it {
            let said = session.call("VolumeDriver.Path", &Question { name, ..Question::default() })?;
            return Ok(session.place(name, &said.mountpoint.unwrap_or_default())?);
        }
        if Users::list(&asked)?.iter().any(|other| other == user) {
            // Somebody was killed before the plugin's answer. If it did nothing, it says so, which is no harm.
            let question = Question { name, id: user, ..Question::default() };
            if session.call("VolumeDriver.Unmount", &question).is_ok() {
                std::thread::sleep(BREATH);
            }
        }
        users.add(user)?;
        let mounted = self.mount_for(&session, name, user).and_then(|path| {
            Users::lock(&got)?.add(user)?;
            Ok(path)
        });
        if mounted.is_err() {
            // The error that is told is the first.
            let _ = users.remove(user);
        }
        mounted
    }

    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()> {
        let (asked, got) = self.folders(volume)?;
        check_name("user of a volume", user)?;
        if !Users::list(&asked)?.iter().any(|other| other == user) {
            return Ok(());
        }
        let session = self.session();
        let users = Self::lock_within(&session, &asked, &volume.name)?;
        let was_got = Users::list(&got)?.iter().any(|other| other == user);
        let question = Question { name: &volume.name, id: user, ..Question::default() };
        match session.call("VolumeDriver.Unmount", &question) {
            Ok(_) => {}
            // A plugin that was started anew knows nothing of it; nor does one that was never told.
            Err(fault) if fault.refused && !was_got => {}
            Err(fault) if fault.refused && Self::is_unmounted(&session, &volume.name)? => {}
            Err(fault) => return Err(fault.into()),
        }
        if was_got {
            Users::lock(&got)?.remove(user)?;
        }
        users.remove(user)
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        let (asked, got) = self.folders(volume)?;
        let (session, name) = (self.session(), &*volume.name);
        if self.has(&session, name)?
            && let Err(fault) = session.call("VolumeDriver.Remove", &Question { name, ..Question::default() })
            && !(fault.refused && matches!(self.has(&session, name), Ok(false)))
        {
            return Err(fault.into());
        }
        for list in [&got, &asked] {
            if is_there(list)? {
                let users = Users::lock(list)?;
                Users::list(list)?.iter().try_for_each(|user| users.remove(user))?;
            }
        }
        for folder in [Some(&*got), Some(&*asked), asked.parent()].into_iter().flatten() {
            match std::fs::remove_dir(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::path("remove", folder, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        Users::list(&self.folders(volume)?.0)
    }

    fn asks_others(&self, _: &VolumeState) -> bool {
        true
    }
}

/// A fault at a call that is about no volume, for the sake of one.
fn named(fault: Fault, name: &str) -> Error {
    match fault.error {
        Error::Plugin { plugin, socket, problem, remedy, .. } => {
            Error::Plugin { plugin, socket, volume: name.to_owned(), problem, remedy }
        }
        error => error,
    }
}
