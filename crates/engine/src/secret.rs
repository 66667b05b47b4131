//! Secrets: what is kept apart from everything else that is known of a container, and shown to its command alone. A secret is
//! addressed by its name. What it holds is given once, and never given back.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// A secret that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretCreate {
    /// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, unique.
    pub name: String,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
}

impl SecretCreate {
    /// A secret without labels.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What a list shows of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSummary {
    /// 32 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many containers use it, in any state.
    pub containers: usize,
    /// When it was made.
    pub created: SystemTime,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// All that is told of a secret, in the shape and with the names of Podman's `secret inspect`. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretInspect {
    /// 32 hex digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed: a secret never is.
    pub updated_at: String,
    /// What was asked for.
    pub spec: SecretSpec,
    /// The containers that use it, in any state: their ids, and what each is called.
    pub containers: BTreeMap<String, String>,
}

/// What a secret was made as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretSpec {
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub driver: SecretDriver,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Where a secret is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretDriver {
    /// Always `file`.
    pub name: String,
}
