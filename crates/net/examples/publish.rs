//! Leads a port of the host to a container, in a network namespace that goes with this program: nothing of this machine's own
//! network is touched.
//!
//! As root: `cargo run -p tinyd-net --example publish`, with nftables; with the word `iptables` behind it, with that. Where
//! the program for it is installed, it shows the rules.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::process::Command;
use tinyd_net::firewall::{Firewall, Iptables, NetworkRules, Nftables, Publication};
use tinyd_net::port::check_free;
use tinyd_net::{Protocol, PublishedPort};

fn main() -> Result<(), Box<dyn Error>> {
    tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET)?;
    let network = NetworkRules {
        bridge: "br-example".to_owned(),
        subnets: vec!["10.99.0.0/24".parse()?, "fd00:99::/64".parse()?],
        internal: false,
        sources: Vec::new(),
    };
    let port = PublishedPort { host: None, host_port: 8080, container_port: 80, protocol: Protocol::Tcp };
    check_free(&port)?;

    let firewall: Box<dyn Firewall> = match std::env::args().nth(1).as_deref() {
        Some("iptables") => Box::new(Iptables::new("tinyd-example", "/run/tinyd-example.lock")),
        _ => Box::new(Nftables::new("tinyd-example")),
    };
    firewall.probe()?;
    firewall.open(&network)?;
    let undo = firewall.publish(&[Publication { port, to: "10.99.0.2".parse()? }])?;
    println!("published: {:?}", firewall.published()?);
    println!("what takes it away: {} step(s)", undo.len());
    // Another container wants the same port.
    if let Err(error) = firewall.publish(&[Publication { port, to: "10.99.0.3".parse()? }]) {
        println!("as it should be, {error}");
    }
    let list: &[&str] = match firewall.name() {
        "iptables" => &["iptables-save"],
        _ => &["nft", "list", "table", "inet", "tinyd-example"],
    };
    if let Ok(output) = Command::new(list[0]).args(&list[1..]).output() {
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
    firewall.close(&network)?;
    println!("published after the last network was closed: {:?}", firewall.published()?);
    Ok(())
}
