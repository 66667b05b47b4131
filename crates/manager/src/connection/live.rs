//! `connect_network`, `disconnect_network`: places that come and go, at once where the container runs.
//!
//! Of one that is killed on its way, the next command makes that the container is not on the network: a connection is taken back,
//! and a disconnection gone on with.

use super::{Endpoint, unknown};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::life::Life;
use crate::lock::ContainerLock;
use crate::networks::name;
use crate::prepare::settled;
use crate::process;
use crate::store::{Place, RECORD_FILE, Record};
use crate::validate;
use std::fs::File;
use std::os::fd::AsFd as _;
use tinyd_engine::NetworkJoin;
use tinyd_net::{EndpointState, Namespace, NetworkDriver, NetworkState};
use tinyd_runtime::Release;
use tinyd_runtime::state::{COMPANIONS_FILE, ProcessId, RELEASE_FILE, store};

impl Core {
    pub(crate) fn connect_network(&self, word: &str, wanted: &NetworkJoin) -> Result<()> {
        validate::join(wanted)?;
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let mut record = self.known(&id, word)?;
        changeable(&record, &wanted.network)?;
        let before = record.clone();
        if let Ok(network) = self.find_network(&wanted.network) {
            self.mend_network(&network.state)?;
        }
        let (place, _held, _) = self.place_on(wanted)?;
        self.check_rates(&record.spec.resources, record.netns, std::slice::from_ref(&place))?;
        if record.places.iter().any(|other| other.name() == place.name()) {
            let problem = format!("has container {} on it already", record.short());
            return Err(Error::invalid("network", place.name(), problem));
        }
        // Who was on none has a network now.
        record.places.retain(|place| place.name() != name::NONE);
        record.places.push(place.clone());
        validate::links(record.places.iter().map(|place| &place.wanted))?;
        self.can_lead_ports(&before, &record)?;
        let intent = Intent::begin(&self.store, Verb::Place, &id, Some(place.name()))?;
        let connected = self.keep_record(&record).and_then(|()| match self.life(&record, Some(&lock))? {
            Life::Running(live) => self.join_live(&record, &place, live.state.init),
            _ => Ok(()),
        });
        match connected {
            Ok(()) => {
                self.announce_of("network", "connect", place.name(), &[("container", id)]);
                intent.finish()
            }
            Err(error) => {
                let left: Vec<_> = self.keep_record(&before).err().into_iter().collect();
                Err(settled(intent, &left, error))
            }
        }
    }

    pub(crate) fn disconnect_network(&self, word: &str, network: &str) -> Result<()> {
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let mut record = self.known(&id, word)?;
        changeable(&record, network)?;
        // Its record may be gone: the container's own says what it was.
        let called = self.find_network(network).map(|found| found.name().to_owned());
        let called = called.unwrap_or_else(|_| name::canonical(network).to_owned());
        let Some(index) = record.places.iter().position(|place| place.name() == called) else {
            let problem = format!("does not have container {} on it", record.short());
            return Err(Error::invalid("network", network, problem));
        };
        let mut after = record.clone();
        after.places.remove(index);
        self.can_lead_ports(&record, &after)?;
        // On a failure it stays: the next command goes on.
        let intent = Intent::begin(&self.store, Verb::Place, &id, Some(&called))?;
        self.leave(&mut record, index, Some(&lock))?;
        self.announce_of("network", "disconnect", &called, &[("container", id)]);
        intent.finish()
    }

    /// Refuses that its way out becomes a network to which no port of the host can lead while some are to lead to it: it could not
    /// be started again. Where no network is left they wait for the next one.
    fn can_lead_ports(&self, before: &Record, record: &Record) -> Result<()> {
        let former = before.way_out().map(Place::name);
        let changed = record.way_out().filter(|place| former != Some(place.name()));
        let Some(place) = changed.filter(|_| !record.spec.ports.is_empty()) else { return Ok(()) };
        let driver = self.driver(&place.network.driver)?;
        if !driver.connects(&place.network) || driver.publishes(&place.network) {
            return Ok(());
        }
        let ports: Vec<_> = self.all_ports_of(record).iter().map(crate::ports::text).collect();
        let problem = format!(
            "would be the way out of container {}, and its published ports ({}) cannot lead there: take them away first, \
             with tinyd update --publish-rm",
            record.short(),
            ports.join(", ")
        );
        Err(Error::invalid("network", place.name(), problem))
    }

