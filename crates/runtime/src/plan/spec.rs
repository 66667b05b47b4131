//! Reading a bundle's `config.json`.

use super::{lenient, unique};
use crate::{Failure, FailureKind};
use oci_spec::runtime::Spec;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// A bundle's configuration.
pub(crate) struct Bundle {
    pub(crate) spec: Spec,
    /// The seccomp profile as it stands there: who needs it compiles it.
    pub(crate) seccomp: Option<Box<RawValue>>,
    /// What was left out, and whoever wrote it should know.
    pub(crate) warnings: Vec<String>,
}

/// The one part of the configuration that is read into a type of ours: most of the text, and of no use in the other's.
#[derive(Deserialize)]
struct SeccompOnly<'a> {
    #[serde(borrow)]
    linux: Option<LinuxSeccompOnly<'a>>,
}

#[derive(Deserialize)]
struct LinuxSeccompOnly<'a> {
    #[serde(borrow)]
    seccomp: Option<&'a RawValue>,
    resources: Option<PidsOnly>,
}

/// What the other's type cannot tell: whether there is a limit, which may be 0.
#[derive(Deserialize)]
struct PidsOnly {
    pids: Option<Pids>,
}

#[derive(Deserialize)]
struct Pids {
    limit: Option<i64>,
}

impl LinuxSeccompOnly<'_> {
    fn limits_no_processes(&self) -> bool {
        let pids = self.resources.as_ref().and_then(|resources| resources.pids.as_ref());
        pids.is_some_and(|pids| pids.limit.is_none())
    }
}

/// The file's name in a bundle.
pub(crate) const CONFIG: &str = "config.json";

fn unread(folder: &Path, kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(kind, format!("read {}", folder.join(CONFIG).display())).caused_by(error)
}

impl Bundle {
    pub(crate) fn load(folder: &Path) -> Result<Self, Failure> {
        Self::parse_of(folder, &Self::read(folder)?)
    }

    /// The text of a bundle's configuration.
    pub(crate) fn read(folder: &Path) -> Result<Vec<u8>, Failure> {
        std::fs::read(folder.join(CONFIG)).map_err(|error| unread(folder, FailureKind::Internal, &error))
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

    pub(crate) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        let parts: SeccompOnly<'_> = serde_json::from_slice(json)?;
        let unlimited = parts.linux.as_ref().is_some_and(LinuxSeccompOnly::limits_no_processes);
        let mut bundle = match parts.linux.and_then(|linux| linux.seccomp) {
            None => {
                let (spec, warnings) = spec(json)?;
                Self { spec, seccomp: None, warnings }
            }
            Some(profile) => {
                let at = profile.get().as_ptr().addr() - json.as_ptr().addr();
                let rest = [&json[..at], b"null", &json[at + profile.get().len()..]].concat();
                let (spec, warnings) = spec(&rest)?;
                Self { spec, seccomp: Some(profile.to_owned()), warnings }
            }
        };
        if unlimited && let Some(linux) = bundle.spec.linux_mut() {
            let resources = linux.resources().clone().map(|mut resources| {
                resources.set_pids(None);
                resources
            });
            linux.set_resources(resources);
        }
        Ok(bundle)
    }

    pub(crate) fn wants_terminal(&self) -> bool {
        self.spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false)
    }
}

/// Reads what our types take as it stands, and else what they take when it is said in their words.
fn spec(json: &[u8]) -> serde_json::Result<(Spec, Vec<String>)> {
    serde_json::from_slice(json).map(|spec| (spec, Vec::new())).or_else(|_| {
        let mut value: serde_json::Value = serde_json::from_slice(json)?;
        let warnings = value.get_mut("process").map(lenient::rewrite).unwrap_or_default();
        Ok((serde_json::from_value(value)?, warnings))
    })
}

/// A bundle that cannot be run, and which property says so.
pub(crate) fn invalid(property: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, format!("config.json: {property}: {why}"))
}
