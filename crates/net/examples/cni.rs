//! Connects a network namespace by a list of CNI plugins, in a network namespace that goes with this program: nothing of this
//! machine's own network is touched.
//!
//! As root, with `containernetworking-plugins` and `iptables` installed:
//! `cargo run -p tinyd-net --example cni [FOLDER-OF-PLUGINS]`.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::fs::File;
use tinyd_net::{CniDriver, EndpointSpec, EndpointState, NetworkDriver, NetworkSpec};

fn main() -> Result<(), Box<dyn Error>> {
    let plugins = std::env::args().nth(1).unwrap_or_else(|| "/usr/lib/cni".to_owned());
    tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET)?;
    // A container is a namespace here, of a thread that has ended.
    let container = std::thread::spawn(|| -> Result<File, std::io::Error> {
        tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET)?;
        File::open("/proc/thread-self/ns/net")
    });
    let netns = container.join().map_err(|_| "the thread failed")??;

    let place = tempfile::tempdir()?;
    let list = place.path().join("lan.conflist");
    let leases = place.path().join("leases");
    let text = format!(
        r#"{{"cniVersion": "1.0.0", "name": "lan", "plugins": [
            {{"type": "bridge", "bridge": "lan0", "isGateway": true, "ipMasq": true, "ipam": {{"type": "host-local",
              "dataDir": "{}", "subnet": "10.99.0.0/24", "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
            {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}"#,
        leases.display()
    );
    std::fs::write(&list, text)?;

    let driver = CniDriver::new(&place.path().join("records"), &place.path().join("namespaces"));
    let options = [("config", list.to_string_lossy().into_owned()), ("bin-dir", plugins)];
    let options = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let network = driver.create(&NetworkSpec { options, ..NetworkSpec::named("example") })?;
    let wanted = EndpointSpec { container: "c1".to_owned(), ..Default::default() };
    let endpoint = driver.attach(&network, &wanted, &netns)?;
    for link in &endpoint.interfaces {
        println!("{}: {:?} through {:?}", link.name, link.addresses, link.gateways);
    }
    driver.check(&network, "c1")?;
    println!("held for {:?}; what takes it away: {} steps", driver.held_for(&network)?, endpoint.undo.len());
    // Another process, which knows no more than the container's name, takes away the same.
    driver.detach(&network, &EndpointState { container: "c1".to_owned(), ..Default::default() })?;
    println!("held for {:?}", driver.held_for(&network)?);
    driver.delete(&network)?;
    Ok(())
}
