//! Names that stay served: when their server is killed, when port 53 is somebody else's, when the host's file of servers
//! changes; and that nobody is served whom nobody should serve. On a host that the test makes, with a machine beyond that
//! answers questions and counts them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use tinyd_tests::{Env, Machine, Output, eventually, kill, paths, proc, require, roots, wait_until};

/// Of the network `web`.
const GATEWAY: &str = "10.77.0.1";
/// Of the machine beyond, which two servers have.
const OUTSIDE: &str = "198.51.100.2";
const OTHER: &str = "198.51.100.3";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The host, and a machine on the other side of its uplink.
struct Ground {
    host: Machine,
    outside: Machine,
}

/// A host that is as before when the work is done. The program is run by way of `program`, where that is given.
fn on_a_host(program: Option<&(dyn Fn(&Path) -> PathBuf + Sync)>, work: impl FnOnce(&Ground, &Env)) {
    let (host, outside) = (Machine::new(), Machine::new());
    host.cable(
        ("uplink0", &["198.51.100.1/24"]),
        &outside,
        ("eth0", &["198.51.100.2/24", "198.51.100.3/24"]),
    );
    host.ip("route add default via 198.51.100.2");
    let ground = Ground { host, outside };
    let env = ground.host.within(|| match program {
        Some(program) => Env::with_program_in(program),
        None => Env::new(),
    });
    // What fails in there is tidied up there as well: elsewhere the engine would take the machine for one that was restarted.
    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&ground, &env)));
    ground.host.within(|| match worked {
        Ok(()) => env.assert_clean(),
        Err(panic) => {
            drop(env);
            std::panic::resume_unwind(panic)
        }
    });
    let left = ground.host.ip("-o link") + &ground.host.run(&["nft", "list", "ruleset"]);
    assert!(!left.contains("tinyd") && !left.contains("TINYD"), "{left}");
}

impl Ground {
    #[track_caller]
    fn tinyd(&self, env: &Env, words: &[&str]) -> Output {
        self.host.within(|| env.tinyd(words)).ok()
    }

    /// Makes the network `web`.
    #[track_caller]
    fn web(&self, env: &Env, more: &[&str]) {
        self.tinyd(env, &[&["network", "create", "--subnet", "10.77.0.0/24"], more, &["web"]].concat());
    }

    /// Starts a container that does nothing.
    #[track_caller]
    fn start(&self, env: &Env, name: &str, more: &[&str]) {
        let image = image();
        let words = [&["run", "-d", "--name", name], more, &[&image, "sleep", "600"]].concat();
        self.tinyd(env, &words);
    }

    /// The address that a container finds for a name, by whatever server its file says.
    fn find(&self, env: &Env, container: &str, name: &str) -> Option<String> {
        let words = ["exec", container, "timeout", "3", "nslookup", "-type=a", name];
        let output = self.host.within(|| env.tinyd(words));
        let said = output.stdout();
        let (_, answers) = said.split_once("\n\n")?;
        Some(answers.lines().find_map(|line| line.strip_prefix("Address: "))?.trim().to_owned())
    }
}

/// The process that serves the names of the only network that has any, as its record says.
fn server(env: &Env) -> i32 {
    let folder = env.run_root().join("networks/names");
    let lock = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let lock = lock.filter(|path| path.extension().is_some_and(|word| word == "lock"));
    let record = lock.filter_map(|path| fs::read(path).ok()).find(|text| !text.is_empty()).unwrap();
    let Ok(record) = serde_json::from_slice::<serde_json::Value>(&record) else { return 0 };
    i32::try_from(record["process"]["pid"].as_i64().unwrap()).unwrap()
}

/// The same as soon as it has nothing left to do but to serve: until then it may be the one that makes it.
#[track_caller]
fn ready_server(env: &Env) -> i32 {
    let is_ready = || {
        let pid = server(env);
        (proc::status(pid, "NoNewPrivs").as_deref() == Some("1")).then_some(pid)
    };
    eventually(Duration::from_secs(10), is_ready).expect("somebody serves the names")
}

/// Kills the server, and waits until there is another one.
#[track_caller]
fn kill_server(env: &Env) -> i32 {
    let before = ready_server(env);
    kill::kill(before);
    wait_until("the server is brought back", || {
        let now = server(env);
        now != before && now != 0 && proc::is_alive(now)
    });
    ready_server(env)
}

