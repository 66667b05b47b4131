//! The trait.

use crate::names::Lookup;
use crate::{
    EndpointSpec, EndpointState, Error, Namespace, Netns, NetworkSpec, NetworkState, PublishedPort, Result,
    TrafficLimiter,
};
use std::net::IpAddr;

/// A kind of network.
///
/// The life of a network: [`validate`](Self::validate) → [`create`](Self::create) → for each container
/// [`attach`](Self::attach) … [`detach`](Self::detach) → [`delete`](Self::delete). Who uses a driver keeps what `create`
/// and `attach` return, on disk, before anything is built on it; a process that was restarted goes on from there.
///
/// A container's life, seen from a driver: the namespace is made by the container's parent, in the container's user
/// namespace. Meanwhile, and before the command runs, `attach` is called with a way to it, from a process that has the
/// host's rights and may have several threads. So a driver enters the namespace in a thread of its own, and never forks. When the
/// last process of the container has ended, the kernel takes the namespace with its links away; `detach` then removes
/// what is left on the host's side.
///
/// Every method but [`validate`](Self::validate) is all or nothing where it makes something, and goes on past errors where
/// it takes something away. What is gone already is taken away: a second `detach` or `delete` succeeds.
/// `testing::conformance` (feature `testing`) holds a driver to this.
pub trait NetworkDriver: Send + Sync {
    /// The word by which users ask for it: `bridge`, `host`, `none`.
    fn name(&self) -> &str;

    /// Checks what is wanted against the driver's rules and this host, without any effect.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`], or [`crate::Error::Unavailable`] for what this host lacks.
    fn validate(&self, wanted: &NetworkSpec) -> Result<()>;

    /// Makes the network on this host.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); the kernel's.
    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState>;

    /// Takes the network away. That nobody is on it is the caller's to know.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`] for another driver's network; the kernel's, collected.
    fn delete(&self, network: &NetworkState) -> Result<()>;

    /// Which network namespace a container on this network lives in.
    fn namespace(&self, network: &NetworkState) -> Namespace;

    /// Whether a container gets something of a network. Where it does not, nobody needs to call [`attach`](Self::attach) while
    /// it starts.
    fn connects(&self, network: &NetworkState) -> bool {
        let _ = network;
        true
    }

    /// Whether ports of the host can lead to a container on a network, as far as its kind says.
    fn publishes(&self, network: &NetworkState) -> bool {
        let _ = network;
        true
    }

    /// Whether [`detach`](Self::detach) takes the container's links out of a namespace that lives on, and has to find them there:
    /// by some a driver knows what it has on the host, and others were the host's before. Those of any other driver are
    /// removed before it is called.
    fn removes_links(&self) -> bool {
        false
    }

    /// The others on a network are to find a container by these names from now on, and its own questions are answered so. A driver
    /// of whose containers nobody knows names has nothing to do.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; whatever keeps it from telling them.
    fn rename(
        &self,
        network: &NetworkState,
        endpoint: &EndpointState,
        names: &[String],
        lookup: &Lookup,
    ) -> Result<()> {
        let _ = (network, endpoint, names, lookup);
        Ok(())
    }

    /// The address at which containers on a network reach this host, where the host has one there: no router's of the network.
    fn host_address(&self, network: &NetworkState) -> Option<IpAddr> {
        let _ = network;
        None
    }

    /// What holds a container's traffic to rates, where the driver can do that: nobody asks a driver for rates that has none.
    fn limiter(&self) -> Option<&dyn TrafficLimiter> {
        None
    }

    /// The containers, dead or alive, that something on the host is held for. A driver that keeps nothing has none.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; whatever keeps it from finding out.
    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        let _ = network;
        Ok(Vec::new())
    }

    /// What of this host keeps a network from working, and what to do about it: a sentence each, without a full stop.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; whatever keeps it from finding out.
    fn notes(&self, network: &NetworkState) -> Result<Vec<String>> {
        let _ = network;
        Ok(Vec::new())
    }

    /// What of this host is changed for a network that was just made, beside what is the network's own: a sentence each, without a
    /// full stop. What an earlier network changed was told with that one.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; whatever keeps it from finding out.
    fn changes(&self, network: &NetworkState) -> Result<Vec<String>> {
        let _ = network;
        Ok(Vec::new())
    }

    /// Whether what a driver has on the host looks whole, as far as it can be told at once. Without a network, that is one question
    /// to the kernel, for all networks together; with one, what that question does not tell of this network.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's.
    fn looks_whole(&self, network: Option<&NetworkState>) -> Result<bool> {
        let _ = network;
        Ok(true)
    }

    /// What somebody took away of a network, each in a few words: `the bridge`, `port 8080/tcp`. `endpoints` are those of the
    /// containers that run. Nothing is changed. A driver that looks after nothing misses nothing.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's.
    fn missing(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<Vec<String>> {
        let _ = (network, endpoints);
        Ok(Vec::new())
    }

    /// Brings back whatever is [`missing`](Self::missing), as far as it can be; what is there is left alone, and so are
    /// connections of containers that are under way. Of a container that ended meanwhile [`withdraw`](Self::withdraw) takes back
    /// what was brought, and nothing else does.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the first thing that could not be brought back.
    fn restore(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<()> {
        let _ = (network, endpoints);
        Ok(())
    }

    /// Whether [`restore`](Self::restore) can bring anything back: where it can only say what is missing, nobody asks for it who
    /// has come for something else.
    fn restores(&self) -> bool {
        true
    }

    /// Connects a container. `netns` is its network namespace: the host's own where [`namespace`](Self::namespace) says so. It
    /// may be in the making still: see [`Netns`].
    ///
    /// # Errors
    /// [`crate::Error::Foreign`], [`crate::Error::Invalid`] for an address that cannot be had; the kernel's.
    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: &dyn Netns,
    ) -> Result<EndpointState>;

    /// Refuses ports of the host by which nobody could ever come to a container of this network: of an address that leads
    /// nowhere, or of a family that the network does not have. Nothing is changed, and whether one is free is not looked at.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`], [`crate::Error::Invalid`].
    fn check_ports(&self, network: &NetworkState, ports: &[PublishedPort]) -> Result<()> {
        let _ = (network, ports);
        Ok(())
    }

    /// Leads these ports of the host to a container that runs, in place of those that lead there now: all of them, in their order,
    /// or none. Connections by a port that goes on leading there stay. What leads there and is not the endpoint's goes, too: it
    /// is of somebody who was killed while he changed it.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; [`crate::Error::Invalid`] of a driver that can lead ports only to a container that starts;
    /// those of [`attach`](Self::attach) for a port that is taken.
    fn publish(
        &self,
        network: &NetworkState,
        endpoint: &EndpointState,
        ports: &[PublishedPort],
    ) -> Result<EndpointState> {
        match ports == endpoint.ports {
            true => Ok(endpoint.clone()),
            false => Err(Error::Invalid {
                network: network.spec.name.clone(),
                what: "the published ports of a container that runs".to_owned(),
                problem: format!("cannot be changed by the driver {}: stop it first", self.name()).into(),
            }),
        }
    }

    /// Takes away the published ports of a container that ended while they were changed or brought back: the steps that take them
    /// away may have been done before. What leads to whoever has its addresses by now stays.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's.
    fn withdraw(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        let _ = (network, endpoint);
        Ok(())
    }

    /// Takes away what is left of a container's connection once its namespace is gone, or takes it out of a namespace that
    /// lives on.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; the kernel's, collected.
    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()>;
}
