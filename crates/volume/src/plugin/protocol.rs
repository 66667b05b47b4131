//! The calls of the Docker volume plugin protocol, version 1.
//!
//! Source: "Docker volume plugins" and "Docker Plugin API" in Docker's documentation of its engine. What a plugin says is
//! believed only as far as it can be checked.

use super::client::{self, Trouble};
use super::http::Answer;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

/// What is shown of what a plugin said, in characters.
const SHOWN: usize = 300;

/// What is done about one that does not answer.
const RESTART: &str = "restart the plugin, and see its own log";

/// A plugin, and how long it is waited for.
pub(super) struct Session<'a> {
    pub plugin: &'a str,
    pub socket: &'a Path,
    pub until: Instant,
}

/// What every question holds.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Question<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "str::is_empty")]
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opts: Option<&'a BTreeMap<&'a str, &'a str>>,
}

/// What any answer may hold. Go writes a list that is empty as `null`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Said {
    err: Option<String>,
    pub implements: Option<Vec<String>>,
    pub mountpoint: Option<String>,
    pub volumes: Option<Vec<Listed>>,
    pub volume: Option<Listed>,
    pub capabilities: Option<Capabilities>,
}

/// A volume that the plugin has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Listed {
    pub name: String,
    pub mountpoint: Option<String>,
    /// Whatever it is: what is not as it should be is no reason to refuse the rest.
    pub status: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Capabilities {
    pub scope: String,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) struct Fault {
    /// The plugin answered and said no: it has done nothing. Else nobody knows what it did.
    pub refused: bool,
    /// It does not know the call.
    pub unknown: bool,
    pub error: Error,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl Session<'_> {
    /// Makes a call.
    pub(super) fn call(&self, call: &'static str, question: &Question<'_>) -> Result<Said, Fault> {
        let volume = question.name;
        // A map of strings can be written as JSON.
        let body = serde_json::to_vec(question).unwrap_or_default();
        let answer = client::ask(self.socket, &format!("/{call}"), &body, self.until);
        let answer = answer.map_err(|trouble| self.fault(call, volume, trouble))?;
        self.read(call, volume, &answer)
    }

    pub(super) fn read(&self, call: &'static str, volume: &str, answer: &Answer) -> Result<Said, Fault> {
        let said = serde_json::from_slice::<Said>(&answer.body);
        let refused = |words: &str, remedy| {
            let problem = match words.is_empty() {
                true => format!("refused {call} with the status {}", answer.status),
                false => format!("refused {call}: {}", shown(words)),
            };
            let (refused, unknown) = (true, answer.status == 404);
            Fault { refused, unknown, error: self.error(volume, problem, remedy) }
        };
        match (answer.status, said) {
            (_, Ok(Said { err: Some(words), .. })) if !words.is_empty() => {
                Err(refused(&words, "change what it was asked for, or see the plugin's own log"))
            }
            (200, Ok(said)) => Ok(said),
            (200, Err(error)) => {
                let what = shown(&String::from_utf8_lossy(&answer.body));
                let problem = format!("answered {call} with what is not understood ({error}): {what}");
                Err(self.lied(volume, problem))
            }
            (404, _) => Err(refused("", "it does not know this call; a newer one of the plugin may")),
            _ => {
                let words = String::from_utf8_lossy(&answer.body);
                Err(refused(&words, "see the plugin's own log"))
            }
        }
    }

    fn fault(&self, call: &'static str, volume: &str, trouble: Trouble) -> Fault {
        let (problem, remedy) = match trouble {
            Trouble::Io(what, error) => {
                (format!("cannot be asked for {call}: {what} its socket: {error}"), "start the plugin")
            }
            Trouble::Slow => (format!("did not answer {call} in time"), RESTART),
            Trouble::Early => {
                (format!("ended the connection before its answer to {call} was whole"), RESTART)
            }
            Trouble::Wrong(problem) => {
                return self.lied(volume, format!("gave an answer to {call} that {problem}"));
            }
        };
        Fault { refused: false, unknown: false, error: self.error(volume, problem, remedy) }
    }

    /// Others were waiting for it for the whole time.
    pub(super) fn silent(&self, volume: &str) -> Error {
        self.error(volume, "did not answer others in time, who were before this one".to_owned(), RESTART)
    }

    /// What it said cannot be.
    pub(super) fn lied(&self, volume: &str, problem: String) -> Fault {
        let remedy = "the plugin is broken or is none of Docker's volume plugins: see its own log, or take another one";
        Fault { refused: false, unknown: false, error: self.error(volume, problem, remedy) }
    }

    fn error(&self, volume: &str, problem: String, remedy: &'static str) -> Error {
        let (plugin, socket, volume) = (self.plugin.to_owned(), self.socket.to_owned(), volume.to_owned());
        Error::Plugin { plugin, socket, volume, problem, remedy }
    }

    /// Checks a place that it gave.
    pub(super) fn place(&self, volume: &str, given: &str) -> Result<PathBuf, Fault> {
        let path = Path::new(given);
        let leaves = path.components().any(|part| matches!(part, Component::ParentDir));
        let problem = if given.is_empty() {
            "says nowhere that its data lies".to_owned()
        } else if !path.is_absolute() {
            format!("says that its data lies at {}, which is not an absolute path", shown(given))
        } else if leaves || given.contains('\0') {
            format!("says that its data lies at {}, which is a path with \"..\" or NUL", shown(given))
        } else if path == Path::new("/") {
            "says that its data is the whole host".to_owned()
        } else {
            return self.folder(volume, path);
        };
        Err(self.lied(volume, problem))
    }

    /// Looks at a place, which may be a mount whose server does not answer: whoever looks may not come back.
    fn folder(&self, volume: &str, path: &Path) -> Result<PathBuf, Fault> {
        let (path, shown) = (path.to_owned(), shown(&path.display().to_string()));
        let looked = crate::patience::within(self.until, move || path.canonicalize());
        match looked {
            Some(Ok(real)) => Ok(real),
            Some(Err(error)) => Err(self
                .lied(volume, format!("says that its data lies at {shown}, which cannot be used: {error}"))),
            None => {
                Err(self.lied(volume, format!("says that its data lies at {shown}, which does not answer")))
            }
        }
    }
}

/// One line of what a plugin said.
fn shown(words: &str) -> String {
    let plain = words.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut text: String = plain.take(SHOWN).collect();
    if words.trim().chars().count() > SHOWN {
        text.push('…');
    }
    format!("{text:?}")
}
