//! Containers on several networks: which is their way out, how they come and go, and whose an address is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;

use tinyd_tests::ground::{self, Ground, OUTSIDE, SERVER, fetch, held, init, inside, machine, say, start};
use tinyd_tests::{Env, Output, kill, proc, require, wait_until};

const STAY: &str = "exec sleep 1000";

/// A host with the networks `web`, 10.77.0.0/24, `back`, 10.78.0.0/24, and `inner`, 10.79.0.0/24, which leads nowhere.
fn on_three(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        ground::network(env, "inner", &["10.79.0.0/24"], &["--internal"]);
        work(ground, env);
    });
}

#[track_caller]
fn connect(env: &Env, options: &[&str], network: &str, container: &str) -> Output {
    env.tinyd([&["network", "connect"], options, &[network, container]].concat())
}

#[track_caller]
fn disconnect(env: &Env, network: &str, container: &str) {
    env.tinyd(["network", "disconnect", network, container]).ok();
}

/// What `inspect` tells of a container's networks.
#[track_caller]
fn places(env: &Env, container: &str) -> serde_json::Value {
    env.tinyd(["inspect", container]).ok().json()[0]["NetworkSettings"]["Networks"].take()
}

/// The default routes inside, those of IPv4.
#[track_caller]
fn ways_out(env: &Env, container: &str) -> Vec<String> {
    let routes = inside(env, container, "ip route");
    routes.lines().filter(|line| line.starts_with("default")).map(|line| line.trim().to_owned()).collect()
}

/// Requires that a port of the machine outside answers a container, by the host's address.
#[track_caller]
fn gets_out(ground: &Ground, env: &Env, container: &str) {
    let listener = ground.outside.within(|| std::net::TcpListener::bind((OUTSIDE, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| listener.accept().unwrap().1.ip().to_string());
        let network = machine(env, container);
        network.within(|| std::net::TcpStream::connect((OUTSIDE, port)).expect("the world is reached"));
        assert_eq!(server.join().unwrap(), ground::HOST);
    });
}

/// Requires a refusal in one line that holds these parts.
#[track_caller]
fn refused(output: Output, code: i32, parts: &[&str]) {
    let output = output.fails(code);
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    for part in parts {
        assert!(output.stderr().contains(part), "no {part:?}: {output}");
    }
}

#[test]
fn the_first_network_that_leads_anywhere_is_the_way_out_and_has_the_ports() {
    on_three(|ground, env| {
        let nets = ["--net", "inner", "--net", "web", "--net", "back"];
        start(env, &[&nets[..], &["--name", "hub", "-p", "8080:80"]].concat(), SERVER);
        let links = inside(env, "hub", "ip -o -4 addr");
        for (link, address) in [("eth0", "10.79.0.2/24"), ("eth1", "10.77.0.2/24"), ("eth2", "10.78.0.2/24")]
        {
            assert!(links.lines().any(|line| line.contains(link) && line.contains(address)), "{links}");
        }
        assert_eq!(ways_out(env, "hub"), ["default via 10.77.0.1 dev eth1"]);
        gets_out(ground, env, "hub");
        wait_until("the port answers", || {
            fetch(&ground.outside, ground::HOST, 8080).as_deref() == Some("hello\n")
        });
        for (network, address) in [("inner", "10.79.0.2"), ("web", "10.77.0.2"), ("back", "10.78.0.2")] {
            let asked = format!("timeout 5 wget -qO- http://{address}/; timeout 5 wget -qO- http://hub/");
            assert_eq!(say(env, &["--net", network], &asked), "hello\nhello", "on {network}");
            assert_eq!(places(env, "hub")[network]["IPAddress"], address);
        }
        // In another order another one.
        let back = say(env, &["--net", "back", "--net", "web"], "ip route");
        assert!(back.contains("default via 10.78.0.1 dev eth0") && !back.contains("10.77.0.1"), "{back}");
        env.tinyd(["rm", "-f", "hub"]).ok();
        ground.holds_nothing(env);
    });
}

