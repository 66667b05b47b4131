//! Firewalls, held to their word by real traffic between network namespaces: a host with two networks of containers, and a
//! neighbour of the host outside. Nothing of this machine's own network is touched.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

#[path = "firewall/backend.rs"]
mod backend;
#[path = "firewall/chains.rs"]
mod chains;
#[path = "firewall/connections.rs"]
mod connections;
#[path = "firewall/cost.rs"]
mod cost;
#[path = "firewall/ground.rs"]
mod ground;
#[path = "firewall/isolation.rs"]
mod isolation;
#[path = "firewall/publish.rs"]
mod publish;
#[path = "firewall/table.rs"]
mod table;

macro_rules! root_only {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
    };
}
use root_only;
