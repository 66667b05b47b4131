//! Ports that come and go while their container runs. (part 3, row 12)
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tinyd_tests::ground::{self, Ground, HOST, HOST_SIX, SERVER, start};
use tinyd_tests::tracer::{self, Fault, Role};
use tinyd_tests::{Dice, Env, kill, require, unserved, wait_until};

/// What a web server behind a port of the host says to the machine outside.
fn at(ground: &Ground, port: u16) -> Option<String> {
    ground::fetch(&ground.outside, HOST, port)
}

fn shown(env: &Env) -> String {
    env.tinyd(["port", "web"]).ok().text()
}

/// A container `web` with a web server at port 80, to which port 8080 leads, on a network of each firewall.
fn with_each_firewall(work: impl Fn(&Ground, &Env) + Sync) {
    require!(root);
    require!(program);
    require!(command "iptables");
    for firewall in ["nftables", "iptables"] {
        Ground::stand(|ground, env| {
            let option = format!("firewall={firewall}");
            ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &["-o", &option]);
            start(env, &["--net", "web", "--name", "web", "-p", "8080:80"], SERVER);
            wait_until("it is reached", || at(ground, 8080).as_deref() == Some("hello\n"));
            work(ground, env);
            env.tinyd(["rm", "-f", "web"]).ok();
            ground.holds_nothing(env);
            for program in ["iptables-save", "ip6tables-save"] {
                // A daemon may be about to look whether somebody took them.
                let rules = || ground.host.run(&[program]);
                wait_until("its ports are gone", || !rules().contains("--to-destination"));
            }
        });
    }
}

#[test]
fn a_port_comes_and_another_goes_while_the_container_runs() {
    with_each_firewall(|ground, env| {
        let pid = ground::init(env, "web");
        env.tinyd(["update", "-p", "8081:80", "-p", "127.0.0.1:9000:80", "web"]).ok();
        for port in [8080, 8081] {
            assert_eq!(at(ground, port).as_deref(), Some("hello\n"), "{port}");
        }
        assert_eq!(ground::fetch(&ground.host, "127.0.0.1", 9000).as_deref(), Some("hello\n"));
        // A connection by a port that stays goes on.
        let mut stream = ground.outside.within(|| TcpStream::connect((HOST, 8080)).unwrap());
        env.tinyd(["update", "--publish-rm", "8081", "--publish-add", "8443:80", "web"]).ok();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("hello\n"), "{text}");
        assert_eq!((at(ground, 8081), at(ground, 8443).as_deref()), (None, Some("hello\n")));
        let expected = "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n80/tcp -> 127.0.0.1:9000";
        assert!(shown(env).starts_with(expected), "{}", shown(env));
        // The container itself gets to what leads to it, by the host.
        assert_eq!(ground::inside(env, "web", &format!("wget -qO- http://{HOST}:8443/")), "hello");
        // The same number, for another port inside.
        env.tinyd(["exec", "-d", "web", "httpd", "-f", "-p", "81", "-h", "/etc"]).ok();
        env.tinyd(["update", "--publish-rm", "8443", "-p", "8443:81", "web"]).ok();
        wait_until("it leads elsewhere", || {
            ground.outside.within(|| {
                // Who listens there may be about to.
                let Ok(mut stream) = TcpStream::connect((HOST, 8443)) else { return false };
                if stream.write_all(b"GET /hostname HTTP/1.0\r\n\r\n").is_err() {
                    return false;
                }
                let mut text = String::new();
                let _ = stream.read_to_string(&mut text);
                text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200")
            })
        });
        assert_eq!(ground::init(env, "web"), pid, "it is the same process");
        // They are there at the next start, and gone with the container.
        env.tinyd(["stop", "-t", "1", "web"]).ok();
        env.tinyd(["start", "web"]).ok();
        wait_until("it is reached again", || at(ground, 8080).as_deref() == Some("hello\n"));
        assert!(shown(env).contains("81/tcp -> 0.0.0.0:8443"), "{}", shown(env));
        env.tinyd(["update", "--publish-rm", "8080", "--publish-rm", "8443", "--publish-rm", "9000", "web"])
            .ok();
        assert_eq!((shown(env), at(ground, 8080)), (String::new(), None));
    });
}

