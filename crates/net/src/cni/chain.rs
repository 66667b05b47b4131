//! The operations on a whole list (section 3 of the specifications): ADD in its order, DEL in the reverse one.

use super::answer;
use super::config::{List, Plugin};
use super::derive::{self, Extra};
use super::error::CniError;
use super::find;
use super::record::{Key, Record};
use super::run::{self, Call};
use super::version::Version;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// A list that can be run.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub list: &'a List,
    pub version: Version,
    /// Where plugins are.
    pub folders: &'a [PathBuf],
    /// How long each of them may take.
    pub limit: Duration,
}

/// A container, as plugins are told of it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub key: &'a Key,
    /// The path of its network namespace; empty where it is gone.
    pub netns: &'a str,
    pub record: &'a Record,
}

impl Chain<'_> {
    /// Connects a container; gives the last plugin's result. Whatever fails, DEL has to follow.
    pub(super) fn add(&self, place: Place<'_>) -> Result<Value, CniError> {
        let mut previous = None;
        for plugin in &self.list.plugins {
            let extra =
                Extra { wanted: Some(&place.record.wanted), previous: previous.as_ref(), valid: None };
            let call = self.call("ADD", plugin, Some(place), extra)?;
            let result = answer::result(&call.run(self.limit)?, self.version);
            previous = Some(result.map_err(|problem| wrong(plugin, "ADD", problem))?);
        }
        previous.ok_or_else(|| CniError::Config {
            origin: self.list.name.clone(),
            what: "\"plugins\"".to_owned(),
            problem: "is empty".to_owned(),
        })
    }

    /// What DEL is, in its order; the programs that are not there are errors.
    pub(super) fn del_calls(&self, place: Place<'_>) -> Vec<Result<Call, CniError>> {
        let extra =
            Extra { wanted: Some(&place.record.wanted), previous: place.record.result.as_ref(), valid: None };
        self.list.plugins.iter().rev().map(|plugin| self.call("DEL", plugin, Some(place), extra)).collect()
    }

    /// Takes away what a container has, past errors; gives the first.
    pub(super) fn del(&self, place: Place<'_>) -> Result<(), CniError> {
        let calls = self.del_calls(place).into_iter();
        calls.map(|call| call?.run(self.limit).map(drop)).fold(Ok(()), Result::and)
    }

    /// Asks whether a container has what its plugins gave it.
    pub(super) fn check(&self, place: Place<'_>) -> Result<(), CniError> {
        if self.list.disable_check {
            return Ok(());
        }
        let extra =
            Extra { wanted: Some(&place.record.wanted), previous: place.record.result.as_ref(), valid: None };
        self.list
            .plugins
            .iter()
            .try_for_each(|plugin| self.call("CHECK", plugin, Some(place), extra)?.run(self.limit).map(drop))
    }

    /// Lets plugins take away what they have for anybody but these; past errors, of which it gives the first.
    pub(super) fn collect_garbage(&self, valid: &[Key]) -> Result<(), CniError> {
        if self.list.disable_gc || !self.version.has_gc_and_status() {
            return Ok(());
        }
        let one = |key: &Key| json!({"containerID": key.container, "ifname": key.interface});
        let valid: Value = valid.iter().map(one).collect();
        let extra = Extra { valid: Some(&valid), ..Default::default() };
        let call = |plugin| self.call("GC", plugin, None, extra)?.run(self.limit).map(drop);
        self.list.plugins.iter().map(call).fold(Ok(()), Result::and)
    }

    /// Asks whether all plugins are ready for ADD.
    pub(super) fn status(&self) -> Result<(), CniError> {
        if !self.version.has_gc_and_status() {
            return Ok(());
        }
        self.list.plugins.iter().try_for_each(|plugin| {
            self.call("STATUS", plugin, None, Extra::default())?.run(self.limit).map(drop)
        })
    }

    fn call(
        &self,
        operation: &'static str,
        plugin: &Plugin,
        place: Option<Place<'_>>,
        extra: Extra<'_>,
    ) -> Result<Call, CniError> {
        let config = derive::config(self.list, plugin, self.version, extra);
        let about: Vec<_> = place
            .iter()
            .flat_map(|place| {
                [
                    ("CNI_CONTAINERID", place.key.container.as_str()),
                    ("CNI_NETNS", place.netns),
                    ("CNI_IFNAME", place.key.interface.as_str()),
                    // Plugins are told nothing by it that they would have to know.
                    ("CNI_ARGS", "IgnoreUnknown=1"),
                ]
            })
            .collect();
        Ok(Call {
            plugin: plugin.kind.clone(),
            program: find::program(&plugin.kind, self.folders)?,
            operation,
            environment: run::environment(operation, self.folders, &about),
            config: config.to_string().into_bytes(),
        })
    }
}

/// The newest version that a list is written for and that all of its plugins speak. All programs are there, those that give
/// addresses too.
pub(super) fn version(list: &List, folders: &[PathBuf], limit: Duration) -> Result<Version, CniError> {
    let mut common = list.versions.clone();
    for plugin in &list.plugins {
        let program = find::program(&plugin.kind, folders)?;
        if let Some(ipam) = &plugin.ipam {
            find::program(ipam, folders)?;
        }
        // It has to be told some version to answer in: one that all of them know.
        let call = Call {
            plugin: plugin.kind.clone(),
            program,
            operation: "VERSION",
            environment: run::environment("VERSION", folders, &[]),
            config: json!({"cniVersion": Version::V0_4.word()}).to_string().into_bytes(),
        };
        let spoken = answer::versions(&call.run(limit)?);
        let spoken = spoken.map_err(|problem| wrong(plugin, "VERSION", problem))?;
        let wanted = common.iter().map(ToString::to_string).collect();
        common.retain(|version| spoken.iter().any(|word| word == version.word()));
        if common.is_empty() {
            return Err(CniError::Unspoken { plugin: plugin.kind.clone(), wanted, spoken });
        }
    }
    Ok(common.into_iter().max().unwrap_or(Version::V0_4))
}

fn wrong(plugin: &Plugin, operation: &'static str, problem: String) -> CniError {
    CniError::Answer { plugin: plugin.kind.clone(), operation, problem }
}
