//! `change_ports`: ports of the host that come to lead to a container, or go, at once where it runs.
//!
//! The record says what holds. Of whoever is killed on his way, the next command makes that the host does what the record says;
//! where the container ended meanwhile, its addresses are still its own, so that nobody else has them while a port leads there.

use super::{Endpoint, published, way_out};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::life::Life;
use crate::prepare::settled;
use crate::process;
use crate::store::{Place, Record};
use crate::validate;
use tinyd_engine::{HostPort, PortChange, PortMapping};
use tinyd_net::{Namespace, Undo};
use tinyd_runtime::state::ProcessId;

impl Core {
    pub(crate) fn change_ports(&self, word: &str, change: &PortChange) -> Result<String> {
        if *change == PortChange::default() {
            return Err(Error::invalid("update", "", "names no port to publish or to withdraw"));
        }
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        let mut changed = record.clone();
        changed.spec.ports = self.with(&record, change)?;
        validate::ports(&changed.spec.ports)?;
        reachable(&record)?;
        self.check_ports(&change.add, &record.places)?;
        let init = match self.life(&record, Some(&lock))? {
            Life::Running(live) => Some(live.state.init),
            Life::Created | Life::Stopped(_) => None,
            Life::Gone(_) => return Err(self.no_such(word)),
        };
        let intent = Intent::begin(&self.store, Verb::Ports, &id, None)?;
        let done = self.keep_record(&changed).and_then(|()| match init {
            Some(init) => self.lead_ports(&changed, init).map(drop),
            None => Ok(()),
        });
        match done {
            Ok(()) => {
                self.announce(&record, "update", &[]);
                intent.finish().map(|()| id)
            }
            Err(error) => {
                let left: Vec<_> = self.keep_record(&record).err().into_iter().collect();
                Err(settled(intent, &left, error))
            }
        }
    }

    /// Refuses ports by which nobody could ever come to a container with these places. Gives what is to be said of the others.
    pub(crate) fn check_ports(&self, ports: &[PortMapping], places: &[Place]) -> Result<Option<String>> {
        let Some(place) = way_out(places).filter(|_| !ports.is_empty()) else { return Ok(None) };
        let wanted: Vec<_> = ports.iter().map(published).collect();
        let checked = self.driver(&place.network.driver)?.check_ports(&place.network, &wanted);
        checked.map_err(|source| Error::Network { source })?;
        // It may be given another one while it runs, by which they lead then.
        Ok(place.network.spec.internal.then(|| {
            "nobody outside reaches the published ports while the container has internal networks alone; tinyd network \
             connect gives it another one"
                .to_owned()
        }))
    }

    /// The ports that it has then, in the order in which they came.
    fn with(&self, record: &Record, change: &PortChange) -> Result<Vec<PortMapping>> {
        let mut ports: Vec<_> = record.spec.ports.iter().copied().zip(self.all_ports_of(record)).collect();
        for gone in &change.remove {
            let before = ports.len();
            ports.retain(|(_, seen)| !is_it(gone, seen));
            if ports.len() == before {
                let problem = format!("does not lead to container {}", record.short());
                return Err(Error::invalid("port", gone.to_string(), problem));
            }
        }
        Ok(ports.into_iter().map(|(asked, _)| asked).chain(change.add.iter().copied()).collect())
    }

    /// Makes that those ports lead to a container that runs which its record says, or changes nothing. False where it has ended
    /// before anything was done.
    pub(super) fn lead_ports(&self, record: &Record, init: ProcessId) -> Result<bool> {
        let Some(place) = record.way_out() else { return Ok(true) };
        // Alone: of one that ends meanwhile nobody is given the addresses before its ports are gone.
        let _lock = self.change_networks()?;
        self.same_network(&place.network)?;
        if !process::runs(init) {
            return self.await_monitor(&record.id).map(|()| false);
        }
        let before = self.endpoints(&record.id)?;
        let Some(index) = before.iter().position(|endpoint| endpoint.network == place.name()) else {
            return Ok(true);
        };
        let led = self.set_ports(record, place, &before, index);
        if process::runs(init) {
            return led.map(|_| true);
        }
        // Its monitor may have read the steps before these were among them, or have done them before the ports came.
        let left = self.leave_ended(record, led.as_ref().unwrap_or(&before));
        led.and(left).map(|()| true)
    }