/// A question for the address of a name.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// Asks a server over UDP; gives the code of its answer, and its last four bytes.
fn ask(server: &str, name: &str) -> Option<(u8, [u8; 4])> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    socket.connect((server, 53)).unwrap();
    socket.send(&question(7, name)).unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).ok()?;
    Some((buffer[3] & 15, *buffer[..length].last_chunk()?))
}

/// Answers every question for an address with this one, until `work` is done. `machine` asks at the addresses.
fn answering(machine: &Machine, servers: &[(&str, [u8; 4])], work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (at, address) in servers {
            let socket = machine.within(|| UdpSocket::bind((*at, 53)).unwrap());
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let done = &done;
            scope.spawn(move || {
                let mut buffer = [0; 512];
                while !done.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                    let mut answer = buffer[..length].to_vec();
                    answer[2..4].copy_from_slice(&[0x81, 0x80]);
                    if answer.get(length.wrapping_sub(4)..) == Some(&[0, 1, 0, 1]) {
                        answer[7] = 1;
                        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                        answer.extend(address);
                    }
                    let _ = socket.send_to(&answer, from);
                }
            });
        }
        // What fails in there must not leave the others waiting.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A mount namespace with an `/etc` and a `/run/systemd` of its own, in which the built program can be run.
struct Surroundings {
    etc: PathBuf,
    holder: Child,
}

