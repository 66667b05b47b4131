//! A driver whose networks are in memory: for what the engine does around a driver, and for a kernel that refuses.

use crate::core::Core;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use tinyd_net::pool::{self, POOLS};
use tinyd_net::{
    EndpointSpec, EndpointState, Error, FixedDriver, Namespace, Netns, NetworkDriver, NetworkSpec,
    NetworkState, Result,
};

/// What was made by all drivers that share it.
#[derive(Default)]
pub(crate) struct Memory {
    /// The names of the networks that are there.
    pub made: Mutex<BTreeSet<String>>,
    /// The operation that fails from now on: `make` or `remove`.
    pub fails: Mutex<Option<&'static str>>,
}

/// A driver of networks in memory.
pub(crate) struct MemoryDriver {
    pub name: &'static str,
    pub memory: Arc<Memory>,
}

/// Gives an engine the networks that every host has, and one kind of others, called `bridge`.
pub(crate) fn with_networks(core: &mut Core) -> Arc<Memory> {
    let memory = Arc::<Memory>::default();
    let driver = MemoryDriver { name: "bridge", memory: Arc::clone(&memory) };
    core.networks = vec![Box::new(FixedDriver::NONE), Box::new(FixedDriver::HOST), Box::new(driver)];
    memory
}

impl MemoryDriver {
    fn may(&self, operation: &'static str, network: &str) -> Result<()> {
        match *self.memory.fails.lock().unwrap() == Some(operation) {
            true => Err(Error::Kernel {
                network: network.to_owned(),
                operation,
                object: "what is in memory".to_owned(),
                source: io::ErrorKind::Other.into(),
            }),
            false => Ok(()),
        }
    }

    fn owned(&self, network: &NetworkState) -> Result<()> {
        match network.driver == self.name {
            true => Ok(()),
            false => Err(Error::Foreign {
                network: network.spec.name.clone(),
                owner: network.driver.clone(),
                driver: self.name.to_owned(),
            }),
        }
    }
}

impl NetworkDriver for MemoryDriver {
    fn name(&self) -> &str {
        self.name
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        let refuse = |what, problem: &'static str| {
            Err(Error::Invalid { network: wanted.name.clone(), what, problem: problem.into() })
        };
        if let Some(option) = wanted.options.keys().next() {
            return refuse(format!("the option {option:?}"), "is not known");
        }
        match wanted.subnets.iter().find(|subnet| pool::conflict(**subnet, &wanted.avoid).is_some()) {
            Some(subnet) => refuse(format!("subnet {subnet}"), "is in use already"),
            None => Ok(()),
        }
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        self.validate(wanted)?;
        self.may("make", &wanted.name)?;
        let mut spec = wanted.clone();
        if spec.subnets.is_empty() {
            spec.subnets.extend(pool::choose(&POOLS, &wanted.avoid));
        }
        if spec.gateways.is_empty() {
            spec.gateways.extend(spec.subnets.iter().filter_map(|subnet| subnet.nth(1)));
        }
        self.memory.made.lock().unwrap().insert(spec.name.clone());
        let links = vec![format!("memory-{}", spec.name)];
        Ok(NetworkState { driver: self.name.to_owned(), spec, links })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        self.owned(network)?;
        self.may("remove", &network.spec.name)?;
        self.memory.made.lock().unwrap().remove(&network.spec.name);
        Ok(())
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    fn attach(&self, network: &NetworkState, wanted: &EndpointSpec, _: &dyn Netns) -> Result<EndpointState> {
        self.owned(network)?;
        Ok(EndpointState { container: wanted.container.clone(), ..Default::default() })
    }

    fn detach(&self, network: &NetworkState, _: &EndpointState) -> Result<()> {
        self.owned(network)
    }
}

#[test]
fn pure_it_keeps_the_contract_of_a_driver() {
    let memory = Arc::<Memory>::default();
    let make = || -> Box<dyn NetworkDriver> {
        Box::new(MemoryDriver { name: "bridge", memory: Arc::clone(&memory) })
    };
    tinyd_net::testing::conformance(&make, &NetworkSpec::named("web"));
    assert!(memory.made.lock().unwrap().is_empty());
}
