//! Rules by iptables(8) and ip6tables(8), for hosts whose kernel does not have nf_tables.
//!
//! What stands in the chains is [`rules`]' to say. All changes of a table are one call of iptables-restore(8), which makes all
//! of them or none; it is told to keep what is there. What is there is read by iptables-save(8). Between the two, a lock keeps
//! others of ours away; who is not of ours may take a rule away meanwhile, and then it is looked at again.
//!
//! A port is one rule. It is added and taken away by itself, and no other change touches it, so that the monitor of a container
//! can take it away without the lock.

pub(super) mod family;
mod lock;
mod names;
mod network;
pub(super) mod others;
mod port;
mod program;
mod rules;
mod saved;
mod turn;

pub use program::{Programs, Variant};

use super::words::{check, wording};
use super::{Firewall, NetworkRules, Publication};
use crate::Undo;
use family::Family;
use lock::Held;
use names::Names;
use network::Network;
use program::NotDone;
use rules::{CHAINS, MANGLE, NAT, NETWORKS, OF_PORTS, script};
use saved::{Line, Saved};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How often what somebody else changed meanwhile is looked at again.
const PATIENCE: usize = 4;

/// The firewall of hosts without nf_tables.
///
/// It has chains of its own, all of whose names begin alike, and one rule in each of the kernel's chains that lead to them. It
/// changes no other rule, and no policy. Rules of others that drop what is forwarded drop it whatever is said here. Each call
/// runs two programs or four: one that lists and one that changes, for each family.
///
/// The same two things are needed that are no rules as with [`Nftables`](super::Nftables): forwarding, and `route_localnet`.
pub struct Iptables {
    names: Names,
    lock: PathBuf,
    netns: Option<OwnedFd>,
    programs: Option<Programs>,
}

/// What is ours of a family's rules, and the programs that know of it.
#[derive(Debug)]
struct Read {
    programs: Programs,
    there: Saved,
}

impl Iptables {
    /// With chains whose names begin with this one, in the network namespace of whatever thread uses it. `lock` is a file, the
    /// same for all who use the name; it is made where it is not there, with its folder, and goes with the last network.
    ///
    /// The programs are the host's `iptables`; where that makes rules which the kernel does not have, `iptables-legacy`.
    pub fn new(name: &str, lock: impl Into<PathBuf>) -> Self {
        Self { names: Names::of(name), lock: lock.into(), netns: None, programs: None }
    }

    /// The same in another network namespace. A thread enters it for a moment with each use. The steps that undo a publication
    /// are for whoever is there.
    ///
    /// # Errors
    /// The kernel's, when the descriptor cannot be copied.
    pub fn of(netns: BorrowedFd<'_>, name: &str, lock: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self { netns: Some(netns.try_clone_to_owned()?), ..Self::new(name, lock) })
    }

    /// The same, with these programs.
    #[must_use]
    pub fn with_programs(mut self, programs: Programs) -> Self {
        self.programs = Some(programs);
        self
    }

    fn wait(&self) -> Result<Held, NotDone> {
        Held::wait(&self.lock).map_err(|source| NotDone::Lock { path: self.lock.clone(), source })
    }

    /// The lock, where somebody has it or anything is there; else its file would be made for nothing.
    fn wait_for_something(&self, family: Family) -> io::Result<Option<Held>> {
        let held = Held::wait_if_there(&self.lock);
        let held = held.map_err(|source| NotDone::Lock { path: self.lock.clone(), source })?;
        match held {
            None if !self.read(family)?.there.is_empty() => Ok(Some(self.wait()?)),
            held => Ok(held),
        }
    }

