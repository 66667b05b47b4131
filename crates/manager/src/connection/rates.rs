//! Rates that a container's traffic is held to, on each of its networks alike.
//!
//! They stand among its limits. A driver is asked for them right after it has connected the container, before its command runs,
//! and again when they change while it runs. One that cannot hold traffic to rates is found out before anything is made.

use super::Endpoint;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::process;
use crate::store::{Place, Record};
use tinyd_engine::Resources;
use tinyd_net::{EndpointState, Namespace, Rates, TrafficLimiter};
use tinyd_runtime::state::ProcessId;

/// What the limits of a container say of its traffic.
fn rates(resources: &Resources) -> Rates {
    let rate = |wanted: Option<u64>| wanted.filter(|rate| *rate != 0);
    Rates { egress: rate(resources.net_egress), ingress: rate(resources.net_ingress) }
}

/// Whether two containers' traffic is held to the same rates.
pub(crate) fn same_rates(one: &Resources, other: &Resources) -> bool {
    rates(one) == rates(other)
}

impl Core {
    /// Refuses rates that nobody could hold a container to that lives in such a namespace and has these places.
    pub(crate) fn check_rates(
        &self,
        resources: &Resources,
        netns: Namespace,
        places: &[Place],
    ) -> Result<()> {
        let rates = rates(resources);
        let Some(rate) = rates.egress.or(rates.ingress) else { return Ok(()) };
        let refuse = |problem: &str| {
            Err(Error::invalid(
                "rate of network traffic",
                format!("{rate} bits a second"),
                problem.to_owned(),
            ))
        };
        match netns {
            Namespace::Own => {}
            Namespace::Host => return refuse("cannot be had on this machine's own network (see --net NAME)"),
            _ => return refuse("cannot be had on another container's network: limit that container"),
        }
        let mut is_connected = false;
        for place in places {
            if self.driver(&place.network.driver)?.connects(&place.network) {
                is_connected = true;
                self.limiter(place)?;
            }
        }
        match is_connected {
            true => Ok(()),
            false => refuse("cannot be had without a network (see --net NAME)"),
        }
    }

    /// Who holds traffic on a network to rates.
    fn limiter(&self, place: &Place) -> Result<&dyn TrafficLimiter> {
        let driver = self.driver(&place.network.driver)?;
        driver.limiter().ok_or_else(|| {
            let able = self.networks.iter().filter(|driver| driver.limiter().is_some());
            let able: Vec<_> = able.map(|driver| driver.name()).collect();
            let able = match &able[..] {
                [] => "and no driver here can".to_owned(),
                able => format!("on networks of the driver {} it can be limited", able.join(" or ")),
            };
            let problem =
                format!("cannot limit a container's traffic: its driver is {}; {able}", driver.name());
            Error::invalid("network", place.name(), problem)
        })
    }

    /// A connection that was just made, with the container's rates; without it where they cannot be had.
    pub(super) fn limited(
        &self,
        record: &Record,
        place: &Place,
        state: EndpointState,
    ) -> Result<EndpointState> {
        let rates = rates(&record.spec.resources);
        if rates.is_unlimited() || !self.driver(&place.network.driver)?.connects(&place.network) {
            return Ok(state);
        }
        let limited = self.limiter(place).and_then(|limiter| {
            limiter.limit(&place.network, &state, &rates).map_err(|source| Error::Network { source })
        });
        if limited.is_err() {
            let _ = self.driver(&place.network.driver)?.detach(&place.network, &state);
        }
        limited
    }

    /// Holds the traffic of a container that runs to what its record says now.
    pub(crate) fn change_rates(&self, record: &Record, init: ProcessId) -> Result<()> {
        let rates = rates(&record.spec.resources);
        let mut endpoints = self.endpoints(&record.id)?;
        let mut first = Ok(());
        for place in &record.places {
            let of_place = |endpoint: &&mut Endpoint| endpoint.network == place.name();
            let Some(endpoint) = endpoints.iter_mut().find(of_place) else { continue };
            if !self.driver(&place.network.driver)?.connects(&place.network) {
                continue;
            }
            let limiter = match self.limiter(place) {
                Err(_) if rates.is_unlimited() => continue,
                limiter => limiter?,
            };
            match limiter.limit(&place.network, &endpoint.state, &rates) {
                Ok(state) => endpoint.state = state,
                Err(source) => first = first.and(Err(Error::Network { source })),
            }
        }
        self.tell(record, &endpoints)?;
        self.keep_steps(record, &endpoints)?;
        // Its monitor may have read the steps from before.
        if !process::runs(init) {
            return self.await_monitor(&record.id).and_then(|()| self.leave_networks(record));
        }
        first
    }

    /// Puts right that whoever changed the rates was killed: what the record says comes to hold.
    pub(crate) fn settle_rates(&self, record: &Record) -> Result<()> {
        match self.life(record, None)? {
            Life::Running(live) => self.change_rates(record, live.state.init),
            // It may have ended meanwhile: its monitor did not know of what was half made.
            _ => self.await_monitor(&record.id).and_then(|()| self.leave_networks(record)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::network::with_networks;
    use crate::testing::{self, FakeLauncher};
    use tinyd_engine::{NetworkCreate, NetworkMode};
    use tinyd_net::BridgeDriver;
    use tinyd_net::firewall::Nftables;

    fn resources(egress: Option<u64>, ingress: Option<u64>) -> Resources {
        Resources { net_egress: egress, net_ingress: ingress, ..Resources::default() }
    }

    #[test]
    fn pure_rates_that_nobody_can_hold_are_refused_with_what_can_be_done() {
        let (place, mut core) = testing::core(FakeLauncher::succeeding());
        with_networks(&mut core);
        let web = NetworkCreate { name: Some("web".to_owned()), ..Default::default() };
        core.create_network(&web).unwrap();
        let rated = resources(None, Some(8_000_000));
        let said = |core: &Core, mode: NetworkMode, wanted: &Resources| {
            let joined = core.places(&mode).unwrap();
            let checked = core.check_rates(wanted, joined.netns, &joined.places);
            checked.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(said(&core, NetworkMode::None, &rated).contains("without a network"));
        assert!(said(&core, NetworkMode::Host, &rated).contains("this machine's own network"));
        assert!(said(&core, NetworkMode::named("none"), &rated).contains("without a network"));
        assert!(
            said(&core, NetworkMode::named("web"), &rated)
                .ends_with("its driver is bridge; and no driver here can")
        );
        for unlimited in [resources(None, None), resources(Some(0), Some(0))] {
            for mode in [NetworkMode::None, NetworkMode::Host, NetworkMode::named("web")] {
                assert_eq!(said(&core, mode, &unlimited), "");
            }
        }
        let beside = core.check_rates(&rated, Namespace::Other, &[]).unwrap_err().to_string();
        assert!(
            beside.contains("8000000 bits a second") && beside.contains("limit that container"),
            "{beside}"
        );
        core.networks.push(Box::new(BridgeDriver::new(place.path(), |table| Box::new(Nftables::new(table)))));
        let able = said(&core, NetworkMode::named("web"), &rated);
        assert!(able.ends_with("on networks of the driver bridge it can be limited"), "{able}");
    }

    #[test]
    fn pure_no_rate_and_the_rate_0_are_the_same() {
        assert!(same_rates(&resources(None, None), &resources(Some(0), None)));
        assert!(!same_rates(&resources(None, None), &resources(Some(8_000), None)));
    }
}