impl Surroundings {
    fn new(folder: &Path, resolv_conf: &str) -> Surroundings {
        let etc = folder.join("etc");
        let script = format!(
            "set -e; cp -a /etc {etc}; mount --bind {etc} /etc; rm -f /etc/resolv.conf; [ -d /run/systemd ]; \
             mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/resolve; echo; exec sleep infinity",
            etc = etc.display()
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        holder.stdout.take().unwrap().read_exact(&mut [0]).expect("the surroundings are made");
        let made = Surroundings { etc, holder };
        made.say(resolv_conf);
        made
    }

    /// Replaces the host's file of servers, as programs that write it do.
    fn say(&self, resolv_conf: &str) {
        fs::write(self.etc.join("resolv.conf.new"), resolv_conf).unwrap();
        fs::rename(self.etc.join("resolv.conf.new"), self.etc.join("resolv.conf")).unwrap();
    }

    /// What systemd-resolved would say of the servers behind its stub.
    fn say_behind_the_stub(&self, text: &str) {
        let path = format!("/proc/{}/root/run/systemd/resolve/resolv.conf", self.holder.id());
        fs::write(path, text).unwrap();
    }

    /// The built program, run in there.
    fn program(&self, folder: &Path) -> PathBuf {
        let path = folder.join("tinyd-there");
        let program = paths::tinyd();
        let script = format!(
            "#!/bin/sh\nexec nsenter --mount=/proc/{}/ns/mnt -- {} \"$@\"\n",
            self.holder.id(),
            program.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_killed_name_server_is_brought_back_by_whichever_monitor_there_is() {
    require!(root);
    on_a_host(None, |ground, env| {
        ground.web(env, &[]);
        for name in ["db", "one", "two"] {
            ground.start(env, name, &["--net", "web"]);
        }
        for _ in 0..2 {
            let now = kill_server(env);
            wait_until("names are served", || ground.find(env, "one", "db").as_deref() == Some("10.77.0.2"));
            assert_eq!(server(env), now, "one of several stays");
        }
        // One container is left, and it has a new monitor.
        ground.tinyd(env, &["rm", "-f", "one", "two"]);
        let first = kill::monitor_of(env, "db");
        kill::kill(first);
        ground.tinyd(env, &["ps"]);
        kill::await_new_monitor(env, "db", first);
        kill_server(env);
        wait_until("names are served", || ground.find(env, "db", "db").as_deref() == Some("10.77.0.2"));
        // Nobody brings back what has ended because nobody needs it.
        let last = server(env);
        ground.tinyd(env, &["rm", "-f", "db"]);
        wait_until("it ends", || !proc::is_alive(last));
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(server(env), last);
        ground.tinyd(env, &["network", "rm", "web"]);
    });
}

#[test]
fn a_container_that_came_to_a_network_later_keeps_its_names_served_until_it_leaves() {
    require!(root);
    on_a_host(None, |ground, env| {
        ground.web(env, &[]);
        ground.start(env, "late", &["--net", "none"]);
        ground.tinyd(env, &["network", "connect", "web", "late"]);
        kill_server(env);
        wait_until("names are served", || ground.find(env, "late", "late").as_deref() == Some("10.77.0.2"));
        let last = server(env);
        ground.tinyd(env, &["network", "disconnect", "web", "late"]);
        wait_until("it ends", || !proc::is_alive(last));
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(server(env), last, "brought back for nobody");
        ground.tinyd(env, &["rm", "-f", "late"]);
        ground.tinyd(env, &["network", "rm", "web"]);
    });
}

#[test]
fn where_port_53_is_somebody_elses_names_are_served_beside_it() {
    require!(root);
    require!(command "iptables");
    for firewall in ["nftables", "iptables"] {
        on_a_host(None, |ground, env| {
            // As a dnsmasq that serves all of the host's addresses.
            let theirs = ground.host.within(|| {
                (UdpSocket::bind("0.0.0.0:53").unwrap(), TcpListener::bind("0.0.0.0:53").unwrap())
            });
            ground.web(env, &["-o", &format!("firewall={firewall}")]);
            ground.start(env, "db", &["--net", "web"]);
            ground.start(env, "one", &["--net", "web"]);
            let found = || ground.find(env, "one", "db");
            assert_eq!(found().as_deref(), Some("10.77.0.2"), "{firewall}");
            // Over TCP as well: the answer has the same length before it.
            let asked = "printf '\\0\\024\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\2db\\0\\0\\1\\0\\1' | nc -w 3 10.77.0.1 53 | tail -c 4 | od -An -tu1";
            let said = ground.tinyd(env, &["exec", "one", "sh", "-c", asked]).text();
            assert_eq!(
                said.split_ascii_whitespace().collect::<Vec<_>>(),
                ["10", "77", "0", "2"],
                "{firewall}"
            );
            kill_server(env);
            wait_until("names are served again", || found().as_deref() == Some("10.77.0.2"));
            // Its owner is asked at the host's other addresses as before.
            ground.host.within(|| {
                let socket = UdpSocket::bind("198.51.100.1:0").unwrap();
                socket.send_to(b"hello", "198.51.100.1:53").unwrap();
                theirs.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut buffer = [0; 16];
                let length = theirs.0.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], b"hello");
            });
            // The next server keeps to the port that the firewall leads to, though 53 is free by then.
            let last = server(env);
            ground.tinyd(env, &["rm", "-f", "db", "one"]);
            wait_until("it ends", || !proc::is_alive(last));
            drop(theirs);
            ground.start(env, "one", &["--net", "web"]);
            ground.start(env, "db", &["--net", "web"]);
            assert!(found().is_some_and(|address| address.starts_with("10.77.0.")), "{firewall}");
            ground.tinyd(env, &["rm", "-f", "db", "one"]);
            ground.tinyd(env, &["network", "rm", "web"]);
            let left = ground.host.run(&["iptables-save"]);
            assert!(!left.to_ascii_lowercase().contains("tinyd"), "{firewall}: {left}");
        });
    }
}

#[test]
fn the_hosts_file_of_servers_is_followed_while_containers_run() {
    require!(root);
    let place = tempfile::tempdir_in(paths::scratch()).unwrap();
    let there = Surroundings::new(place.path(), &format!("nameserver {OUTSIDE}\nsearch one.example\n"));
    on_a_host(Some(&|folder| there.program(folder)), |ground, env| {
        ground.web(env, &[]);
        ground.start(env, "db", &["--net", "web"]);
        ground.start(env, "one", &["--net", "web"]);
        answering(&ground.outside, &[(OUTSIDE, [203, 0, 113, 2]), (OTHER, [203, 0, 113, 3])], || {
            let found = |name: &str| ground.find(env, "one", name);
            assert_eq!(found("www.example.org").as_deref(), Some("203.0.113.2"));
            assert_eq!(
                found("db.one.example").as_deref(),
                Some("10.77.0.2"),
                "a domain that the host searches"
            );
            assert_eq!(found("db.two.example").as_deref(), Some("203.0.113.2"), "one that it does not");
            there.say(&format!("nameserver {OTHER}\nsearch two.example\n"));
            assert_eq!(found("www.example.org").as_deref(), Some("203.0.113.3"));
            assert_eq!(found("db.one.example").as_deref(), Some("203.0.113.3"));
            assert_eq!(found("db.two.example").as_deref(), Some("10.77.0.2"));
            // Also by one that was brought back.
            kill_server(env);
            there.say(&format!("nameserver {OUTSIDE}\n"));
            wait_until("it is followed", || found("www.example.org").as_deref() == Some("203.0.113.2"));
        });
        ground.tinyd(env, &["rm", "-f", "db", "one"]);
        ground.tinyd(env, &["network", "rm", "web"]);
    });
}

#[test]
fn the_stub_of_systemd_is_replaced_by_the_servers_behind_it_at_each_start() {
    require!(root);
    let place = tempfile::tempdir_in(paths::scratch()).unwrap();
    let there =
        Surroundings::new(place.path(), "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n");
    there.say_behind_the_stub("# not for editing\nnameserver 192.0.2.7\nnameserver 192.0.2.8\nsearch lan\n");
    on_a_host(Some(&|folder| there.program(folder)), |ground, env| {
        // The neighbours' own router is asked by way of the link: the host serves nobody there.
        ground.tinyd(
            env,
            &[
                "network",
                "create",
                "-d",
                "macvlan",
                "--subnet",
                "198.51.100.0/24",
                "-o",
                "parent=uplink0",
                "lan",
            ],
        );
        ground.start(env, "box", &["--net", "lan"]);
        let file = || ground.tinyd(env, &["exec", "box", "cat", "/etc/resolv.conf"]).stdout();
        assert_eq!(file(), "nameserver 192.0.2.7\nnameserver 192.0.2.8\nsearch lan\n");
        // What the host says by its next start.
        there.say_behind_the_stub("nameserver 192.0.2.9\n");
        ground.tinyd(env, &["stop", "-t", "0", "box"]);
        ground.tinyd(env, &["start", "box"]);
        assert_eq!(file(), "nameserver 192.0.2.9\n");
        there.say(&format!("nameserver {OUTSIDE}\n"));
        ground.tinyd(env, &["stop", "-t", "0", "box"]);
        ground.tinyd(env, &["start", "box"]);
        assert_eq!(file(), format!("nameserver {OUTSIDE}\n"));
        ground.tinyd(env, &["rm", "-f", "box"]);
        ground.tinyd(env, &["network", "rm", "lan"]);
    });
}

/// How many packets to port 53 a machine has got.
fn counted(machine: &Machine) -> u64 {
    let text = machine.run(&["nft", "list", "table", "inet", "count"]);
    let packets = text.split("packets ").skip(1).map(|rest| rest.split(' ').next().unwrap());
    packets.map(|number| number.parse::<u64>().unwrap()).sum()
}

#[test]
fn d8_no_question_leaves_an_internal_network() {
    require!(root);
    let place = tempfile::tempdir_in(paths::scratch()).unwrap();
    let there = Surroundings::new(place.path(), &format!("nameserver {OUTSIDE}\nsearch lan.example\n"));
    on_a_host(Some(&|folder| there.program(folder)), |ground, env| {
        ground.outside.run(&[
            "nft",
            "add table inet count; add chain inet count in { type filter hook prerouting priority 0; }; \
             add rule inet count in udp dport 53 counter; add rule inet count in tcp dport 53 counter",
        ]);
        ground.web(env, &["--internal"]);
        ground.tinyd(env, &["network", "create", "--subnet", "10.78.0.0/24", "open"]);
        answering(&ground.outside, &[(OUTSIDE, [203, 0, 113, 2])], || {
            ground.start(env, "db", &["--net", "web"]);
            ground.start(env, "shut", &["--net", "web", "--cap-add", "NET_ADMIN"]);
            assert_eq!(
                ground.find(env, "shut", "db").as_deref(),
                Some("10.77.0.2"),
                "the network's own names"
            );
            // By its server, by one of its own choice, and by a way that it made itself.
            let script = format!(
                "ask() {{ timeout 2 nslookup -type=a \"$@\"; }}
                 ask www.example.org; ask com; ask db.elsewhere.example; ask 9.9.9.9
                 ask www.example.org {OUTSIDE}; ask www.example.org 198.51.100.1
                 ip route add default via {GATEWAY}; ip route
                 ask www.example.org {OUTSIDE}; ask www.example.org 198.51.100.1
                 echo x | timeout 2 nc {OUTSIDE} 53; true"
            );
            let said = ground.tinyd(env, &["exec", "shut", "sh", "-c", &script]).stdout();
            assert!(said.contains("default via 10.77.0.1"), "it made no way: {said}");
            assert!(!said.contains("203.0.113.2"), "an answer: {said}");
            assert_eq!(counted(&ground.outside), 0, "{said}");
            // What would have been counted.
            ground.start(env, "open", &["--net", "open"]);
            assert_eq!(ground.find(env, "open", "www.example.org").as_deref(), Some("203.0.113.2"));
            assert!(counted(&ground.outside) > 0, "nothing is counted at all");
            // A name of one word stays on the host.
            let before = counted(&ground.outside);
            assert_eq!(ground.find(env, "open", "nobody."), None);
            assert_eq!(counted(&ground.outside), before);
            ground.tinyd(env, &["rm", "-f", "db", "shut", "open"]);
        });
        ground.tinyd(env, &["network", "rm", "web", "open"]);
    });
}

#[test]
fn who_has_a_way_out_beside_an_internal_network_finds_names_on_both_sides() {
    require!(root);
    let place = tempfile::tempdir_in(paths::scratch()).unwrap();
    let there = Surroundings::new(place.path(), &format!("nameserver {OUTSIDE}\n"));
    on_a_host(Some(&|folder| there.program(folder)), |ground, env| {
        ground.web(env, &["--internal"]);
        ground.tinyd(env, &["network", "create", "--subnet", "10.78.0.0/24", "open"]);
        // Of the host's neighbours: nobody of ours serves names there, and the gateway is not the host.
        let lan = ["network", "create", "-d", "macvlan", "--subnet", "198.51.100.0/24", "--gateway", OUTSIDE];
        ground.tinyd(env, &[&lan[..], &["-o", "parent=uplink0", "lan"]].concat());
        answering(&ground.outside, &[(OUTSIDE, [203, 0, 113, 2])], || {
            let (web, lan) = ("10.77.0.2", "lan:ip=198.51.100.77");
            let gateway = ["--add-host", "box:host-gateway"];
            ground.start(env, "db", &["--net", "web"]);
            ground.start(env, "both", &["--net", "web", "--net", "open"]);
            ground.start(env, "near", &[&["--net", lan, "--net", "web"], &gateway[..]].concat());
            let read =
                |container: &str, file: &str| ground.tinyd(env, &["exec", container, "cat", file]).stdout();
            let find = |container: &str, name: &str| ground.find(env, container, name);
            assert_eq!(read("both", "/etc/resolv.conf"), "nameserver 10.78.0.1\n");
            assert_eq!(read("near", "/etc/resolv.conf"), format!("nameserver {GATEWAY}\n"));
            for container in ["both", "near"] {
                assert_eq!(find(container, "db").as_deref(), Some(web), "{container}");
                assert_eq!(find(container, "www.example.org").as_deref(), Some("203.0.113.2"), "{container}");
            }
            assert_eq!(find("db", "www.example.org"), None, "it has no way out");
            // On the host's neighbours' network alone nobody knows the host.
            let hosts = read("near", "/etc/hosts");
            assert!(hosts.lines().any(|line| line == format!("{GATEWAY}\tbox")), "{hosts}");
            let image = image();
            let words = [&["run", "--net", lan], &gateway[..], &[&image, "true"]].concat();
            let refused = ground.host.within(|| env.tinyd(words)).fails(125);
            assert_eq!(refused.stderr().lines().count(), 1, "{refused}");
            assert!(refused.stderr().contains("\"box\"") && refused.stderr().contains("lan"), "{refused}");
            // The way out goes, and comes again.
            ground.tinyd(env, &["network", "disconnect", "lan", "near"]);
            assert_eq!(find("near", "www.example.org"), None, "it has lost its way out");
            assert_eq!(find("near", "db").as_deref(), Some(web));
            ground.tinyd(env, &["network", "connect", "--ip", "198.51.100.77", "lan", "near"]);
            assert_eq!(find("near", "www.example.org").as_deref(), Some("203.0.113.2"));
            ground.tinyd(env, &["rename", "near", "nigh"]);
            assert_eq!(find("nigh", "www.example.org").as_deref(), Some("203.0.113.2"));
            ground.tinyd(env, &["rm", "-f", "db", "both", "nigh"]);
        });
        ground.tinyd(env, &["network", "rm", "web", "open", "lan"]);
    });
}

/// A name server of the host's that listens on all of its addresses, and answers nobody.
struct Everywhere {
    datagrams: [UdpSocket; 2],
    streams: [TcpListener; 2],
}

impl Everywhere {
    fn listen(host: &Machine) -> Everywhere {
        let (v4, v6) = ("0.0.0.0:53", "[::]:53");
        host.within(|| {
            let bound = |at: &str, sort| {
                let family = if at == v4 { AddressFamily::INET } else { AddressFamily::INET6 };
                let socket = socket(family, sort, None).unwrap();
                if family == AddressFamily::INET6 {
                    sockopt::set_ipv6_v6only(&socket, true).unwrap();
                }
                bind(&socket, &at.parse::<SocketAddr>().unwrap()).unwrap();
                socket
            };
            let udp = |at| {
                let socket = UdpSocket::from(bound(at, SocketType::DGRAM));
                socket.set_nonblocking(true).unwrap();
                socket
            };
            let tcp = |at| {
                let socket = bound(at, SocketType::STREAM);
                listen(&socket, 64).unwrap();
                let socket = TcpListener::from(socket);
                socket.set_nonblocking(true).unwrap();
                socket
            };
            Everywhere { datagrams: [udp(v4), udp(v6)], streams: [tcp(v4), tcp(v6)] }
        })
    }

    /// Who came since it was last asked: by UDP, and by TCP.
    fn heard(&self) -> [Vec<SocketAddr>; 2] {
        let mut buffer = [0; 512];
        let datagrams = self.datagrams.iter().flat_map(|socket| {
            std::iter::from_fn(|| Some(socket.recv_from(&mut buffer).ok()?.1)).collect::<Vec<_>>()
        });
        let datagrams = datagrams.collect();
        let streams = self
            .streams
            .iter()
            .flat_map(|socket| std::iter::from_fn(|| Some(socket.accept().ok()?.0.local_addr().unwrap())));
        [datagrams, streams.collect()]
    }
}

#[test]
fn d8_a_server_of_the_host_that_listens_everywhere_is_not_asked() {
    require!(root);
    require!(command "iptables");
    for firewall in ["nftables", "iptables"] {
        on_a_host(None, |ground, env| {
            let theirs = Everywhere::listen(&ground.host);
            let by = format!("firewall={firewall}");
            ground.web(env, &["--internal", "--subnet", "fd00:77::/64", "-o", &by]);
            let create = ["network", "create", "--subnet", "10.78.0.0/24", "-o", &by, "open"];
            ground.tinyd(env, &create);
            ground.start(env, "db", &["--net", "web"]);
            ground.start(env, "shut", &["--net", "web", "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW"]);
            ground.start(env, "open", &["--net", "open"]);
            let bridge = ground.host.ip("-o -6 addr");
            let bridge = bridge.lines().find(|line| line.contains("fd00:77::1/")).unwrap();
            let bridge = bridge.split_whitespace().nth(1).unwrap();
            let own = ground.host.ip(&format!("-o -6 addr show dev {bridge} scope link"));
            let own = own.split_whitespace().nth(3).unwrap().split('/').next().unwrap().to_owned();
            let say = |container: &str, script: &str| {
                ground.tinyd(env, &["exec", container, "sh", "-c", script]).stdout()
            };
            assert_eq!(ground.find(env, "shut", "db").as_deref(), Some("10.77.0.2"), "{firewall}");
            theirs.heard();
            // At its gateway, at what its bridge gave itself, at the host's other addresses and another network's gateway.
            let asks = |servers: &str| {
                format!(
                    "ip route add default via {GATEWAY}; ip -6 route add default via fd00:77::1
                     for at in {servers}; do
                         timeout 1 nslookup -type=a www.example.org $at
                         echo x | timeout 1 nc $at 53
                     done; true"
                )
            };
            let said = say(
                "shut",
                &asks(&format!(
                    "{GATEWAY} fd00:77::1 {own}%eth0 198.51.100.1 10.78.0.1 224.0.0.1 10.77.0.255"
                )),
            );
            assert_eq!(theirs.heard(), [vec![], vec![]], "{firewall}: {said}");
            // Who asks from elsewhere is heard.
            say(
                "open",
                "timeout 1 nslookup www.example.org 198.51.100.1; echo x | timeout 1 nc 198.51.100.1 53; true",
            );
            let heard = theirs.heard();
            assert!(heard.iter().all(|of_one_kind| !of_one_kind.is_empty()), "{firewall}: {heard:?}");
            // Neighbours go on finding each other's hardware addresses, and the gateway answers.
            say("shut", &format!("ping -c 1 -W 3 {GATEWAY} && ping -6 -c 1 -W 3 fd00:77::1"));
            ground.tinyd(env, &["rm", "-f", "db", "shut", "open"]);
            ground.tinyd(env, &["network", "rm", "web", "open"]);
            let left = ground.host.run(&["iptables-save"]) + &ground.host.run(&["ip6tables-save"]);
            assert!(!left.to_ascii_lowercase().contains("tinyd"), "{firewall}: {left}");
        });
    }
}

#[test]
fn d9_idle_connections_keep_nobody_waiting() {
    require!(root);
    on_a_host(None, |ground, env| {
        ground.web(env, &[]);
        ground.start(env, "db", &["--net", "web"]);
        ground.start(env, "one", &["--net", "web"]);
        ground.host.within(|| {
            let at: SocketAddr = format!("{GATEWAY}:53").parse().unwrap();
            let mut idle: Vec<_> = (0..200).map(|_| TcpStream::connect(at).unwrap()).collect();
            // One that begins a question and does not go on.
            idle[0].write_all(&[0, 20, 0]).unwrap();
            for _ in 0..100 {
                assert_eq!(ask(GATEWAY, "db"), Some((0, [10, 77, 0, 2])));
            }
            let asked = question(9, "db");
            let mut stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            stream.write_all(&u16::try_from(asked.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&asked).unwrap();
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).unwrap();
            let mut answer = vec![0; u16::from_be_bytes(answer).into()];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer.ends_with(&[10, 77, 0, 2]), "{answer:?}");
        });
        assert_eq!(ground.find(env, "one", "db").as_deref(), Some("10.77.0.2"));
        ground.tinyd(env, &["rm", "-f", "db", "one"]);
        ground.tinyd(env, &["network", "rm", "web"]);
    });
}

/// What a name server has of rights, descriptors and surroundings.
#[track_caller]
fn has_little(pid: i32, monitor: i32) {
    let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let status = file("status");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{set}: {status}");
    }
    // A monitor joins the groups of version 1 when the start is done, one after the other.
    let groups = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups(pid).contains("/tinyd/monitor"), "{}", groups(pid));
    wait_until("the monitor is where the name server is", || groups(monitor) == groups(pid));
    let mut kinds: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .map(|entry| fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned())
        .map(|target| target.split(":[").next().unwrap().rsplit('.').next().unwrap().to_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["/dev/null", "/dev/null", "/dev/null", "lock", "socket", "socket"]);
}

#[test]
fn a_name_server_has_no_rights_and_runs_where_monitors_do() {
    require!(root);
    on_a_host(None, |ground, env| {
        ground.web(env, &["--ipv6=false"]);
        ground.start(env, "db", &["--net", "web"]);
        let monitor = kill::monitor_of(env, "db");
        has_little(ready_server(env), monitor);
        has_little(kill_server(env), monitor);
        assert_eq!(ground.find(env, "db", "db").as_deref(), Some("10.77.0.2"), "it serves");
        ground.tinyd(env, &["rm", "-f", "db"]);
        ground.tinyd(env, &["network", "rm", "web"]);
    });
}