#[test]
fn what_is_taken_or_not_there_is_refused_and_changes_nothing() {
    with_each_firewall(|ground, env| {
        let before = (shown(env), env.tinyd(["inspect", "web"]).ok().json()[0]["HostConfig"].clone());
        start(env, &["--net", "web", "--name", "other", "-p", "8090:80"], "exec sleep 1000");
        let taken = ground.host.within(|| TcpListener::bind("0.0.0.0:8091").unwrap());
        for (words, expected) in [
            (&["-p", "8081:80", "-p", "8090:80"][..], "8090"),
            (&["-p", "8081:80", "-p", "8091:80"], "8091"),
            (&["-p", "8081:80", "-p", "8080:81"], "taken already"),
            (&["--publish-rm", "8080", "-p", "8090:80"], "8090"),
            (&["-p", "127.0.0.1:8090:80"], "8090/tcp is published already"),
            (&["-p", "8081:80", "-p", "[::1]:8082:80"], "leads nowhere"),
            (&["--publish-rm", "8082"], "does not lead to container"),
            (&["--publish-rm", "127.0.0.1:8080"], "does not lead to container"),
            (&["-p", "8081:80", "--memory", "64m"], "an update each"),
        ] {
            let code = if expected == "an update each" { 2 } else { 1 };
            let refused = env.tinyd([&["update"], words, &["web"]].concat()).fails(code);
            assert!(refused.stderr().contains(expected), "{refused}");
            let host = env.tinyd(["inspect", "web"]).ok().json()[0]["HostConfig"].clone();
            assert_eq!((shown(env), host), before, "{words:?}");
            assert_eq!((at(ground, 8080).as_deref(), at(ground, 8081)), (Some("hello\n"), None), "{words:?}");
        }
        drop(taken);
        env.tinyd(["rm", "-f", "other"]).ok();
        for network in ["none", "host", "container:web"] {
            start(env, &["--net", network, "--name", "apart"], "exec sleep 1000");
            let refused = env.tinyd(["update", "-p", "8081:80", "apart"]).fails(1);
            assert!(refused.stderr().contains("network"), "{refused}");
            env.tinyd(["rm", "-f", "apart"]).ok();
        }
    });
}

