//! Which addresses of a range were used before, so that connections with their last owners are looked for only then.
//!
//! The kernel remembers connections of a container that has ended ([`crate::conntrack`]), and finds those of an address only by
//! looking through all that it remembers, which takes longer than to make a link. So each address that is taken gets a mark. One
//! that has none is new. When one has a mark, the connections of every address that is free are forgotten at once, and their
//! marks go: a range is swept once for all of its free addresses, and not once for each.

use crate::lease::{LeaseError, Leases};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// In a range that is too large to be used up, one address of so many has the marks of the others swept away.
const MOST: u128 = 1024;

/// The marks of one range: a folder of files that are named like addresses.
pub(crate) struct Used {
    folder: PathBuf,
}

impl Used {
    /// Those in this folder, which need not be there yet.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Marks an address that was just taken. Where it was used before, `sweep` is called with the addresses whose connections
    /// are somebody's: all others' are to be forgotten.
    ///
    /// # Errors
    /// [`LeaseError::Folder`]; `sweep`'s.
    pub(crate) fn mark<E: From<LeaseError>>(
        &self,
        address: IpAddr,
        leases: &Leases,
        sweep: impl FnOnce(&[IpAddr]) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| LeaseError::Folder { operation: "use", path: self.folder.clone(), source };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let lock = File::open(&self.folder).map_err(failed)?;
        // Whoever has an address marks it under this: a sweep meets nobody between the two.
        hold(&lock, FlockOperation::LockShared).map_err(failed)?;
        match File::create_new(self.folder.join(address.to_string())) {
            Ok(_) if !is_milestone(address) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(source).into()),
        }
        hold(&lock, FlockOperation::LockExclusive).map_err(failed)?;
        let mut others: Vec<IpAddr> = leases.all()?.into_iter().map(|(address, _)| address).collect();
        others.retain(|other| *other != address);
        sweep(&others)?;
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let of = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            if of.is_none_or(|of: IpAddr| of != address && !others.contains(&of)) {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Takes all marks away, and the folder.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        for file in files {
            fs::remove_file(file?.path())?;
        }
        fs::remove_dir(&self.folder)
    }
}

/// Blocks for as long as a sweep takes.
fn hold(file: &File, operation: FlockOperation) -> io::Result<()> {
    rustix::io::retry_on_intr(|| flock(file, operation)).map_err(Into::into)
}

/// Of a range of IPv6 no address comes twice, and marks would pile up.
fn is_milestone(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => u128::from(address) % MOST == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    struct Ground {
        _place: tempfile::TempDir,
        leases: Leases,
        used: Used,
        swept: RefCell<Vec<Vec<IpAddr>>>,
    }

    impl Ground {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let leases = Leases::in_folder(&place.path().join("4"));
            let used = Used::in_folder(place.path().join("used"));
            Self { _place: place, leases, used, swept: RefCell::default() }
        }

        fn take(&self, text: &str, owner: &str) {
            let subnet = "10.9.0.0/24".parse().unwrap();
            let range = crate::lease::Range { subnet, part: subnet, excluded: Vec::new() };
            self.leases.take(&range, Some(address(text)), owner).unwrap();
            let note = |kept: &[IpAddr]| {
                self.swept.borrow_mut().push(kept.to_vec());
                Ok::<(), LeaseError>(())
            };
            self.used.mark(address(text), &self.leases, note).unwrap();
        }

        fn sweeps(&self) -> Vec<Vec<IpAddr>> {
            std::mem::take(&mut self.swept.borrow_mut())
        }
    }

    #[test]
    fn pure_all_free_addresses_are_swept_when_the_first_of_them_comes_again() {
        let ground = Ground::new();
        for (text, owner) in [("10.9.0.2", "a"), ("10.9.0.3", "b"), ("10.9.0.4", "c")] {
            ground.take(text, owner);
        }
        assert!(ground.sweeps().is_empty(), "they were new");
        ground.leases.give_back(address("10.9.0.2"), "a").unwrap();
        ground.leases.give_back(address("10.9.0.3"), "b").unwrap();
        ground.take("10.9.0.2", "d");
        assert_eq!(ground.sweeps(), [[address("10.9.0.4")]], "what somebody has is kept");
        // Swept with the other one.
        ground.take("10.9.0.3", "e");
        assert!(ground.sweeps().is_empty());
        ground.leases.give_back(address("10.9.0.4"), "c").unwrap();
        ground.take("10.9.0.4", "f");
        assert_eq!(ground.sweeps().len(), 1, "it was in use at the last sweep");
        ground.used.remove().unwrap();
        ground.used.remove().unwrap();
    }

    #[test]
    fn pure_a_sweep_that_fails_leaves_every_mark() {
        let ground = Ground::new();
        ground.take("10.9.0.2", "a");
        ground.leases.give_back(address("10.9.0.2"), "a").unwrap();
        ground
            .leases
            .take(
                &crate::lease::Range {
                    subnet: "10.9.0.0/24".parse().unwrap(),
                    part: "10.9.0.0/24".parse().unwrap(),
                    excluded: Vec::new(),
                },
                Some(address("10.9.0.2")),
                "b",
            )
            .unwrap();
        let fail = |_: &[IpAddr]| {
            let source = io::ErrorKind::PermissionDenied.into();
            Err(LeaseError::Folder { operation: "sweep", path: PathBuf::new(), source })
        };
        assert!(ground.used.mark(address("10.9.0.2"), &ground.leases, fail).is_err());
        ground.leases.give_back(address("10.9.0.2"), "b").unwrap();
        ground.take("10.9.0.2", "c");
        assert_eq!(ground.sweeps().len(), 1);
    }
}
