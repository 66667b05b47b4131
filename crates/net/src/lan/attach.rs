//! A container's place on a network that a link of the host leads to.

use super::parent::Parent;
use super::{LanDriver, here, missing, plan, words};
use crate::error::kernel;
use crate::inside::{self, End, patiently};
use crate::link::{Child, ChildKind, Links, MAX_NAME, MacvlanMode};
use crate::naming;
use crate::plan::invalid;
use crate::{EndpointSpec, EndpointState, Error, Netns, NetworkSpec, Result, netns};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

/// The kernel's answers while a parent, or a hardware address on it, is somebody else's.
const TAKEN: [Errno; 3] = [Errno::INVAL, Errno::BUSY, Errno::ADDRINUSE];

/// Connects a container, or leaves nothing.
pub(super) fn attach(
    driver: &LanDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: &dyn Netns,
) -> Result<EndpointState> {
    let kind = words::kind(network, driver.kind)?;
    check(network, kind, wanted)?;
    let mut links = here(network)?;
    // It may have changed since the network was made.
    let parent = Parent::find(&mut links, network)?;
    // What was noted is gone after a restart of the machine.
    driver.modes().note(network, &parent.link.name, kind)?;
    let mut made_in = None;
    let result = (|| {
        let places = driver.places(network);
        let addresses = places.take(network, wanted, &parent.own())?;
        let mac = match kind {
            ChildKind::Macvlan(MacvlanMode::Passthru) | ChildKind::Ipvlan(_) => None,
            ChildKind::Macvlan(_) => wanted.mac.or_else(|| Some(naming::mac(addresses.first()?.address))),
        };
        let netns = netns::open(&network.name, netns)?;
        let child = Child {
            name: inside::interface(wanted),
            parent: parent.link.index,
            kind,
            mac,
            mtu: network.mtu,
            netns,
        };
        patiently(&TAKEN, || links.make_child(&child))
            .map_err(|error| refused(error, network, &child, &parent))?;
        made_in = Some(netns);
        let mut end = End::settle(network, wanted, netns)?;
        let alias = alias(driver, network, &wanted.container);
        prepare(&mut links, &mut end, network, &child, &parent, &alias)?;
        let interface = inside::set_up(network, wanted, end, addresses, &plan::ways(network, kind), None)?;
        Ok(EndpointState {
            container: wanted.container.clone(),
            undo: places.undo(&interface.addresses),
            interfaces: vec![interface],
            ..Default::default()
        })
    })();
    if result.is_err() {
        // It may not be known by its alias yet.
        if let Some(netns) = made_in {
            let _ = unmake(netns, inside::interface(wanted));
        }
        let unknown = EndpointState { container: wanted.container.clone(), ..Default::default() };
        let _ = detach(driver, network, &unknown);
    }
    result
}

/// Takes away whatever a container has of a network: its link, where its namespace lives on, and then the leases, which are
/// what is known of a container whose driver was killed.
pub(super) fn detach(driver: &LanDriver, network: &NetworkSpec, endpoint: &EndpointState) -> Result<()> {
    let places = driver.places(network);
    let (owned, mut first) = places.of(network, endpoint);
    if !owned.is_empty() {
        let alias = alias(driver, network, &endpoint.container);
        let removed = here(network)?.remove_aliased(&alias);
        first = first.and(removed.map_err(kernel(&network.name, "remove the link of", &endpoint.container)));
    }
    for address in owned {
        first = first.and(places.give_back(network, address, &endpoint.container));
    }
    first
}

/// Refuses what such a network cannot give, before anything is made.
fn check(network: &NetworkSpec, kind: ChildKind, wanted: &EndpointSpec) -> Result<()> {
    if let Some(port) = wanted.ports.first() {
        let what = format!("the port {}/{}", port.container_port, port.protocol);
        let problem = format!(
            "cannot be published: by {kind} the container has an address of its own on the parent's network, where its \
             ports are reached as they are"
        );
        return Err(invalid(network, what, problem));
    }
    let name = inside::interface(wanted);
    let odd = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace();
    if name.len() > MAX_NAME || name.bytes().any(odd) || name == "." || name == ".." {
        let problem =
            format!("cannot be a link's: it has {MAX_NAME} bytes at most, and no '/', ':' or space");
        return Err(invalid(network, format!("the name {name:?}"), problem));
    }
    let problem = match kind {
        ChildKind::Macvlan(MacvlanMode::Passthru) => {
            "cannot be chosen: in the mode passthru it is the parent's"
        }
        ChildKind::Ipvlan(_) => "cannot be chosen: by ipvlan it is the parent's",
        ChildKind::Macvlan(_) => return Ok(()),
    };
    match wanted.mac {
        Some(_) => Err(invalid(network, "the hardware address".to_owned(), problem)),
        None => Ok(()),
    }
}

fn unmake(netns: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut links = Links::of(netns)?;
    links.find(name)?.map_or(Ok(()), |link| links.remove(link.index))
}

/// Makes it possible to find the link again, and switches it on.
fn prepare(
    links: &mut Links,
    end: &mut End,
    network: &NetworkSpec,
    child: &Child<'_>,
    parent: &Parent,
    alias: &str,
) -> Result<()> {
    let failed = |operation| kernel(&network.name, operation, child.name);
    let End { links: there, link } = end;
    there.set_alias(link.index, alias).map_err(failed("give an alias to the container's link"))?;
    links.number(child.netns).map_err(failed("number the namespace of the container's link"))?;
    patiently(&TAKEN, || there.switch_on(link.index)).map_err(|error| refused(error, network, child, parent))
}

/// What the kernel's answer means: the parent is fit, so that all that is left to be wrong is who else has it.
fn refused(error: io::Error, network: &NetworkSpec, child: &Child<'_>, parent: &Parent) -> Error {
    let problem = match (Errno::from_io_error(&error), child.kind) {
        (Some(Errno::OPNOTSUPP), _) => return missing(network, child.kind),
        (Some(Errno::BUSY), _) => {
            "is in use by links of another kind, such as macvlan beside ipvlan: choose another one"
        }
        (Some(Errno::ADDRINUSE), ChildKind::Macvlan(_)) => {
            let mac = child.mac.unwrap_or_default().map(|byte| format!("{byte:02x}")).join(":");
            let problem = format!("belongs to {} or to another link on it", parent.link.name);
            return invalid(network, format!("the hardware address {mac}"), problem);
        }
        (Some(Errno::INVAL), ChildKind::Macvlan(MacvlanMode::Passthru)) => {
            "has other containers or macvlan links, and can be passed through only to one that has it alone"
        }
        (Some(Errno::INVAL), ChildKind::Macvlan(_)) => {
            "is passed through to one that has it alone, a container or a macvlan link"
        }
        _ => return kernel(&network.name, "make the container's link", child.name)(error),
    };
    invalid(network, format!("the parent {:?}", parent.link.name), problem)
}

/// By what a container's link is found in a namespace that lives on: nobody else's link is called so.
fn alias(driver: &LanDriver, network: &NetworkSpec, container: &str) -> String {
    format!("{} {container}", driver.names.network(&network.name))
}
