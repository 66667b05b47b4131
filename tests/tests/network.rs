//! Containers on a bridged network of a host that the test makes, with a neighbour on its link and a machine beyond.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use tinyd_tests::ground::{self, Ground, HOST, SERVER, fetch, image, say, start};
use tinyd_tests::{Env, kill, proc, require, wait_until};

/// A host with a network `web`, 10.77.0.0/24, which has left nothing when it is gone.
fn on_web(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    Ground::with_ipv4_alone().carry(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        work(ground, env);
    });
}

#[test]
fn a_container_has_a_link_an_address_and_a_way_to_its_gateway() {
    on_web(|_, env| {
        let said = say(
            env,
            &["--net", "web", "--cap-add", "NET_RAW"],
            "ip -o addr; ip route; ping -c 3 -q 10.77.0.1",
        );
        assert!(said.contains("inet 10.77.0.2/24 brd 10.77.0.255"), "{said}");
        assert!(said.contains("default via 10.77.0.1 dev eth0"), "{said}");
        assert!(said.contains("inet 127.0.0.1/8"), "{said}");
        assert!(said.contains("3 packets received, 0% packet loss"), "{said}");
    });
}

#[test]
fn containers_of_a_network_reach_each_other() {
    on_web(|_, env| {
        let server = start(env, &["--net", "web"], SERVER);
        let said = say(
            env,
            &["--net", "web", "--cap-add", "NET_RAW"],
            "ping -c 2 -q 10.77.0.2; wget -qO- http://10.77.0.2/",
        );
        assert!(said.contains("0% packet loss") && said.ends_with("hello"), "{said}");
        env.tinyd(["rm", "-f", &server]).ok();
    });
}

#[test]
fn the_world_sees_the_hosts_address() {
    on_web(|ground, env| {
        let seen = ground.caller(|script| drop(say(env, &["--net", "web"], script)));
        assert_eq!(seen, HOST);
    });
}

#[test]
fn a_published_port_is_reached_from_everywhere_that_it_should() {
    on_web(|ground, env| {
        let server = start(env, &["--net", "web", "-p", "8080:80"], SERVER);
        wait_until("the server answers", || {
            fetch(&ground.host, "127.0.0.1", 8080).as_deref() == Some("hello\n")
        });
        assert_eq!(fetch(&ground.host, HOST, 8080).as_deref(), Some("hello\n"), "the host's own address");
        assert_eq!(fetch(&ground.outside, HOST, 8080).as_deref(), Some("hello\n"), "from outside");
        let inside =
            |options: &[&str]| say(env, options, &format!("timeout 3 wget -qO- http://{HOST}:8080/"));
        assert_eq!(inside(&["--net", "web"]), "hello", "a neighbour");
        let own =
            env.tinyd(["exec", &server, "timeout", "3", "wget", "-qO-", &format!("http://{HOST}:8080/")]);
        assert_eq!(own.ok().text(), "hello", "the container itself");
        assert_eq!(env.tinyd(["port", &server]).ok().text(), "80/tcp -> 0.0.0.0:8080");
        env.tinyd(["rm", "-f", &server]).ok();
        assert_eq!(fetch(&ground.outside, HOST, 8080), None, "its container is gone");
    });
}

#[test]
fn containers_find_each_other_by_name_and_ask_the_host_for_the_rest() {
    on_web(|_, env| {
        let image = image();
        let words = ["run", "-d", "--name", "db", "--net", "web", &image, "sleep", "600"];
        let db = env.tinyd(words).ok().text();
        let said = say(env, &["--net", "web"], "cat /etc/resolv.conf; nslookup db 10.77.0.1");
        assert!(said.starts_with("nameserver 10.77.0.1"), "{said}");
        assert!(said.contains("10.77.0.2"), "{said}");
        let unknown = say(env, &["--net", "web"], "nslookup nobody 10.77.0.1 || true");
        assert!(!unknown.contains("10.77.0.2"), "{unknown}");
        let server = || {
            let served = format!("{}/networks/names", env.run_root().display());
            std::fs::read_dir(&served).unwrap().flatten().any(|file| {
                let path = file.path();
                path.is_dir() && std::fs::read_dir(path).unwrap().next().is_some()
            })
        };
        assert!(server(), "a name is written down");
        env.tinyd(["rm", "-f", &db]).ok();
        assert!(!server(), "and goes with its container");
    });
}

