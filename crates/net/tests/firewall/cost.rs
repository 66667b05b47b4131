//! What a publication costs does not grow with how many there are.

use crate::ground::{on_ground, opened, publication};
use crate::root_only;
use std::time::{Duration, Instant};
use tinyd_net::Protocol::Tcp;
use tinyd_net::firewall::Firewall as _;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn root_the_thousandth_publication_costs_what_the_first_does() {
    root_only!();
    on_ground(|ground| {
        let firewall = opened();
        let to = ground.one.addresses[0];
        let mut next = 10_000;
        let mut publish = |count: usize| -> Vec<Duration> {
            let one = |_| {
                next += 1;
                let started = Instant::now();
                firewall.publish(&[publication(None, next, Tcp, to)]).unwrap();
                started.elapsed()
            };
            (0..count).map(one).collect()
        };
        publish(20);
        let first = median(publish(101));
        publish(1_000);
        let last = median(publish(101));
        assert_eq!(firewall.published().unwrap().len(), 1_222);
        eprintln!("a publication among few: {first:?}, among a thousand: {last:?}");
        assert!(last * 10 <= first * 13, "{first:?} became {last:?}");

        // All of them at once, and all away again.
        let many: Vec<_> = (20_000..23_000).map(|port| publication(None, port, Tcp, to)).collect();
        assert_eq!(firewall.publish(&many).unwrap().len(), many.len());
        firewall.withdraw(to).unwrap();
        assert_eq!(firewall.published().unwrap(), []);
    });
}
