//! One conformance suite for every driver, and one for every firewall. Behind the feature `testing`.

#![allow(clippy::expect_used, reason = "a suite reports trouble by panicking")]

mod firewall;

pub use firewall::firewall_conformance;

use crate::{EndpointSpec, EndpointState, Error, Netns, NetworkDriver, NetworkSpec, NetworkState, Rates};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

/// Holds a driver to the contract of [`NetworkDriver`]. `wanted` is a network that it can make here; the containers that
/// are attached live in the caller's own network namespace where the driver gives none.
///
/// # Panics
/// With the assertion that failed.
pub fn conformance(make: &dyn Fn() -> Box<dyn NetworkDriver>, wanted: &NetworkSpec) {
    let cases: &[fn(&Ground<'_>)] = &[
        a_name_is_a_word,
        validate_says_what_create_does,
        unknown_options_are_refused,
        handles_outlive_the_process,
        taking_away_can_be_repeated,
        of_a_container_whose_namespace_never_comes_nothing_stays,
        what_is_whole_misses_nothing_and_can_be_restored,
        who_limits_traffic_takes_every_rate_and_refuses_what_is_none,
        others_handles_are_refused,
    ];
    for case in cases {
        case(&Ground { make, wanted });
    }
}

/// What a case works with.
struct Ground<'a> {
    make: &'a dyn Fn() -> Box<dyn NetworkDriver>,
    wanted: &'a NetworkSpec,
}

impl Ground<'_> {
    fn endpoint(&self) -> EndpointSpec {
        EndpointSpec { container: "0123456789abcdef0123456789abcdef".to_owned(), ..Default::default() }
    }

    fn netns(&self) -> File {
        File::open("/proc/thread-self/ns/net").expect("this thread's network namespace")
    }
}

fn a_name_is_a_word(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let name = driver.name();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(!name.is_empty() && name.bytes().all(plain), "{name:?} cannot be typed as an option");
    assert_eq!(name, (ground.make)().name(), "a name does not change");
}

fn validate_says_what_create_does(ground: &Ground<'_>) {
    let driver = (ground.make)();
    driver.validate(ground.wanted).expect("a network that can be made");
    let network = driver.create(ground.wanted).expect("what was found good");
    assert_eq!(network.driver, driver.name());
    assert_eq!(network.spec.name, ground.wanted.name);
    driver.delete(&network).expect("a network nobody is on");
}

fn unknown_options_are_refused(ground: &Ground<'_>) {
    let driver = (ground.make)();
    let mut wanted = ground.wanted.clone();
    wanted.options = BTreeMap::from([("no-such-option".to_owned(), "1".to_owned())]);
    let error = driver.validate(&wanted).expect_err("an option that no driver has");
    assert!(error.to_string().contains("no-such-option"), "{error}");
    assert!(driver.create(&wanted).is_err(), "validate refused what create makes");
}

fn handles_outlive_the_process(ground: &Ground<'_>) {
    let netns = ground.netns();
    let network = (ground.make)().create(ground.wanted).expect("a network");
    // Another process's driver, which knows nothing but the handles.
    let driver = (ground.make)();
    let namespace = driver.namespace(&network);
    let endpoint = driver.attach(&network, &ground.endpoint(), &netns).expect("a place on it");
    assert_eq!(endpoint.container, ground.endpoint().container);
    let driver = (ground.make)();
    assert_eq!(driver.namespace(&network), namespace);
    driver.detach(&network, &endpoint).expect("to leave it");
    driver.delete(&network).expect("to take it away");
}

fn taking_away_can_be_repeated(ground: &Ground<'_>) {
    let (driver, netns) = ((ground.make)(), ground.netns());
    let network = driver.create(ground.wanted).expect("a network");
    let endpoint = driver.attach(&network, &ground.endpoint(), &netns).expect("a place on it");
    for _ in 0..2 {
        driver.detach(&network, &endpoint).expect("to leave it, again too");
    }
    for _ in 0..2 {
        driver.delete(&network).expect("to take it away, again too");
    }
}

/// That of a container whose start fails before it has one.
struct Never;

