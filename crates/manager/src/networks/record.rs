//! What is kept of a network: `networks/<name>.json`.

use crate::error::{Error, Result};
use crate::networks::name;
use crate::store::Kept;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tinyd_net::NetworkState;

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    /// 32 hex digits.
    pub id: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
    /// All of it is there. While it is not, somebody makes or removes it, or was killed at that.
    pub whole: bool,
    /// What its driver made; what it was asked for until then.
    pub state: NetworkState,
}

impl NetworkRecord {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.state.spec.name
    }
}

impl Kept for NetworkRecord {
    const FOLDER: &'static str = "networks";

    fn name(&self) -> &str {
        self.name()
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn check_name(name: &str) -> Result<()> {
        name::check(name)
    }

    fn taken(name: &str) -> Error {
        Error::NetworkTaken { name: name.to_owned() }
    }

    fn busy() -> Error {
        Error::NetworksBusy
    }
}
