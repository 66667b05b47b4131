//! How containers find others: servers and names of their choice, another container's network, programs that talk by name, and
//! ports that lead to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use tinyd_tests::ground::{self, Ground, HOST, OUTSIDE, SERVER, fetch, held, inside, say, start};
use tinyd_tests::{Env, kill, proc, require, roots, wait_until};

/// A host with a network `web`, 10.77.0.0/24.
fn on_web(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        work(ground, env);
    });
}

/// A name server on a machine that knows one address for whatever it is asked, until it is sent nothing at all. It gives the names
/// that it was asked for.
fn answer(socket: UdpSocket, known: [u8; 4]) -> std::thread::JoinHandle<Vec<String>> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let mut asked = Vec::new();
        loop {
            let (length, from) = socket.recv_from(&mut buffer).expect("somebody asks");
            if length == 0 {
                return asked;
            }
            let question = &buffer[..length];
            let (name, rest) = name(&question[12..]);
            asked.push(name);
            // It has no address of IPv6.
            let is_four = question[12 + rest..12 + rest + 2] == [0, 1];
            let mut reply = question[..12 + rest + 4].to_vec();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_four), 0, 0, 0, 0]);
            if is_four {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                reply.extend(known);
            }
            socket.send_to(&reply, from).unwrap();
        }
    })
}

/// The name of a question, and where what follows it begins.
fn name(bytes: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 0);
    while bytes[at] != 0 {
        let length = usize::from(bytes[at]);
        labels.push(String::from_utf8(bytes[at + 1..=at + length].to_vec()).unwrap());
        at += length + 1;
    }
    (labels.join("."), at + 1)
}

#[test]
fn servers_and_domains_of_its_own_are_asked_and_stand_in_its_file() {
    on_web(|ground, env| {
        let socket = ground.outside.within(|| UdpSocket::bind((OUTSIDE, 53)).unwrap());
        let asked = answer(socket.try_clone().unwrap(), [192, 0, 2, 7]);
        let options =
            ["--net", "web", "--dns", OUTSIDE, "--dns-search", "lab.example", "--dns-option", "ndots:2"];
        // Without the domain the name would have too few dots to be asked for as it is.
        start(env, &["--net", "web", "--name", "db"], "exec sleep 1000");
        let script = "cat /etc/resolv.conf; ping -c 1 -w 1 printer.floor
            ping -4 -c 1 -w 5 db; ping -4 -c 1 -w 5 host.tinyd.internal; true";
        let said = say(env, &options, script);
        let lines: Vec<&str> = said.lines().collect();
        for line in ["nameserver 10.77.0.1", "search lab.example", "options ndots:2"] {
            assert!(lines.contains(&line), "no {line}: {said}");
        }
        // It asks the network's server, which asks that one for it: so it goes on knowing its neighbours and the host.
        assert!(!lines.contains(&"nameserver 198.51.100.2"), "{said}");
        for found in ["printer.floor (192.0.2.7)", "db (10.77.0.2)", "host.tinyd.internal (10.77.0.1)"] {
            assert!(said.contains(&format!("PING {found}")), "no {found}: {said}");
        }
        // One that only the container itself reaches is its own to ask.
        let own = say(env, &[&options[..], &["--dns", "127.0.0.1"]].concat(), "cat /etc/resolv.conf");
        assert!(own.starts_with("nameserver 198.51.100.2\nnameserver 127.0.0.1\nsearch"), "{own}");
        env.tinyd(["rm", "-f", "db"]).ok();
        socket.send_to(&[], socket.local_addr().unwrap()).unwrap();
        let asked = asked.join().unwrap();
        assert_eq!(asked.first().map(String::as_str), Some("printer.floor.lab.example"));
        assert!(
            asked.iter().all(|name| name.starts_with("printer.")),
            "a name of the network's left: {asked:?}"
        );
        let image = ground::image();
        let many = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"].map(|server| ["--dns", server]);
        let words = [&["run", "--net", "web"], many.as_flattened(), &[&image, "true"]].concat();
        let refused = env.tinyd(words).fails(125);
        assert!(refused.stderr().contains("1.1.1.4"), "{refused}");
    });
}

