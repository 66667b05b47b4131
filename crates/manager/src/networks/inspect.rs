//! `inspect_network`: all that is known of one.

use crate::core::Core;
use crate::error::Result;
use crate::networks::list::{fixed_id, on_fixed};
use crate::networks::{name, users};
use crate::store::Record;
use crate::time::{self, NEVER};
use std::collections::BTreeMap;
use tinyd_engine::{Ipam, IpamConfig, NetworkInspect};
use tinyd_net::{NetworkSpec, NetworkState};

/// The word by which Docker's clients look for the largest packet.
const MTU_OPTION: &str = "com.docker.network.driver.mtu";

impl Core {
    pub(crate) fn inspect_network(&self, word: &str) -> Result<NetworkInspect> {
        let fixed = name::FIXED.into_iter().find(|name| *name == word || fixed_id(name) == word);
        if let Some(name) = fixed {
            let state = self.fixed(name)?;
            let containers = self.container_records()?;
            let seen = self.seen(state, on_fixed(name, &containers))?;
            return Ok(NetworkInspect { id: fixed_id(name), created: NEVER.to_owned(), ..seen });
        }
        let record = self.known_network(word)?;
        // What cannot be brought back is for `check` to say.
        drop(self.mend_network(&record.state));
        let containers = self.container_records()?;
        let seen = self.seen(record.state.clone(), users::on(&record, &containers))?;
        Ok(NetworkInspect {
            notes: self.notes_of(&record.state),
            id: record.id,
            created: time::rfc3339(record.created_ns),
            labels: record.labels,
            ..seen
        })
    }

    fn seen<'a>(
        &self,
        state: NetworkState,
        containers: impl Iterator<Item = &'a Record>,
    ) -> Result<NetworkInspect> {
        let NetworkState { driver, spec, links } = state;
        let config = spec.subnets.iter().map(|subnet| {
            let gateway = spec.gateways.iter().find(|gateway| subnet.contains(**gateway));
            let range = spec.ranges.iter().find(|range| subnet.contains(range.first()));
            let excluded = spec.excluded.iter().filter(|address| subnet.contains(**address));
            IpamConfig {
                excluded: excluded.map(ToString::to_string).collect(),
                subnet: subnet.to_string(),
                gateway: gateway.map(ToString::to_string).unwrap_or_default(),
                ip_range: range.map(ToString::to_string).unwrap_or_default(),
            }
        });
        let place = |record: &Record| {
            let runs = self.container_runs(record)?;
            Ok((record.id.clone(), self.place_on_network(record, &spec.name, runs)))
        };
        let containers = containers.map(place).collect::<Result<_>>()?;
        Ok(NetworkInspect {
            scope: "local".to_owned(),
            driver,
            enable_ipv6: spec.subnets.iter().any(|subnet| subnet.address.is_ipv6()),
            ipam: Ipam { driver: "default".to_owned(), config: config.collect() },
            internal: spec.internal,
            containers,
            options: options(&spec),
            links,
            name: spec.name,
            ..Default::default()
        })
    }
}

fn options(spec: &NetworkSpec) -> BTreeMap<String, String> {
    let mut options = spec.options.clone();
    options.extend(spec.mtu.map(|bytes| (MTU_OPTION.to_owned(), bytes.to_string())));
    options
}