    fn netns(&self) -> Option<BorrowedFd<'_>> {
        self.netns.as_ref().map(|netns| netns.as_fd())
    }

    fn read(&self, family: Family) -> io::Result<Read> {
        match &self.programs {
            Some(programs) => self.list(family, programs.clone()),
            // The usual one may make rules of nf_tables, which is what such a host does not have.
            None => self.read_by(family, [Variant::Usual, Variant::Legacy].into_iter().map(Programs::find)),
        }
    }

    /// By the first of these that can do it; the error of the first where none can.
    fn read_by(
        &self,
        family: Family,
        all: impl IntoIterator<Item = io::Result<Programs>>,
    ) -> io::Result<Read> {
        let mut first = None;
        for programs in all {
            match programs.and_then(|programs| self.list(family, programs)) {
                Ok(read) => return Ok(read),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn list(&self, family: Family, programs: Programs) -> io::Result<Read> {
        let listing = program::run(self.netns(), "list the rules", programs.save(family), &[], b"", None)?;
        let listing = String::from_utf8_lossy(&listing);
        let there = Saved::parse(&listing, &self.names.mark(), |chain| self.names.is_own(chain));
        Ok(Read { programs, there })
    }

    /// Has all of these changes of a table made, or none.
    fn change(
        &self,
        held: &Held,
        restore: &Path,
        what: &str,
        table: &str,
        lines: &[String],
    ) -> Result<(), NotDone> {
        if lines.is_empty() {
            return Ok(());
        }
        let failed = |source| NotDone::Lock { path: self.lock.clone(), source };
        // Nothing is printed: it is how the program holds the lock.
        let stdout = Some(held.share().map_err(failed)?);
        program::run(self.netns(), what, restore, &program::CHANGE, &script(table, lines), stdout).map(drop)
    }

    /// Does `work` again where somebody who does not know the lock was faster.
    fn again<T>(work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mut result = work();
        for _ in 1..PATIENCE {
            match &result {
                Err(error) if error.kind() == io::ErrorKind::Other => result = work(),
                _ => break,
            }
        }
        result
    }

    /// Makes a family's chains what they shall be with these networks.
    fn make(&self, held: &Held, family: Family, read: &Read, networks: &[Network]) -> io::Result<()> {
        let restore = read.programs.restore(family);
        for table in rules::tables(&self.names, family, networks) {
            let lines = turn::into(&table, read.there.table(table.name), &self.chains_of_ports());
            self.change(held, restore, "make the rules of networks", table.name, &lines)?;
        }
        Ok(())
    }

    /// Takes all that is ours away.
    fn remove(&self, held: &Held, family: Family, read: &Read) -> io::Result<()> {
        let restore = read.programs.restore(family);
        // The other way round: networks are closed to others while anything leads there.
        for (name, _) in CHAINS.iter().rev() {
            let lines = turn::into_nothing(read.there.table(name));
            self.change(held, restore, "remove the rules of networks", name, &lines)?;
        }
        Ok(())
    }

    fn networks(&self, there: &Saved) -> Vec<Network> {
        let name = self.names.chain(NETWORKS);
        there.table(MANGLE).of(&name).filter_map(|line| Network::read(line.comment())).collect()
    }

    /// Whether a network is known, and all that follows from those that are is there.
    fn is_whole(&self, there: &Saved, family: Family, network: &Network) -> bool {
        let networks = self.networks(there);
        let ports = self.chains_of_ports();
        let is_good = |table: &rules::Table| turn::into(table, there.table(table.name), &ports).is_empty();
        networks.contains(network) && rules::tables(&self.names, family, &networks).iter().all(is_good)
    }

    /// The published ports of a family, with their rules.
    fn ports<'a>(&self, there: &'a Saved) -> Vec<(&'a Line, Publication)> {
        let read = |line| port::read(line).map(|publication| (line, publication));
        let table = there.table(NAT);
        self.chains_of_ports().iter().flat_map(|chain| table.of(chain)).filter_map(read).collect()
    }

    fn chains_of_ports(&self) -> [String; 2] {
        OF_PORTS.map(|ending| self.names.chain(ending))
    }

    /// What adds a port to its chain, or takes it away from there.
    fn line(&self, operation: char, publication: &Publication) -> String {
        format!("-{operation} {} {}", self.names.chain(port::chain(publication)), port::rule(publication))
    }

    /// Whether these can be published beside what is there.
    fn admit(&self, ports: &[Publication], there: &Saved) -> Result<(), NotDone> {
        let Some(first) = ports.first() else { return Ok(()) };
        let chains = self.chains_of_ports();
        if let Some(missing) = chains.iter().find(|chain| !there.table(NAT).has(chain)) {
            let what =
                format!("publish {}: there is no chain {missing}, for no network is open", wording(first));
            return Err(NotDone::Wrong(what, io::ErrorKind::NotFound));
        }
        let published = self.ports(there);
        for (index, one) in ports.iter().enumerate() {
            let mut others = published.iter().map(|(_, other)| other).chain(&ports[..index]);
            if let Some(other) = others.find(|other| port::meet(one, other)) {
                let what = format!("publish {}, which leads to {} already", wording(one), other.to);
                return Err(NotDone::Wrong(what, io::ErrorKind::AlreadyExists));
            }
        }
        Ok(())
    }

    /// What takes one port away where it leads there, and does nothing where it is gone.
    fn undo(&self, programs: &Programs, publication: &Publication) -> Undo {
        Undo::Run {
            program: programs.restore(Family::of(publication.to)).to_owned(),
            arguments: program::CHANGE.map(str::to_owned).to_vec(),
            environment: program::ENVIRONMENT
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            stdin: script(NAT, &[self.line('D', publication)]),
            strict: false,
        }
    }

    fn open_in(&self, family: Family, network: Network) -> io::Result<()> {
        let held = self.wait()?;
        let read = self.read(family)?;
        let before = self.networks(&read.there);
        let mut networks = before.clone();
        networks.retain(|other| other.bridge != network.bridge);
        networks.push(network);
        networks.sort_by(|one, other| one.bridge.cmp(&other.bridge));
        let made = self.make(&held, family, &read, &networks);
        if made.is_err() && before.is_empty() {
            // One table may be whole already.
            let left = self.read(family).and_then(|read| self.remove(&held, family, &read));
            if left.is_ok() {
                held.remove();
            }
        }
        made
    }

    fn close_in(&self, family: Family, bridge: &str) -> io::Result<()> {
        let Some(held) = self.wait_for_something(family)? else { return Ok(()) };
        let read = self.read(family)?;
        let (mut networks, is_of) =
            (self.networks(&read.there), |network: &Network| network.bridge == bridge);
        if !networks.is_empty() && !networks.iter().any(is_of) {
            return Ok(());
        }
        networks.retain(|network| !is_of(network));
        if !networks.is_empty() {
            return self.make(&held, family, &read, &networks);
        }
        self.remove(&held, family, &read)?;
        held.remove();
        Ok(())
    }
}

impl Firewall for Iptables {
    fn name(&self) -> &'static str {
        "iptables"
    }

    fn probe(&self) -> io::Result<()> {
        self.read(Family::V4).map(drop)
    }

    fn open(&self, network: &NetworkRules) -> io::Result<()> {
        let families = Family::BOTH.map(|family| (family, Network::of(network, family)));
        for (family, wanted) in families {
            if let Some(wanted) = wanted? {
                Self::again(|| self.open_in(family, wanted.clone()))?;
            }
        }
        Ok(())
    }

    fn is_open(&self, network: &NetworkRules) -> io::Result<bool> {
        for family in Family::BOTH {
            if let Some(wanted) = Network::of(network, family)?
                && !self.is_whole(&self.read(family)?.there, family, &wanted)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn stands(&self, _: &[String]) -> io::Result<bool> {
        Ok(true)
    }

    fn runs_programs(&self) -> bool {
        true
    }

    fn close(&self, network: &NetworkRules) -> io::Result<()> {
        let mut first = Ok(());
        for family in Family::BOTH {
            // Who was killed while it opened a network may not have said what ranges it has.
            let closed = Self::again(|| self.close_in(family, &network.bridge));
            let has_ranges = network.subnets.iter().any(|subnet| Family::of(subnet.address) == family);
            first = first.and(if has_ranges || family == Family::V4 { closed } else { Ok(()) });
        }
        first
    }

    fn publish(&self, ports: &[Publication]) -> io::Result<Vec<Undo>> {
        ports.iter().try_for_each(check)?;
        if ports.is_empty() {
            return Ok(Vec::new());
        }
        let held = self.wait()?;
        let mut parts = Vec::new();
        for family in Family::BOTH {
            let own: Vec<_> = ports.iter().filter(|one| Family::of(one.to) == family).copied().collect();
            if !own.is_empty() {
                let read = self.read(family)?;
                if let Err(error) = self.admit(&own, &read.there) {
                    let error = io::Error::from(error);
                    if error.kind() == io::ErrorKind::NotFound {
                        held.remove();
                    }
                    return Err(error);
                }
                parts.push((family, read.programs, own));
            }
        }
        for (index, (family, programs, own)) in parts.iter().enumerate() {
            let lines: Vec<_> = own.iter().map(|one| self.line('A', one)).collect();
            let what = own.first().map(|first| format!("publish {}", wording(first))).unwrap_or_default();
            let Err(error) = self.change(&held, programs.restore(*family), &what, NAT, &lines) else {
                continue;
            };
            for (family, programs, own) in &parts[..index] {
                let lines: Vec<_> = own.iter().map(|one| self.line('D', one)).collect();
                let what = "take back what was published";
                let _ = self.change(&held, programs.restore(*family), what, NAT, &lines);
            }
            return Err(error.into());
        }
        let undo = |one: &Publication| {
            let part = parts.iter().find(|(family, _, _)| *family == Family::of(one.to));
            part.map(|(_, programs, _)| self.undo(programs, one))
        };
        Ok(ports.iter().filter_map(undo).collect())
    }

    fn withdraw_but(&self, address: IpAddr, kept: &[Publication]) -> io::Result<()> {
        let family = Family::of(address);
        // A monitor does not ask for the lock: a rule that is taken away twice is an error, and then it is looked at again.
        Self::again(|| {
            let Some(held) = self.wait_for_something(family)? else { return Ok(()) };
            let read = self.read(family)?;
            let mut of_address = self.ports(&read.there);
            of_address.retain(|(_, one)| one.to == address && !kept.contains(one));
            if of_address.is_empty() {
                return Ok(());
            }
            let of_address = of_address.into_iter();
            let lines: Vec<_> =
                of_address.map(|(line, _)| format!("-D {} {}", line.chain, line.text)).collect();
            let what = format!("withdraw the ports of {address}");
            Ok(self.change(&held, read.programs.restore(family), &what, NAT, &lines)?)
        })
    }

    fn published(&self) -> io::Result<Vec<Publication>> {
        let mut all = Vec::new();
        for family in Family::BOTH {
            let read = self.read(family)?;
            all.extend(self.ports(&read.there).into_iter().map(|(_, publication)| publication));
        }
        all.sort_unstable();
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
