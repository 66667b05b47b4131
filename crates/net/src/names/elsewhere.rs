//! The other networks of a container that asks: their zones lie beside this one's.
//!
//! A container asks one server, that of the network it was on first, and finds the names of all of its networks. One that is
//! not on a network learns nothing of it.

use super::zone::Zone;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The zones beside a network's own.
#[derive(Debug)]
pub(super) struct Elsewhere {
    own: PathBuf,
    zones: BTreeMap<OsString, Zone>,
}

impl Elsewhere {
    /// Those beside the zone of a folder.
    pub(super) fn beside(own: &Path) -> Self {
        Self { own: own.to_owned(), zones: BTreeMap::new() }
    }

    /// The addresses of whoever has a name on another network of a container.
    pub(super) fn addresses(&mut self, container: &str, name: &str) -> Option<Vec<IpAddr>> {
        let all = fs::read_dir(self.own.parent()?).ok()?;
        let others: Vec<OsString> = all
            .flatten()
            .filter(|folder| folder.path() != self.own && folder.path().join(container).exists())
            .map(|folder| folder.file_name())
            .collect();
        // What was a network's once is not kept for ever.
        self.zones.retain(|folder, _| others.contains(folder));
        let parent = self.own.parent()?.to_owned();
        others.into_iter().find_map(|folder| {
            let path = parent.join(&folder);
            let zone = self.zones.entry(folder).or_insert_with(|| Zone::in_folder(&path));
            zone.addresses(name).map(<[IpAddr]>::to_vec)
        })
    }
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
            let entry = Entry { addresses: vec![address.parse().unwrap()], names: vec![name.to_owned()] };
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
        fs::remove_file(place.path().join("two/aaaa")).unwrap();
        assert_eq!(elsewhere.addresses("aaaa", "db"), None, "it has left");
    }
}
