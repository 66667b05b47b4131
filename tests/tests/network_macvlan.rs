//! Containers on the network that a link of their host leads to, by the built program: a host that the test makes, with a cable
//! to a neighbour.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tinyd_tests::{Env, Machine, Output, require, roots, wait_until};

/// The neighbour's address, which is the network's gateway.
const NEIGHBOUR: &str = "10.79.0.1";
const CREATE: [&str; 7] = ["network", "create", "-d", "macvlan", "--subnet", "10.79.0.0/24", "lan"];

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A host whose link `lan0` leads to a neighbour, and which is as before when the work is done.
fn on_a_host(work: impl FnOnce(&Machine, &Env) + Send) {
    require!(root);
    let (host, neighbour) = (Machine::new(), Machine::new());
    host.cable(("lan0", &["10.79.0.2/24"]), &neighbour, ("eth0", &["10.79.0.1/24"]));
    // (Addresses of IPv6 come to a new link by themselves, a second later.)
    let state =
        || host.ip("-o -d link") + &host.ip("-o -4 addr") + &host.ip("route") + &host.ip("netns list-id");
    wait_until("the cable is in use", || host.ip("-o link show lan0").contains("state UP"));
    let before = state();
    host.within(|| {
        let env = Env::new();
        work(&neighbour, &env);
        env.assert_clean();
    });
    // The kernel takes a container's namespace away when it has time.
    wait_until("nothing is left on the host", || state() == before);
}

#[track_caller]
fn make(env: &Env, more: &[&str]) {
    env.tinyd([&CREATE[..], &["-o", "parent=lan0"], more].concat()).ok();
}

/// Requires a refusal in one line that holds all these parts.
#[track_caller]
fn refused(output: Output, code: i32, parts: &[&str]) {
    let output = output.fails(code);
    assert_eq!((output.stdout().as_str(), output.stderr().lines().count()), ("", 1), "{output}");
    for part in parts {
        assert!(output.stderr().contains(part), "no {part:?}: {output}");
    }
}

#[test]
fn containers_are_neighbours_of_the_hosts_neighbours_under_addresses_of_their_own() {
    on_a_host(|neighbour, env| {
        make(env, &["--ip-range", "10.79.0.64/28"]);
        let serve = "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp";
        let server = env.tinyd(["run", "-d", "--net", "lan", &image(), "sh", "-c", serve]).ok().text();
        // The neighbour asks the container, at its own port.
        let ask = || {
            neighbour.within(|| {
                let address = "10.79.0.64:8080".parse().unwrap();
                let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut text = String::new();
                stream.read_to_string(&mut text).ok()?;
                Some(text.split_once("\r\n\r\n")?.1.to_owned())
            })
        };
        wait_until("the server answers", || ask().as_deref() == Some("hello\n"));

        // The other container asks the first, and the neighbour sees its address and gets what it sends.
        let listener = neighbour.within(|| TcpListener::bind((NEIGHBOUR, 7000)).unwrap());
        let (said, seen) = std::thread::scope(|scope| {
            let seen = scope.spawn(move || {
                let (mut stream, client) = listener.accept().unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                let file = std::env::temp_dir().join(format!("tinyd-macvlan-{}", std::process::id()));
                std::fs::write(&file, &all).unwrap();
                let sum = std::process::Command::new("md5sum").arg(&file).output().unwrap();
                std::fs::remove_file(&file).unwrap();
                let sum = String::from_utf8(sum.stdout).unwrap();
                (client.ip().to_string(), all.len(), sum.split_whitespace().next().unwrap().to_owned())
            });
            let script = "ip -o -4 addr show eth0; ip route; wget -qO- http://10.79.0.64:8080/; cat /etc/resolv.conf
                dd if=/dev/urandom of=/tmp/big bs=64k count=32 2>/dev/null; md5sum /tmp/big; nc 10.79.0.1 7000 </tmp/big";
            let said = env.tinyd(["run", "--rm", "--net", "lan", &image(), "sh", "-c", script]).ok().text();
            (said, seen.join().unwrap())
        });
        assert!(said.contains("inet 10.79.0.65/24 brd 10.79.0.255"), "{said}");
        assert!(said.contains("default via 10.79.0.1 dev eth0"), "{said}");
        assert!(said.contains("hello"), "{said}");
        let (client, length, sum) = seen;
        assert_eq!((client.as_str(), length), ("10.79.0.65", 32 * 65_536));
        assert!(said.contains(&sum), "{said}: what arrived has the sum {sum}");

        let settings = &env.tinyd(["inspect", &server]).ok().json()[0]["NetworkSettings"];
        assert_eq!(settings["IPAddress"], "10.79.0.64");
        assert_eq!(settings["MacAddress"], "02:42:0a:4f:00:40");
        refused(env.tinyd(["network", "rm", "lan"]), 1, &["it is used by"]);
        env.tinyd(["rm", "-f", &server]).ok();
        env.tinyd(["network", "rm", "lan"]).ok();
    });
}