impl Netns for Never {
    fn open(&self) -> io::Result<BorrowedFd<'_>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn of_a_container_whose_namespace_never_comes_nothing_stays(ground: &Ground<'_>) {
    let (driver, netns) = ((ground.make)(), ground.netns());
    let network = driver.create(ground.wanted).expect("a network");
    // One that makes nothing there may do without.
    if driver.attach(&network, &ground.endpoint(), &Never).is_err() {
        assert_eq!(driver.held_for(&network).expect("to look"), [""; 0]);
    }
    let endpoint = driver.attach(&network, &ground.endpoint(), &netns).expect("a place, at the next start");
    driver.detach(&network, &endpoint).expect("to leave it");
    driver.delete(&network).expect("to take it away");
}

fn what_is_whole_misses_nothing_and_can_be_restored(ground: &Ground<'_>) {
    let network = (ground.make)().create(&ground.wanted.clone()).expect("a network");
    let netns = ground.netns();
    let driver = (ground.make)();
    let endpoint = driver.attach(&network, &ground.endpoint(), &netns).expect("a place");
    let endpoints = [endpoint];
    for _ in 0..2 {
        let driver = (ground.make)();
        assert!(
            driver.looks_whole(None).expect("to ask") && driver.looks_whole(Some(&network)).expect("to ask")
        );
        assert_eq!(driver.missing(&network, &endpoints).expect("to look"), [""; 0]);
        driver.restore(&network, &endpoints).expect("to restore what is whole");
    }
    (ground.make)().detach(&network, &endpoints[0]).expect("to detach");
    (ground.make)().delete(&network).expect("to delete");
    assert!((ground.make)().looks_whole(None).expect("to ask"), "a network that was deleted is missed");
}

fn who_limits_traffic_takes_every_rate_and_refuses_what_is_none(ground: &Ground<'_>) {
    let (driver, netns) = ((ground.make)(), ground.netns());
    let Some(limiter) = driver.limiter() else { return };
    let network = driver.create(ground.wanted).expect("a network");
    let mut endpoint = driver.attach(&network, &ground.endpoint(), &netns).expect("a place on it");
    let unlimited = endpoint.clone();
    let of = |egress, ingress| Rates { egress, ingress };
    for (bad, given) in [(of(Some(0), None), "0"), (of(None, Some(Rates::MOST + 1)), "1000000000001")] {
        let error = limiter.limit(&network, &endpoint, &bad).expect_err("no rate");
        assert!(error.to_string().contains(given), "{error}");
    }
    let (low, high) = (Some(Rates::LEAST), Some(Rates::MOST));
    let all = [
        of(low, low),
        of(high, high),
        of(None, low),
        of(low, None),
        of(high, None),
        of(None, None),
        of(low, high),
    ];
    for rates in all {
        for _ in 0..2 {
            // Another process's driver, which knows nothing but the handles.
            let driver = (ground.make)();
            let limiter = driver.limiter().expect("it had one");
            endpoint = limiter.limit(&network, &endpoint, &rates).expect("a rate");
            assert_eq!(endpoint.interfaces, unlimited.interfaces, "{rates:?}");
            assert!(endpoint.undo.ends_with(&unlimited.undo), "{rates:?} changed what was there");
        }
        if rates.is_unlimited() {
            assert_eq!(endpoint, unlimited, "something is left of limits that are gone");
        }
    }
    let foreign = NetworkState { driver: "somebody-else".to_owned(), ..network.clone() };
    let refused = limiter.limit(&foreign, &endpoint, &of(low, low));
    assert!(refused.is_err_and(|error| matches!(error, Error::Foreign { .. })));
    // Known by its container's id alone.
    let unknown = EndpointState { container: endpoint.container, ..Default::default() };
    driver.detach(&network, &unknown).expect("to leave it");
    let refused = limiter.limit(&network, &unlimited, &of(low, low));
    assert!(refused.is_err(), "what is not there cannot be limited");
    driver.delete(&network).expect("to take it away");
}

fn others_handles_are_refused(ground: &Ground<'_>) {
    let (driver, netns) = ((ground.make)(), ground.netns());
    let foreign =
        NetworkState { driver: "somebody-else".to_owned(), spec: ground.wanted.clone(), links: Vec::new() };
    let is_foreign = |error: Error| matches!(error, Error::Foreign { .. });
    assert!(driver.delete(&foreign).is_err_and(is_foreign));
    assert!(driver.attach(&foreign, &ground.endpoint(), &netns).is_err_and(is_foreign));
    assert!(driver.detach(&foreign, &Default::default()).is_err_and(is_foreign));
}
