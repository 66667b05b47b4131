//! Ids of containers, and leases of ranges of user and group ids.
//!
//! A lease is a link `ids/<slot>` that holds the container's id: symlink(2) makes it whole or not at all, so that two
//! engines never get one slot.

use crate::error::{Error, Result};
use crate::store::Store;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// The first id that is leased, above what distributions give to users and to subuid(5).
const FIRST: u32 = 0x1000_0000;

/// How many ids a container gets.
pub(crate) const RANGE: u32 = 65_536;

/// How many leases there can be; the last one ends below 2^31.
pub(crate) const SLOTS: u32 = 24_576;

/// A new container's id.
pub(crate) fn new_id() -> Result<String> {
    let mut random = [0; 16];
    let got = rustix::io::retry_on_intr(|| getrandom(&mut random, GetRandomFlags::empty()));
    // So few bytes come whole or not at all (getrandom(2)).
    got.map_err(|errno| Error::file("get random bytes from", "the kernel", errno))?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid().simple().to_string())
}

/// 32 lower-case hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first digits, as they are shown.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The first id of a slot's range.
pub(crate) fn base(slot: u32) -> u32 {
    FIRST + slot * RANGE
}

/// Leases a range to a container and returns its slot.
pub(crate) fn lease(store: &Store, id: &str) -> Result<u32> {
    let first = id.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0) % SLOTS;
    for probe in 0..SLOTS {
        let slot = (first + probe) % SLOTS;
        let link = store.slot_link(slot);
        match rustix::fs::symlink(id, &link) {
            Ok(()) => return Ok(slot),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::file("lease", link, errno)),
        }
    }
    Err(Error::NoIdsLeft { slots: SLOTS })
}

/// Gives a container's lease back. Without a slot all leases are searched for the container's.
pub(crate) fn release(store: &Store, id: &str, slot: Option<u32>) -> Result<()> {
    match slot {
        Some(slot) => store.unlink_owned(&store.slot_link(slot), id),
        None => store.leases()?.into_iter().try_for_each(|(link, owner)| match owner == id {
            true => store.unlink_owned(&link, id),
            false => Ok(()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn pure_ids_have_their_shape() {
        let id = new_id().unwrap();
        assert!(is_id(&id), "{id}");
        assert_ne!(id, new_id().unwrap());
        assert_eq!(short(&id).len(), 12);
        for bad in ["", "abc", "0123456789ABCDEF0123456789abcdef", "g123456789abcdef0123456789abcdef"] {
            assert!(!is_id(bad), "{bad}");
        }
        assert!(base(SLOTS - 1).checked_add(RANGE).is_some_and(|end| end <= 1 << 31));
    }

    #[test]
    fn pure_two_containers_never_share_a_range() {
        let (_place, store) = store();
        let (one, two) = ("00000005".repeat(4), format!("00000005{}", "1".repeat(24)));
        assert_eq!(lease(&store, &one).unwrap(), 5);
        assert_eq!(lease(&store, &two).unwrap(), 6);
        // Another's lease is not given back.
        release(&store, &two, Some(5)).unwrap();
        assert_eq!(store.leases().unwrap().len(), 2);
        release(&store, &one, None).unwrap();
        assert_eq!(lease(&store, &one).unwrap(), 5);
        release(&store, &one, Some(5)).unwrap();
        release(&store, &one, Some(5)).unwrap();
        assert_eq!(store.leases().unwrap().len(), 1);
    }
}