#[test]
fn private_containers_are_kept_apart_and_internal_ones_have_no_way_out() {
    on_a_host(|_, env| {
        make(env, &["-o", "macvlan_mode=private", "--internal"]);
        let serve = "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp";
        let server = env.tinyd(["run", "-d", "--net", "lan", &image(), "sh", "-c", serve]).ok().text();
        let own = "for i in 1 2 3 4 5; do wget -qO- http://10.79.0.3:8080/ && break; sleep 0.2; done";
        assert_eq!(env.tinyd(["exec", &server, "sh", "-c", own]).ok().text(), "hello");
        let script =
            "timeout 3 wget -qO- http://10.79.0.3:8080/ || echo apart; ip route; ping -c 1 -q 10.79.0.1";
        let words = ["run", "--rm", "--net", "lan", "--cap-add", "NET_RAW", &image(), "sh", "-c", script];
        let said = env.tinyd(words).ok().text();
        assert!(said.contains("apart") && !said.contains("hello"), "{said}");
        assert!(said.contains("1 packets received") && !said.contains("default"), "{said}");
        env.tinyd(["rm", "-f", &server]).ok();
        env.tinyd(["network", "rm", "lan"]).ok();
    });
}

#[test]
fn a_container_that_is_started_again_at_once_gets_on_its_network_again() {
    on_a_host(|_, env| {
        make(env, &["--ip-range", "10.79.0.64/32"]);
        let script = "ip -o -4 addr show eth0";
        for _ in 0..8 {
            let said = env.tinyd(["run", "--rm", "--net", "lan", &image(), "sh", "-c", script]).ok().text();
            assert!(said.contains("inet 10.79.0.64/24"), "the only address there is: {said}");
        }
        env.tinyd(["network", "rm", "lan"]).ok();
    });
}

