//! What is wanted of a volume, and what was made for it.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A volume that is wanted. What is empty or `None` is the driver's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeSpec {
    /// Its name, unique on this host; empty for one that only its user knows.
    pub name: String,
    /// The folder or file of the host that it shows, an absolute path, with drivers that show one.
    pub source: Option<PathBuf>,
    /// How many bytes it may hold.
    pub size_bytes: Option<u64>,
    /// What only this driver knows. A word that it does not know is an error, never ignored.
    pub options: BTreeMap<String, String>,
}

impl VolumeSpec {
    /// A volume with a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A nameless volume that shows what lies at a path of the host.
    pub fn of_host(source: impl Into<PathBuf>) -> Self {
        Self { source: Some(source.into()), ..Self::default() }
    }
}

/// A volume that is there: all that another process needs to use it and to take it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeState {
    /// The driver that made it, by [`VolumeDriver::name`](crate::VolumeDriver::name).
    pub driver: String,
    /// Its name; empty for one that only its user knows.
    #[serde(default)]
    pub name: String,
    /// Where its data lies on this host, links resolved.
    pub path: PathBuf,
    /// Folders that were made for it, the outermost first.
    #[serde(default)]
    pub made: Vec<PathBuf>,
    /// What it was made with. A secret is never in it, only where it lies.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl VolumeState {
    /// How errors call it: by its name, or by its path where it has none.
    #[must_use]
    pub fn label(&self) -> String {
        match self.name.is_empty() {
            true => self.path.display().to_string(),
            false => self.name.clone(),
        }
    }

    /// Refuses a volume that another driver made.
    ///
    /// # Errors
    /// [`Error::Foreign`].
    pub fn expect_driver(&self, driver: &str) -> Result<()> {
        match self.driver == driver {
            true => Ok(()),
            false => {
                let (owner, driver) = (self.driver.clone(), driver.to_owned());
                Err(Error::Foreign { volume: self.label(), owner, driver })
            }
        }
    }
}

/// What only a volume's driver can say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeDetails {
    /// All hosts have the same; else it is this one's.
    pub is_global: bool,
    /// The driver's own words; what is no text is JSON.
    pub status: BTreeMap<String, String>,
}

/// What is there of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// Its data is there.
    pub available: bool,
    /// It is a folder; else a file.
    pub is_folder: bool,
}