#[test]
fn ports_of_one_that_stands_still_are_those_of_its_next_start() {
    with_each_firewall(|ground, env| {
        env.tinyd(["stop", "-t", "1", "web"]).ok();
        let seen = env.tinyd(["inspect", "web"]).ok().json();
        assert_eq!(seen[0]["NetworkSettings"]["Ports"], serde_json::json!({}), "nothing leads there");
        assert_eq!(seen[0]["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
        env.tinyd(["update", "--publish-rm", "8080", "-p", "8081:80", "web"]).ok();
        env.tinyd(["start", "web"]).ok();
        wait_until("it is reached", || at(ground, 8081).as_deref() == Some("hello\n"));
        assert_eq!(at(ground, 8080), None);
        // A port of the host's choice keeps its number while others come and go.
        env.tinyd(["update", "-p", "80", "web"]).ok();
        let chosen = || {
            let text = env.tinyd(["port", "web"]).ok().text();
            let mut numbers = text.lines().filter_map(|line| line.strip_prefix("80/tcp -> 0.0.0.0:"));
            numbers.find(|number| !["8081", "8082"].contains(number)).map(str::to_owned)
        };
        let number = chosen().expect("one was chosen");
        assert_eq!(at(ground, number.parse().unwrap()).as_deref(), Some("hello\n"));
        env.tinyd(["update", "-p", "8082:80", "web"]).ok();
        assert_eq!(chosen().as_ref(), Some(&number));
        env.tinyd(["update", "--publish-rm", &number, "web"]).ok();
        assert_eq!((chosen(), at(ground, 8082).as_deref()), (None, Some("hello\n")));
        // What was chosen for one run is nobody's after it.
        env.tinyd(["update", "-p", "80", "web"]).ok();
        let number = chosen().expect("one was chosen");
        env.tinyd(["stop", "-t", "1", "web"]).ok();
        assert_eq!(shown(env), "");
        let listed = env.tinyd(["ps", "-a", "--format", "{{.Ports}}"]).ok().text();
        assert!(!listed.contains(&number), "{listed}");
    });
}

/// One firewall takes both, and whoever comes by the one address would be led to the second.
#[test]
fn a_port_of_one_address_is_refused_where_another_container_has_it_of_all() {
    with_each_firewall(|ground, env| {
        let holder = env.tinyd(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok().text();
        let run = |port: &str| {
            let refused = env.tinyd(["run", "--net", "web", "-p", port, &ground::image(), "true"]).fails(125);
            let said = format!("8080/tcp is published already: it leads to the container at {holder}");
            assert!(refused.stderr().contains(&said), "{refused}");
            assert_eq!(env.containers().len(), 1, "a refusal left something");
        };
        for port in ["127.0.0.1:8080:80", &format!("{HOST}:8080:80"), "8080:80"] {
            run(port);
        }
        assert_eq!(ground::fetch(&ground.host, "127.0.0.1", 8080).as_deref(), Some("hello\n"));
    });
}

/// The ports of `-P` are as open as those of `-p`. (D10)
#[test]
fn ports_that_are_exposed_are_opened_as_a_variable_says() {
    require!(root);
    require!(program);
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &["--ipv6=false"]);
        let run = |variable: &str| {
            let image = ground::image();
            let words = ["run", "-d", "--name", "web", "--net", "web", "-P", "--expose", "80"];
            let words = words.into_iter().chain([&*image, "sh", "-c", SERVER]);
            let output = env.cmd(words).env("TINYD_PUBLISH_ADDRESS", variable).output().ok();
            let told = env.tinyd(["port", "web", "80"]).ok().text();
            let number = told.rsplit(':').next().and_then(|number| number.parse().ok());
            let number = number.expect("the port that was chosen");
            wait_until("the host reaches it", || {
                ground::fetch(&ground.host, "127.0.0.1", number).as_deref() == Some("hello\n")
            });
            let is_open = at(ground, number).is_some();
            env.tinyd(["rm", "-f", "web"]).ok();
            (output.stderr().contains("a port of this machine is open to whoever reaches it"), is_open)
        };
        assert_eq!(run(""), (true, true));
        assert_eq!(run("127.0.0.1"), (false, false));
        assert_eq!(run("0.0.0.0"), (false, true));
        ground.holds_nothing(env);
    });
}

#[test]
fn ports_by_which_nobody_would_come_are_refused_and_those_of_an_internal_network_are_told() {
    require!(root);
    require!(program);
    Ground::stand(|ground, env| {
        ground::network(env, "four", &["10.77.0.0/24"], &["--ipv6=false"]);
        ground::network(env, "both", &["10.78.0.0/24", "fd00:78::/64"], &[]);
        ground::network(env, "back", &["10.79.0.0/24"], &["--internal", "--ipv6=false"]);
        let image = ground::image();
        for (network, port, reason) in [
            ("four", "[::]:8080:80", "no addresses of IPv6"),
            ("four", &*format!("[{HOST_SIX}]:8080:80"), "no addresses of IPv6"),
            ("four", "[::1]:8080:80", "take 127.0.0.1"),
            ("both", "[::1]:8080:80", "take 127.0.0.1"),
            ("back", "[::1]::80", "take 127.0.0.1"),
        ] {
            for verb in ["run", "create"] {
                let refused = env.tinyd([verb, "--net", network, "-p", port, &image, "true"]).fails(125);
                let said = refused.stderr();
                assert!(said.contains("leads nowhere") && said.contains(reason), "{refused}");
                assert_eq!(env.containers().len(), 0, "a refusal left something");
            }
        }
        let told = |network: &str| {
            let made = env.tinyd(["create", "--net", network, "-p", "8080:80", &image, "true"]).ok();
            env.tinyd(["rm", made.text().trim()]).ok();
            made.stderr().contains("nobody outside reaches the published ports")
        };
        assert_eq!(["four", "both", "back"].map(told), [false, false, true]);
        ground.holds_nothing(env);
    });
}

#[test]
fn ports_follow_the_way_out_when_its_network_is_left() {
    with_each_firewall(|ground, env| {
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        env.tinyd(["network", "connect", "back", "web"]).ok();
        env.tinyd(["network", "disconnect", "web", "web"]).ok();
        assert_eq!(at(ground, 8080).as_deref(), Some("hello\n"));
        env.tinyd(["update", "-p", "8081:80", "web"]).ok();
        assert_eq!(at(ground, 8081).as_deref(), Some("hello\n"));
    });
}

