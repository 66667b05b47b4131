//! Rules by nftables, spoken over netlink: no program is run for them.
//!
//! All of it is one table, of both families, and needs Linux 5.2. What stands in it is [`schema`]'s to say. Each call is one
//! transaction of the kernel: other readers see all of it or nothing.
//!
//! Who changes what depends on what is there, names the generation of rules that it has seen; when somebody else was faster,
//! it looks again. Who publishes a port depends on nothing: the element is new or it is an error.

mod batch;
mod build;
mod element;
mod expr;
pub(crate) mod fuzzing;
pub(super) mod others;
mod present;
mod schema;
mod wire;

use super::words::{check, wording};
use super::{Firewall, NetworkRules, Publication};
use crate::netlink::{Part, Socket};
use crate::{PublishedPort, Undo};
use batch::{Batch, NotDone};
use element::Element;
use present::Present;
use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;
use schema::Written;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// So many ports are looked for by their keys; of more, all that is published is listed at once.
const FEW: usize = 64;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// How often what somebody else changed meanwhile is looked at again.
const PATIENCE: usize = 200;

/// The firewall of Linux 5.2 and later.
///
/// It has one table and touches nothing outside of it; what others put into it, [`open`](Firewall::open) takes out again.
/// Where a port is published both for one address of the host and for all, the one counts there.
///
/// Two things are needed that are no rules, and are not done here: forwarding (`net.ipv4.ip_forward`, or of each link), and
/// `net.ipv4.conf.BRIDGE.route_localnet` for ports to be reached at 127.0.0.1. Rules of others that drop what is forwarded
/// drop it whatever is said here.
pub struct Nftables {
    table: String,
    netns: Option<OwnedFd>,
}

impl Nftables {
    /// With the table of this name in the network namespace of whatever thread uses it. The name must be no word of nft(8)'s
    /// language, or nft(8) prints what it cannot read.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), netns: None }
    }

    /// With the table of this name in another network namespace. A thread enters it for a moment with each use.
    ///
    /// # Errors
    /// The kernel's, when the descriptor cannot be copied.
    pub fn of(netns: BorrowedFd<'_>, table: impl Into<String>) -> io::Result<Self> {
        Ok(Self { table: table.into(), netns: Some(netns.try_clone_to_owned()?) })
    }

    fn socket(&self) -> Result<Socket, NotDone> {
        let netns = self.netns.as_ref().map(|netns| netns.as_fd());
        Socket::open_netfilter(netns).map_err(|errno| NotDone::new("speak to the kernel", errno))
    }

    fn read(&self, socket: &mut Socket) -> Result<Present, NotDone> {
        Present::read(socket, &self.table)
            .map_err(|errno| NotDone::new(format!("read the table inet {}", self.table), errno))
    }

    /// Does what `work` makes of what is there, until nobody was faster.
    fn change(&self, work: impl Fn(&Present) -> Batch) -> Result<(), NotDone> {
        let mut socket = self.socket()?;
        let mut last = Errno::AGAIN;
        for _ in 0..PATIENCE {
            let present = self.read(&mut socket)?;
            let batch = work(&present);
            if batch.is_empty() {
                return Ok(());
            }
            match batch.send(&mut socket, Some(present.generation)) {
                Ok(()) => return Ok(()),
                Err(refused) if refused.errno == Errno::RESTART => last = refused.errno,
                Err(refused) => return Err(refused.into()),
            }
        }
        Err(NotDone::new(
            format!("change the table inet {}, which others change without a pause", self.table),
            last,
        ))
    }

    /// What makes a network a part of the table; nothing where it is.
    fn opening(&self, network: &NetworkRules, rules: &[Written], present: &Present) -> Batch {
        let mut batch = Batch::default();
        if !present.has_rules(rules) {
            build::table(&mut batch, &self.table, rules);
        }
        build::network(&mut batch, &self.table, network, present);
        batch
    }

    /// Everything published in these maps, with the map and the element that it is.
    fn elements(&self, maps: &[&'static str]) -> Result<Vec<(&'static str, Element, Publication)>, NotDone> {
        let (mut socket, mut all) = (self.socket()?, Vec::new());
        for map in maps {
            let elements = present::elements(&mut socket, &self.table, map)
                .map_err(|errno| NotDone::new(format!("read the map {map} of {}", self.table), errno))?;
            let read =
                |element| element::publication(&element).map(|publication| (*map, element, publication));
            all.extend(elements.into_iter().filter_map(read));
        }
        Ok(all)
    }

    /// Takes an element away where it leads there, and does nothing where it is gone. It is added first, which changes nothing
    /// where it is there, and is refused where the port leads elsewhere meanwhile.
    fn push_removal(&self, batch: &mut Batch, map: &str, element: &Element) {
        let one = std::slice::from_ref(element);
        batch.push("withdraw a port", element::add(Part::Ensure, &self.table, map, one));
        batch.push("withdraw a port", element::remove(&self.table, map, one));
    }

    /// Why this one could not be published.
    fn explain(&self, publication: &Publication, errno: Errno) -> NotDone {
        let port = wording(publication);
        match errno {
            Errno::EXIST => {
                let all = self.published().unwrap_or_default();
                let same = |other: &&Publication| {
                    let key = |one: &Publication| element::of_publication(one).1.key;
                    other.to.is_ipv4() == publication.to.is_ipv4() && key(other) == key(publication)
                };
                let other =
                    all.iter().find(same).map(|other| format!(", which leads to {} already", other.to));
                let other = other.unwrap_or_else(|| ", which is published already".to_owned());
                NotDone::new(format!("publish {port}{other}"), errno)
            }
            Errno::NOENT => {
                let problem = format!(
                    "publish {port}: the table inet {} is not whole, for no network is open",
                    self.table
                );
                NotDone::new(problem, errno)
            }
            errno => NotDone::new(format!("publish {port}"), errno),
        }
    }
}

