//! Who has which address of a network: a link for each, made so that of two who want it one gets it.
//!
//! A folder holds a symbolic link for each address in use, named like it, whose target is the owner's name. It is there with
//! its owner or it is not, so that no lock is needed, and nothing has to be put right after a crash but what an owner left
//! behind, which [`Leases::all`] shows. The file `next` says where the search goes on: an address that was given back is the last to be
//! given out again, so that whoever still talks to its old owner does not soon meet another.

use crate::Prefix;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where the next search begins.
const NEXT: &str = "next";
/// No more addresses of a range are given out: a range of IPv6 is too large to be searched.
const MOST: u128 = 1 << 32;
/// Letters of the longest address: each is written over the one before, so that nothing of it may be left.
const WIDTH: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

/// An address could not be leased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Somebody has it.
    #[error("the address {address} belongs to {owner}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        owner: String,
    },
    /// All are in use.
    #[error("all {count} addresses of {range} are in use")]
    Exhausted {
        /// The range.
        range: Prefix,
        /// How many there are to be had.
        count: u128,
    },
    /// It is not one that a container can have.
    #[error("{address} is no address of {range} that a container can have")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The range.
        range: Prefix,
    },
    /// The folder cannot be used.
    #[error("{operation} {}", path.display())]
    Folder {
        /// `make`, `read`, `remove`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The addresses that are given out of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The network's range.
    pub subnet: Prefix,
    /// The part of it that is given out to those who want no certain one.
    pub part: Prefix,
    /// Addresses that nobody gets: the gateway's, and those that were excluded.
    pub excluded: Vec<IpAddr>,
}

impl Range {
    /// Whether a container can have an address: it is in the network, is not excluded, and means no group of hosts.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        // Two addresses, or one, are all for hosts (RFC 3021).
        let ends = self.subnet.size() > 2;
        self.subnet.contains(address)
            && !self.excluded.contains(&address)
            && !(ends && address == self.subnet.first())
            && !(ends && address.is_ipv4() && address == self.subnet.last())
    }
}

/// The leases of one range.
pub struct Leases {
    folder: PathBuf,
}

