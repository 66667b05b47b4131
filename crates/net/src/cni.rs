//! Networks that are made by plugins of the Container Network Interface, versions 0.4.0 to 1.1.0 of its specification: a list
//! of programs, each of which is called when a container comes and when it goes.
//!
//! The configuration is copied into the network's state when it is made, so that a later edit of its file does not keep anybody
//! from leaving. For a container there are two files: the record of its attachment ([`record`]), and one that its network
//! namespace is bound to until the plugins have left it ([`pin`]). Both are named after the container, so that a process that
//! was restarted finds whatever another one left half done.

mod answer;
mod attach;
mod chain;
mod config;
mod derive;
mod error;
mod find;
pub(crate) mod fuzzing;
mod options;
mod pin;
mod ports;
mod record;
mod run;
mod version;

use crate::{
    EndpointSpec, EndpointState, Error, Namespace, Netns, NetworkDriver, NetworkSpec, NetworkState, Result,
};
pub use error::CniError;
use find::Found;
use options::{Made, Wanted};
use record::Records;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use version::Version;

/// The word by which users ask for it.
const NAME: &str = "cni";

/// How long a plugin may take for one operation.
const LIMIT: Duration = Duration::from_secs(30);

/// The driver of networks of plugins.
///
/// Plugins run as children of the calling thread, in its network namespace, which has to be the host's.
pub struct CniDriver {
    records: Records,
    pins: PathBuf,
    limit: Duration,
}

impl CniDriver {
    /// One that keeps its records in the folder `kept`, which should outlive a restart of the machine as the plugins' own
    /// records do, and what it binds network namespaces to in the folder `pins`, which should not. Neither need be there yet;
    /// namespaces are bound in the mount namespace of the calling process.
    #[must_use]
    pub fn new(kept: &Path, pins: &Path) -> Self {
        Self { records: Records::in_folder(kept), pins: pins.to_owned(), limit: LIMIT }
    }

    /// The same, where a plugin that takes longer than `limit` for an operation is killed. By default it has 30 s.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks the plugins whether a container has what they gave it (the operation CHECK). A list with `disableCheck` is always
    /// content.
    ///
    /// # Errors
    /// [`Error::Foreign`]; [`Error::Cni`] with the first plugin's complaint.
    pub fn check(&self, network: &NetworkState, container: &str) -> Result<()> {
        network.owned_by(NAME)?;
        let endpoint = EndpointState { container: container.to_owned(), ..Default::default() };
        self.check_place(&network.spec, &endpoint)
    }

    /// Lets the plugins take away what they hold for any container that is on no network of this list and driver (the
    /// operation GC of version 1.1.0; nothing happens with an older one, or with `disableGC`). What another engine has
    /// made with the list goes too.
    ///
    /// # Errors
    /// [`Error::Foreign`]; [`Error::Cni`] with the first plugin's complaint.
    pub fn collect_garbage(&self, network: &NetworkState) -> Result<()> {
        network.owned_by(NAME)?;
        let made = options::made(&network.spec)?;
        let failed = error_of(&network.spec);
        let _lock = self.records.lock().map_err(&failed)?;
        self.collect(&self.chain(&made)).map_err(&failed)
    }

    /// Finds the list, and asks its plugins whether they can do it.
    fn plan(&self, spec: &NetworkSpec) -> Result<(Wanted, Found, Version)> {
        let wanted = options::wanted(spec)?;
        let failed = error_of(spec);
        let found = find::list(&wanted.config, &wanted.conf_folder).map_err(&failed)?;
        let version = chain::version(&found.list, &wanted.bin_folders, self.limit).map_err(&failed)?;
        let chain =
            chain::Chain { list: &found.list, version, folders: &wanted.bin_folders, limit: self.limit };
        chain.status().map_err(&failed)?;
        Ok((wanted, found, version))
    }

    fn make(&self, spec: &NetworkSpec) -> Result<NetworkSpec> {
        let (wanted, found, version) = self.plan(spec)?;
        let options = options::record(&wanted, &found, version);
        let made = Made { list: found.list, version, folders: wanted.bin_folders, gc: wanted.gc };
        if made.gc {
            let failed = error_of(spec);
            let _lock = self.records.lock().map_err(&failed)?;
            self.collect(&self.chain(&made)).map_err(&failed)?;
        }
        Ok(NetworkSpec { options, ..spec.clone() })
    }
}

/// An error with its causes, without the network's name, which stands elsewhere.
fn whole(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Names the network.
fn error_of(network: &NetworkSpec) -> impl Fn(CniError) -> Error + use<> {
    let network = network.name.clone();
    move |source| Error::Cni { network: network.clone(), source: Box::new(source) }
}

impl NetworkDriver for CniDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        self.plan(wanted).map(drop)
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        // Plugins make what they need when the first container comes.
        let spec = self.make(wanted)?;
        Ok(NetworkState { driver: NAME.to_owned(), spec, links: Vec::new() })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        network.owned_by(NAME)?;
        let spec = &network.spec;
        let keys = self.records.of(&spec.name).map_err(error_of(spec))?;
        let mut first = Ok(());
        if !keys.is_empty() {
            let made = options::made(spec)?;
            let left = keys.iter().map(|key| attach::leave(self, spec, &made, key));
            first = left.fold(first, Result::and);
        }
        self.records.forget(&spec.name);
        for folder in [self.pins.join(&spec.name), self.pins.clone()] {
            // Whatever has something in it is another network's.
            let _ = fs::remove_dir(folder);
        }
        first
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    fn publishes(&self, network: &NetworkState) -> bool {
        // What cannot be read is told when somebody comes.
        options::made(&network.spec).map_or(true, |made| {
            made.list.plugins.iter().any(|plugin| plugin.takes(derive::capability::PORTS))
        })
    }

    /// Plugins find their rules by the link, and give a device back that was the host's.
    fn removes_links(&self) -> bool {
        true
    }

    /// The places that their plugins say are not as they were made (the operation CHECK). There is nothing to ask for a look at
    /// a network alone, and a program to run for each plugin of each container: so `looks_whole` is content.
    fn missing(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        let lacks = |endpoint: &EndpointState| {
            let error = self.check_place(&network.spec, endpoint).err()?;
            Some(format!("the place of container {} ({})", endpoint.container, whole(&error)))
        };
        Ok(endpoints.iter().filter_map(lacks).collect())
    }

    /// No operation brings back what a plugin has made: a container has to leave, and come again.
    fn restore(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<()> {
        network.owned_by(NAME)?;
        endpoints.iter().try_for_each(|endpoint| {
            self.check_place(&network.spec, endpoint).map_err(|error| Error::PlaceGone {
                network: network.spec.name.clone(),
                container: endpoint.container.clone(),
                source: Box::new(error),
            })
        })
    }

    fn restores(&self) -> bool {
        false
    }

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        let keys = self.records.of(&network.spec.name).map_err(error_of(&network.spec))?;
        let mut holders: Vec<_> = keys.into_iter().map(|key| key.container).collect();
        holders.dedup();
        Ok(holders)
    }

    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: &dyn Netns,
    ) -> Result<EndpointState> {
        network.owned_by(NAME)?;
        attach::attach(self, &network.spec, wanted, netns)
    }

    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        network.owned_by(NAME)?;
        attach::detach(self, &network.spec, endpoint)
    }
}
