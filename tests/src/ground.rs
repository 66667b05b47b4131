//! The ground that tests of networks stand on: a host that the test makes, on which the engine runs, and a machine at the other
//! end of its uplink, which knows no way to containers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::env::Env;
use crate::netns::Machine;
use crate::roots;
use crate::wait::wait_until;

/// The host's own address.
pub const HOST: &str = "198.51.100.1";
/// The address of the machine outside.
pub const OUTSIDE: &str = "198.51.100.2";
/// The host's own address of IPv6.
pub const HOST_SIX: &str = "2001:db8::1";
/// The address of IPv6 of the machine outside.
pub const OUTSIDE_SIX: &str = "2001:db8::2";
/// A server that says `hello` at port 80.
pub const SERVER: &str = "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp";
/// What the machine outside answers with `hello`, where somebody was told to [`greet`](Ground::greet).
pub const GREET: &str = "nc -w 2 198.51.100.2 7777 < /dev/null";

/// The two machines.
#[derive(Debug)]
pub struct Ground {
    /// Where the engine runs.
    pub host: Machine,
    /// The machine beyond its uplink.
    pub outside: Machine,
}

impl Ground {
    /// Makes both, and the cable between them, over which the host's default routes lead.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is no value but a thing that is made")]
    pub fn new() -> Ground {
        let ends: [&[&str]; 2] =
            [&["198.51.100.1/24", "2001:db8::1/64"], &["198.51.100.2/24", "2001:db8::2/64"]];
        let ground = Ground::with(ends);
        ground.host.ip("-6 route add default via 2001:db8::2");
        ground
    }

    /// The same with IPv4 alone: networks have no addresses of IPv6 but those that are asked for.
    #[must_use]
    pub fn with_ipv4_alone() -> Ground {
        Ground::with([&["198.51.100.1/24"], &["198.51.100.2/24"]])
    }

    fn with([ours, theirs]: [&[&str]; 2]) -> Ground {
        let (host, outside) = (Machine::new(), Machine::new());
        host.cable(("uplink0", ours), &outside, ("eth0", theirs));
        host.ip("route add default via 198.51.100.2");
        Ground { host, outside }
    }

    /// Does something on the host of a new one; see [`carry`](Self::carry).
    pub fn stand(work: impl FnOnce(&Ground, &Env) + Send) {
        Ground::new().carry(work);
    }

    /// Does something on the host with an engine of its own, removes the networks that are left then, and requires that no link
    /// and no rule of the engine's is there afterwards.
    pub fn carry(&self, work: impl FnOnce(&Ground, &Env) + Send) {
        // It may have to be made, for which the real machine's network is needed.
        let _ = roots::busybox();
        self.host.within(|| {
            let env = Env::new();
            work(self, &env);
            for name in env.tinyd(["network", "ls", "--format", "{{.Name}}"]).ok().stdout().lines() {
                if !["none", "host"].contains(&name) {
                    env.tinyd(["network", "rm", name]).ok();
                }
            }
        });
        let left = self.host.ip("-o link") + &self.rules();
        assert!(!left.contains("tinyd"), "{left}");
    }

    /// The machine outside says `hello` to whoever does [`GREET`].
    pub fn greet(&self) {
        let greeter = self.outside.within(|| TcpListener::bind((OUTSIDE, 7777)).expect("the port is free"));
        std::thread::spawn(move || {
            for client in greeter.incoming() {
                let _ = client.and_then(|mut client| client.write_all(b"hello\n"));
            }
        });
    }

