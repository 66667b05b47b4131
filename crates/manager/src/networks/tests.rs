use super::*;
use crate::config::EngineConfig;
use crate::intent::{Intent, Verb};
use crate::parts::Parts;
use crate::store::entries;
use crate::testing::network::{Memory, MemoryDriver, with_networks};
use crate::testing::{self, FakeLauncher, spec};
use std::sync::Arc;
use tempfile::TempDir;
use tinyd_engine::{ContainerSpec, NetworkCreate, StartRequest};
use tinyd_net::FixedDriver;
use tinyd_runtime::state::{ProcessId, RunState, STATE_FILE, store};

fn core() -> (TempDir, Core, Arc<Memory>) {
    let (place, mut core) = testing::core(FakeLauncher::succeeding());
    let memory = with_networks(&mut core);
    (place, core, memory)
}

fn named(name: &str, subnets: &[&str]) -> NetworkCreate {
    NetworkCreate {
        name: Some(name.to_owned()),
        subnets: subnets.iter().map(|text| text.parse().unwrap()).collect(),
        ..Default::default()
    }
}

fn made(memory: &Memory) -> Vec<String> {
    memory.made.lock().unwrap().iter().cloned().collect()
}

/// Nothing of a network is under way.
fn quiet(core: &Core) -> bool {
    entries(&core.store.run_root().join("intents")).unwrap().is_empty()
}

/// A container that was made on a network, as its record says.
fn on(place: &TempDir, network: &str, name: &str) -> ContainerSpec {
    let network = NetworkMode::named(network);
    ContainerSpec { network, ..spec(place.path(), Some(name)) }
}

#[test]
fn pure_a_network_without_its_driver_is_refused_with_those_that_there_are() {
    let (_place, mut core) = testing::core(FakeLauncher::succeeding());
    core.networks = vec![Box::new(FixedDriver::NONE), Box::new(FixedDriver::HOST)];
    assert_eq!(core.places(&NetworkMode::Host).unwrap().netns, Namespace::Host);
    assert_eq!(core.places(&NetworkMode::None).unwrap().netns, Namespace::Own);
    let said = |mode: NetworkMode| core.places(&mode).err().map(|error| error.to_string());
    for word in ["tinyd", "Tiny-docker", "bridge", "default"] {
        let said = said(NetworkMode::named(word)).unwrap();
        assert_eq!(said, "this build has no network driver \"bridge\"; it has none, host");
    }
    assert_eq!(said(NetworkMode::named("blue")).unwrap(), "there is no network \"blue\"");
    assert!(core.create_network(&named("blue", &[])).is_err());
    core.networks.pop();
    assert!(core.places(&NetworkMode::Host).is_err());
    assert_eq!(core.places(&NetworkMode::None).unwrap().places[0].network.spec.name, "none");
    assert_eq!(core.networks().unwrap().len(), 1);
    assert_eq!(core.network_records().names().unwrap(), Vec::<String>::new());
}

#[test]
fn pure_a_driver_of_the_callers_own_stands_beside_the_others_or_in_the_place_of_one() {
    let (_place, core) = testing::core(FakeLauncher::succeeding());
    let names = |core: &Core| core.networks.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
    let before = names(&core);
    let memory = Arc::<Memory>::default();
    let own = |name| Box::new(MemoryDriver { name, memory: Arc::clone(&memory) }) as Box<_>;
    let parts = Parts { more_networks: vec![own("loop"), own("bridge")], ..Parts::default() };
    let core = Core::new(core.store, EngineConfig::default(), parts);
    let mut after = names(&core);
    assert_eq!((after.len(), after.iter().filter(|name| *name == "bridge").count()), (before.len() + 1, 1));
    after.retain(|name| name != "loop");
    assert!(before.iter().all(|name| after.contains(name)), "{after:?}");
    // Under both names it is the caller's that makes something.
    for name in ["loop", "bridge"] {
        core.driver(name).unwrap().create(&NetworkSpec::named(format!("on-{name}"))).unwrap();
    }
    assert_eq!(made(&memory), ["on-bridge", "on-loop"]);
}

