//! Many containers on one network, one after another and at once: addresses do not run out, nobody gets another's, and what was
//! meant for one that went is not given to the one that came.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what a soak took"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tinyd_tests::ground::{self, Ground, HOST, fetch, machine, start};
use tinyd_tests::{Env, Machine, crowd, eventually, require, wait_until};

const STAY: &str = "exec sleep 10000";

/// So many are started, called and removed at the same time.
const AT_A_TIME: usize = 4;

/// The first container's port on the host.
const FIRST_PORT: usize = 10_000;

fn on_ground(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(work);
}

#[track_caller]
fn for_all(at_a_time: usize, count: usize, work: impl Fn(usize) -> Result<(), String> + Sync) {
    let wrong = crowd(at_a_time, count, work);
    assert!(wrong.is_empty(), "{} of {count} are wrong, the first:\n{}", wrong.len(), wrong[0]);
}

/// T35.
#[test]
fn three_hundred_starts_and_stops_do_not_use_up_a_range_of_256() {
    on_ground(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let image = ground::image();
        for name in ["c0", "c1", "c2", "c3"] {
            env.tinyd(["create", "--name", name, "--net", "web", "-p", "80", &image, "sh", "-c", STAY]).ok();
        }
        let seen = std::sync::Mutex::new(BTreeSet::new());
        for_all(4, 4, |number| {
            let name = format!("c{number}");
            for _ in 0..75 {
                env.tinyd(["start", &name]).ok();
                let json = env.tinyd(["inspect", &name]).ok().json();
                let address = json[0]["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
                seen.lock().unwrap().insert(address);
                env.tinyd(["stop", "-t", "0", &name]).ok();
            }
            Ok(())
        });
        // One that was given back is the last to be given again.
        assert_eq!(seen.into_inner().unwrap().len(), 253);
        ground.holds_nothing(env);
        assert!(!ground.rules().contains("10.77.0.2"), "{}", ground.rules());
        for name in ["c0", "c1", "c2", "c3"] {
            env.tinyd(["rm", name]).ok();
        }
    });
}

/// So many at once on the default network: each is reached by its name, by its address and by its port, and is who it should be.
fn at_once(count: usize) {
    on_ground(|ground, env| {
        let (before, began) = (available(), Instant::now());
        for_all(AT_A_TIME, count, |number| {
            let publish = format!("{}:80", FIRST_PORT + number);
            let serve = format!("echo c{number} > /tmp/index.html; exec httpd -f -p 80 -h /tmp");
            start(env, &["--net", "default", "--name", &format!("c{number}"), "-p", &publish], &serve);
            Ok(())
        });
        println!("{count} containers on the default network: {:?}", began.elapsed());
        println!("each takes {} KiB of memory", before.saturating_sub(available()) / count as u64);
        assert_eq!(ground.ports().len(), count);
        let json = env.tinyd(["network", "inspect", "default"]).ok().json();
        let places = json[0]["Containers"].as_object().unwrap();
        let of = |family: &str| -> BTreeSet<_> {
            places.values().map(|place| place[family].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!((of("IPv4Address").len(), of("IPv6Address").len()), (count, count));
        // Whoever calls the first time asks all ports of the bridge for the address, and a processor's queue takes 1,000 packets
        // (net.core.netdev_max_backlog): of two questions at once the kernel may drop one on its way. One calls after another,
        // and again where there was no answer.
        let began = Instant::now();
        let mut again = 0;
        for number in 0..count {
            let port = u16::try_from(FIRST_PORT + number).unwrap();
            let found = eventually(Duration::from_secs(20), || {
                let found = fetch(&ground.outside, HOST, port);
                again += usize::from(found.is_none());
                found
            });
            assert_eq!(found, Some(format!("c{number}\n")), "at port {port}");
        }
        println!("each reached by its port: {:?}, {again} calls were repeated", began.elapsed());
        let began = Instant::now();
        // (busybox breaks when wget is given a time itself.)
        let ask = format!(
            "for number in $(seq 0 {}); do for try in 1 2 3; do \
             said=$(timeout 10 wget -qO- http://c$number/ 2>&1); [ \"$said\" = c$number ] && break; \
             echo \"c$number, try $try: $said\"; done; done",
            count - 1
        );
        let asked = env.cmd(["exec", "c0", "sh", "-c", &ask]).limit(Duration::from_secs(1800)).output().ok();
        let unheard = asked.stdout();
        assert!(!unheard.contains("try 3"), "not reached by their names:\n{unheard}");
        println!("each reached by its name from one of them: {:?}\n{unheard}", began.elapsed());
        let began = Instant::now();
        for_all(AT_A_TIME, count, |number| {
            env.tinyd(["rm", "-f", &format!("c{number}")]).ok();
            Ok(())
        });
        println!("and removed: {:?}", began.elapsed());
        ground.holds_nothing(env);
        env.assert_checked();
    });
}

/// The memory that programs can have yet, in KiB.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn sixty_containers_live_on_the_default_network_at_once() {
    at_once(60);
}

#[test]
#[ignore = "takes minutes: 1,000 containers"]
fn soak_a_thousand_containers_live_on_the_default_network_at_once() {
    at_once(1000);
}

/// A namespace goes when the kernel comes to it, or when whoever holds it lets go: until then it answers for its address, and its
/// sockets take what comes.
#[test]
fn whoever_has_an_address_now_is_reached_and_not_the_one_before() {
    on_ground(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let sender = ground.outside.within(|| UdpSocket::bind(("198.51.100.2", 5000)).unwrap());
        let mut held: Vec<(Machine, UdpSocket)> = Vec::new();
        for round in 0..5 {
            start(env, &["--rm", "--net", "web:ip=10.77.0.50", "--name", "one", "-p", "9000:7000/udp"], STAY);
            let network = machine(env, "one");
            let socket = network.within(|| UdpSocket::bind(("0.0.0.0", 7000)).unwrap());
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 64];
            for word in 0..3 {
                let said = format!("round {round}, {word}");
                sender.send_to(said.as_bytes(), (HOST, 9000)).unwrap();
                let heard = socket.recv_from(&mut buffer).map(|(length, _)| buffer[..length].to_vec());
                assert_eq!(heard.unwrap_or_else(|error| panic!("{said}: {error}")), said.as_bytes());
            }
            for (_, earlier) in &held {
                earlier.set_nonblocking(true).unwrap();
                assert!(earlier.recv_from(&mut buffer).is_err(), "it was for another");
            }
            held.push((network, socket));
            env.tinyd(["kill", "one"]).ok();
            wait_until("it is gone", || env.tinyd(["inspect", "one"]).code() != Some(0));
        }
        drop(held);
        ground.holds_nothing(env);
    });
}