#[test]
fn what_cannot_be_is_refused_in_one_line_and_changes_nothing() {
    on_a_host(|_, env| {
        let with = |more: &[&'static str]| env.tinyd([&CREATE[..], more].concat());
        refused(with(&[]), 1, &["the option \"parent\" is missing", "such as lan0", "-o parent=LINK"]);
        refused(with(&["-o", "parent=eth7"]), 1, &["the parent \"eth7\" is no link of this host", "lan0"]);
        refused(with(&["-o", "parent=lo"]), 1, &["\"lo\" is the loopback device"]);
        refused(with(&["-o", "parent=lan0", "-o", "mode=l2"]), 1, &["the mode \"l2\"", "bridge, private"]);
        refused(with(&["-o", "parent=lan0", "-o", "colour=blue"]), 1, &["\"colour\"", "macvlan"]);
        refused(with(&["-o", "parent=lan0", "--mtu", "9000"]), 1, &["the MTU 9000", "1500 bytes", "lan0"]);
        let without = env.tinyd(["network", "create", "-d", "macvlan", "-o", "parent=lan0", "lan"]);
        refused(without, 1, &["the subnet is missing", "--subnet 10.79.0.0/24"]);
        assert_eq!(env.tinyd(["network", "ls", "--format", "{{.Name}}"]).ok().text(), "none\nhost");

        make(env, &[]);
        let run = |more: &[&str]| {
            let image = image();
            env.tinyd([&["run", "--rm", "--net", "lan"], more, &[image.as_str(), "true"]].concat())
        };
        let said = run(&["-p", "8080:80"]).stderr();
        assert!(said.contains("the port 80/tcp cannot be published") && said.lines().count() == 1, "{said}");
        assert!(env.containers().is_empty(), "a container was left");
        run(&[]).ok();
        env.tinyd(["network", "rm", "lan"]).ok();
    });
}

#[test]
fn ipvlan_does_the_same_or_says_that_the_kernel_lacks_it() {
    on_a_host(|neighbour, env| {
        let words =
            ["network", "create", "-d", "ipvlan", "--subnet", "10.79.0.0/24", "-o", "parent=lan0", "lan"];
        let made = env.tinyd(words);
        // What the kernel itself says, asked by another program.
        let probe = Machine::new();
        probe.cable(("a0", &[]), neighbour, ("b0", &[]));
        let has = probe.try_run(&["ip", "link", "add", "link", "a0", "name", "probe0", "type", "ipvlan"]);
        match has.status.success() {
            true => {
                made.ok();
                let script = "ip -o -4 addr show eth0; ping -c 1 -q 10.79.0.1";
                let run =
                    ["run", "--rm", "--net", "lan", "--cap-add", "NET_RAW", &image(), "sh", "-c", script];
                let said = env.tinyd(run).ok().text();
                assert!(said.contains("10.79.0.3/24") && said.contains("1 packets received"), "{said}");
                env.tinyd(["network", "rm", "lan"]).ok();
            }
            false => refused(made, 1, &["the kernel's driver ipvlan", "modprobe ipvlan", "is not there"]),
        }
    });
}

#[test]
fn no_network_becomes_the_way_out_to_which_a_port_cannot_lead() {
    on_a_host(|_, env| {
        make(env, &[]);
        env.tinyd(["network", "create", "--ipv6=false", "web"]).ok();
        let image = image();
        let words =
            ["run", "-d", "--name", "c1", "--net", "web", "--net", "lan:interface=up0", "-p", "8080:80"];
        env.tinyd([&words[..], &[&image, "sleep", "1000"]].concat()).ok();
        let parts = ["\"lan\"", "8080:80", "tinyd update --publish-rm"];
        refused(env.tinyd(["network", "disconnect", "web", "c1"]), 1, &parts);
        assert!(
            env.tinyd(["exec", "c1", "ip", "-o", "addr"]).ok().text().contains("eth0"),
            "nothing was done"
        );
        env.tinyd(["stop", "-t", "0", "c1"]).ok();
        refused(env.tinyd(["network", "disconnect", "web", "c1"]), 1, &parts);
        // It could not be started with two links of one name.
        env.tinyd(["network", "create", "--ipv6=false", "db"]).ok();
        let twice = ["network", "connect", "--interface", "up0", "db", "c1"];
        refused(env.tinyd(twice), 1, &["link \"up0\" is named twice"]);
        env.tinyd(["start", "c1"]).ok();
        env.tinyd(["update", "--publish-rm", "8080", "c1"]).ok();
        env.tinyd(["network", "disconnect", "web", "c1"]).ok();
        assert!(
            env.tinyd(["exec", "c1", "ip", "route"])
                .ok()
                .text()
                .contains(&format!("default via {NEIGHBOUR}"))
        );
        env.tinyd(["rm", "-f", "c1"]).ok();
        env.tinyd(["network", "rm", "web", "lan", "db"]).ok();
    });
}