    /// Takes a container from one of its networks; `lock` is the caller's right to do so, where the intent is not.
    fn leave(&self, record: &mut Record, index: usize, lock: Option<&ContainerLock>) -> Result<()> {
        // What a dead monitor left of all its places goes before one of them is forgotten.
        let life = self.life(record, lock)?;
        let before = record.way_out().map(|place| place.name().to_owned());
        let place = record.places.remove(index);
        if let Life::Running(live) = life {
            self.leave_live(record, &place, live.state.init)?;
            if before.as_deref() == Some(place.name()) {
                self.lead_out(record, live.state.init)?;
            }
        }
        if record.places.is_empty() {
            record.places = self.on_fixed(name::NONE)?.places;
        }
        self.keep_record(record)
    }

    /// Puts right that whoever gave a container a place on a network, or took it from it, was killed.
    pub(crate) fn settle_place(&self, id: &str, network: &str) -> Vec<Error> {
        let settle = || {
            if let Some(mut record) = self.store.record(id)?
                && let Some(index) = record.places.iter().position(|place| place.name() == network)
            {
                self.leave(&mut record, index, None)?;
            }
            // It may have ended meanwhile: its monitor did not know of what was half made.
            self.await_monitor_of_ended(id)?;
            match self.find_network(network) {
                Ok(found) if self.driver(&found.state.driver)?.connects(&found.state) => {
                    self.free_place(&found.state, id)
                }
                // With its network all of it went.
                _ => Ok(()),
            }
        };
        settle().err().into_iter().collect()
    }

    pub(super) fn keep_record(&self, record: &Record) -> Result<()> {
        let path = self.store.container_file(&record.id, RECORD_FILE);
        store(&path, record, true).map_err(|source| Error::file("write", path, source))
    }