    /// Takes away what leads to one that has ended, whoever has its addresses now, and whatever else its monitor did not know of.
    /// What is known of its places is read before its monitor is waited for, which may take that away with the rest.
    pub(super) fn leave_ended(&self, record: &Record, known: &[Endpoint]) -> Result<()> {
        self.await_monitor(&record.id)?;
        if let Some(place) = record.way_out() {
            let driver = self.driver(&place.network.driver)?;
            for endpoint in known.iter().filter(|endpoint| endpoint.network == place.name()) {
                let mut state = endpoint.state.clone();
                // Whoever led them may have been killed before he could tell.
                let wanted = record.spec.ports.iter().map(published).filter(|port| port.host_port != 0);
                state.ports.extend(wanted);
                let withdrawn = driver.withdraw(&place.network, &state);
                withdrawn.map_err(|source| Error::Network { source })?;
            }
        }
        self.leave_networks(record)
    }

    /// Gives the places of a container as they are then.
    fn set_ports(
        &self,
        record: &Record,
        place: &Place,
        before: &[Endpoint],
        index: usize,
    ) -> Result<Vec<Endpoint>> {
        let driver = self.driver(&place.network.driver)?;
        let old = &before[index].state;
        let wanted: Vec<_> = record.spec.ports.iter().map(published).collect();
        self.keep_steps(record, &lasting(before))?;
        let mut after = before.to_vec();
        let led = driver.publish(&place.network, old, &wanted);
        let kept = led.map_err(|source| Error::Network { source }).and_then(|state| {
            after[index].state = state;
            self.tell(record, &after).and_then(|()| self.keep_steps(record, &after))
        });
        if let Err(error) = kept {
            // From what leads there by now, which is what did before where its driver refused: that does all or nothing.
            let _ = driver.publish(&place.network, &after[index].state, &old.ports);
            let _ = self.tell(record, before).and_then(|()| self.keep_steps(record, before));
            return Err(error);
        }
        Ok(after)
    }

    /// Puts right that whoever changed a container's ports was killed.
    pub(crate) fn settle_ports(&self, id: &str) -> Vec<Error> {
        let settle = || {
            let Some(mut record) = self.store.record(id)? else { return Ok(()) };
            let known = self.endpoints(id)?;
            let led = match self.life(&record, None)? {
                Life::Running(live) => match self.lead_ports(&record, live.state.init) {
                    // Somebody else has one of them by now: those stay that were there before.
                    Err(Error::Network { .. }) => {
                        record.spec.ports = self.endpoints_ports(&record)?;
                        self.keep_record(&record)?;
                        self.lead_ports(&record, live.state.init)?
                    }
                    led => led?,
                },
                _ => false,
            };
            if led {
                return Ok(());
            }
            let _lock = self.change_networks()?;
            self.leave_ended(&record, &known)
        };
        settle().err().into_iter().collect()
    }

    /// The ports that lead to a container, as its driver knows them.
    fn endpoints_ports(&self, record: &Record) -> Result<Vec<PortMapping>> {
        let endpoints = self.endpoints(&record.id)?;
        let ports = endpoints.iter().flat_map(|endpoint| &endpoint.state.ports);
        Ok(ports.map(super::mapping).collect())
    }
}

/// The same, where nothing that says whose the addresses are goes when the container ends.
fn lasting(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let mut all = endpoints.to_vec();
    all.iter_mut().for_each(|endpoint| endpoint.state.undo.retain(|step| !matches!(step, Undo::Unlink(_))));
    all
}

fn is_it(named: &HostPort, port: &PortMapping) -> bool {
    port.host_port == Some(named.number)
        && port.protocol == named.protocol
        && named.address.is_none_or(|address| port.host_ip == Some(address))
}