#[test]
fn ports_follow_the_way_out_when_a_better_one_comes() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "back", &["10.78.0.0/24"], &["--internal"]);
        ground::network(env, "front", &["10.77.0.0/24"], &[]);
        start(env, &["--net", "back", "--name", "web", "-p", "8080:80", "-p", "80"], SERVER);
        env.tinyd(["network", "connect", "front", "web"]).ok();
        wait_until("it is reached", || at(ground, 8080).as_deref() == Some("hello\n"));
        let led = |to: &str| ground.rules().matches(&format!(": {to} . 80")).count();
        assert_eq!((led("10.77.0.2"), led("10.78.0.2")), (2, 0), "{}", ground.rules());
        // And back, where they would lead at its next start.
        env.tinyd(["network", "disconnect", "front", "web"]).ok();
        assert_eq!((led("10.77.0.2"), led("10.78.0.2")), (0, 2), "{}", ground.rules());
        env.tinyd(["rm", "-f", "web"]).ok();
        ground.holds_nothing(env);
    });
}

/// UDP knows no end: whoever goes on sending was led there for as long as he did.
#[test]
fn what_is_sent_on_by_udp_goes_where_the_port_leads_now() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        start(env, &["--net", "web", "--name", "c", "-p", "5000:81/udp"], "exec sleep 10000");
        let inside = ground::machine(env, "c");
        let bound = |port: u16| {
            let socket = inside.within(|| UdpSocket::bind(("0.0.0.0", port)).unwrap());
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        };
        let (first, second) = (bound(81), bound(82));
        let sender = ground.outside.within(|| UdpSocket::bind(("0.0.0.0", 7777)).unwrap());
        let says = |text: &str| sender.send_to(text.as_bytes(), (HOST, 5000)).unwrap();
        let hears = |socket: &UdpSocket| {
            let mut buffer = [0; 64];
            socket.recv(&mut buffer).map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        says("one");
        assert_eq!(hears(&first).unwrap(), "one");
        env.tinyd(["update", "--publish-rm", "5000/udp", "-p", "5000:82/udp", "c"]).ok();
        says("two");
        assert_eq!(hears(&second).unwrap(), "two");
        env.tinyd(["update", "--publish-rm", "5000/udp", "c"]).ok();
        says("three");
        for socket in [&first, &second] {
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            assert!(hears(socket).is_err(), "nothing leads there");
        }
        drop((first, second, inside));
        env.tinyd(["rm", "-f", "c"]).ok();
        ground.holds_nothing(env);
    });
}

/// Whoever brings back what somebody flushed takes what a container has just left for flushed too, unless he waits.
#[test]
fn ports_of_a_network_that_is_left_do_not_come_back_with_a_reload() {
    with_each_firewall(|ground, env| {
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reloads = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    env.tinyd(["network", "reload"]).ok();
                }
            });
            for (joined, left) in [("back", "web"), ("web", "back")].repeat(5) {
                if reloads.is_finished() {
                    break;
                }
                let done: Vec<_> = [("connect", joined), ("disconnect", left)]
                    .map(|(verb, network)| env.tinyd(["network", verb, network, "web"]))
                    .into();
                // The others end in any case, and who complains is looked at afterwards.
                if done.iter().any(|output| output.code() != Some(0)) {
                    over.store(true, Ordering::Relaxed);
                    panic!("{done:?}");
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(at(ground, 8080).as_deref(), Some("hello\n"));
    });
}

/// Its monitor takes the ports away and gives the addresses back, while a reload, which saw it run, brings the ports back.
#[test]
fn ports_of_one_that_ends_during_a_reload_do_not_stay() {
    with_each_firewall(|ground, env| {
        let flush = || {
            let chains = ground.host.run(&["iptables-save", "-t", "nat"]);
            let mut chains = chains.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next());
            match chains.find(|chain| chain.ends_with("-ports")) {
                Some(chain) => ground.host.run(&["iptables", "-t", "nat", "-F", chain]),
                None => ground.host.run(&["nft", "flush", "ruleset"]),
            }
        };
        for delay in (0..60).map(|step| Duration::from_micros(500 * step)) {
            let init = ground::init(env, "web");
            flush();
            std::thread::scope(|scope| {
                let reload = scope.spawn(|| env.tinyd(["network", "reload"]));
                std::thread::sleep(delay);
                kill::kill(init);
                env.tinyd(["wait", "web"]).ok();
                let reload = reload.join().unwrap();
                assert_eq!(reload.code(), Some(0), "{delay:?}: {reload}");
            });
            let rules = || ground.rules() + &ground.host.run(&["iptables-save"]);
            wait_until("its ports are gone", || !rules().contains("8080"));
            env.tinyd(["start", "web"]).ok();
        }
    });
}

