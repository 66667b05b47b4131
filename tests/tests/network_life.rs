//! The life of a network: made, listed, used, refused while it is used, removed; by many at once, and by who is killed at it.
//! On a host that the test makes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use rustix::process::Signal;
use std::time::Duration;
use tinyd_tests::ground::{self, Ground};
use tinyd_tests::{Dice, Env, Machine, Output, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The bridges of a host.
fn bridges(host: &Machine) -> Vec<String> {
    let text = host.ip("-o link show type bridge");
    text.lines().filter_map(|line| line.split(": ").nth(1)).map(str::to_owned).collect()
}

fn rules(host: &Machine) -> String {
    host.run(&["nft", "list", "ruleset"])
}

/// The names of the networks that were made.
fn made(env: &Env) -> Vec<String> {
    let text = env.tinyd(["network", "ls", "--format", "{{.Name}}"]).ok().stdout();
    text.lines().filter(|name| !["none", "host"].contains(name)).map(str::to_owned).collect()
}

#[track_caller]
fn one_line(output: &Output, parts: &[&str]) {
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    for part in parts {
        assert!(output.stderr().contains(part), "no {part:?}: {output}");
    }
}

#[test]
fn a_network_is_made_shown_and_removed_and_leaves_nothing() {
    require!(root);
    require!(command "nft");
    let host = Machine::new();
    let before = (host.ip("-o link"), rules(&host));
    host.within(|| {
        let env = Env::new();
        let words = [
            "network", "create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.9", "--ip-range", "10.77.0.128/25",
            "--ipv6=false", "--label", "stage=test", "--mtu", "1400", "web",
        ];
        let id = env.tinyd(words).ok().text();
        assert_eq!(id.len(), 32);
        let json = env.tinyd(["network", "inspect", &id[..8]]).ok().json();
        let seen = &json[0];
        assert_eq!((&seen["Name"], &seen["Id"], &seen["Driver"]), (&"web".into(), &id.into(), &"bridge".into()));
        let config = serde_json::json!([{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.9", "IPRange": "10.77.0.128/25"}]);
        assert_eq!(seen["IPAM"]["Config"], config);
        assert_eq!((&seen["EnableIPv6"], &seen["Labels"]["stage"]), (&false.into(), &"test".into()));
        assert_eq!(seen["Options"]["com.docker.network.driver.mtu"], "1400");
        let links = serde_json::to_value(bridges(&host)).unwrap();
        assert_eq!((links.as_array().unwrap().len(), &seen["Links"]), (1, &links));
        let rows = env.tinyd(["network", "ls"]).ok().stdout();
        let row: Vec<&str> = rows.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["10.77.0.0/24", "web", "bridge", "0"]);
        let chosen = env.tinyd(["network", "create"]).ok().text();
        assert_eq!(made(&env), [format!("net-{}", &chosen[..8]), "web".to_owned()]);
        assert_eq!(env.tinyd(["network", "delete", "web"]).ok().text(), "web");
        assert_eq!(env.tinyd(["network", "prune"]).ok().text(), format!("net-{}", &chosen[..8]));
        assert_eq!(made(&env), Vec::<String>::new());
        env.assert_clean();
    });
    assert_eq!((host.ip("-o link"), rules(&host)), before);
}

#[test]
fn what_is_taken_is_refused_and_changes_nothing() {
    require!(root);
    let host = Machine::new();
    host.ip("link add lan0 type veth peer name lan1");
    host.ip("addr add 10.78.0.1/24 dev lan0");
    host.ip("link set lan0 up");
    host.ip("link set lan1 up");
    host.within(|| {
        let env = Env::new();
        env.tinyd(["network", "create", "--subnet", "10.77.0.0/24", "web"]).ok();
        let before = host.ip("-o addr");
        let create = |subnet: &str, name: &str, parts: &[&str]| {
            one_line(&env.tinyd(["network", "create", "--subnet", subnet, name]).fails(1), parts);
        };
        create("10.79.0.0/24", "web", &["there is a network \"web\" already"]);
        for subnet in ["10.77.0.0/24", "10.77.0.64/26", "10.77.0.0/16"] {
            create(subnet, "db", &[subnet, "the network web, 10.77.0.0/24"]);
        }
        // The route in the way is named with its link.
        create("10.78.0.0/16", "db", &["10.78.0.0/16", "10.78.0.0/24", "lan0"]);
        create("127.0.0.0/8", "db", &["127.0.0.0/8"]);
        create("10.79.0.1/24", "db", &["10.79.0.0/24"]);
        assert_eq!((made(&env), host.ip("-o addr")), (vec!["web".to_owned()], before));
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}

#[test]
fn a_network_in_use_stays_and_who_uses_it_is_named() {
    require!(root);
    let host = Machine::new();
    host.within(|| {
        let env = Env::new();
        let image = image();
        env.tinyd(["network", "create", "--subnet", "10.77.0.0/24", "--ipv6=false", "web"]).ok();
        let run = ["run", "-d", "--name", "c1", "--net", "web", "-p", "8080:80", &image, "sleep", "1000"];
        let id = env.tinyd(run).ok().text();
        env.tinyd(["create", "--name", "c2", "--net", "web", &image, "true"]).ok();
        one_line(&env.tinyd(["network", "rm", "web"]).fails(1), &["\"web\"", "used by c1, c2"]);
        one_line(&env.tinyd(["network", "rm", "-f", "web"]).fails(1), &["\"web\"", "used by c1 ("]);
        assert_eq!(env.tinyd(["network", "prune"]).ok().stdout(), "");
        let json = env.tinyd(["network", "inspect", "web"]).ok().json();
        let place = &json[0]["Containers"][&id];
        assert_eq!((&place["Name"], &place["IPv4Address"]), (&"c1".into(), &"10.77.0.2/24".into()));
        let inside = env.tinyd(["exec", "c1", "cat", "/sys/class/net/eth0/address"]).ok().text();
        assert_eq!(place["MacAddress"], inside);
        assert_eq!(env.tinyd(["port", "c1"]).ok().text(), "80/tcp -> 0.0.0.0:8080");
        assert_eq!(env.tinyd(["ps", "--format", "{{.Ports}}"]).ok().text(), "8080:80;");
        env.tinyd(["stop", "-t", "0", "c1"]).ok();
        one_line(&env.tinyd(["network", "rm", "web"]).fails(1), &["used by c1, c2"]);
        env.tinyd(["network", "rm", "-f", "web"]).ok();
        assert_eq!(bridges(&host), Vec::<String>::new());
        // Without it they do not start, and nothing is made for them.
        for name in ["c1", "c2"] {
            one_line(&env.tinyd(["start", name]).fails(125), &["there is no network \"web\""]);
        }
        assert_eq!(bridges(&host), Vec::<String>::new());
        // On another one of that name they do, with an address of that one.
        env.tinyd(["network", "create", "--subnet", "10.79.0.0/24", "--ipv6=false", "web"]).ok();
        env.tinyd(["start", "c1"]).ok();
        let addresses = env.tinyd(["exec", "c1", "ip", "-o", "-4", "addr", "show", "eth0"]).ok().text();
        assert!(addresses.contains("10.79.0."), "{addresses}");
        env.tinyd(["rm", "-f", "c1", "c2"]).ok();
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}

#[test]
fn who_shares_anothers_network_loses_it_with_that_one_and_nobody_shares_it_with_the_next() {
    require!(root);
    let host = Machine::new();
    host.within(|| {
        let env = Env::new();
        let image = image();
        env.tinyd(["network", "create", "--ipv6=false", "web"]).ok();
        let run = |options: &[&str]| {
            env.tinyd([&["run", "-d"], options, &[&image, "sleep", "1000"]].concat()).ok();
        };
        run(&["--net", "web", "--name", "main", "--rm"]);
        let seen = env.tinyd(["inspect", "main"]).ok().json();
        let address = seen[0]["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
        run(&["--net", "container:main", "--name", "beside"]);
        let links = || ground::inside(&env, "beside", "ip -o addr");
        assert!(links().contains(&address), "{}", links());
        one_line(&env.tinyd(["network", "rm", "web"]).fails(1), &["used by beside, main"]);
        one_line(&env.tinyd(["network", "rm", "-f", "web"]).fails(1), &["used by beside, main ("]);
        // Whatever is written down of its connections meanwhile.
        env.tinyd(["network", "create", "--ipv6=false", "db"]).ok();
        env.tinyd(["network", "connect", "db", "main"]).ok();
        assert!(links().contains("eth1"), "{}", links());

        env.tinyd(["stop", "-t", "0", "main"]).ok();
        assert!(!links().contains("eth"), "{}", links());
        run(&["--net", "web", "--ip", &address, "--name", "next"]);
        assert!(ground::inside(&env, "next", "ip -o addr").contains(&address));
        let ports = host.ip("-o link show type veth");
        assert_eq!(ports.lines().count(), 1, "{ports}");
        env.tinyd(["rm", "-f", "next"]).ok();
        // Nothing of it is on the network any more.
        env.tinyd(["network", "rm", "web", "db"]).ok();
        env.tinyd(["rm", "-f", "beside"]).ok();
        env.assert_clean();
    });
}

#[test]
fn the_default_network_is_made_when_it_is_first_needed_under_each_of_its_names() {
    require!(root);
    let host = Machine::new();
    host.within(|| {
        let env = Env::new();
        let image = image();
        assert_eq!(made(&env), Vec::<String>::new());
        let names = ["tinyd", "Tiny-docker", "bridge", "default"];
        // All at once: it is made once.
        let running: Vec<_> = (0..8)
            .map(|number| env.cmd(["run", "--rm", "--net", names[number % 4], &image, "ip", "addr"]).spawn())
            .collect();
        for running in running {
            let output = running.wait().ok();
            assert!(output.stdout().contains("eth0"), "{output}");
        }
        assert_eq!((made(&env), bridges(&host).len()), (vec!["tinyd".to_owned()], 1));
        assert_eq!(env.tinyd(["network", "prune"]).ok().stdout(), "");
        for name in names {
            assert_eq!(env.tinyd(["network", "inspect", "-f", "{{.Name}}", name]).ok().text(), "tinyd");
        }
        env.tinyd(["network", "rm", "default"]).ok();
        assert_eq!(bridges(&host), Vec::<String>::new());
        env.assert_clean();
    });
}

#[test]
fn of_many_that_want_the_same_addresses_or_name_at_once_one_gets_them() {
    require!(root);
    let host = Machine::new();
    host.within(|| {
        let env = Env::new();
        let create = |name: &str, subnet: &str| {
            env.cmd(["network", "create", "--subnet", subnet, "--ipv6=false", name]).spawn()
        };
        let overlapping = ["10.77.0.0/24", "10.77.0.0/16", "10.77.0.0/25", "10.0.0.0/8"];
        let racing: Vec<_> =
            (0..8).map(|number| create(&format!("n{number}"), overlapping[number % 4])).collect();
        let outputs: Vec<_> = racing.into_iter().map(|running| running.wait()).collect();
        assert_eq!(outputs.iter().filter(|output| output.code() == Some(0)).count(), 1, "{outputs:?}");
        assert_eq!((made(&env).len(), bridges(&host).len()), (1, 1));
        let named = |number: u8| create("web", &format!("172.20.{number}.0/24"));
        let racing: Vec<_> = (0..8).map(named).collect();
        let outputs: Vec<_> = racing.into_iter().map(|running| running.wait()).collect();
        assert_eq!(outputs.iter().filter(|output| output.code() == Some(0)).count(), 1, "{outputs:?}");
        assert_eq!((made(&env).len(), bridges(&host).len()), (2, 2));
        env.tinyd(["network", "prune"]).ok();
        env.assert_clean();
    });
}

#[test]
fn whoever_is_killed_while_it_makes_or_removes_a_network_leaves_none_half() {
    require!(root);
    unserved!("who is killed is the client, and the daemon goes on with what it was asked for");
    let host = Machine::new();
    host.within(|| {
        let env = Env::new();
        let mut dice = Dice::new();
        let mut cut_short = 0;
        for round in 0..60 {
            let verb = if made(&env).is_empty() { "create" } else { "rm" };
            let mut running = env.cmd(["network", verb, "web"]).spawn();
            // A whole one takes some ten milliseconds.
            std::thread::sleep(Duration::from_micros(dice.below(15_000) as u64));
            if !running.has_ended() {
                running.signal(Signal::KILL);
            }
            cut_short += u32::from(running.wait().signal().is_some());
            // Whole, as the next command shows it, or gone.
            let names = made(&env);
            assert_eq!(bridges(&host).len(), names.len(), "round {round}: {names:?}");
            if !names.is_empty() {
                let seen = env.tinyd(["network", "inspect", "-f", "{{json .Links}}", "web"]).ok().text();
                assert_eq!(seen, serde_json::to_string(&bridges(&host)).unwrap(), "round {round}");
            }
        }
        assert!(cut_short > 10, "only {cut_short} were killed");
        if !made(&env).is_empty() {
            env.tinyd(["network", "rm", "web"]).ok();
        }
        wait_until("nothing is under way", || {
            std::fs::read_dir(env.run_root().join("intents")).unwrap().next().is_none()
        });
        env.assert_clean();
    });
    assert_eq!(bridges(&host), Vec::<String>::new());
}

/// Its place on the network is prepared while the runtime comes up: of what fails there the network is no part.
#[test]
fn one_that_fails_before_it_has_a_namespace_says_why_and_leaves_nothing() {
    require!(root);
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let create = ["create", "--net", "web", "-p", "8080:80", "--name", "c1"];
        let id = env.tinyd(create.into_iter().chain([&*image(), "true"])).ok().text();
        // The runtime reads it, and comes no further.
        let config = env.root().join("containers").join(id).join("config.json");
        let whole = std::fs::read(&config).unwrap();
        std::fs::write(&config, "{").unwrap();
        for _ in 0..3 {
            one_line(&env.tinyd(["start", "c1"]).fails(125), &["config.json"]);
            assert_eq!((ground.ports(), ground::held(env)), (Vec::new(), Vec::new()));
        }
        // Where both cannot be, one of them is told.
        let taken = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
        let both = env.tinyd(["start", "c1"]).fails(125);
        assert_eq!((both.stdout(), both.stderr().lines().count()), (String::new(), 1), "{both}");
        std::fs::write(&config, whole).unwrap();
        one_line(&env.tinyd(["start", "c1"]).fails(125), &["8080"]);
        drop(taken);
        env.tinyd(["start", "-a", "c1"]).ok();
        env.tinyd(["rm", "c1"]).ok();
        ground.holds_nothing(env);
    });
}