impl Firewall for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn probe(&self) -> io::Result<()> {
        // All of the table, in a transaction that has no end: the kernel says of each part whether it would do it, and does
        // nothing.
        let mut batch = Batch::default();
        build::table(&mut batch, &self.table, &schema::rules());
        Ok(batch.try_out(&mut self.socket()?).map_err(NotDone::from)?)
    }

    fn open(&self, network: &NetworkRules) -> io::Result<()> {
        let rules = schema::rules();
        Ok(self.change(|present| self.opening(network, &rules, present))?)
    }

    fn is_open(&self, network: &NetworkRules) -> io::Result<bool> {
        let present = self.read(&mut self.socket()?)?;
        Ok(self.opening(network, &schema::rules(), &present).is_empty())
    }

    fn stands(&self, bridges: &[String]) -> io::Result<bool> {
        let mut socket = self.socket()?;
        let failed = |errno| NotDone::new(format!("look for the table inet {}", self.table), errno);
        // Of one chain that every network needs: who flushes rules flushes that one too.
        let there = present::uses(&mut socket, &self.table, schema::CROSSING).map_err(failed)?;
        if there != Some(schema::RULES_OF_CROSSING) {
            return Ok(false);
        }
        // The table may have been made anew since, for another network.
        let open = present::elements(&mut socket, &self.table, schema::BRIDGES).map_err(failed)?;
        Ok(bridges.iter().all(|bridge| open.iter().any(|element| element.key == element::link(bridge))))
    }

    fn close(&self, network: &NetworkRules) -> io::Result<()> {
        let own = element::link(&network.bridge);
        let closed = self.change(|present| {
            let mut batch = Batch::default();
            match present.of(schema::BRIDGES).any(|other| other.key != own) {
                true => build::without_network(&mut batch, &self.table, network, present),
                false => {
                    let message = wire::part(Part::Change, wire::kind::DEL_TABLE, &self.table);
                    batch.push(format!("remove the table inet {}", self.table), message);
                }
            }
            batch
        });
        match closed {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(()),
            other => Ok(other?),
        }
    }

    fn publish(&self, ports: &[Publication]) -> io::Result<Vec<Undo>> {
        let (mut batch, mut undo) = (Batch::default(), Vec::new());
        for publication in ports {
            check(publication)?;
            let (map, element) = element::of_publication(publication);
            let one = std::slice::from_ref(&element);
            batch.push(String::new(), element::add(Part::Make, &self.table, map, one));
            // Each by itself: one that leads elsewhere meanwhile must not keep the others.
            let mut removal = Batch::default();
            self.push_removal(&mut removal, map, &element);
            let protocol = NETFILTER.as_raw().get().cast_signed();
            undo.push(Undo::Netlink { protocol, packet: removal.packet()? });
        }
        if batch.is_empty() {
            return Ok(undo);
        }
        match batch.send(&mut self.socket()?, None) {
            Ok(()) => Ok(undo),
            Err(refused) => match refused.index.and_then(|index| ports.get(index)) {
                Some(publication) => Err(self.explain(publication, refused.errno).into()),
                None => Err(NotDone::from(refused).into()),
            },
        }
    }

    fn withdraw_but(&self, address: IpAddr, kept: &[Publication]) -> io::Result<()> {
        let family = usize::from(address.is_ipv6());
        let mut found = self.elements(&[schema::PORTS[family], schema::HOST_PORTS[family]])?;
        found.retain(|(_, _, publication)| publication.to == address && !kept.contains(publication));
        if found.is_empty() {
            return Ok(());
        }
        let mut socket = self.socket()?;
        let mut whole = Batch::default();
        found.iter().for_each(|(map, element, _)| self.push_removal(&mut whole, map, element));
        if whole.send(&mut socket, None).is_ok() {
            return Ok(());
        }
        // Somebody was faster with one of them: the others go one by one.
        let mut first = None;
        for (map, element, publication) in found {
            let mut one = Batch::default();
            self.push_removal(&mut one, map, &element);
            match one.send(&mut socket, None) {
                Ok(()) => {}
                Err(refused) if matches!(refused.errno, Errno::BUSY | Errno::EXIST | Errno::NOENT) => {}
                Err(refused) => {
                    let what = format!("withdraw {}", wording(&publication));
                    first.get_or_insert(NotDone::new(what, refused.errno));
                }
            }
        }
        first.map_or(Ok(()), |error| Err(error.into()))
    }

    fn published(&self) -> io::Result<Vec<Publication>> {
        let maps = [schema::PORTS, schema::HOST_PORTS].concat();
        let mut all: Vec<_> =
            self.elements(&maps)?.into_iter().map(|(_, _, publication)| publication).collect();
        all.sort_unstable();
        Ok(all)
    }

    /// By their keys: with a thousand ports, each that comes is compared with those of a single address alone.
    fn meeting(&self, wanted: &[Publication]) -> io::Result<Vec<Publication>> {
        let (mut socket, mut found) = (self.socket()?, BTreeSet::new());
        if wanted.len() > FEW {
            let all = self.published()?.into_iter();
            return Ok(all.filter(|other| wanted.iter().any(|one| one.meets(other))).collect());
        }
        for one in wanted {
            let of_all = Publication { port: PublishedPort { host: None, ..one.port }, ..*one };
            let keys = [Some(one), one.port.host.is_some().then_some(&of_all)];
            for (map, element) in keys.into_iter().flatten().map(element::of_publication) {
                let there = present::find(&mut socket, &self.table, map, &element).map_err(|errno| {
                    NotDone::new(format!("look into the map {map} of {}", self.table), errno)
                })?;
                found.extend(there.as_ref().and_then(element::publication));
            }
        }
        for is_ipv6 in [false, true] {
            let of_all = |one: &&Publication| one.port.host.is_none() && one.to.is_ipv6() == is_ipv6;
            if wanted.iter().any(|one| of_all(&one)) {
                let single = self.elements(&[schema::HOST_PORTS[usize::from(is_ipv6)]])?.into_iter();
                let single = single.map(|(_, _, publication)| publication);
                found.extend(single.filter(|other| wanted.iter().filter(of_all).any(|one| one.meets(other))));
            }
        }
        Ok(found.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::PublishedPort;
    use crate::testing::firewall_conformance;

    fn network(number: u8) -> NetworkRules {
        let subnets = [format!("10.99.{number}.0/24"), format!("fd00:99:{number}::/64")];
        NetworkRules {
            bridge: format!("br-{number}"),
            subnets: subnets.map(|text| text.parse().unwrap()).to_vec(),
            internal: false,
            sources: Vec::new(),
        }
    }

    #[test]
    fn root_nftables_keeps_the_contract_of_firewalls() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        let work = || {
            tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET).unwrap();
            firewall_conformance(&|| Box::new(Nftables::new("tinyd-test")), [&network(1), &network(2)]);
        };
        std::thread::spawn(work).join().unwrap();
    }

    #[test]
    fn root_a_look_at_what_the_kernel_would_do_says_what_it_would_and_does_nothing() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        let work = || {
            tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET).unwrap();
            let firewall = Nftables::new("tinyd-test");
            let mut socket = firewall.socket().unwrap();
            let generation = |socket: &mut Socket| Present::read(socket, "tinyd-test").unwrap().generation;
            let before = generation(&mut socket);
            firewall.probe().unwrap();
            assert_eq!(generation(&mut socket), before, "it did something");
            // A part that it would not do.
            let mut batch = Batch::default();
            build::table(&mut batch, "tinyd-test", &schema::rules());
            let message = wire::part(Part::Change, wire::kind::DEL_TABLE, "no-such-table");
            batch.push("remove a table that is not there", message);
            assert_eq!(batch.try_out(&mut socket).unwrap_err().errno, Errno::NOENT);
            assert_eq!(generation(&mut socket), before);
        };
        std::thread::spawn(work).join().unwrap();
    }

    #[test]
    fn pure_an_undo_is_one_whole_batch() {
        let port = PublishedPort { host: None, host_port: 1, container_port: 2, protocol: Protocol::Udp };
        let (map, element) = element::of_publication(&Publication { port, to: "10.0.0.2".parse().unwrap() });
        let mut batch = Batch::default();
        Nftables::new("t").push_removal(&mut batch, map, &element);
        let packet = batch.packet().unwrap();
        let (mut rest, mut kinds) = (&packet[..], Vec::new());
        while !rest.is_empty() {
            let length = usize::try_from(u32::from_ne_bytes(rest[..4].try_into().unwrap())).unwrap();
            kinds.push(u16::from_ne_bytes(rest[4..6].try_into().unwrap()));
            rest = &rest[length..];
        }
        use wire::kind::{BATCH_BEGIN, BATCH_END, DEL_ELEMENT, NEW_ELEMENT};
        assert_eq!(kinds, [BATCH_BEGIN, NEW_ELEMENT, DEL_ELEMENT, BATCH_END]);
    }
}
