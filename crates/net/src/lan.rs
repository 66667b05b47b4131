//! Containers that are on a network of the outside: each has a link of its own that sends by one of the host's, its parent.
//!
//! Nothing lies on the host for such a network but the leases of its addresses: a container's link is made in the container's
//! namespace and goes with it. The host's firewall, forwarding and routes have no part in it, so that no port of the host leads
//! to a container here, and by macvlan the host itself does not reach it: the kernel keeps a parent from its children.

mod attach;
mod modes;
mod parent;
mod plan;
mod words;

use crate::error::kernel;
use crate::link::{ChildKind, IpvlanMode, Links, MacvlanMode};
use crate::naming::Names;
use crate::places::Places;
use crate::{
    EndpointSpec, EndpointState, Error, Namespace, Netns, NetworkDriver, NetworkSpec, NetworkState, Result,
};
use modes::Modes;
use std::fs;
use std::path::{Path, PathBuf};

/// The drivers of networks that a link of the host leads to: macvlan, whose containers have hardware addresses of their own,
/// and ipvlan, whose containers share their parent's.
///
/// Both need the option `parent`, a link of this host that carries Ethernet, and a subnet: the one that is used there. A
/// `range` keeps what containers get apart from what others there have; the addresses of the parent itself nobody gets.
///
/// | option | values |
/// |---|---|
/// | `parent` | the name of a link of this host |
/// | `mode`, `macvlan_mode` | `bridge`; `private`: containers do not reach each other; `vepa`: by a switch that sends packets back; `passthru`: one container has the parent to itself |
/// | `mode`, `ipvlan_mode` | `l2`; `l3`: the host's routes are the way, and there is no gateway; `l3s`: through the host's firewall too |
///
/// ```no_run
/// use std::path::Path;
/// use tinyd_net::{LanDriver, NetworkDriver, NetworkSpec};
///
/// let driver = LanDriver::macvlan(Path::new("/run/mine/networks"));
/// let lan = NetworkSpec {
///     subnets: vec!["192.168.1.0/24".parse()?],
///     ranges: vec!["192.168.1.192/27".parse()?],
///     options: [("parent".to_owned(), "eth0".to_owned())].into(),
///     ..NetworkSpec::named("lan")
/// };
/// let network = driver.create(&lan)?;
/// assert_eq!(network.spec.gateways, ["192.168.1.1".parse::<std::net::IpAddr>()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LanDriver {
    folder: PathBuf,
    names: Names,
    /// The kind of its links, in the mode where nothing else is asked for.
    kind: ChildKind,
}

impl LanDriver {
    /// The driver `macvlan`. It keeps its leases in a folder, which need not be there yet, should not outlive a restart of the
    /// machine, and may be another driver's too: what is kept there is named after its network.
    #[must_use]
    pub fn macvlan(folder: &Path) -> Self {
        Self::of(folder, ChildKind::Macvlan(MacvlanMode::Bridge))
    }

    /// The driver `ipvlan`, for which the same holds.
    #[must_use]
    pub fn ipvlan(folder: &Path) -> Self {
        Self::of(folder, ChildKind::Ipvlan(IpvlanMode::L2))
    }

    fn of(folder: &Path, kind: ChildKind) -> Self {
        Self { folder: folder.to_owned(), names: Names::of(folder), kind }
    }

    fn places(&self, network: &NetworkSpec) -> Places {
        Places::in_folder(self.folder.join("leases").join(self.names.network(&network.name)))
    }

    fn modes(&self) -> Modes {
        Modes::in_folder(&self.folder)
    }

    /// What is wanted with the rest chosen, found to be possible here.
    fn plan(&self, wanted: &NetworkSpec) -> Result<NetworkSpec> {
        let mut links = here(wanted)?;
        let failed = kernel(&wanted.name, "ask the kernel for", self.kind.word());
        match links.has_kind(self.kind).map_err(failed)? {
            true => {
                let spec = plan::fill(&mut links, self.kind, wanted)?;
                self.modes().check(&spec, words::parent(&spec), words::kind(&spec, self.kind)?)?;
                Ok(spec)
            }
            false => Err(missing(wanted, self.kind)),
        }
    }
}

impl NetworkDriver for LanDriver {
    fn name(&self) -> &str {
        self.kind.word()
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        self.plan(wanted).map(drop)
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        let spec = self.plan(wanted)?;
        // What is there under this name was left by a driver that was killed.
        self.places(&spec).remove(&spec)?;
        self.modes().note(&spec, words::parent(&spec), words::kind(&spec, self.kind)?)?;
        Ok(NetworkState { driver: self.kind.word().to_owned(), spec, links: Vec::new() })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        network.owned_by(self.kind.word())?;
        let removed = self.places(&network.spec).remove(&network.spec);
        let forgotten = self.modes().forget(&network.spec, words::parent(&network.spec));
        // Whatever has something in it is another driver's too.
        let _ = fs::remove_dir(&self.folder);
        removed.and(forgotten)
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    /// The container has an address of its own on the parent's network.
    fn publishes(&self, _: &NetworkState) -> bool {
        false
    }

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(self.kind.word())?;
        self.places(&network.spec).holders(&network.spec)
    }

    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: &dyn Netns,
    ) -> Result<EndpointState> {
        network.owned_by(self.kind.word())?;
        attach::attach(self, &network.spec, wanted, netns)
    }

    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        network.owned_by(self.kind.word())?;
        attach::detach(self, &network.spec, endpoint)
    }
}

fn here(network: &NetworkSpec) -> Result<Links> {
    Links::here().map_err(kernel(&network.name, "talk to the kernel about", "links"))
}

/// The kernel has no such links.
fn missing(network: &NetworkSpec, kind: ChildKind) -> Error {
    let missing =
        format!("the kernel's driver {kind} (module {kind}; \"modprobe {kind}\" where it is on the disk)");
    Error::Unavailable { network: network.name.clone(), missing }
}
