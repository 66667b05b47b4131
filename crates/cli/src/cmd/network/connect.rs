//! `network connect`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::opts::{Mac, mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tinyd_engine::NetworkJoin;

/// Give a container a place on a further network
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Give a container a place on a further network: at once where it runs, and at its later starts.",
    after_help = "\
Examples:
  tinyd network connect db web
  tinyd network connect --ip 10.9.0.5 --alias mirror db web"
)]
pub(super) struct Connect {
    /// Its IPv4 address there
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// Its IPv6 address there
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// Its hardware address there
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac_address: Option<Mac>,
    /// A further name by which the others there find it; may be given again
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// What its link is called inside; eth1 and so on by default
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Name, id or the beginning of an id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Name, id or the beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Connect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let place = NetworkJoin {
            network: self.network,
            addresses: self.ip.map(IpAddr::from).into_iter().chain(self.ip6.map(IpAddr::from)).collect(),
            mac: self.mac_address.map(|mac| mac.0),
            aliases: self.alias,
            interface: self.interface,
        };
        context.engine()?.connect_network(&self.container, &place)?;
        Ok(0)
    }
}
