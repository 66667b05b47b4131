//! `network create`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::opts::{label, map, option};
use std::net::IpAddr;
use tinyd_engine::{NetworkCreate, Subnet};

/// The option of the bridge driver that a word of ours stands for.
const COMPAT: &str = "firewall-compat";
/// Likewise.
const SNAT: &str = "snat";

/// Make a network, and print its id
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network create web
  tinyd network create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 web
  tinyd network create --internal --label stage=test db
  tinyd network create -d macvlan --subnet 192.168.1.0/24 --ip-range 192.168.1.192/27 -o parent=eth0 lan
  tinyd network create --firewall-compat web
  tinyd network create -d cni -o config=/etc/cni/net.d/10-lan.conflist lan")]
pub(super) struct Create {
    /// What it is called; without a name it gets one that is made of its id
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The kind of network: bridge by default; macvlan or ipvlan on the network of a link of this machine, cni for CNI's plugins
    #[arg(short, long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Its range of addresses; again for one of IPv6. By default a range is chosen that nothing on this machine uses
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<Subnet>,
    /// The gateway's address in a subnet that is given; its first address by default
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// The part of a given subnet that containers' addresses are chosen from; all of it by default
    #[arg(long, value_name = "CIDR")]
    ip_range: Vec<Subnet>,
    /// No way out of it, and none in
    #[arg(long)]
    internal: bool,
    /// With addresses of IPv6, or without; by default with them where this machine has a way out by IPv6
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    ipv6: Option<bool>,
    /// Note something about it; may be given again
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = label)]
    label: Vec<(String, String)>,
    /// What the driver knows, such as mtu=1400, firewall=iptables or parent=eth0; may be given again
    #[arg(short, long = "opt", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// An address of this machine that its packets leave with, or one of each family with a comma between them; by default that of
    /// the link that they leave by
    #[arg(long, value_name = "IP[,IP6]")]
    snat: Option<String>,
    /// Let its packets pass the rules of others on this machine, Docker's or ufw's, that drop what is forwarded: by marked
    /// rules in the place that those have for it, which go with the network
    #[arg(long)]
    firewall_compat: bool,
    /// The largest packet in bytes; 1500 by default
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
}

impl Create {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let compat = self.firewall_compat.then(|| (COMPAT.to_owned(), "true".to_owned())).into_iter();
        let snat = self.snat.map(|addresses| (SNAT.to_owned(), addresses));
        let wanted = NetworkCreate {
            name: self.name,
            driver: self.driver,
            subnets: self.subnet,
            gateways: self.gateway,
            ranges: self.ip_range,
            ipv6: self.ipv6,
            internal: self.internal,
            mtu: self.mtu,
            options: compat.chain(snat).chain(self.options).collect(),
            labels: map(self.label),
        };
        let made = context.engine()?.create_network(&wanted)?;
        context.console.notes(&made.notes);
        context.console.line(&made.id).map(|()| 0)
    }
}