#[test]
fn names_that_it_was_given_and_the_hosts_lead_where_they_should() {
    on_web(|ground, env| {
        let listener = ground.host.within(|| std::net::TcpListener::bind(("0.0.0.0", 7000)).unwrap());
        let server = std::thread::spawn(move || {
            let mut from = Vec::new();
            for _ in 0..3 {
                from.push(listener.accept().unwrap().1.ip().to_string());
            }
            from
        });
        let options = ["--net", "web", "--add-host", "box:host-gateway", "--add-host", "db:192.0.2.9"];
        let script = "cat /etc/hosts
            for name in box host.tinyd.internal 10.77.0.1; do nc -w 5 $name 7000 </dev/null || echo lost $name; done
            ping -c 1 -w 1 db; true";
        let said = say(env, &[&options[..], &["--add-host", "six:[fd00::9]"]].concat(), script);
        for line in ["10.77.0.1\tbox", "192.0.2.9\tdb", "fd00::9\tsix"] {
            assert!(said.lines().any(|other| other == line), "no {line}: {said}");
        }
        assert!(said.contains("PING db (192.0.2.9)") && !said.contains("lost"), "{said}");
        // It is the container that came, and no one in between.
        assert_eq!(server.join().unwrap(), ["10.77.0.2"; 3]);
        // Names in its own file are its own alone.
        let other = say(env, &["--net", "web"], "nslookup db >/dev/null 2>&1 || echo unknown");
        assert_eq!(other, "unknown");
        let bad = env.tinyd(["run", "--add-host", "db:nowhere", &ground::image(), "true"]).fails(125);
        assert!(bad.stderr().contains("nowhere"), "{bad}");
        // On the host's own network the host is where the container is, and on none it is not to be reached.
        let gateway = ["--add-host", "box:host-gateway"];
        let own = say(env, &[&["--net", "host"], &gateway[..]].concat(), "cat /etc/hosts");
        assert!(own.lines().any(|line| line == "127.0.0.1\tbox"), "{own}");
        let (before, image) = (env.containers(), ground::image());
        let words = [&["run", "--net", "none"], &gateway[..], &[&image, "true"]].concat();
        let refused = env.tinyd(words).fails(125);
        assert_eq!(refused.stderr().lines().count(), 1, "{refused}");
        assert!(refused.stderr().contains("\"box\"") && refused.stderr().contains("none"), "{refused}");
        assert_eq!(env.containers(), before, "a refusal left something");
    });
}

