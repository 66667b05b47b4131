//! A client within a program that has nothing to ask for long.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::sync::Arc;
use std::time::Duration;

use tinyd_api::{Address, Client};
use tinyd_daemon::{Daemon, Options};
use tinyd_engine::{Engine, EventsRequest, ListRequest, VolumeCreate};
use tinyd_manager::LocalEngine;

/// Longer than a daemon lets a connection wait for its first call, and for a further one.
const UNUSED: Duration = Duration::from_secs(14);
const IDLE: Duration = Duration::from_secs(35);

#[test]
fn root_a_client_that_was_idle_asks_on_and_what_it_follows_goes_on() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let engine = LocalEngine::builder().within(folder.path()).open().unwrap();
    let address = Address::Unix(folder.path().join("d.sock"));
    let options = Options { listen: vec![address.clone()], ..Options::default() };
    let daemon = Daemon::open(Arc::new(engine), options).unwrap();
    let stop = daemon.stopper();
    let running = std::thread::spawn(move || daemon.run());

    let client = Client::connect(&address, None).unwrap();
    std::thread::sleep(UNUSED);
    assert!(client.list(&ListRequest { all: true }).unwrap().is_empty());
    let mut events = client.events(&EventsRequest { follow: true, ..EventsRequest::default() }).unwrap();
    std::thread::sleep(IDLE);
    assert!(client.list(&ListRequest { all: true }).unwrap().is_empty());
    // The connection that was there before is the stream's alone now.
    let volume = VolumeCreate { name: Some("v1".to_owned()), ..VolumeCreate::default() };
    client.create_volume(&volume).unwrap();
    assert_eq!(events.next().unwrap().unwrap().action, "create");
    drop(events);
    client.remove_volume("v1").unwrap();
    stop.stop();
    running.join().unwrap().unwrap();
}