    fn join_live(&self, record: &Record, place: &Place, init: ProcessId) -> Result<()> {
        let netns = self.netns_of(record, init)?;
        let mut endpoints = self.endpoints(&record.id)?;
        // What it is told before it has the place.
        let mut earlier = record.clone();
        earlier.places.retain(|other| other.name() != place.name());
        let led = match record.way_out().is_some_and(|way_out| way_out.name() == place.name()) {
            true => self.withdraw_led(&earlier, init, &mut endpoints)?,
            false => Vec::new(),
        };
        match self.join_network(record, place, &endpoints, &netns) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => {
                self.lead_as_before(&earlier, init, &led);
                return Err(error);
            }
        }
        if let Err(error) = self.tell(record, &endpoints).and_then(|()| self.keep_steps(record, &endpoints)) {
            let made = endpoints.pop();
            let state = made.map_or_else(|| unknown(&record.id), |endpoint| endpoint.state);
            let _ = self.driver(&place.network.driver)?.detach(&place.network, &state);
            let _ = self.tell(&earlier, &endpoints);
            self.lead_as_before(&earlier, init, &led);
            return Err(error);
        }
        // Its monitor may have read the steps before this one was among them.
        if !process::runs(init) {
            return self.await_monitor(&record.id).and_then(|()| self.leave_networks(record));
        }
        Ok(())
    }

    /// Has the ports of a container lead nowhere whose way out is another one now: they lead by that. Gives what had some.
    fn withdraw_led(
        &self,
        earlier: &Record,
        init: ProcessId,
        endpoints: &mut [Endpoint],
    ) -> Result<Vec<(NetworkState, EndpointState)>> {
        let (former, mut led) = (endpoints.to_vec(), Vec::new());
        for endpoint in endpoints.iter_mut().filter(|endpoint| !endpoint.state.ports.is_empty()) {
            if let Some(other) = earlier.places.iter().find(|other| other.name() == endpoint.network) {
                led.push((other.network.clone(), endpoint.state.clone()));
                endpoint.state.ports.clear();
            }
        }
        if led.is_empty() {
            return Ok(led);
        }
        // First: whoever finds that this was cut off leads them again, wherever they lead then.
        if let Err(error) = self.tell(earlier, endpoints) {
            let _ = self.tell(earlier, &former);
            return Err(error);
        }
        for (network, before) in &led {
            let withdrawn = self.driver(&network.driver).and_then(|driver| {
                driver.withdraw(network, before).map_err(|source| Error::Network { source })
            });
            if let Err(error) = withdrawn {
                self.lead_as_before(earlier, init, &led);
                return Err(error);
            }
        }
        Ok(led)
    }

    /// Ports lead where they led. The error that is told is another.
    fn lead_as_before(&self, earlier: &Record, init: ProcessId, led: &[(NetworkState, EndpointState)]) {
        let Ok(mut endpoints) = self.endpoints(&earlier.id) else { return };
        for (network, before) in led {
            let state = EndpointState { ports: Vec::new(), ..before.clone() };
            let again = self.driver(&network.driver).and_then(|driver| {
                driver.publish(network, &state, &before.ports).map_err(|source| Error::Network { source })
            });
            let known = endpoints.iter_mut().find(|endpoint| endpoint.network == network.spec.name);
            if let (Ok(again), Some(known)) = (again, known) {
                known.state = again;
            }
        }
        let _ = self.tell(earlier, &endpoints).and_then(|()| self.keep_steps(earlier, &endpoints));
        // Its monitor may have done its steps before these were among them.
        if !led.is_empty() && !process::runs(init) {
            let _ = self.leave_ended(earlier, &endpoints);
        }
    }

    fn leave_live(&self, record: &Record, place: &Place, init: ProcessId) -> Result<()> {
        let driver = self.driver(&place.network.driver)?;
        if !driver.connects(&place.network) {
            return Ok(());
        }
        // Whoever brings back what somebody flushed waits: what is taken away here still stands among what it has. (Not by the
        // network, which may be gone.)
        let _held = self.network_records().shared()?;
        let mut endpoints = self.endpoints(&record.id)?;
        let index = endpoints.iter().position(|endpoint| endpoint.network == place.name());
        let state = index.map_or_else(|| unknown(&record.id), |index| endpoints.remove(index).state);
        // First of all: what was another's by the time the container ends must not be taken away.
        self.keep_steps(record, &endpoints)?;
        // Whom it has lost as its way out an internal network's server asks no more, before it is gone.
        // Where that fails the rest is done all the same: what stands in its way is another network's.
        let told = self
            .asked(record, &endpoints)
            .and_then(|asked| self.tell_servers(record, &endpoints, &asked.lookup));
        let netns = self.netns_of(record, init)?;
        let remove = || {
            state.interfaces.iter().try_for_each(|link| {
                tinyd_net::link::remove_from(netns.as_fd(), &link.name).map_err(|source| Error::Link {
                    operation: "remove",
                    link: link.name.clone(),
                    container: record.short().to_owned(),
                    source,
                })
            })
        };
        if !driver.removes_links() {
            remove()?;
        }
        driver.detach(&place.network, &state).map_err(|source| Error::Network { source })?;
        // Of one that does so, what is still there.
        remove()?;
        self.tell(record, &endpoints)?;
        // Its monitor may have taken its names from the networks that it has left before they were written anew.
        match process::runs(init) {
            true => told,
            false => self.await_monitor(&record.id).and_then(|()| self.leave_networks(record)),
        }
    }

    /// Gives a container whose way out was taken the next one.
    fn lead_out(&self, record: &Record, init: ProcessId) -> Result<()> {
        if let Some(place) = record.way_out().filter(|place| !place.network.spec.internal) {
            self.lead_route(record, place, init)?;
        }
        match self.lead_ports(record, init) {
            // A driver that leads none to a container that runs does at its next start.
            Err(Error::Network { source: tinyd_net::Error::Invalid { .. } }) => Ok(()),
            led => led.map(drop),
        }
    }

    fn lead_route(&self, record: &Record, place: &Place, init: ProcessId) -> Result<()> {
        let mut endpoints = self.endpoints(&record.id)?;
        let endpoint = endpoints.iter_mut().find(|endpoint| endpoint.network == place.name());
        let Some(link) = endpoint.and_then(|endpoint| endpoint.state.interfaces.first_mut()) else {
            return Ok(());
        };
        let netns = self.netns_of(record, init)?;
        // Plugins say for each container where it goes.
        let spec = &place.network.spec;
        let gateways = if link.gateways.is_empty() { &spec.gateways } else { &link.gateways };
        let led = tinyd_net::link::lead_out(netns.as_fd(), &link.name, gateways, &spec.subnets);
        led.map_err(|source| Error::Link {
            operation: "lead the default route through",
            link: link.name.clone(),
            container: record.short().to_owned(),
            source,
        })?;
        link.gateways = gateways.clone();
        self.tell(record, &endpoints)
    }

    /// Somebody else comes to live in the network namespace of a container that runs, and lives on in it when that one has ended. Its
    /// links are taken away then before its addresses are given back: nobody shares them with whoever has them next. Those
    /// without an end on the host (of macvlan and ipvlan) cannot be taken away from here, and stay. The lock of `owner` is the
    /// caller's.
    pub(crate) fn share_links(&self, owner: &Record) -> Result<()> {
        let endpoints = self.endpoints(&owner.id)?;
        match endpoints.is_empty() {
            true => Ok(()),
            false => self.write_steps(owner, &endpoints, true),
        }
    }

    /// Writes down what its monitor does at the end and keeps running until then, in place of what it was told.
    pub(crate) fn keep_steps(&self, record: &Record, endpoints: &[Endpoint]) -> Result<()> {
        let is_beside = |other: &Record| other.netns_of.as_deref() == Some(&record.id);
        let is_shared = self.container_records()?.iter().any(is_beside);
        self.write_steps(record, endpoints, is_shared)
    }

    /// Of a namespace that nobody shares the links go with it, which is faster.
    fn write_steps(&self, record: &Record, endpoints: &[Endpoint], is_shared: bool) -> Result<()> {
        let run_dir = self.store.run_dir(&record.id);
        let mut connected = self.connected(record, endpoints.to_vec());
        if is_shared {
            connected.release.splice(0..0, self.removals(record, endpoints)?);
        }
        let failed = |path| move |source| Error::file("write", path, source);
        let path = run_dir.join(RELEASE_FILE);
        store(&path, &connected.release, false).map_err(failed(path))?;
        let path = run_dir.join(COMPANIONS_FILE);
        store(&path, &connected.companions, false).map_err(failed(path))?;
        // It looks whenever somebody comes. Where there is none, the next one looks first of all.
        let _ = self.launcher.connect(&run_dir);
        Ok(())
    }

    /// What removes the host's ends of its links, and so the others. Plugins do that themselves, and look at them before.
    fn removals(&self, record: &Record, endpoints: &[Endpoint]) -> Result<Vec<Release>> {
        let mut steps = Vec::new();
        for endpoint in endpoints {
            let place = record.places.iter().find(|place| place.name() == endpoint.network);
            let driver = place.map(|place| self.driver(&place.network.driver)).transpose()?;
            if driver.is_some_and(NetworkDriver::removes_links) {
                continue;
            }
            for link in endpoint.state.interfaces.iter().filter_map(|link| link.host_link.as_deref()) {
                let step = tinyd_net::link::removal_step(link).map_err(|source| Error::Link {
                    operation: "remove",
                    link: link.to_owned(),
                    container: record.short().to_owned(),
                    source,
                })?;
                steps.push(super::release(step));
            }
        }
        Ok(steps)
    }

    /// The network namespace of a container that runs.
    pub(crate) fn netns_of(&self, record: &Record, init: ProcessId) -> Result<File> {
        let path = format!("/proc/{}/ns/net", init.pid);
        let file = File::open(&path).map_err(|source| Error::file("open", path, source));
        // Looked at after opening: it was the container's and not that of whoever got its number.
        match crate::process::runs(init) {
            true => file,
            false => Err(Error::WrongState {
                action: "reach the network of",
                container: record.short().to_owned(),
                state: "does not run",
                hint: None,
            }),
        }
    }
}

/// Only a container with a network namespace of its own can be given links.
fn changeable(record: &Record, network: &str) -> Result<()> {
    let whose = match record.netns {
        Namespace::Own => return Ok(()),
        Namespace::Host => "this machine's",
        _ => "another container's",
    };
    let problem = format!("cannot be changed for container {}: its network is {whose}", record.short());
    Err(Error::invalid("network", network, problem))
}
