//! Where an engine keeps its state, and how much of it there may be.

use std::path::PathBuf;
use tinyd_net::pool::Pool as AddressPool;
use tinyd_runtime::restart::CleanUp;

/// Where an engine keeps its state and finds its runtime. Engines with different folders know nothing of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineConfig {
    /// Containers and leases, on a disk that overlay accepts as upper layer. Mode 0711: users may pass
    /// through to where they have rights, and list nothing.
    pub root: PathBuf,
    /// Run-time state: sockets, intents, locks. On tmpfs, so that a reboot empties it. Mode 0711.
    pub run_root: PathBuf,
    /// `tinyd-runtime`; `None` looks beside this program and in `../libexec/tinyd`.
    pub runtime: Option<PathBuf>,
    /// How many containers there may be at once, in any state. `None` and 0 are the default: 24,576, as many as there are
    /// ranges of user ids to lease.
    pub max_containers: Option<u32>,
    /// Where networks get their ranges of IPv4 from that ask for none. `None` is what [`tinyd_net::pool::POOLS`] says.
    pub address_pools: Option<Vec<AddressPool>>,
    /// What a monitor runs, with the id of a container behind it, to start that one again. Without it this is left to the
    /// next command.
    pub clean_up: Option<CleanUp>,
    /// Whether many commands are given over a long time, and others are killed meanwhile.
    pub lasting: bool,
}

impl Default for EngineConfig {
    /// `/var/lib/tinyd`, `/run/tinyd`, and the runtime beside this program.
    fn default() -> Self {
        Self {
            root: PathBuf::from("/var/lib/tinyd"),
            run_root: PathBuf::from("/run/tinyd"),
            runtime: None,
            max_containers: None,
            address_pools: None,
            clean_up: None,
            lasting: false,
        }
    }
}