impl Leases {
    /// Those in this folder, which need not be there yet.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Takes an address for an owner: the one that is wanted, or the one that has been free for longest.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn take(&self, range: &Range, wanted: Option<IpAddr>, owner: &str) -> Result<IpAddr, LeaseError> {
        fs::create_dir_all(&self.folder).map_err(|source| failed("make", &self.folder, source))?;
        match wanted {
            Some(address) if !range.allows(address) => {
                Err(LeaseError::Outside { address, range: range.subnet })
            }
            Some(address) if self.claim(address, owner)? => Ok(address),
            Some(address) => {
                let owner = self.owner(address)?.unwrap_or_else(|| "somebody else".to_owned());
                Err(LeaseError::Taken { address, owner })
            }
            None => self.take_any(range, owner),
        }
    }

    fn take_any(&self, range: &Range, owner: &str) -> Result<IpAddr, LeaseError> {
        // Of two ranges one holds the other, or they have nothing in common.
        let part = match range.subnet.overlaps(range.part) {
            true if range.part.length >= range.subnet.length => range.part,
            true => range.subnet,
            false => return Err(LeaseError::Exhausted { range: range.part, count: 0 }),
        };
        let size = part.size().min(MOST);
        let start = self.next().and_then(|address| part.position(address));
        let start = start.filter(|start| *start < size).unwrap_or(0);
        let mut count = 0;
        for step in 0..size {
            let position = (start + step) % size;
            let Some(address) = part.nth(position) else { break };
            if !range.allows(address) {
                continue;
            }
            count += 1;
            if self.claim(address, owner)? {
                // Without it the search begins at the start: slower, and an address comes back sooner.
                let _ = self.remember(part.nth((position + 1) % size));
                return Ok(address);
            }
        }
        Err(LeaseError::Exhausted { range: part, count })
    }

    /// Gives an address back, if this owner has it. `false` when it does not.
    ///
    /// # Errors
    /// [`LeaseError::Folder`].
    pub fn give_back(&self, address: IpAddr, owner: &str) -> Result<bool, LeaseError> {
        if self.owner(address)?.as_deref() != Some(owner) {
            return Ok(false);
        }
        let path = self.path(address);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(failed("remove", &path, source)),
        }
    }

    /// Who has an address.
    ///
    /// # Errors
    /// [`LeaseError::Folder`].
    pub fn owner(&self, address: IpAddr) -> Result<Option<String>, LeaseError> {
        let path = self.path(address);
        match fs::read_link(&path) {
            Ok(owner) => Ok(Some(owner.to_string_lossy().into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// All addresses that are taken, with their owners.
    ///
    /// # Errors
    /// [`LeaseError::Folder`].
    pub fn all(&self) -> Result<Vec<(IpAddr, String)>, LeaseError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("read", &self.folder, source)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| failed("read", &self.folder, source))?;
            let address = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // It may have been given back meanwhile.
            if let Some(address) = address
                && let Some(owner) = self.owner(address)?
            {
                all.push((address, owner));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Takes every address back, and the folder away.
    ///
    /// # Errors
    /// [`LeaseError::Folder`].
    pub fn remove(&self) -> Result<(), LeaseError> {
        let gone = |result: io::Result<()>, what, path: &Path| match result {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(what, path, source)),
            _ => Ok(()),
        };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed("read", &self.folder, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| failed("read", &self.folder, source))?.path();
            gone(fs::remove_file(&path), "remove", &path)?;
        }
        gone(fs::remove_dir(&self.folder), "remove", &self.folder)
    }

    /// `false` when somebody has it.
    fn claim(&self, address: IpAddr, owner: &str) -> Result<bool, LeaseError> {
        let path = self.path(address);
        match symlink(owner, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(failed("make", &path, source)),
        }
    }

    fn next(&self) -> Option<IpAddr> {
        fs::read_to_string(self.folder.join(NEXT)).ok()?.trim_end().parse().ok()
    }

    fn remember(&self, next: Option<IpAddr>) -> io::Result<()> {
        let Some(next) = next else { return Ok(()) };
        // In place: a file that takes the place of another has to be on the disk first where the folder is on one (ext4 waits
        // 0.7 ms for it), and a hint that is lost costs nothing.
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.folder.join(NEXT))?;
        file.write_all_at(format!("{next:<WIDTH$}").as_bytes(), 0)
    }

    /// The file that says who has an address: it is given back when it is removed, as [`Undo::Unlink`](crate::Undo) does.
    #[must_use]
    pub fn path(&self, address: IpAddr) -> PathBuf {
        self.folder.join(address.to_string())
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> LeaseError {
    LeaseError::Folder { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn range(text: &str, excluded: &[&str]) -> Range {
        let subnet = text.parse().unwrap();
        Range { subnet, part: subnet, excluded: excluded.iter().map(|text| address(text)).collect() }
    }

    #[test]
    fn pure_each_owner_has_an_address_of_its_own_and_the_ends_are_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(&folder.path().join("new"));
        let range = range("10.9.0.0/29", &["10.9.0.1"]);
        let taken: Vec<_> = (0..5).map(|n| leases.take(&range, None, &n.to_string()).unwrap()).collect();
        assert_eq!(taken, ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"].map(address));
        let error = leases.take(&range, None, "one more").unwrap_err();
        assert_eq!(error.to_string(), "all 5 addresses of 10.9.0.0/29 are in use");
        assert_eq!(leases.all().unwrap().len(), 5);
        assert_eq!(leases.owner(address("10.9.0.4")).unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn pure_what_was_given_back_last_is_given_out_last() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(folder.path());
        let range = range("10.9.0.0/24", &["10.9.0.1"]);
        let mut seen = BTreeSet::new();
        for round in 0..300 {
            let owner = round.to_string();
            let address = leases.take(&range, None, &owner).unwrap();
            // All 253 have been used before one of them is again.
            assert_eq!(seen.insert(address), round < 253, "{address} in round {round}");
            assert!(leases.give_back(address, &owner).unwrap());
        }
        assert_eq!(leases.all().unwrap(), []);
    }

    #[test]
    fn pure_a_longer_address_leaves_nothing_in_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(folder.path());
        for next in ["10.129.200.254", "10.9.0.2", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            leases.remember(Some(address(next))).unwrap();
            assert_eq!(leases.next(), Some(address(next)));
        }
    }

    #[test]
    fn pure_a_certain_address_is_had_once_and_only_from_the_range() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(folder.path());
        let mut range = range("10.9.0.0/24", &["10.9.0.1"]);
        range.part = "10.9.0.128/25".parse().unwrap();
        let wanted = Some(address("10.9.0.7"));
        assert_eq!(leases.take(&range, wanted, "a").unwrap(), address("10.9.0.7"));
        let error = leases.take(&range, wanted, "b").unwrap_err();
        assert_eq!(error.to_string(), "the address 10.9.0.7 belongs to a");
        assert_eq!(leases.take(&range, None, "b").unwrap(), address("10.9.0.128"));
        for outside in ["10.9.0.0", "10.9.0.1", "10.9.0.255", "10.9.1.7", "::1"] {
            let error = leases.take(&range, Some(address(outside)), "c").unwrap_err();
            assert!(matches!(error, LeaseError::Outside { .. }), "{error}");
        }
        // Not another's to give.
        assert!(!leases.give_back(address("10.9.0.7"), "b").unwrap());
        assert!(leases.give_back(address("10.9.0.7"), "a").unwrap());
        assert!(!leases.give_back(address("10.9.0.7"), "a").unwrap());
    }

    #[test]
    fn pure_of_many_at_once_each_gets_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let range = range("10.9.0.0/24", &[]);
        let taken: Vec<IpAddr> = std::thread::scope(|scope| {
            let take = |owner: usize| {
                let leases = Leases::in_folder(folder.path());
                let range = &range;
                scope.spawn(move || {
                    let take = |n| leases.take(range, None, &format!("{owner}-{n}")).unwrap();
                    (0..30).map(take).collect::<Vec<_>>()
                })
            };
            let threads: Vec<_> = (0..8).map(take).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 240);
    }

    #[test]
    fn pure_a_range_of_version_6_is_not_searched_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(folder.path());
        let range = range("::/0", &["::1"]);
        assert_eq!(leases.take(&range, None, "a").unwrap(), address("::2"));
        assert_eq!(leases.take(&range, Some(address("ffff::1")), "b").unwrap(), address("ffff::1"));
    }
}
