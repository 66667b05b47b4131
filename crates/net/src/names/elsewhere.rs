//! The other networks of a container that asks: their zones lie beside this one's.
//!
//! A container asks one server, that of the network it was on first, and finds the names of all of its networks. One that is
//! not on a network learns nothing of it.

use super::zone::Zone;
use crate::Prefix;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The zones beside a network's own.
#[derive(Debug)]
pub(super) struct Elsewhere {
    own: PathBuf,
    zones: BTreeMap<PathBuf, Zone>,
}

impl Elsewhere {
    /// Those beside the zone of a folder.
    pub(super) fn beside(own: &Path) -> Self {
        Self { own: own.to_owned(), zones: BTreeMap::new() }
    }

    /// The addresses of whoever has a name on another network of a container.
    pub(super) fn addresses(&mut self, container: &str, name: &str) -> Option<Vec<IpAddr>> {
        self.of(container).find_map(|zone| zone.addresses(name).map(<[IpAddr]>::to_vec))
    }

    /// The first name of whoever has an address on another network of a container.
    pub(super) fn name(&mut self, container: &str, address: IpAddr) -> Option<String> {
        self.of(container).find_map(|zone| zone.name(address).map(str::to_owned))
    }

    /// Whether a range lies in another network's, whoever is on that.
    pub(super) fn has(&mut self, range: Prefix) -> bool {
        self.all().any(|(_, zone)| is_within(range, zone.ranges()))
    }

    /// Whether an address is one of another network that a container is on.
    pub(super) fn reaches(&mut self, container: &str, address: IpAddr) -> bool {
        self.of(container).any(|zone| zone.ranges().iter().any(|range| range.contains(address)))
    }

    /// Whether an address is one of a network that a container is not on.
    pub(super) fn is_strange(&mut self, container: &str, address: IpAddr) -> bool {
        let mut strange = self.all().filter(|(folder, _)| !folder.join(container).exists());
        strange.any(|(_, zone)| zone.ranges().iter().any(|range| range.contains(address)))
    }

    /// The other networks of a container.
    fn of(&mut self, container: &str) -> impl Iterator<Item = &mut Zone> {
        self.all().filter(move |(folder, _)| folder.join(container).exists()).map(|(_, zone)| zone)
    }

    fn all(&mut self) -> impl Iterator<Item = (&PathBuf, &mut Zone)> {
        let parent = self.own.parent().and_then(|parent| fs::read_dir(parent).ok());
        let folders = parent.into_iter().flatten().flatten();
        let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let others: Vec<_> = folders.map(|folder| folder.path()).filter(|path| *path != self.own).collect();
        // What was a network's once is not kept for ever.
        self.zones.retain(|folder, _| others.contains(folder));
        for folder in others {
            self.zones.entry(folder).or_insert_with_key(|folder| Zone::in_folder(folder));
        }
        self.zones.iter_mut()
    }
}

/// Whether all of a range lies in one of these.
pub(super) fn is_within(range: Prefix, ranges: &[Prefix]) -> bool {
    ranges.iter().any(|other| other.contains(range.first()) && range.length >= other.length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Entry;

    #[test]
    fn pure_names_of_another_network_are_for_those_who_are_on_it() {
        let place = tempfile::tempdir().unwrap();
        let address: IpAddr = "10.2.0.9".parse().unwrap();
        let write = |network: &str, id: &str, name: &str, address: &str| {
            let range = if network == "one" { "10.1.0.0/24" } else { "10.2.0.0/24" };
            let entry = Entry {
                addresses: vec![address.parse().unwrap()],
                names: vec![name.to_owned()],
                ranges: vec![range.parse().unwrap()],
                ..Entry::default()
            };
            entry.write(&place.path().join(network), id).unwrap();
        };
        write("one", "aaaa", "web", "10.1.0.2");
        write("one", "bbbb", "job", "10.1.0.3");
        write("two", "aaaa", "web", "10.2.0.2");
        write("two", "cccc", "db", "10.2.0.9");
        let mut elsewhere = Elsewhere::beside(&place.path().join("one"));
        assert_eq!(elsewhere.addresses("aaaa", "db"), Some(vec![address]));
        assert_eq!(elsewhere.addresses("bbbb", "db"), None, "it is not on that network");
        assert_eq!(elsewhere.addresses("aaaa", "job"), None, "the own zone is another's to ask");
        assert_eq!(elsewhere.name("aaaa", address).as_deref(), Some("db"));
        assert_eq!(elsewhere.name("bbbb", address), None, "nor is an address that it can reach");
        for (range, is_there) in
            [("10.2.0.9/32", true), ("10.2.0.0/24", true), ("10.2.0.0/16", false), ("10.1.0.2/32", false)]
        {
            assert_eq!(elsewhere.has(range.parse().unwrap()), is_there, "{range}");
        }
        assert!(elsewhere.reaches("aaaa", address) && !elsewhere.reaches("bbbb", address));
        assert!(elsewhere.is_strange("bbbb", address) && !elsewhere.is_strange("aaaa", address));
        assert!(!elsewhere.is_strange("bbbb", "10.1.0.9".parse().unwrap()));
        fs::remove_file(place.path().join("two/aaaa")).unwrap();
        assert_eq!(elsewhere.addresses("aaaa", "db"), None, "it has left");
    }
}
