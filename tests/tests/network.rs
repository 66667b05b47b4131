//! Containers on a bridged network of a host that the test makes, with a neighbour on its link and a machine beyond.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use tinyd_tests::{Env, Machine, require, roots, wait_until};

/// The host, and a machine on the other side of its uplink that knows no way to containers.
struct Ground {
    host: Machine,
    outside: Machine,
}

const HOST: &str = "198.51.100.1";
const OUTSIDE: &str = "198.51.100.2";

impl Ground {
    fn new() -> Ground {
        let (host, outside) = (Machine::new(), Machine::new());
        host.cable(("uplink0", &["198.51.100.1/24"]), &outside, ("eth0", &["198.51.100.2/24"]));
        host.ip("route add default via 198.51.100.2");
        Ground { host, outside }
    }
}

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Runs a container to its end and gives what it said.
#[track_caller]
fn say(env: &Env, options: &[&str], script: &str) -> String {
    let image = image();
    let words = [&["run", "--rm"], options, &[&image, "sh", "-c", script]].concat();
    env.tinyd(words).ok().text()
}

#[test]
fn a_container_has_a_link_an_address_and_a_way_to_its_gateway() {
    require!(root);
    let ground = Ground::new();
    ground.host.within(|| {
        let env = Env::new();
        env.tinyd(["network", "create", "web", "--subnet", "10.77.0.0/24"]).ok();
        let said = say(&env, &["--net", "web"], "ip -o addr; ip route; ping -c 3 -q 10.77.0.1");
        assert!(said.contains("inet 10.77.0.2/24 brd 10.77.0.255"), "{said}");
        assert!(said.contains("default via 10.77.0.1 dev eth0"), "{said}");
        assert!(said.contains("inet 127.0.0.1/8"), "{said}");
        assert!(said.contains("3 packets received, 0% packet loss"), "{said}");
        env.tinyd(["network", "rm", "web"]).ok();
    });
    assert!(!ground.host.ip("-o link").contains("tinyd"), "{}", ground.host.ip("-o link"));
}

#[test]
fn containers_of_a_network_reach_each_other() {
    require!(root);
    let ground = Ground::new();
    ground.host.within(|| {
        let env = Env::new();
        let image = image();
        env.tinyd(["network", "create", "web", "--subnet", "10.77.0.0/24"]).ok();
        let server = "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp";
        let server = env.tinyd(["run", "-d", "--net", "web", &image, "sh", "-c", server]).ok().text();
        let said = say(&env, &["--net", "web"], "ping -c 2 -q 10.77.0.2; wget -qO- http://10.77.0.2/");
        assert!(said.contains("0% packet loss") && said.ends_with("hello"), "{said}");
        env.tinyd(["rm", "-f", &server]).ok();
        env.tinyd(["network", "rm", "web"]).ok();
    });
}

#[test]
fn the_world_sees_the_hosts_address() {
    require!(root);
    let ground = Ground::new();
    ground.host.within(|| {
        let env = Env::new();
        env.tinyd(["network", "create", "web", "--subnet", "10.77.0.0/24"]).ok();
        let seen = std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                ground.outside.within(|| {
                    let listener = std::net::TcpListener::bind((OUTSIDE, 7000)).unwrap();
                    listener.accept().unwrap().1.ip().to_string()
                })
            });
            let script =
                format!("for i in 1 2 3 4 5; do nc -w 3 {OUTSIDE} 7000 </dev/null && break; sleep 0.2; done");
            say(&env, &["--net", "web"], &script);
            server.join().unwrap()
        });
        assert_eq!(seen, HOST);
        env.tinyd(["network", "rm", "web"]).ok();
    });
}

#[test]
fn a_published_port_is_reached_from_everywhere_that_it_should() {
    require!(root);
    let ground = Ground::new();
    ground.host.within(|| {
        let env = Env::new();
        let image = image();
        env.tinyd(["network", "create", "web", "--subnet", "10.77.0.0/24"]).ok();
        let server = "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp";
        let words = ["run", "-d", "--net", "web", "-p", "8080:80", &image, "sh", "-c", server];
        let server = env.tinyd(words).ok().text();
        let fetch = |machine: &Machine, address: &str| {
            machine.within(|| {
                let url = format!("http://{address}:8080/");
                env.other([
                    roots::busybox().join("bin/busybox").to_str().unwrap(),
                    "wget",
                    "-T",
                    "3",
                    "-qO-",
                    &url,
                ])
                .output()
                .stdout()
            })
        };
        wait_until("the server answers", || fetch(&ground.host, "127.0.0.1") == "hello\n");
        assert_eq!(fetch(&ground.host, HOST), "hello\n", "the host's own address");
        assert_eq!(fetch(&ground.outside, HOST), "hello\n", "from outside");
        let inside = |options: &[&str]| say(&env, options, &format!("wget -T 3 -qO- http://{HOST}:8080/"));
        assert_eq!(inside(&["--net", "web"]), "hello", "a neighbour");
        let own = env.tinyd(["exec", &server, "wget", "-T", "3", "-qO-", &format!("http://{HOST}:8080/")]);
        assert_eq!(own.ok().text(), "hello", "the container itself");
        assert_eq!(env.tinyd(["port", &server]).ok().text(), "80/tcp -> 0.0.0.0:8080");
        env.tinyd(["rm", "-f", &server]).ok();
        assert_ne!(fetch(&ground.outside, HOST), "hello\n");
        env.tinyd(["network", "rm", "web"]).ok();
    });
}
