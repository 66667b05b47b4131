//! `network create`.

use crate::cmd::Context;
use crate::failure::{Failure, Outcome};
use crate::opts::{label, map, option};
use std::collections::BTreeMap;
use std::net::IpAddr;
use tinyd_engine::{NetworkCreate, Subnet};

/// The option of the bridge driver that a word of ours stands for.
const COMPAT: &str = "firewall-compat";
/// Likewise.
const SNAT: &str = "snat";
/// Likewise.
const MTU: &str = "mtu";
/// Docker's name of it.
const DOCKERS_MTU: &str = "com.docker.network.driver.mtu";

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
    /// An address in a given subnet that no container gets, since something else on the network has it; may be given again. A name
    /// before it says what, for its reader alone
    #[arg(long, alias = "aux-address", value_name = "[NAME=]IP", value_parser = excluded)]
    exclude: Vec<IpAddr>,
    /// No way out of it, and none in
    #[arg(long)]
    internal: bool,
    /// With addresses of IPv6, or without; by default with them where this machine has a way out by IPv6 and no --subnet is given
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
        let own = |words: String, name: &str, value: String| (words, name.to_owned(), value);
        let own = [
            self.mtu.map(|bytes| own(format!("--mtu {bytes}"), MTU, bytes.to_string())),
            self.snat.map(|addresses| own(format!("--snat {addresses}"), SNAT, addresses)),
            self.firewall_compat.then(|| own("--firewall-compat".to_owned(), COMPAT, "true".to_owned())),
        ];
        let given = self.options.into_iter().map(|(name, value)| (format!("-o {name}={value}"), name, value));
        let mut options = agreed(own.into_iter().flatten().chain(given))?;
        if self.mtu.is_some() {
            options.remove(MTU);
        }
        let wanted = NetworkCreate {
            name: self.name,
            driver: self.driver,
            subnets: self.subnet,
            gateways: self.gateway,
            ranges: self.ip_range,
            excluded: self.exclude,
            ipv6: self.ipv6,
            internal: self.internal,
            mtu: self.mtu,
            options,
            labels: map(self.label),
        };
        let made = context.engine()?.create_network(&wanted)?;
        context.console.notes(&made.notes);
        context.console.line(&made.id).map(|()| 0)
    }
}

/// `192.168.1.9`, or Docker's `printer=192.168.1.9`.
fn excluded(text: &str) -> Result<IpAddr, std::net::AddrParseError> {
    text.split_once('=').map_or(text, |(_, address)| address).parse()
}

/// What was said of an option: by which words, its name and its value.
type Said = (String, String, String);

/// The options by our own words and those by `-o`; an error where two say different things of one.
fn agreed(all: impl Iterator<Item = Said>) -> Result<BTreeMap<String, String>, Failure> {
    let mut options: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (words, name, value) in all {
        let name = if name == DOCKERS_MTU { MTU.to_owned() } else { name };
        match options.get(&name) {
            Some((before, other)) if *other != value => {
                let problem = format!("{before} and {words} do not agree: leave one of them away");
                return Err(Failure::Usage(problem));
            }
            _ => drop(options.insert(name, (words, value))),
        }
    }
    Ok(options.into_iter().map(|(name, (_, value))| (name, value)).collect())
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn words_that_do_not_agree_are_refused_and_those_that_do_are_one() {
        for (words, parts) in [
            ("--snat 10.0.0.1 -o snat=10.0.0.2", ["--snat 10.0.0.1 ", "-o snat=10.0.0.2 "]),
            ("--firewall-compat -o firewall-compat=false", ["--firewall-compat ", "=false "]),
            ("--mtu 1400 -o mtu=1500", ["--mtu 1400 ", "-o mtu=1500 "]),
            ("-o mtu=1400 -o com.docker.network.driver.mtu=1500", ["-o mtu=1400 ", "driver.mtu=1500 "]),
            ("-o k=1 -o k=2", ["-o k=1 ", "-o k=2 "]),
        ] {
            let bench = Bench::new();
            let done = bench.run(&format!("network create {words} web"));
            assert_eq!((done.code, done.stderr.lines().count()), (2, 1), "{words}: {}", done.stderr);
            assert!(parts.iter().all(|part| done.stderr.contains(part)), "{words}: {}", done.stderr);
            assert!(bench.engine.calls().is_empty(), "{words}: the engine was asked");
        }
        let bench = Bench::new();
        let line = "network create --mtu 1400 -o mtu=1400 --snat 10.0.0.1 -o snat=10.0.0.1 -o k=1 -o k=1 \
                    --firewall-compat -o firewall-compat=true web";
        let done = bench.run(line);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let wanted = bench.engine.network();
        let options: Vec<String> =
            wanted.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(options, ["firewall-compat=true", "k=1", "snat=10.0.0.1"]);
        assert_eq!(wanted.mtu, Some(1400));
    }
}