#[test]
fn pure_a_network_is_made_found_by_each_of_its_words_and_removed() {
    let (_place, core, memory) = core();
    let id = core.create_network(&named("web", &["10.9.0.0/24"])).unwrap().id;
    assert_eq!((made(&memory), quiet(&core)), (vec!["web".to_owned()], true));
    for word in ["web", id.as_str(), &id[..5]] {
        let seen = core.inspect_network(word).unwrap();
        assert_eq!(
            (seen.id.as_str(), seen.name.as_str(), seen.driver.as_str()),
            (id.as_str(), "web", "bridge")
        );
        assert_eq!((seen.ipam.config[0].subnet.as_str(), seen.links.len()), ("10.9.0.0/24", 1));
        assert_eq!(core.places(&NetworkMode::named(word)).unwrap().places[0].network.spec.name, "web");
    }
    let listed = core.networks().unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["none", "host", "web"]);
    assert_eq!((listed[2].subnets.as_slice(), listed[2].containers), (&["10.9.0.0/24".to_owned()][..], 0));
    assert_eq!(core.remove_network(&id[..5], false).unwrap(), "web");
    assert_eq!((made(&memory), quiet(&core)), (Vec::<String>::new(), true));
    let error = core.remove_network("web", false).unwrap_err();
    assert!(matches!(error, Error::NoSuchNetwork { .. }), "{error}");
    assert_eq!(entries(core.network_records().folder()).unwrap(), Vec::<String>::new());
}

#[test]
fn pure_those_that_every_host_has_are_shown_and_stay() {
    let (_place, core, _) = core();
    for name in ["none", "host"] {
        let seen = core.inspect_network(name).unwrap();
        assert_eq!((seen.driver.as_str(), seen.id.len(), seen.ipam.config.len()), (name, 32, 0));
        assert_eq!(core.inspect_network(&seen.id).unwrap().name, name);
        assert!(core.remove_network(name, true).unwrap_err().to_string().contains("stays"));
    }
}

#[test]
fn pure_without_a_name_it_is_called_after_its_id() {
    let (_place, core, _) = core();
    let id = core.create_network(&NetworkCreate::default()).unwrap().id;
    assert_eq!(core.inspect_network(&id).unwrap().name, format!("net-{}", &id[..8]));
}

#[test]
fn pure_what_is_wrong_is_refused_before_anything_is_made() {
    let (_place, core, memory) = core();
    core.create_network(&named("web", &["10.9.0.0/24"])).unwrap();
    let said = |wanted: &NetworkCreate| core.create_network(wanted).unwrap_err().to_string();
    assert_eq!(said(&named("web", &[])), "there is a network \"web\" already");
    for subnet in ["10.9.0.0/24", "10.9.0.128/25", "10.0.0.0/8"] {
        let said = said(&named("db", &[subnet]));
        assert!(said.contains(subnet) && said.contains("the network web, 10.9.0.0/24"), "{said}");
    }
    for name in ["host", "none", "bridge", "tinyd", "../x", ""] {
        assert!(said(&named(name, &[])).starts_with("network name "), "{name}");
    }
    let of = |driver: &str, name: &str| NetworkCreate { driver: Some(driver.to_owned()), ..named(name, &[]) };
    assert!(said(&of("vlan", "x")).contains("it has none, host, bridge"));
    // Of the driver host there is one network, and it is there.
    assert!(said(&of("host", "x")).contains("one network alone"));
    let option = NetworkCreate { options: [("x".into(), "y".into())].into(), ..named("db", &[]) };
    assert!(said(&option).contains("\"x\""));
    let gateway =
        NetworkCreate { gateways: vec!["10.8.0.1".parse().unwrap()], ..named("db", &["10.7.0.0/24"]) };
    assert!(said(&gateway).contains("gateway \"10.8.0.1\""));
    assert_eq!((made(&memory), quiet(&core)), (vec!["web".to_owned()], true));
    assert_eq!(entries(core.network_records().folder()).unwrap(), ["web.json"]);
}

#[test]
fn pure_of_many_that_want_addresses_at_once_each_gets_others() {
    let (_place, core, memory) = core();
    let create = |wanted: NetworkCreate| core.create_network(&wanted).map(|made| made.id);
    let (same, chosen) = std::thread::scope(|scope| {
        let same: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || create(named(&format!("same-{number}"), &["10.9.0.0/24"]))))
            .collect();
        let chosen: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || create(named(&format!("chosen-{number}"), &[]))))
            .collect();
        let count = |all: Vec<std::thread::ScopedJoinHandle<'_, Result<String>>>| {
            all.into_iter().map(|one| one.join().unwrap()).filter(Result::is_ok).count()
        };
        (count(same), count(chosen))
    });
    assert_eq!((same, chosen, made(&memory).len()), (1, 8, 9));
    let mut subnets: Vec<_> = core.networks().unwrap().into_iter().flat_map(|one| one.subnets).collect();
    subnets.sort();
    subnets.dedup();
    assert_eq!(subnets.len(), 9);
    assert!(quiet(&core));
}

