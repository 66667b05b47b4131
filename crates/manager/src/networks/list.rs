//! `networks`: a line for each.

use crate::core::Core;
use crate::error::Result;
use crate::networks::record::NetworkRecord;
use crate::networks::{name, users};
use crate::store::Record;
use crate::time;
use std::collections::BTreeMap;
use tinyd_engine::NetworkSummary;

impl Core {
    /// Those that every host has, as far as there are drivers of them, and then the others by name.
    pub(crate) fn networks(&self) -> Result<Vec<NetworkSummary>> {
        let containers = self.container_records()?;
        let there = name::FIXED.iter().filter(|name| self.driver(name).is_ok());
        let mut all: Vec<NetworkSummary> = there.map(|name| fixed(name, &containers)).collect();
        let records = self.whole_networks()?;
        // What cannot be brought back is for `check` to say.
        records.iter().for_each(|record| drop(self.mend_network(&record.state)));
        all.extend(records.into_iter().map(|record| summary(record, &containers)));
        Ok(all)
    }
}

/// The id of a network of which no record is kept: its name in hex, so that it is the same on every host.
pub(super) fn fixed_id(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:0<32}")
}

/// The containers on a network that every host has.
pub(super) fn on_fixed<'a>(name: &'a str, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    all.iter().filter(move |record| record.places.iter().any(|place| place.network.driver == name))
}

fn fixed(name: &str, containers: &[Record]) -> NetworkSummary {
    NetworkSummary {
        id: fixed_id(name),
        name: name.to_owned(),
        driver: name.to_owned(),
        subnets: Vec::new(),
        internal: false,
        containers: on_fixed(name, containers).count(),
        created: None,
        labels: BTreeMap::new(),
    }
}

fn summary(record: NetworkRecord, containers: &[Record]) -> NetworkSummary {
    let count = users::on(&record, containers).count();
    let spec = record.state.spec;
    NetworkSummary {
        id: record.id,
        name: spec.name,
        driver: record.state.driver,
        subnets: spec.subnets.iter().map(ToString::to_string).collect(),
        internal: spec.internal,
        containers: count,
        created: Some(time::from_ns(record.created_ns)),
        labels: record.labels,
    }
}