#[test]
fn networks_are_walled_off_from_each_other_and_what_is_not_published_from_everybody() {
    on_web(|ground, env| {
        // The neighbour knows a way to the containers, and asks the host to forward.
        ground.lead_outside("10.77.0.0/24");
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        let server = start(env, &["--net", "web"], SERVER);
        wait_until("the server answers", || fetch(&ground.host, "10.77.0.2", 80).is_some());
        assert_eq!(fetch(&ground.outside, "10.77.0.2", 80), None, "D3: an unpublished port");
        let other = "timeout 2 wget -qO- http://10.77.0.2/ || echo walled";
        assert_eq!(say(env, &["--net", "web"], other), "hello", "a neighbour reaches it");
        assert_eq!(say(env, &["--net", "back"], other), "walled", "D7: another network");
        let local = start(env, &["--net", "back", "-p", "127.0.0.1:8080:80"], SERVER);
        wait_until("the host reaches it", || fetch(&ground.host, "127.0.0.1", 8080).is_some());
        // D2: what the neighbour sends to the host's 127.0.0.1.
        ground.lead_loopback_outside();
        for address in ["127.0.0.1", HOST] {
            assert_eq!(fetch(&ground.outside, address, 8080), None, "D2: {address}");
        }
        for id in [&server, &local] {
            env.tinyd(["rm", "-f", id]).ok();
        }
    });
}

#[test]
fn what_a_killed_monitor_left_of_a_network_goes_with_the_next_command() {
    on_web(|ground, env| {
        let image = image();
        let words =
            ["run", "-d", "--rm", "--name", "one", "--net", "web", "-p", "8080:80", &image, "sleep", "600"];
        env.tinyd(words).ok();
        let init = ground::init(env, "one");
        for pid in [kill::monitor_of(env, "one"), init] {
            kill::kill(pid);
        }
        wait_until("both are gone", || !proc::is_alive(init));
        env.tinyd(["ps"]).ok();
        let leases = format!("{}/networks/leases", env.run_root().display());
        let held = || {
            std::fs::read_dir(&leases).unwrap().flatten().any(|network| {
                let four = network.path().join("4");
                std::fs::read_dir(four).unwrap().flatten().any(|lease| lease.path().is_symlink())
            })
        };
        assert!(!held(), "a lease of nobody's");
        let rules = ground.rules();
        assert!(!rules.contains("8080"), "{rules}");
        // The same port and address serve the next one.
        env.tinyd(["run", "-d", "--name", "two", "--net", "web", "-p", "8080:80", &image, "sleep", "600"])
            .ok();
        env.tinyd(["rm", "-f", "two"]).ok();
    });
}

#[test]
fn a_port_that_somebody_has_is_refused_with_who_it_is() {
    on_web(|_, env| {
        let image = image();
        let publish = |options: &[&str]| {
            let words = [&["run", "-d", "--net", "web"], options, &[&image, "sleep", "600"]].concat();
            env.tinyd(words)
        };
        let listener = std::net::TcpListener::bind(("0.0.0.0", 8080)).unwrap();
        let said = publish(&["-p", "8080:80"]).fails(125);
        let own = std::process::id().to_string();
        assert!(said.stderr().contains("8080/tcp") && said.stderr().contains(&own), "{}", said.stderr());
        drop(listener);
        let first = publish(&["-p", "8080:80"]).ok().text();
        let said = publish(&["-p", "0.0.0.0:8080:81"]).fails(125);
        assert!(
            said.stderr().contains("8080/tcp") && said.stderr().contains("10.77.0.2"),
            "{}",
            said.stderr()
        );
        assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout().lines().count(), 1, "a refusal left something");
        // One that the host chooses.
        let second = publish(&["-p", "80", "-p", "81/udp"]).ok().text();
        let ports = env.tinyd(["port", &second]).ok().text();
        assert!(ports.starts_with("80/tcp -> 0.0.0.0:") && ports.contains("81/udp -> 0.0.0.0:"), "{ports}");
        let seen = env.tinyd(["inspect", &second]).ok().json();
        let settings = &seen[0]["NetworkSettings"];
        assert!(settings["IPAddress"].as_str().unwrap().starts_with("10.77.0."), "{settings}");
        assert_eq!(settings["Gateway"], "10.77.0.1");
        let rest = env.tinyd(["network", "rm", "web"]).fails(1);
        assert!(rest.stderr().contains(&first[..12]), "{}", rest.stderr());
        for id in [&first, &second] {
            env.tinyd(["rm", "-f", id]).ok();
        }
    });
}