#[test]
fn another_containers_network_is_shared_as_it_is() {
    on_web(|ground, env| {
        start(env, &["--net", "web", "--name", "main", "-p", "8080:80"], "exec sleep 1000");
        let local = "echo local > /tmp/index.html; exec httpd -f -p 127.0.0.1:81 -h /tmp";
        env.tinyd(["exec", "-d", "main", "sh", "-c", local]).ok();
        let shared = ["--net", "container:main"];
        let seen =
            "timeout 5 wget -qO- http://127.0.0.1:81/; ip -o -4 addr show eth0; hostname; cat /etc/hosts";
        wait_until("its loopback answers", || {
            say(env, &shared, "timeout 2 wget -qO- http://127.0.0.1:81/ || true") == "local"
        });
        let seen = say(env, &shared, seen);
        assert!(seen.contains("10.77.0.2/24"), "{seen}");
        // By the main one's name and port it is the other that answers.
        start(env, &[&shared[..], &["--name", "side"]].concat(), SERVER);
        wait_until("the port answers", || fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n"));
        assert_eq!(say(env, &["--net", "web"], "timeout 5 wget -qO- http://main/"), "hello");
        // Whatever is run in it later is there too, and not on the host's network.
        let inside = ground::inside(env, "side", "ip -o -4 addr");
        assert!(inside.contains("10.77.0.2/24") && inside.lines().count() == 2, "{inside}");
        let image = ground::image();
        let refused = |options: &[&str], part: &str| {
            let words = [&["run", "-d", "--net", "container:main"], options, &[&image, "true"]].concat();
            let output = env.tinyd(words).fails(125);
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
            assert!(output.stderr().contains(part), "{output}");
        };
        refused(&["-p", "8082:80"], "8082:80");
        refused(&["--hostname", "box"], "box");
        refused(&["--dns", "192.0.2.9"], "192.0.2.9");
        refused(&["--dns-search", "lab.example"], "lab.example");
        refused(&["--dns-option", "ndots:2"], "ndots:2");
        refused(&["--add-host", "db:192.0.2.9"], "\"db\"");
        refused(&["--ip", "10.77.0.9"], "--ip");
        refused(&["--net", "web"], "stands alone");
        let output = env.tinyd(["network", "connect", "web", "side"]).fails(1);
        assert!(output.stderr().contains("another container's"), "{output}");
        env.tinyd(["stop", "-t", "0", "side"]).ok();
        env.tinyd(["stop", "-t", "0", "main"]).ok();
        refused(&[], "does not run");
        let output = env.tinyd(["start", "side"]).fails(125);
        assert!(output.stderr().contains("does not run"), "{output}");
        let output = env.tinyd(["run", "--net", "container:nobody", &image, "true"]).fails(125);
        assert!(output.stderr().contains("nobody"), "{output}");
        assert_eq!(env.containers().len(), 2, "a refusal left something");
        env.tinyd(["start", "main"]).ok();
        env.tinyd(["start", "side"]).ok();
        wait_until("they are together again", || fetch(&ground.outside, HOST, 8080).is_some());
        env.tinyd(["rm", "-f", "side", "main"]).ok();
        assert_eq!(held(env), Vec::<String>::new());
    });
}

#[test]
fn every_exposed_port_gets_a_free_one_of_the_host() {
    on_web(|ground, env| {
        let options = [
            "--net",
            "web",
            "--name",
            "c1",
            "-P",
            "--expose",
            "80",
            "--expose",
            "90-91/udp",
            "-p",
            "8080:81",
        ];
        start(env, &options, SERVER);
        let told = env.tinyd(["port", "c1"]).ok().text();
        let ports: BTreeMap<&str, u16> = told
            .lines()
            .filter_map(|line| line.split_once(" -> "))
            .filter(|(_, place)| place.starts_with("0.0.0.0:"))
            .map(|(port, place)| (port, place.rsplit_once(':').unwrap().1.parse().unwrap()))
            .collect();
        assert_eq!(
            ports.keys().copied().collect::<Vec<_>>(),
            ["80/tcp", "81/tcp", "90/udp", "91/udp"],
            "{told}"
        );
        assert_eq!(ports["81/tcp"], 8080);
        wait_until("it answers", || {
            fetch(&ground.outside, HOST, ports["80/tcp"]).as_deref() == Some("hello\n")
        });
        // Of what was not exposed nothing is to be had, and without -P nothing at all.
        start(env, &["--net", "web", "--name", "c2", "--expose", "80"], SERVER);
        assert_eq!(env.tinyd(["port", "c2"]).ok().text(), "");
        // UDP comes through too.
        let socket = ground::machine(env, "c1").within(|| UdpSocket::bind(("0.0.0.0", 91)).unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        ground.outside.within(|| {
            let sender = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
            sender.send_to(b"knock", (HOST, ports["91/udp"])).unwrap();
        });
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
        drop(socket);
        env.tinyd(["rm", "-f", "c1", "c2"]).ok();
    });
}

#[test]
fn redis_is_found_by_name_and_keeps_what_another_container_tells_it() {
    require!(root);
    // It may have to be made, from sources that the test's host does not reach.
    let image = roots::redis();
    on_web(|_, env| {
        let image = image.to_str().unwrap();
        let server = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"];
        let options = ["run", "-d", "--net", "web", "--name", "store", "--network-alias", "cache", image];
        env.tinyd([&options[..], &server].concat()).ok();
        let client = |host: &str, words: &[&str]| {
            let options = ["run", "--rm", "--net", "web", image, "redis-cli", "-h", host];
            env.tinyd([&options[..], words].concat())
        };
        wait_until("redis answers", || client("store", &["ping"]).text() == "PONG");
        assert_eq!(client("store", &["set", "key", "a value"]).ok().text(), "OK");
        assert_eq!(client("cache", &["get", "key"]).ok().text(), "a value");
        let value = "x".repeat(100_000);
        assert_eq!(client("cache", &["set", "large", &value]).ok().text(), "OK");
        assert_eq!(client("store", &["get", "large"]).ok().text(), value);
        // Started again it may have another address: the name follows it.
        let address = inside(env, "store", "hostname -i");
        env.tinyd(["stop", "store"]).ok();
        start(env, &["--net", &format!("web:ip={address}"), "--name", "squatter"], "exec sleep 1000");
        env.tinyd(["start", "store"]).ok();
        assert_ne!(inside(env, "store", "hostname -i"), address);
        wait_until("redis answers again", || client("store", &["ping"]).text() == "PONG");
        env.tinyd(["rm", "-f", "store", "squatter"]).ok();
    });
}

#[test]
fn nginx_behind_a_port_answers_whoever_should_be_answered() {
    require!(root);
    let image = roots::nginx();
    on_web(|ground, env| {
        let image = image.to_str().unwrap();
        let page = env.file("index.html", "<p>served</p>\n");
        let bind = format!("{}:/var/www/html/index.html:ro", page.display());
        let options = ["run", "-d", "--net", "web", "--name", "site", "-p", "8080:80", "-v", &bind, image];
        env.tinyd([&options[..], &["nginx", "-g", "daemon off;"]].concat()).ok();
        let served = Some("<p>served</p>\n");
        wait_until("nginx answers", || fetch(&ground.host, "127.0.0.1", 8080).as_deref() == served);
        for (machine, address) in [(&ground.host, HOST), (&ground.host, "10.77.0.2"), (&ground.outside, HOST)]
        {
            let port = if address == HOST { 8080 } else { 80 };
            assert_eq!(fetch(machine, address, port).as_deref(), served, "{address}");
        }
        let near = format!("timeout 5 wget -qO- http://site/; timeout 5 wget -qO- http://{HOST}:8080/");
        assert_eq!(say(env, &["--net", "web"], &near), "<p>served</p>\n<p>served</p>");
        // A hundred questions, ten at a time.
        let wrong =
            tinyd_tests::crowd(10, 100, |_| match fetch(&ground.outside, HOST, 8080).as_deref() == served {
                true => Ok(()),
                false => Err("no answer".to_owned()),
            });
        assert_eq!(wrong, Vec::<String>::new());
        // Killed with its monitor, it leaves the port to the next one.
        let command = ground::init(env, "site");
        for pid in [kill::monitor_of(env, "site"), command] {
            kill::kill(pid);
        }
        wait_until("it is gone", || !proc::is_alive(command));
        env.tinyd(["ps"]).ok();
        assert_eq!(fetch(&ground.outside, HOST, 8080), None);
        env.tinyd(["start", "site"]).ok();
        wait_until("nginx answers again", || fetch(&ground.outside, HOST, 8080).as_deref() == served);
        env.tinyd(["rm", "-f", "site"]).ok();
    });
}

/// Who finds a name calls it at once, and would wait a second for the kernel to try again what found no link.
#[test]
fn who_has_a_name_has_a_link() {
    on_web(|ground, env| {
        // The folder is there with the first.
        start(env, &["--net", "web", "--name", "first"], "exec sleep 1000");
        let zone = fs::read_dir(env.run_root().join("networks/names")).unwrap();
        let zone = zone.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
        let named = || -> Vec<_> {
            let files = fs::read_dir(&zone).unwrap().map(|entry| entry.unwrap().file_name());
            files.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect()
        };
        // Those of the namespace of whoever reads it.
        let links = || fs::read_to_string("/proc/thread-self/net/dev").unwrap().lines().count();
        for turn in 0..10 {
            let before = named();
            let there = ground.host.within(links);
            let came = std::thread::scope(|scope| {
                let observer = scope.spawn(|| {
                    ground.host.within(|| {
                        while named().len() == before.len() {}
                        links() - there
                    })
                });
                start(env, &["--net", "web", "--name", &format!("next{turn}")], "exec sleep 1000");
                observer.join().unwrap()
            });
            assert_eq!(came, 1, "{turn}");
        }
        for name in (0..10).map(|turn| format!("next{turn}")).chain(["first".to_owned()]) {
            env.tinyd(["rm", "-f", &name]).ok();
        }
    });
}