#[test]
fn pure_a_driver_that_fails_leaves_nothing() {
    let (_place, core, memory) = core();
    *memory.fails.lock().unwrap() = Some("make");
    assert!(core.create_network(&named("web", &[])).is_err());
    assert!(core.places(&NetworkMode::named("tinyd")).is_err());
    assert_eq!((core.network_records().names().unwrap().len(), quiet(&core)), (0, true));
    *memory.fails.lock().unwrap() = None;
    core.create_network(&named("web", &[])).unwrap();
}

#[test]
fn pure_a_removal_that_fails_is_gone_on_with() {
    let (_place, core, memory) = core();
    core.create_network(&named("web", &[])).unwrap();
    *memory.fails.lock().unwrap() = Some("remove");
    assert!(core.remove_network("web", false).is_err());
    // It cannot be used any more, and its name is not free.
    assert!(core.places(&NetworkMode::named("web")).is_err());
    assert!(matches!(core.create_network(&named("web", &[])), Err(Error::NetworkTaken { .. })));
    assert_eq!(core.torn_networks().unwrap(), ["web"]);
    *memory.fails.lock().unwrap() = None;
    core.recover().unwrap();
    assert_eq!((made(&memory), quiet(&core)), (Vec::<String>::new(), true));
    assert_eq!(core.network_records().names().unwrap(), Vec::<String>::new());
}

#[test]
fn pure_whoever_is_killed_while_a_network_is_made_leaves_nothing() {
    let (_place, core, memory) = core();
    // Killed after the intent; after the record; after the driver had made everything.
    for steps in 1..=3 {
        let record = NetworkRecord {
            id: crate::ids::new_id().unwrap(),
            created_ns: 1,
            labels: Default::default(),
            whole: false,
            state: NetworkState {
                driver: "bridge".to_owned(),
                spec: NetworkSpec::named("web"),
                links: Vec::new(),
            },
        };
        drop(core.network_records().exclusive().unwrap());
        drop(Intent::begin(&core.store, Verb::Network, &record.id, Some("web")).unwrap());
        if steps > 1 {
            core.network_records().add(&record, &core.network_records().shared().unwrap()).unwrap();
        }
        if steps > 2 {
            core.driver("bridge").unwrap().create(&record.state.spec).unwrap();
        }
        assert!(core.places(&NetworkMode::named("web")).is_err());
        assert_eq!(core.networks().unwrap().len(), 2);
        // A command that is opened does it; the lock of a killed process may take a moment to go.
        let settled: std::result::Result<_, Error> =
            crate::process::until(std::time::Duration::from_secs(5), || {
                core.recover()?;
                Ok(quiet(&core).then_some(()))
            });
        assert!(settled.unwrap().is_some(), "step {steps}");
        assert_eq!(
            (made(&memory), core.network_records().names().unwrap()),
            (vec![], vec![]),
            "step {steps}"
        );
    }
    // Killed while a record was being written.
    let beside = core.network_records().folder().join("web.json.new");
    std::fs::write(&beside, "{").unwrap();
    assert!(core.sweep_networks().is_empty() && !beside.exists());
    // A restart of the machine takes the intent away: the next who changes networks meets the record.
    let torn = NetworkRecord {
        id: "a".repeat(32),
        created_ns: 1,
        labels: Default::default(),
        whole: false,
        state: core.driver("bridge").unwrap().create(&NetworkSpec::named("web")).unwrap(),
    };
    core.network_records().add(&torn, &core.network_records().shared().unwrap()).unwrap();
    assert_eq!(core.torn_networks().unwrap(), ["web"]);
    core.create_network(&named("web", &[])).unwrap();
    assert_eq!((made(&memory), core.torn_networks().unwrap()), (vec!["web".to_owned()], vec![]));
}

#[test]
fn pure_the_default_network_is_made_once_when_it_is_first_needed() {
    let (_place, core, memory) = core();
    assert_eq!(core.networks().unwrap().len(), 2);
    assert!(core.inspect_network("tinyd").is_err());
    std::thread::scope(|scope| {
        for word in ["tinyd", "Tiny-docker", "bridge", "default", "tinyd", "bridge"] {
            let core = &core;
            scope.spawn(move || {
                let joined = core.places(&NetworkMode::named(word)).unwrap();
                assert_eq!(
                    (joined.places[0].network.spec.name.as_str(), joined.netns),
                    ("tinyd", Namespace::Own)
                );
            });
        }
    });
    assert_eq!(made(&memory), ["tinyd"]);
    assert_eq!(core.inspect_network("default").unwrap().name, "tinyd");
    assert_eq!(core.prune_networks().unwrap(), Vec::<String>::new());
    assert_eq!(core.remove_network("bridge", false).unwrap(), "tinyd");
    assert!(made(&memory).is_empty());
}