/// D12: a sender that never stops talks to a port whose container is replaced over and over, by one that has its address and
/// another port of the host.
fn restarts(count: usize) {
    on_ground(|ground, env| {
        let began = Instant::now();
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let sender = ground.outside.within(|| UdpSocket::bind(("198.51.100.2", 5000)).unwrap());
        let say = |port: u16, text: &str| {
            // A port that leads nowhere is answered by an error, which is the next packet's.
            let _ = sender.send_to(text.as_bytes(), (HOST, port));
        };
        for round in 0..count {
            let own = 9000 + u16::try_from(round % 2).unwrap();
            let others = 9001 - u16::try_from(round % 2).unwrap();
            let publish = format!("{own}:7000/udp");
            start(env, &["--net", "web:ip=10.77.0.50", "--name", "one", "-p", &publish], STAY);
            let network = machine(env, "one");
            let socket = network.within(|| UdpSocket::bind(("0.0.0.0", 7000)).unwrap());
            say(others, "somebody else's");
            let wanted = format!("round {round}");
            // A link may take its time until it is one: who hears nothing is told again.
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut buffer = [0; 64];
            let told = eventually(Duration::from_secs(20), || {
                say(own, &wanted);
                socket.recv_from(&mut buffer).ok()
            });
            let (length, from) = told.unwrap_or_else(|| panic!("round {round}: nothing came"));
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert_eq!(said, wanted, "round {round}");
            // The way back too: whoever talks to the new one hears from it.
            socket.send_to(wanted.as_bytes(), from).unwrap();
            sender.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let heard = loop {
                match sender.recv_from(&mut buffer) {
                    Ok((length, from)) => break (buffer[..length].to_vec(), from.port()),
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(error) => panic!("round {round}: {error}"),
                }
            };
            assert_eq!(heard, (wanted.into_bytes(), own), "round {round}");
            drop((socket, network));
            env.tinyd(["rm", "-f", "one"]).ok();
            // Packets go on while nobody is there.
            say(own, "for one that is gone");
        }
        println!("{count} restarts, 0 misdeliveries: {:?}", began.elapsed());
        ground.holds_nothing(env);
    });
}

#[test]
fn d12_what_was_for_the_one_before_never_comes_to_the_one_that_has_its_address() {
    restarts(30);
}

#[test]
#[ignore = "takes minutes: 1,000 restarts"]
fn soak_d12_a_thousand_restarts() {
    restarts(1000);
}