#[test]
fn whoever_is_killed_at_any_step_leaves_what_the_record_says() {
    require!(root);
    require!(program);
    unserved!("who is killed is the client, and it does nothing itself");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        start(env, &["--net", "web", "--name", "web", "-p", "8080:80"], SERVER);
        wait_until("it is reached", || at(ground, 8080).as_deref() == Some("hello\n"));
        let words = ["update", "--publish-rm", "8081", "-p", "8082:80", "web"];
        let reset = || {
            let ports = shown(env);
            for (port, wanted) in [("8081", true), ("8082", false)] {
                let there = ports.contains(&format!(":{port}"));
                match (there, wanted) {
                    (false, true) => drop(env.tinyd(["update", "-p", "8081:80", "web"]).ok()),
                    (true, false) => drop(env.tinyd(["update", "--publish-rm", port, "web"]).ok()),
                    _ => {}
                }
            }
        };
        reset();
        let mut points = tracer::trace(&env.cmd(words), None, false).points;
        points.retain(|point| {
            // What opens and reads has no effect: some of it is enough.
            let some =
                if ["openat", "write"].contains(&tracer::name(point.number).unwrap_or("?")) { 4 } else { 1 };
            let effects = ["openat", "write", "rename", "unlink", "sendto", "connect", "flock"];
            let is_effect = tracer::name(point.number).is_some_and(|name| effects.contains(&name));
            point.role == Role::Client && is_effect && point.index % some == 0
        });
        assert!(points.len() > 10, "{points:?}");
        let mut outcomes = [0, 0];
        for point in points {
            reset();
            let _ = tracer::trace(&env.cmd(words), Some((point, Fault::Kill)), false);
            env.tinyd(["ps"]).ok();
            let (old, new) = (at(ground, 8081).is_some(), at(ground, 8082).is_some());
            assert!(old != new, "{point:?}: {old} {new}");
            let ports = shown(env);
            assert_eq!((ports.contains(":8081"), ports.contains(":8082")), (old, new), "{point:?}");
            assert_eq!(at(ground, 8080).as_deref(), Some("hello\n"), "{point:?}");
            outcomes[usize::from(new)] += 1;
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
        env.tinyd(["rm", "-f", "web"]).ok();
        ground.holds_nothing(env);
        assert!(!ground.rules().contains("10.77.0.2"));
        let left = fs::read_dir(env.run_root().join("intents")).map(Iterator::count).unwrap_or_default();
        assert_eq!(left, 0);
    });
}

/// As the kernel, or the disk, may refuse: whoever is told of a failure finds all as it was, and those ports reached that were.
#[test]
fn whoever_fails_at_any_step_leaves_what_was_there() {
    require!(root);
    require!(program);
    unserved!("the calls that fail are those of the client, and it does nothing itself");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &["--ipv6=false"]);
        start(env, &["--net", "web", "--name", "web", "-p", "8080:80", "-p", "8081:80"], SERVER);
        wait_until("it is reached", || at(ground, 8080).as_deref() == Some("hello\n"));
        let words = ["update", "--publish-rm", "8081", "-p", "8082:80", "web"];
        let back = || drop(env.tinyd(["update", "--publish-rm", "8082", "-p", "8081:80", "web"]).ok());
        let mut points = tracer::trace(&env.cmd(words), None, false).points;
        back();
        points.retain(|point| {
            let effects = ["write", "rename", "sendto"];
            point.role == Role::Client
                && tracer::name(point.number).is_some_and(|name| effects.contains(&name))
        });
        assert!(points.len() > 4, "{points:?}");
        let mut refused = 0;
        for point in Dice::new().pick(points, 24) {
            let fault = Fault::Fail(nix::libc::EIO);
            let traced = tracer::trace(&env.cmd(words), Some((point, fault)), false);
            let failed = traced.output.code() != Some(0);
            // Who cannot print its name has done all the same.
            let done = !failed || traced.output.stderr().contains("standard output");
            let reached = [8080, 8081, 8082].map(|port| at(ground, port).is_some());
            assert_eq!(reached, [true, !done, done], "{point}: {}", traced.output);
            let ports = shown(env);
            assert_eq!([":8081", ":8082"].map(|port| ports.contains(port)), [!done, done], "{point}");
            refused += usize::from(!done);
            if done {
                back();
            }
        }
        assert!(refused > 0, "nothing that failed was told");
        env.tinyd(["rm", "-f", "web"]).ok();
        ground.holds_nothing(env);
    });
}

