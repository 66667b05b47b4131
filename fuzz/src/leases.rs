//! Ranges of addresses, and who has which: a script of taking and giving back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::place;
use tinyd_net::Prefix;
use tinyd_net::lease::{LeaseError, Leases, Range};

/// More steps than this find nothing new.
const STEPS: usize = 24;

/// The first line is the subnet, the second the part of it that is given out, the third what is left out; each further one is an owner
/// who takes any address (`take OWNER`), a certain one (`take OWNER ADDRESS`), or gives one back (`give OWNER ADDRESS`).
pub fn leases(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let mut prefix = || {
        let text = lines.next().unwrap_or_default();
        let read: Prefix = text.parse().ok()?;
        assert_eq!(read.to_string().parse::<Prefix>().as_ref(), Ok(&read), "{text}");
        assert!(read.contains(read.first()) && read.contains(read.last()) && read.overlaps(read));
        assert_eq!((read.position(read.first()), read.nth(0)), (Some(0), Some(read.first())));
        Some(read)
    };
    let (Some(subnet), Some(part)) = (prefix(), prefix()) else { return };
    let excluded = lines.next().unwrap_or_default().split(',').filter_map(|text| text.parse().ok()).collect();
    let range = Range { subnet, part, excluded };
    let place = place::of("leases");
    let held = Leases::in_folder(&place);
    let mut known: BTreeMap<IpAddr, String> = BTreeMap::new();
    for line in lines.take(STEPS) {
        let words: Vec<_> = line.split(' ').collect();
        let owner = |word: &str| format!("{:x}", word.bytes().map(u64::from).sum::<u64>());
        match words.as_slice() {
            ["take", who] => take(&held, &range, None, &owner(who), &mut known),
            ["take", who, address] => {
                let Ok(address) = address.parse() else { continue };
                take(&held, &range, Some(address), &owner(who), &mut known);
            }
            ["give", who, address] => {
                let Ok(address) = address.parse::<IpAddr>() else { continue };
                let given = held.give_back(address, &owner(who)).expect("the folder is there");
                let was_his = known.get(&address) == Some(&owner(who));
                assert_eq!(given, was_his, "{address} of {who}");
                if was_his {
                    known.remove(&address);
                }
            }
            _ => {}
        }
        let all: BTreeMap<_, _> = held.all().expect("the folder is there").into_iter().collect();
        assert_eq!(all, known);
    }
    if place.exists() {
        tinyd_fs::remove_tree(&place).expect("the folder is there");
    }
}

/// Whoever gets an address gets one that containers may have and nobody has.
fn take(
    held: &Leases,
    range: &Range,
    wanted: Option<IpAddr>,
    owner: &str,
    known: &mut BTreeMap<IpAddr, String>,
) {
    match held.take(range, wanted, owner) {
        Ok(address) => {
            assert!(range.allows(address) && wanted.is_none_or(|wanted| wanted == address), "{address}");
            assert!(wanted.is_some() || range.part.contains(address), "{address}");
            let before = known.insert(address, owner.to_owned());
            assert!(
                before.is_none_or(|before| wanted.is_some() && before == owner),
                "{address} is somebody's"
            );
        }
        Err(LeaseError::Taken { address, owner }) => assert_eq!(known.get(&address), Some(&owner)),
        Err(LeaseError::Outside { address, .. }) => assert!(!range.allows(address)),
        Err(LeaseError::Exhausted { .. }) => assert!(wanted.is_none()),
        Err(error) => panic!("{error}"),
    }
}
