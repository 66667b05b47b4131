//! What is read of configurations and of what plugins say, for the crate's [`fuzzing`](crate::fuzzing).

use super::config::List;
use super::derive::{self, Extra};
use super::record::{self as records, Record};
use super::version::ALL;
use super::{CniError, answer};
use crate::{EndpointSpec, Interface};
use serde_json::{Value, json};
use std::net::IpAddr;

/// What can be told of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What plugins are told that the network is called.
    pub name: String,
    /// The versions that may be spoken, the newest first.
    pub versions: Vec<&'static str>,
    /// The names of the programs that are run, or that those run for addresses.
    pub programs: Vec<String>,
    /// What each plugin reads when a container with an address and a port comes, in the newest version.
    pub told: Vec<Vec<u8>>,
}

/// What a container got: its links, and whom it asks for names.
pub type Got = (Vec<Interface>, Vec<IpAddr>);

/// Reads a configuration, and works out what its plugins are told.
///
/// # Errors
/// What is wrong with it.
pub fn plan(text: &str) -> Result<Facts, CniError> {
    let list = List::parse(text, "x.conflist")?;
    let endpoint = EndpointSpec {
        addresses: vec![IpAddr::from([10, 9, 0, 2])],
        mac: Some([2, 0, 0, 0, 0, 1]),
        names: vec!["web".to_owned()],
        ..EndpointSpec::default()
    };
    let (wanted, previous) = (derive::wanted(&endpoint, &[]), json!({ "ips": [] }));
    let extra = Extra { wanted: Some(&wanted), previous: Some(&previous), valid: None };
    let newest = list.versions.first().copied().unwrap_or(ALL[0]);
    let told = list.plugins.iter().map(|plugin| derive::config(&list, plugin, newest, extra));
    let told = told.map(|told| told.to_string().into_bytes()).collect();
    let programs = list.plugins.iter().flat_map(|one| [Some(&one.kind), one.ipam.as_ref()]);
    Ok(Facts {
        programs: programs.flatten().cloned().collect(),
        told,
        versions: list.versions.iter().map(|version| version.word()).collect(),
        name: list.name,
    })
}

/// Reads what a plugin says of version 1.0.0, as it is kept.
///
/// # Errors
/// What is wrong with it.
pub fn result(said: &[u8]) -> Result<Value, String> {
    answer::result(said, ALL[1])
}

/// What is in a result for a link.
///
/// # Errors
/// What is wrong with it.
pub fn got(result: &Value, interface: &str) -> Result<Got, String> {
    answer::got(result, interface).map(|got| (got.interfaces, got.name_servers))
}

/// A plugin's error: its code and its words.
pub fn refusal(said: &[u8]) -> (Option<(u64, String)>, String) {
    (answer::refusal(said), answer::last_words(said))
}

/// The versions that a plugin says that it speaks.
///
/// # Errors
/// What is wrong with it.
pub fn versions(said: &[u8]) -> Result<Vec<String>, String> {
    answer::versions(said)
}

/// The record of an attachment as it is written again; what it says of the last plugin's result.
pub fn record(text: &[u8]) -> Option<(Vec<u8>, Option<Value>)> {
    let record: Record = serde_json::from_slice(text).ok()?;
    Some((serde_json::to_vec(&record).ok()?, record.result))
}

/// The name of a record's file as it is written for what was read of it: a container and a link.
pub fn attachment(file: &str) -> Option<(String, String)> {
    records::key(file).map(|key| (key.container, key.interface))
}