#[test]
fn one_that_runs_comes_onto_a_network_and_leaves_it() {
    on_three(|ground, env| {
        start(env, &["--net", "web", "--name", "c1"], STAY);
        start(env, &["--net", "back", "--name", "db"], SERVER);
        let ask = "timeout 2 wget -qO- http://10.78.0.2/ || echo walled";
        assert_eq!(inside(env, "c1", ask), "walled");
        assert_eq!(inside(env, "c1", "nslookup db 10.77.0.1 >/dev/null 2>&1 || echo unknown"), "unknown");
        let alone = (held(env), ground.ports());
        connect(env, &["--alias", "mirror", "--interface", "lan0"], "back", "c1").ok();
        wait_until("the server answers", || inside(env, "c1", ask) == "hello");
        assert_eq!(inside(env, "c1", "wget -qO- http://db/"), "hello", "by its name");
        assert_eq!(inside(env, "db", "nslookup mirror | grep -c 10.78.0.3"), "1", "by an alias");
        let place = &places(env, "c1")["back"];
        assert_eq!((&place["IPAddress"], &place["Gateway"]), (&"10.78.0.3".into(), &"".into()));
        assert_eq!(place["MacAddress"], inside(env, "c1", "cat /sys/class/net/lan0/address"));
        assert_eq!(
            ways_out(env, "c1"),
            ["default via 10.77.0.1 dev eth0"],
            "the first one stays the way out"
        );
        refused(connect(env, &[], "back", "c1"), 1, &["back", "has container", "already"]);
        disconnect(env, "back", "c1");
        assert_eq!(inside(env, "c1", ask), "walled");
        assert!(!inside(env, "c1", "ip -o link").contains("lan0"));
        assert_eq!((held(env), ground.ports()), alone, "what it had there");
        assert_eq!(places(env, "c1").as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
        refused(env.tinyd(["network", "disconnect", "back", "c1"]), 1, &["back", "does not have container"]);
        env.tinyd(["rm", "-f", "c1", "db"]).ok();
        ground.holds_nothing(env);
    });
}

#[test]
fn the_way_out_moves_when_its_network_is_left() {
    on_three(|ground, env| {
        let nets = ["--net", "web", "--net", "inner", "--net", "back", "--name", "c1", "-p", "8080:80"];
        start(env, &nets, SERVER);
        wait_until("the port answers", || fetch(&ground.outside, ground::HOST, 8080).is_some());
        disconnect(env, "web", "c1");
        assert_eq!(ways_out(env, "c1"), ["default via 10.78.0.1 dev eth2"]);
        gets_out(ground, env, "c1");
        assert!(
            fetch(&ground.outside, ground::HOST, 8080).is_some(),
            "the port leads there by the next network"
        );
        // A new start has all of it again.
        env.tinyd(["stop", "-t", "0", "c1"]).ok();
        env.tinyd(["start", "c1"]).ok();
        assert_eq!(ways_out(env, "c1"), ["default via 10.78.0.1 dev eth1"]);
        wait_until("the port answers", || fetch(&ground.outside, ground::HOST, 8080).is_some());
        disconnect(env, "back", "c1");
        assert_eq!(ways_out(env, "c1"), Vec::<String>::new(), "the last one leads nowhere");
        disconnect(env, "inner", "c1");
        let links = inside(env, "c1", "ip -o link");
        assert_eq!((links.lines().count(), links.contains("lo:")), (1, true), "{links}");
        ground.holds_nothing(env);
        // Back from nowhere.
        connect(env, &[], "web", "c1").ok();
        assert_eq!(ways_out(env, "c1"), ["default via 10.77.0.1 dev eth0"]);
        gets_out(ground, env, "c1");
        env.tinyd(["rm", "-f", "c1"]).ok();
    });
}

#[test]
fn what_is_connected_while_it_stands_still_is_there_at_the_next_start() {
    on_three(|ground, env| {
        let image = ground::image();
        env.tinyd(["create", "--net", "web", "--name", "c1", &image, "sh", "-c", SERVER]).ok();
        connect(env, &["--ip", "10.78.0.50", "--alias", "mirror", "--interface", "lan0"], "back", "c1").ok();
        assert_eq!((held(env), ground.ports()), (Vec::new(), Vec::new()), "nothing before it starts");
        for round in 0..2 {
            env.tinyd(["start", "c1"]).ok();
            let links = inside(env, "c1", "ip -o -4 addr");
            assert!(
                links.contains("eth0") && links.contains("lan0    inet 10.78.0.50/24"),
                "{round}: {links}"
            );
            assert_eq!(say(env, &["--net", "back"], "sleep 2; timeout 5 wget -qO- http://mirror/"), "hello");
            env.tinyd(["stop", "-t", "0", "c1"]).ok();
        }
        disconnect(env, "web", "c1");
        env.tinyd(["start", "c1"]).ok();
        let links = inside(env, "c1", "ip -o -4 addr; ip route");
        assert!(links.contains("default via 10.78.0.1 dev lan0") && !links.contains("10.77."), "{links}");
        env.tinyd(["rm", "-f", "c1"]).ok();
    });
}

#[test]
fn addresses_that_are_asked_for_are_had_and_the_rest_is_refused() {
    on_three(|ground, env| {
        let options = [
            "--net",
            "web",
            "--ip",
            "10.77.0.50",
            "--ip6",
            "fd00:77::50",
            "--mac-address",
            "02:42:00:00:aa:01",
        ];
        start(
            env,
            &[&options[..], &["--net", "back:ip=10.78.0.60,interface=lan0", "--name", "c1"]].concat(),
            SERVER,
        );
        let links = inside(env, "c1", "ip -o addr; cat /sys/class/net/eth0/address");
        for part in
            ["inet 10.77.0.50/24", "inet6 fd00:77::50/64", "lan0    inet 10.78.0.60/24", "02:42:00:00:aa:01"]
        {
            assert!(links.contains(part), "no {part}: {links}");
        }
        let asked = "for address in 10.77.0.50 '[fd00:77::50]'; do timeout 5 wget -qO- http://$address/; done; arp -n";
        let seen = say(env, &["--net", "web"], asked);
        assert!(seen.starts_with("hello\nhello") && seen.contains("02:42:00:00:aa:01"), "{seen}");
        let before = (held(env), ground.ports(), env.containers());
        let bad: [(&[&str], &[&str]); 10] = [
            (&["--ip", "10.99.0.5"], &["10.99.0.5", "10.77.0.0/24"]),
            (&["--ip", "10.77.0.1"], &["10.77.0.1"]),
            (&["--ip", "10.77.0.0"], &["10.77.0.0"]),
            (&["--ip", "10.77.0.255"], &["10.77.0.255"]),
            (&["--ip", "10.77.0.50"], &["10.77.0.50", "belongs to"]),
            (&["--ip6", "fd00:77::50"], &["fd00:77::50", "belongs to"]),
            (&["--ip6", "fd00:88::5"], &["fd00:88::5", "fd00:77::/64"]),
            (&["--net", "back:ip=10.77.0.9"], &["10.77.0.9", "10.78.0.0/24"]),
            (&["--net", "web"], &["web"]),
            (&["--net", "back:ip=10.78.0.9,ip=10.78.0.10"], &["10.78.0.10", "too many"]),
        ];
        let image = ground::image();
        for (options, parts) in bad {
            let words = [&["run", "-d", "--net", "web"], options, &[&image, "true"]].concat();
            refused(env.tinyd(words), 125, parts);
            assert_eq!(
                (held(env), env.containers()),
                (before.0.clone(), before.2.clone()),
                "{options:?} left something"
            );
            // (A link of a container before this may go meanwhile.)
            assert!(ground.ports().iter().all(|port| before.1.contains(port)), "{options:?} left a link");
        }
        // The same of one that runs.
        start(env, &["--net", "inner", "--name", "c2"], STAY);
        let before = (held(env), ground.ports(), places(env, "c2"));
        for address in ["10.77.0.9", "10.78.0.1", "10.78.0.60", "10.78.0.255"] {
            refused(connect(env, &["--ip", address], "back", "c2"), 1, &[address]);
            assert_eq!((held(env), ground.ports(), places(env, "c2")), before, "{address} left something");
        }
        refused(connect(env, &["--interface", "eth0"], "back", "c2"), 1, &["eth0"]);
        assert_eq!((held(env), ground.ports(), places(env, "c2")), before, "a link's name left something");
        assert_eq!(inside(env, "c2", "ip -o link | wc -l"), "2");
        connect(env, &["--ip", "10.78.0.61"], "back", "c2").ok();
        env.tinyd(["rm", "-f", "c1", "c2"]).ok();
        ground.holds_nothing(env);
    });
}

#[test]
fn a_name_is_known_on_the_networks_of_who_has_it_and_nowhere_else() {
    on_three(|_, env| {
        let nets = ["--net", "web:alias=www", "--net", "back:alias=store", "--network-alias", "both"];
        start(env, &[&nets[..], &["--name", "hub"]].concat(), STAY);
        start(env, &["--net", "back", "--name", "hidden"], STAY);
        let known = |network: &str, gateway: &str| -> BTreeSet<&'static str> {
            let names = ["hub", "www", "store", "both", "hidden"];
            let ask = format!(
                "for name in {}; do nslookup $name {gateway} 2>&1 | sed 1,3d; echo ==; done",
                names.join(" ")
            );
            let said = say(env, &["--net", network], &ask);
            let answers: Vec<&str> = said.split("==").collect();
            names
                .into_iter()
                .zip(answers)
                .filter(|(_, answer)| answer.contains("Address"))
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(known("web", "10.77.0.1"), ["both", "hub", "www"].into());
        assert_eq!(known("back", "10.78.0.1"), ["both", "hidden", "hub", "store"].into());
        // Whoever is on both finds all of them, whichever server it asks.
        let ask =
            "for name in www store hidden; do nslookup $name | grep -c 'Address.*10.7[78].0.[2-9]'; done";
        assert_eq!(inside(env, "hub", ask), "1\n1\n1");
        // On a network that it leaves, it is not known any more.
        disconnect(env, "back", "hub");
        assert_eq!(known("back", "10.78.0.1"), ["hidden"].into());
        env.tinyd(["rm", "-f", "hub", "hidden"]).ok();
    });
}

#[test]
fn what_a_killed_container_had_on_a_network_that_it_came_onto_goes() {
    on_three(|ground, env| {
        start(env, &["--net", "web", "--name", "c1", "-p", "8080:80"], STAY);
        start(env, &["--net", "back", "--name", "other"], SERVER);
        let others = (held(env), ground.ports());
        let is_open = || ground.rules().contains("tcp . 8080");
        assert!(is_open());
        connect(env, &["--ip", "10.78.0.50"], "back", "c1").ok();
        connect(env, &[], "inner", "c1").ok();
        assert_eq!(ground.ports().len(), others.1.len() + 2);
        let command = init(env, "c1");
        for pid in [kill::monitor_of(env, "c1"), command] {
            kill::kill(pid);
        }
        wait_until("it is gone", || !proc::is_alive(command));
        env.tinyd(["ps"]).ok();
        let of_c1 =
            |held: Vec<String>| held.into_iter().filter(|line| !others.0.contains(line)).collect::<Vec<_>>();
        assert_eq!(of_c1(held(env)), Vec::<String>::new());
        wait_until("its links are gone", || ground.ports().len() == 1);
        assert!(!is_open(), "{}", ground.rules());
        // By its monitor alone, which did not know of them when it was started: nobody asks anything meanwhile.
        env.tinyd(["start", "c1"]).ok();
        assert_eq!(ground.ports().len(), 4, "it is on all three again");
        kill::kill(init(env, "c1"));
        wait_until("its monitor tidied up", || of_c1(held(env)).is_empty() && ground.ports().len() == 1);
        assert_eq!(say(env, &["--net", "back"], "timeout 5 wget -qO- http://other/"), "hello");
        env.tinyd(["rm", "-f", "c1", "other"]).ok();
    });
}

#[test]
fn an_address_that_another_got_stays_its_own_when_the_first_one_ends() {
    on_three(|ground, env| {
        for killed in [false, true] {
            start(env, &["--net", "web", "--name", "first", "-p", "8081:80"], STAY);
            connect(env, &["--ip", "10.78.0.50"], "back", "first").ok();
            disconnect(env, "back", "first");
            start(env, &["--net", "back:ip=10.78.0.50", "--name", "second", "-p", "8080:80"], SERVER);
            wait_until("it answers", || fetch(&ground.outside, ground::HOST, 8080).is_some());
            let before = held(env);
            let command = init(env, "first");
            if killed {
                kill::kill(kill::monitor_of(env, "first"));
            }
            kill::kill(command);
            env.tinyd(["rm", "-f", "first"]).ok();
            let kept: Vec<_> = before.into_iter().filter(|line| line.contains("10.78.0.50")).collect();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert!(held(env).contains(&kept[0]), "its lease is gone");
            assert_eq!(fetch(&ground.outside, ground::HOST, 8080).as_deref(), Some("hello\n"));
            assert_eq!(say(env, &["--net", "back"], "timeout 5 wget -qO- http://second/"), "hello");
            env.tinyd(["rm", "-f", "second"]).ok();
            ground.holds_nothing(env);
        }
    });
}