/// Refuses a container to which no port of the host can lead.
fn reachable(record: &Record) -> Result<()> {
    let problem = match record.netns {
        Namespace::Own
            if record.way_out().is_some_and(|place| place.name() != crate::networks::name::NONE) =>
        {
            return Ok(());
        }
        Namespace::Own => "has no network that a port could lead to",
        Namespace::Host => "has this machine's network, where each of its ports is one of this machine",
        _ => "has another container's network, and its ports are published with that one",
    };
    Err(Error::invalid("container", record.short(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, record_with};
    use std::sync::{Arc, Mutex};
    use tinyd_engine::{NetworkJoin, PortProtocol};
    use tinyd_net::{
        EndpointSpec, EndpointState, Netns, NetworkDriver, NetworkSpec, NetworkState, PublishedPort,
    };

    fn port(host_ip: Option<&str>, host_port: Option<u16>, container_port: u16) -> PortMapping {
        let host_ip = host_ip.map(|text| text.parse().unwrap());
        PortMapping { host_ip, host_port, container_port, protocol: PortProtocol::Tcp }
    }

    fn named(address: Option<&str>, number: u16) -> HostPort {
        let address = address.map(|text| text.parse().unwrap());
        HostPort { address, number, protocol: PortProtocol::Tcp }
    }

    /// Knows what leads to the one container that there is, and what it was told of that alone.
    #[derive(Default)]
    struct Led(Arc<Mutex<Vec<PublishedPort>>>);

    impl NetworkDriver for Led {
        fn name(&self) -> &str {
            "led"
        }

        fn validate(&self, _: &NetworkSpec) -> tinyd_net::Result<()> {
            Ok(())
        }

        fn create(&self, wanted: &NetworkSpec) -> tinyd_net::Result<NetworkState> {
            Ok(NetworkState { driver: "led".to_owned(), spec: wanted.clone(), links: Vec::new() })
        }

        fn delete(&self, _: &NetworkState) -> tinyd_net::Result<()> {
            Ok(())
        }

        fn namespace(&self, _: &NetworkState) -> Namespace {
            Namespace::Own
        }

        fn attach(
            &self,
            _: &NetworkState,
            _: &EndpointSpec,
            _: &dyn Netns,
        ) -> tinyd_net::Result<EndpointState> {
            Ok(EndpointState::default())
        }

        fn publish(
            &self,
            _: &NetworkState,
            endpoint: &EndpointState,
            ports: &[PublishedPort],
        ) -> tinyd_net::Result<EndpointState> {
            let mut led = self.0.lock().unwrap();
            led.retain(|port| ports.contains(port) && endpoint.ports.contains(port));
            led.extend(ports.iter().filter(|port| !endpoint.ports.contains(port)));
            Ok(EndpointState { ports: ports.to_vec(), ..endpoint.clone() })
        }

        fn detach(&self, _: &NetworkState, _: &EndpointState) -> tinyd_net::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn pure_ports_that_went_come_back_where_nobody_can_be_told_of_the_new_ones() {
        let (_place, mut core) = testing::core(FakeLauncher::succeeding());
        let led = Led::default();
        let there = Arc::clone(&led.0);
        let network = led.create(&NetworkSpec::named("web")).unwrap();
        core.networks.push(Box::new(led));
        let kept = port(None, Some(9), 90);
        let mut record = record_with(&core.store, |record| {
            record.places = vec![Place { network, wanted: NetworkJoin::on("web") }];
            record.spec.ports = vec![port(None, Some(8080), 80), kept];
        });
        let ports: Vec<_> = record.spec.ports.iter().map(published).collect();
        (*there.lock().unwrap()).clone_from(&ports);
        let state = EndpointState { ports: ports.clone(), ..EndpointState::default() };
        let before = [Endpoint { network: "web".to_owned(), state }];
        std::fs::create_dir(core.store.run_dir(&record.id)).unwrap();
        record.spec.ports = vec![kept, port(None, Some(8081), 80)];
        // Its own folder, with the files of its networks, is not there.
        core.set_ports(&record, &record.places[0], &before, 0).unwrap_err();
        let mut left = there.lock().unwrap().clone();
        left.sort_by_key(|port| std::cmp::Reverse(port.host_port));
        assert_eq!(left, ports);
        std::fs::create_dir_all(core.store.container(&record.id)).unwrap();
        let after = core.set_ports(&record, &record.places[0], &before, 0).unwrap();
        assert_eq!(after[0].state.ports, record.spec.ports.iter().map(published).collect::<Vec<_>>());
    }

    #[test]
    fn pure_ports_go_by_the_hosts_number_and_come_behind_the_others() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let record = record_with(&core.store, |record| {
            record.spec.ports = vec![
                port(None, Some(8080), 80),
                port(Some("127.0.0.1"), Some(8080), 81),
                port(None, Some(9), 90),
            ];
        });
        let change = |add: &[PortMapping], remove: &[HostPort]| {
            core.with(&record, &PortChange { add: add.to_vec(), remove: remove.to_vec() })
        };
        let ports = &record.spec.ports;
        let new = port(None, Some(7), 70);
        assert_eq!(change(&[new], &[named(None, 9)]).unwrap(), [ports[0], ports[1], new]);
        assert_eq!(change(&[], &[named(None, 8080)]).unwrap(), [ports[2]]);
        assert_eq!(change(&[], &[named(Some("127.0.0.1"), 8080)]).unwrap(), [ports[0], ports[2]]);
        let error = change(&[], &[named(None, 81)]).unwrap_err().to_string();
        assert!(error.contains("port \"81/tcp\" does not lead to container"), "{error}");
        let udp = HostPort { protocol: PortProtocol::Udp, ..named(None, 9) };
        assert!(change(&[], &[udp]).is_err());
    }
}
