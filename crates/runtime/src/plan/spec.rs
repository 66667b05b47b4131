//! Reading a bundle's `config.json`.

use super::unique;
use crate::config::Spec;
use crate::{Failure, FailureKind};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{Error, Read as _};
use std::path::Path;

/// A bundle's configuration.
pub(crate) struct Bundle {
    pub(crate) spec: Spec,
    /// The seccomp profile as it stands there: who needs it compiles it.
    pub(crate) seccomp: Option<Box<RawValue>>,
    /// Another engine wrote it.
    foreign: bool,
}

/// The part that is not read with the rest: most of the text, and of no use to who keeps its filter.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct SeccompOnly<'a> {
    #[serde(borrow)]
    linux: Option<LinuxSeccompOnly<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct LinuxSeccompOnly<'a> {
    #[serde(borrow)]
    seccomp: Option<&'a RawValue>,
}

/// The file's name in a bundle.
pub(crate) const CONFIG: &str = "config.json";

/// The longest text that is read: far more than any engine writes.
pub(crate) const MAX_LENGTH: u64 = 4 << 20;

fn unread(folder: &Path, kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(kind, format!("read {}", folder.join(CONFIG).display())).caused_by(error)
}

/// Reads a file, but not without end.
pub(crate) fn read_all(file: File) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut text)?;
    match text.len() as u64 > MAX_LENGTH {
        true => Err(Error::other(format!("it is longer than {} MiB", MAX_LENGTH >> 20))),
        false => Ok(text),
    }
}

impl Bundle {
    pub(crate) fn load(folder: &Path) -> Result<Self, Failure> {
        Self::parse_of(folder, &Self::read(folder)?)
    }

    /// The text of a bundle's configuration.
    pub(crate) fn read(folder: &Path) -> Result<Vec<u8>, Failure> {
        let read = || {
            // NONBLOCK: a FIFO in its place must not keep us waiting.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = openat(CWD, folder.join(CONFIG), flags, Mode::empty())?;
            match FileType::from_raw_mode(fstat(&file)?.st_mode) {
                FileType::RegularFile => read_all(file.into()),
                FileType::Directory => Err(Errno::ISDIR.into()),
                _ => Err(Error::other("it is no file")),
            }
        };
        read().map_err(|error| unread(folder, FailureKind::Internal, &error))
    }

    /// Reads the text of somebody else's bundle.
    pub(crate) fn parse_strictly(folder: &Path, json: &[u8]) -> Result<Self, Failure> {
        unique::check(json).map_err(|error| unread(folder, FailureKind::Invalid, &error))?;
        Self::parse_of(folder, json)
    }

    /// Reads the text that a bundle has.
    pub(crate) fn parse_of(folder: &Path, json: &[u8]) -> Result<Self, Failure> {
        Self::parse(json).map_err(|error| unread(folder, FailureKind::Invalid, &error))
    }

    pub(crate) fn parse(json: &[u8]) -> std::io::Result<Self> {
        let Ok(parts) = serde_json::from_slice::<SeccompOnly<'_>>(json) else {
            // What is wrong is told by who reads all of it.
            read::<Spec>(json)?;
            return Err(Error::other("linux or linux.seccomp is not what it should be"));
        };
        let (spec, seccomp) = match parts.linux.and_then(|linux| linux.seccomp) {
            None => (read(json)?, None),
            Some(profile) => {
                let at = profile.get().as_ptr().addr() - json.as_ptr().addr();
                let rest = [&json[..at], b"null", &json[at + profile.get().len()..]].concat();
                (read(&rest)?, Some(profile.to_owned()))
            }
        };
        Ok(Self { spec, seccomp, foreign: false })
    }

    /// The same, written by another engine: what reads like a note of ours is text of an image or a user, who may not choose whom
    /// the command becomes.
    pub(crate) fn of_another_engine(self) -> Self {
        Self { foreign: true, ..self }
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether it was written for a specification that is older than 1.`minor`.
    pub(crate) fn is_before(&self, minor: u32) -> bool {
        let second = self.spec.version.split('.').nth(1).and_then(|second| second.parse::<u32>().ok());
        second.is_some_and(|second| second < minor)
    }

    /// What our engine notes for this runtime.
    pub(crate) fn noted(&self, name: &str) -> Option<&String> {
        self.spec.annotations.as_ref().filter(|_| !self.foreign)?.get(name)
    }

    pub(crate) fn wants_terminal(&self) -> bool {
        self.spec.process.as_ref().and_then(|process| process.terminal).unwrap_or(false)
    }
}

/// Reads a text into a type; the error names the property.
pub(crate) fn read<T: crate::config::Read>(json: &[u8]) -> std::io::Result<T> {
    let document: Value = serde_json::from_slice(json)?;
    T::of(&document).map_err(Error::other)
}

/// A bundle that cannot be run, and which property says so.
pub(crate) fn invalid(property: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, format!("config.json: {property}: {why}"))
}
