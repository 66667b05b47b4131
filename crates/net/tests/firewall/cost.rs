//! What a publication costs does not grow with how many there are.

use crate::ground::{network, on_ground, publication};
use crate::root_only;
use std::time::{Duration, Instant};
use tinyd_net::Protocol::Tcp;
use tinyd_net::firewall::{Firewall as _, Nftables};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn root_the_thousandth_publication_costs_what_the_first_does() {
    root_only!();
    on_ground(|ground| {
        let [few, many] = ["tinyd-few", "tinyd-many"].map(Nftables::new);
        few.open(&network(1)).unwrap();
        many.open(&network(2)).unwrap();
        let thousand = (10_000..11_000).map(|port| publication(None, port, Tcp, ground.one.addresses[0]));
        many.publish(&thousand.collect::<Vec<_>>()).unwrap();
        let to = ground.two.addresses[0];
        let one = |firewall: &Nftables, port| {
            let started = Instant::now();
            firewall.publish(&[publication(None, port, Tcp, to)]).unwrap();
            let taken = started.elapsed();
            firewall.withdraw(to).unwrap();
            taken
        };
        // By turns, so that whatever else this machine does slows both.
        let both = (20_000..20_301).map(|port| (one(&few, port), one(&many, port)));
        let (first, last): (Vec<_>, Vec<_>) = both.unzip();
        assert_eq!(many.published().unwrap().len(), 1_000);
        let (first, last) = (median(first), median(last));
        let open = |_| {
            let started = Instant::now();
            many.open(&network(2)).unwrap();
            started.elapsed()
        };
        let open = median((0..101).map(open).collect());
        eprintln!(
            "the first publication: {first:?}, the thousandth: {last:?}; to open what is open: {open:?}"
        );
        assert!(last * 10 <= first * 13, "{first:?} became {last:?}");
    });
}

#[test]
fn root_thousands_are_published_and_withdrawn_at_once() {
    root_only!();
    on_ground(|ground| {
        let firewall = crate::ground::opened();
        let to = ground.one.addresses[0];
        let many: Vec<_> = (20_000..23_000).map(|port| publication(None, port, Tcp, to)).collect();
        assert_eq!(firewall.publish(&many).unwrap().len(), many.len());
        assert_eq!(firewall.published().unwrap(), many);
        firewall.withdraw(to).unwrap();
        assert_eq!(firewall.published().unwrap(), []);
    });
}
