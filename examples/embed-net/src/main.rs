//! Two network namespaces joined by a bridge, with NAT to the world, made with `tinyd-net` alone. The host of it all is a
//! namespace too. As root, with busybox: `cargo run --manifest-path examples/embed-net/Cargo.toml`.
#![forbid(unsafe_code)]

use std::process::{Child, Command, Stdio};
use std::{env, error::Error, fs::File, io::Read as _, os::fd::AsFd as _};
use tinyd_net::link::{Links, Veth};
use tinyd_net::{BridgeDriver, EndpointSpec, NetworkDriver as _, NetworkSpec, firewall::Nftables};

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().len() == 1 {
        let inside = Command::new("unshare").arg("--net").arg(env::current_exe()?).arg("inside").status()?;
        return if inside.success() { Ok(()) } else { Err("it failed inside".into()) };
    }
    // The world: a link leads to it, and it knows no way to what is behind the host.
    let ((mut world, far), (mut a, a_net), (mut b, b_net)) = (namespace()?, namespace()?, namespace()?);
    let (mut host, mut there) = (Links::here()?, Links::of(far.as_fd())?);
    host.make_bridge("wan0", [2, 0, 0, 0, 0, 1], 1500)?;
    let bridge = host.find("wan0")?.ok_or("wan0 is gone")?.index;
    let (name, peer, mac, netns) = ("port0", "eth0", [2, 0, 0, 0, 0, 2], far.as_fd());
    host.make_veth(&Veth { name, bridge, hairpin: false, mtu: 1500, peer, mac, netns })?;
    host.add_address(bridge, "198.51.100.1/24".parse()?)?;
    host.add_default_route(bridge, "198.51.100.2".parse()?)?;
    let eth0 = there.find("eth0")?.ok_or("eth0 is gone")?.index;
    there.add_address(eth0, "198.51.100.2/24".parse()?)?;
    there.switch_on(eth0)?;
    // The network of the two.
    let place = env::temp_dir().join(format!("embed-net-{}", std::process::id()));
    let driver = BridgeDriver::new(&place, |table| Box::new(Nftables::new(table)));
    let subnets = vec!["10.99.0.0/24".parse()?];
    let network = driver.create(&NetworkSpec { subnets, ..NetworkSpec::named("pair") })?;
    for (name, netns) in [("a", a_net), ("b", b_net)] {
        let wanted = EndpointSpec { container: name.to_owned(), gateway: true, ..Default::default() };
        driver.attach(&network, &wanted, &netns)?;
    }
    println!("a reaches b: {}, b reaches a: {}", ping(&a, "10.99.0.3")?, ping(&b, "10.99.0.2")?);
    println!("a reaches the world: {}, b too: {}", ping(&a, "198.51.100.2")?, ping(&b, "198.51.100.2")?);
    println!("the world reaches a: {}", ping(&world, "10.99.0.2")?);
    driver.delete(&network)?;
    [&mut world, &mut a, &mut b].into_iter().try_for_each(|holder| Ok(holder.kill()?))
}

/// A new network namespace, and the process that holds it, which says so when it is there.
fn namespace() -> Result<(Child, File), Box<dyn Error>> {
    let hold = ["--net", "sh", "-c", "echo; exec sleep 600"];
    let mut holder = Command::new("unshare").args(hold).stdout(Stdio::piped()).spawn()?;
    holder.stdout.take().ok_or("it has no pipe")?.read_exact(&mut [0])?;
    let netns = File::open(format!("/proc/{}/ns/net", holder.id()))?;
    Ok((holder, netns))
}

fn ping(from: &Child, to: &str) -> std::io::Result<bool> {
    let place = format!("--net=/proc/{}/ns/net", from.id());
    let ping = ["busybox", "ping", "-c", "2", "-W", "4", to];
    Ok(Command::new("nsenter").arg(place).args(ping).output()?.status.success())
}
