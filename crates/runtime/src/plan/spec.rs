//! Reading a bundle's `config.json`.

use super::lenient;
use crate::{Failure, FailureKind};
use oci_spec::runtime::Spec;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{Error, Read as _};
use std::path::Path;

/// A bundle's configuration.
pub(crate) struct Bundle {
    pub(crate) spec: Spec,
    /// The seccomp profile as it stands there: who needs it compiles it.
    pub(crate) seccomp: Option<Box<RawValue>>,
    /// What was left out, and whoever wrote it should know.
    pub(crate) warnings: Vec<String>,
    /// Another engine wrote it.
    foreign: bool,
}

/// The one part of the configuration that is read into a type of ours: most of the text, and of no use in the other's.
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

    /// Reads the text that a bundle has.
    pub(crate) fn parse_of(folder: &Path, json: &[u8]) -> Result<Self, Failure> {
        Self::parse(json).map_err(|error| unread(folder, FailureKind::Invalid, &error))
    }

    pub(crate) fn parse(json: &[u8]) -> std::io::Result<Self> {
        // Our types would take a list for their fields in order.
        if json.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(Error::other("it is no JSON object"));
        }
        let parts: SeccompOnly<'_> = serde_json::from_slice(json).or_else(|_| typed(json))?;
        let Some(profile) = parts.linux.and_then(|linux| linux.seccomp) else {
            let (spec, warnings) = spec(json)?;
            return Ok(Self { spec, seccomp: None, warnings, foreign: false });
        };
        let at = profile.get().as_ptr().addr() - json.as_ptr().addr();
        let rest = [&json[..at], b"null", &json[at + profile.get().len()..]].concat();
        let (spec, warnings) = spec(&rest)?;
        Ok(Self { spec, seccomp: Some(profile.to_owned()), warnings, foreign: false })
    }

    /// The same, written by another engine: what reads like a note of ours is text of an image or a user, who may not choose whom
    /// the command becomes.
    pub(crate) fn of_another_engine(self) -> Self {
        Self { foreign: true, ..self }
    }

    /// What our engine notes for this runtime.
    pub(crate) fn noted(&self, name: &str) -> Option<&String> {
        self.spec.annotations().as_ref().filter(|_| !self.foreign)?.get(name)
    }

    pub(crate) fn wants_terminal(&self) -> bool {
        self.spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false)
    }
}

/// Reads what our types take as it stands, and else what they take when it is said in their words.
fn spec(json: &[u8]) -> std::io::Result<(Spec, Vec<String>)> {
    serde_json::from_slice(json).map(|spec| (spec, Vec::new())).or_else(|_| {
        let mut value: serde_json::Value = typed(json)?;
        let warnings = value.get_mut("process").map(lenient::rewrite).unwrap_or_default();
        Ok((typed(value.to_string().as_bytes())?, warnings))
    })
}

/// Reads a text into a type; the error names the property.
pub(crate) fn typed<'json, T: Deserialize<'json>>(json: &'json [u8]) -> std::io::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match path.as_str() {
            "." => Error::other(error),
            path if error.is_data() => Error::other(format!("{path}: {}", without_place(&error.to_string()))),
            path => Error::other(format!("{path}: {error}")),
        }
    })?;
    reader.end().map_err(Error::other)?;
    Ok(read)
}

/// Line and column, which are of no use to who knows the property, and may be those of a rewritten text.
fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(text, _)| text)
}

/// A bundle that cannot be run, and which property says so.
pub(crate) fn invalid(property: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, format!("config.json: {property}: {why}"))
}