/// As who runs a name server in a container does. Containers ask for names at that port of their gateway, which is an address of
/// the host too.
#[test]
fn the_port_of_names_leads_to_a_container_and_names_are_found_as_before() {
    with_each_firewall(|ground, env| {
        let option =
            env.tinyd(["network", "inspect", "--format", "{{.Options.firewall}}", "web"]).ok().text();
        let other = ["-o", &format!("firewall={option}")];
        ground::network(env, "other", &["10.78.0.0/24", "fd00:78::/64"], &other);
        start(env, &["--net", "other", "--name", "neighbour"], SERVER);
        let run = ["run", "-d", "--net", "web", "--name", "dns", "-p", "53:5353/udp", "-p", "53:80/tcp"];
        let image = ground::image();
        let words = run.into_iter().chain([&*image, "sh", "-c", SERVER]);
        // Who is none of ours is in the way.
        let socket = ground.host.within(|| UdpSocket::bind((HOST, 53)).unwrap());
        let refused = env.tinyd(words.clone()).fails(125);
        assert!(refused.stderr().contains("53/udp is in use"), "{refused}");
        drop(socket);
        env.tinyd(words).ok();
        let check = || {
            wait_until("it is reached", || at(ground, 53).as_deref() == Some("hello\n"));
            for (network, there, subnet) in
                [("web", "web", "10.77.0."), ("web", "dns", "10.77.0."), ("other", "neighbour", "10.78.0.")]
            {
                let said = ground::say(env, &["--net", network], &format!("nslookup {there}"));
                assert!(said.contains(&format!("Address: {subnet}")), "{there}: {said}");
            }
            // By both protocols, at the gateway of each; at another address of the host it is the container's.
            for gateway in ["10.77.0.1", "10.78.0.1", "[fd00:77::1]"] {
                let script = format!("timeout 2 wget -qO- http://{gateway}:53/ 2>&1 | grep -c hello");
                assert_eq!(ground::inside(env, "web", &format!("{script}; true")), "0", "{gateway}");
            }
            for host in [HOST, &format!("[{HOST_SIX}]")] {
                assert_eq!(ground::inside(env, "web", &format!("wget -qO- http://{host}:53/")), "hello");
            }
        };
        check();
        env.tinyd(["restart", "-t", "0", "dns"]).ok();
        check();
        env.tinyd(["rm", "-f", "dns", "neighbour"]).ok();
        env.tinyd(["network", "rm", "other"]).ok();
    });
}

/// A firewall knows its own networks: it would lead those of another one away from their name servers.
#[test]
fn the_port_of_names_is_refused_where_another_firewalls_network_is_served() {
    require!(root);
    require!(program);
    require!(command "iptables");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &["-o", "firewall=nftables"]);
        ground::network(env, "other", &["10.78.0.0/24"], &["-o", "firewall=iptables"]);
        start(env, &["--net", "other", "--name", "neighbour"], SERVER);
        let words = ["run", "--net", "web", "-p", "53:5353/udp", &ground::image(), "true"];
        let refused = env.tinyd(words).fails(125);
        assert!(refused.stderr().contains("53/udp is in use"), "{refused}");
        assert_eq!(env.containers().len(), 1);
        env.tinyd(["rm", "-f", "neighbour"]).ok();
        env.tinyd(["network", "rm", "other"]).ok();
        ground.holds_nothing(env);
    });
}