    /// The address from which the machine outside sees a call; `call` is given a script that calls it.
    pub fn caller(&self, call: impl FnOnce(&str)) -> String {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                self.outside.within(|| {
                    let listener = TcpListener::bind((OUTSIDE, 7000)).expect("the port is free");
                    listener.accept().expect("a client").1.ip().to_string()
                })
            });
            call(&format!(
                "for i in $(seq 50); do nc -w 3 {OUTSIDE} 7000 </dev/null && break; sleep 0.2; done"
            ));
            server.join().expect("somebody called")
        })
    }

    /// The machine outside sends what is for a range through the host, as a neighbour that knows where containers are.
    pub fn lead_outside(&self, range: &str) {
        self.outside.ip(&format!("route add {range} via {HOST}"));
    }

    /// The machine outside has no 127.0.0.1 of its own any more, and sends what is for it to the host.
    pub fn lead_loopback_outside(&self) {
        let setting = "/proc/sys/net/ipv4/conf/eth0/route_localnet";
        self.outside.within(|| fs::write(setting, "1").expect("the setting is there"));
        self.outside.ip("addr del 127.0.0.1/8 dev lo");
        self.lead_outside("127.0.0.0/8");
    }

    /// The rules of the host's firewall.
    #[must_use]
    pub fn rules(&self) -> String {
        self.host.run(&["nft", "list", "ruleset"])
    }

    /// The links of containers on the host: the ends of pairs that are on a bridge.
    #[must_use]
    pub fn ports(&self) -> Vec<String> {
        let text = self.host.ip("-o link show type veth");
        let ports = text.lines().filter(|line| line.contains(" master "));
        ports.filter_map(|line| line.split([':', '@']).nth(1)).map(|name| name.trim().to_owned()).collect()
    }

    /// Networks hold nothing for any container, and its links are gone or go at once.
    ///
    /// # Panics
    /// When something is held, or a link is there after 10 s.
    #[track_caller]
    pub fn holds_nothing(&self, env: &Env) {
        assert_eq!(held(env), Vec::<String>::new());
        // The kernel takes a namespace's links away when it has time, and a command does not wait for that.
        wait_until("the links of containers are gone", || self.ports().is_empty());
    }
}

/// The small image that the tests of networks use.
#[must_use]
pub fn image() -> String {
    roots::busybox().to_str().expect("the cache has a name of plain letters").to_owned()
}

/// Makes a network with these ranges.
#[track_caller]
pub fn network(env: &Env, name: &str, subnets: &[&str], options: &[&str]) {
    let subnets = subnets.iter().flat_map(|subnet| ["--subnet", subnet]);
    let words = ["network", "create"].into_iter().chain(subnets);
    env.tinyd(words.chain(options.iter().copied()).chain([name])).ok();
}

/// Starts a container that runs a script, and gives its id.
#[track_caller]
pub fn start(env: &Env, options: &[&str], script: &str) -> String {
    let image = image();
    env.tinyd([&["run", "-d"], options, &[&image, "sh", "-c", script]].concat()).ok().text()
}

/// Runs a container to its end, and gives what it said.
#[track_caller]
pub fn say(env: &Env, options: &[&str], script: &str) -> String {
    let image = image();
    env.tinyd([&["run", "--rm"], options, &[&image, "sh", "-c", script]].concat()).ok().text()
}

/// What a script says that is run in a container that is there.
#[track_caller]
pub fn inside(env: &Env, container: &str, script: &str) -> String {
    env.tinyd(["exec", container, "sh", "-c", script]).ok().text()
}

/// The machine that a container lives on.
#[track_caller]
pub fn machine(env: &Env, container: &str) -> Machine {
    Machine::of(init(env, container))
}

/// A container's first process.
#[track_caller]
pub fn init(env: &Env, container: &str) -> i32 {
    let seen = env.tinyd(["inspect", container]).ok().json();
    let pid = seen[0]["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.expect("the container runs")
}

/// What a web server gives to a client on a machine; `None` where nobody answers within two seconds.
#[must_use]
pub fn fetch(machine: &Machine, address: &str, port: u16) -> Option<String> {
    machine.within(|| {
        let address = SocketAddr::new(address.parse().expect("an address"), port);
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    })
}

/// Everything that networks hold for containers: each lease with its owner, and each file of names.
#[must_use]
pub fn held(env: &Env) -> Vec<String> {
    let networks = env.run_root().join("networks");
    let mut found = Vec::new();
    for folder in ["leases", "names"] {
        look(&networks.join(folder), &mut found);
    }
    found.sort();
    found
}

fn look(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        match fs::read_link(&path) {
            Ok(owner) => found.push(format!("{name} of {}", owner.display())),
            // Which addresses have been used before is nobody's either.
            Err(_) if path.is_dir() && name.starts_with("used-") => {}
            Err(_) if path.is_dir() => look(&path, found),
            // The place where the next search begins, and who serves the names, are nobody's.
            Err(_) if name == "next" || name.ends_with(".lock") => {}
            Err(_) => found.push(format!("names of {name}")),
        }
    }
}