#[test]
fn root_a_network_in_use_stays_and_who_uses_it_is_named() {
    if !testing::root() {
        return;
    }
    let (place, core, memory) = core();
    let id = core.create_network(&named("web", &[])).unwrap().id;
    core.create_network(&named("idle", &[])).unwrap();
    let container = core.create(&on(&place, &id[..6], "c1")).unwrap().id;
    core.create(&on(&place, "web", "c2")).unwrap();
    let error = core.remove_network("web", false).unwrap_err().to_string();
    assert_eq!(error, "cannot remove network \"web\": it is used by c1, c2");
    let seen = core.inspect_network("web").unwrap();
    assert_eq!((seen.containers.len(), seen.containers[&container].name.as_str()), (2, "c1"));
    assert_eq!(core.networks().unwrap()[3].containers, 2);
    assert_eq!(core.prune_networks().unwrap(), ["idle"]);
    assert_eq!(made(&memory), ["web"]);
    // One of them runs: this very process, as its records say.
    let me = ProcessId::of(std::process::id()).unwrap();
    let boot_id = core.boot_id().unwrap().to_owned();
    let state = RunState { init: me, monitor: me, started_ns: 1, boot_id };
    std::fs::create_dir(core.store.run_dir(&container)).unwrap();
    store(&core.store.run_dir(&container).join(STATE_FILE), &state, false).unwrap();
    let error = core.remove_network("web", true).unwrap_err().to_string();
    assert_eq!(error, "cannot remove network \"web\": it is used by c1");
    assert_eq!((made(&memory), quiet(&core)), (vec!["web".to_owned()], true));
    crate::store::remove_tree(&core.store.run_dir(&container)).unwrap();
    // One that is about to run does.
    let intent = Intent::begin(&core.store, Verb::Start, &container, None).unwrap();
    assert!(core.remove_network("web", true).is_err());
    intent.finish().unwrap();
    assert_eq!(core.remove_network("web", true).unwrap(), "web");
    assert!(made(&memory).is_empty());
    let error = core.create(&on(&place, "web", "c3")).unwrap_err();
    assert!(matches!(error, Error::NoSuchNetwork { .. }), "{error}");
}

#[test]
fn root_a_container_starts_on_the_network_of_that_name_that_there_is() {
    if !testing::root() {
        return;
    }
    let (place, core, memory) = core();
    core.create_network(&named("web", &["10.9.0.0/24"])).unwrap();
    let id = core.create(&on(&place, "web", "c1")).unwrap().id;
    let network = || core.store.record(&id).unwrap().unwrap().places[0].network.clone();
    let old = network();
    assert!(core.hold_network(&old).unwrap().is_some());
    assert!(core.changed_network(&old).unwrap().is_none());
    core.remove_network("web", true).unwrap();
    let refused = core.start("c1", &StartRequest::detached()).err().unwrap();
    assert!(matches!(refused, Error::NoSuchNetwork { .. }), "{refused}");
    assert!(core.hold_network(&old).is_err());
    assert!(made(&memory).is_empty() && quiet(&core));
    core.create_network(&named("web", &["10.8.0.0/24"])).unwrap();
    assert!(core.hold_network(&old).is_err());
    core.start("c1", &StartRequest::detached()).unwrap();
    assert_eq!(network().spec.subnets[0].to_string(), "10.8.0.0/24");
    assert!(core.hold_network(&network()).unwrap().is_some());
    // The default network needs nobody to make it.
    let id = core.create(&on(&place, "tinyd", "c2")).unwrap().id;
    core.remove_network("tinyd", true).unwrap();
    core.start(&id, &StartRequest::detached()).unwrap();
    assert_eq!(made(&memory), ["tinyd", "web"]);
}

#[test]
fn pure_nobody_removes_a_network_that_somebody_is_about_to_use() {
    let (_place, core, _) = core();
    core.create_network(&named("web", &[])).unwrap();
    let joined = core.places(&NetworkMode::named("web")).unwrap();
    assert!(core.network_records().try_exclusive().unwrap().is_none());
    // Others may join it meanwhile.
    core.places(&NetworkMode::named("web")).unwrap();
    drop(joined);
    core.remove_network("web", false).unwrap();
}

#[test]
fn pure_a_broken_record_keeps_nobody_from_the_others() {
    let (_place, core, _) = core();
    core.create_network(&named("web", &[])).unwrap();
    std::fs::write(core.network_records().file("odd"), "{").unwrap();
    assert_eq!(core.networks().unwrap().len(), 3);
    core.create_network(&named("db", &[])).unwrap();
    assert!(matches!(core.inspect_network("odd"), Err(Error::Record { .. })));
    assert!(matches!(core.create_network(&named("odd", &[])), Err(Error::NetworkTaken { .. })));
}
