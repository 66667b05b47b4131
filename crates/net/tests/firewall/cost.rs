//! What a publication costs does not grow with how many there are.

use crate::backend::Backend;
use crate::ground::{both, network, on_each, on_ground, publication, undo};
use crate::root_only;
use std::io::ErrorKind;
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
    on_ground(Backend::Nftables, |ground| {
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
fn root_hundreds_that_are_published_one_by_one_by_iptables_are_all_there() {
    root_only!();
    on_each(|ground| {
        if ground.backend == Backend::Nftables {
            return;
        }
        let firewall = ground.opened();
        let to = ground.one.addresses;
        let mut times = Vec::new();
        for port in 1..=300 {
            let started = Instant::now();
            firewall.publish(&[publication(None, port, Tcp, to[0])]).unwrap();
            times.push(started.elapsed());
        }
        let (first, last) = (median(times[..21].to_vec()), median(times[279..].to_vec()));
        let started = Instant::now();
        let steps = firewall.publish(&both(8080, Tcp, &ground.one)).unwrap();
        let of_both = started.elapsed();
        let started = Instant::now();
        undo(&steps);
        let undone = started.elapsed();
        let started = Instant::now();
        let published = firewall.published().unwrap();
        let listed = started.elapsed();
        assert_eq!(published, (1..=300).map(|port| publication(None, port, Tcp, to[0])).collect::<Vec<_>>());
        firewall.withdraw(to[0]).unwrap();
        assert_eq!(firewall.published().unwrap(), []);
        eprintln!(
            "{:?}: the first publication: {first:?}, the three-hundredth: {last:?}; one of both families: {of_both:?}, \
             to undo it: {undone:?}; to list all: {listed:?}",
            ground.backend
        );
    });
}

#[test]
fn root_thousands_are_published_and_withdrawn_at_once() {
    root_only!();
    on_ground(Backend::Nftables, |ground| {
        let firewall = ground.opened();
        let to = ground.one.addresses[0];
        let many: Vec<_> = (20_000..23_000).map(|port| publication(None, port, Tcp, to)).collect();
        assert_eq!(firewall.publish(&many).unwrap().len(), many.len());
        assert_eq!(firewall.published().unwrap(), many);
        // More errors than the kernel keeps for whoever reads them: the first one is told still.
        let error = firewall.publish(&many).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("the port 20000/tcp"), "{error}");
        firewall.withdraw(to).unwrap();
        assert_eq!(firewall.published().unwrap(), []);
    });
}
