//! A host on which somebody flushed the rules: with the next command traffic flows again, to containers that went on running.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tinyd_tests::ground::{self, GREET, Ground, HOST, OUTSIDE, SERVER, fetch, image, start};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, require, unserved, wait_until};

/// What ends the one who repeats.
const END: &[u8] = b"end";
const NFT_FLUSH: &str = "nft flush ruleset";
const IPTABLES_FLUSH: &str = "for family in iptables ip6tables; do for table in nat mangle filter; do \
    $family -t $table -F; $family -t $table -X; done; done";

fn greeted() -> Ground {
    let ground = Ground::with_ipv4_alone();
    ground.greet();
    ground
}

fn on_host(ground: &Ground, script: &str) {
    ground.host.run(&["sh", "-c", script]);
}

/// Whether a container gets an answer from outside, where nobody knows of its own address.
fn reaches_out(env: &Env, container: &str) -> bool {
    env.tinyd(["exec", container, "sh", "-c", GREET]).stdout() == "hello\n"
}

/// Repeats whatever a container is told at its UDP port 90, until it is told to end.
fn repeat_in(env: &Env, container: &str) -> JoinHandle<()> {
    let netns = std::fs::File::open(format!("/proc/{}/ns/net", ground::init(env, container))).unwrap();
    let (ready, bound) = std::sync::mpsc::channel();
    let repeater = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(netns.as_fd(), None).unwrap();
        let socket = UdpSocket::bind("0.0.0.0:90").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        ready.send(()).unwrap();
        let mut bytes = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            if &bytes[..length] == END {
                return;
            }
            let _ = socket.send_to(&bytes[..length], from);
        }
    });
    bound.recv().unwrap();
    repeater
}

/// A web server at 8080, and room for one of UDP at 9000; its id.
#[track_caller]
fn serve(env: &Env, network: &str) -> String {
    start(env, &["--net", network, "-p", "8080:80", "-p", "9000:90/udp"], SERVER)
}

/// What a start of the machine leaves: the engine's lasting state, and nothing in `/run` or in the kernel.
#[test]
fn a_container_starts_again_on_its_network_after_a_reboot() {
    require!(root);
    require!(program);
    require!(command "nft");
    unserved!("the daemon would have to be started again too");
    let ground = greeted();
    ground.host.within(|| {
        let env = Env::new();
        ground::network(&env, "web", &["10.77.0.0/24"], &[]);
        start(&env, &["--net", "web", "--name", "web", "-p", "8080:80"], SERVER);
        start(&env, &["--net", "web", "--name", "other"], "exec sleep 10000");
        env.tinyd(["stop", "-t", "0", "web", "other"]).ok();
        wait_until("nobody serves names", || UdpSocket::bind(("10.77.0.1", 53)).is_ok());
        on_host(&ground, "nft flush ruleset; for link in $(ip -o link show type bridge | cut -d: -f2); do ip link del $link; done");
        for entry in std::fs::read_dir(env.run_root()).unwrap() {
            let path = entry.unwrap().path();
            ground.host.run(&["rm", "-rf", path.to_str().unwrap()]);
        }
        env.tinyd(["start", "web", "other"]).ok();
        wait_until("the server answers", || fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n"));
        let script = "wget -qO- http://web";
        assert_eq!(env.tinyd(["exec", "other", "sh", "-c", script]).ok().stdout(), "hello\n");
        env.tinyd(["rm", "-f", "web", "other"]).ok();
        env.tinyd(["network", "rm", "web"]).ok();
        ground.holds_nothing(&env);
    });
}

/// A flush, and a command that notices it.
fn comes_back(firewall: &str, flush: &str, next: &[&str]) {
    let ground = greeted();
    let empty = ground.rules();
    ground.host.within(|| {
        let env = Env::new();
        let option = format!("firewall={firewall}");
        ground::network(&env, "web", &["10.77.0.0/24"], &["--opt", &option]);
        ground::network(&env, "back", &["10.78.0.0/24"], &["--opt", &option]);
        let server = serve(&env, "web");
        let other = env.tinyd(["run", "-d", "--net", "back", &image(), "sleep", "1000"]).ok().text();
        let repeater = repeat_in(&env, &server);
        let answers = || fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n");
        wait_until("the server answers", answers);
        // One that goes on through all of it.
        let live = ground.outside.within(|| TcpStream::connect((HOST, 8080)).unwrap());
        assert!(reaches_out(&env, &other));
        let before = ground.rules();

        on_host(&ground, flush);
        assert_eq!(fetch(&ground.outside, HOST, 8080), None, "the flush changed nothing");
        // Somebody who goes on sending while nothing is translated, from one port.
        let udp = ground.outside.within(|| UdpSocket::bind((OUTSIDE, 5555)).unwrap());
        udp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        udp.send_to(b"early", (HOST, 9000)).unwrap();
        assert!(udp.recv(&mut [0; 16]).is_err(), "the flush changed nothing");

        let words: Vec<_> = next.iter().map(|word| word.replace("SERVER", &server)).collect();
        env.tinyd(&words).ok();
        if firewall == "nftables" {
            assert_eq!(sorted(&ground.rules()), sorted(&before), "after {words:?}");
        }
        assert!(answers(), "after {words:?}");
        assert_eq!(fetch(&ground.host, "127.0.0.1", 8080).as_deref(), Some("hello\n"));
        assert!(reaches_out(&env, &other), "a network that the command was not about");
        udp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        udp.send_to(b"late", (HOST, 9000)).unwrap();
        let mut bytes = [0; 16];
        let length = udp.recv(&mut bytes).expect("an answer to who went on sending");
        assert_eq!(&bytes[..length], b"late");
        let mut live = live;
        live.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        live.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        live.read_to_string(&mut text).unwrap();
        udp.send_to(END, (HOST, 9000)).unwrap();
        repeater.join().unwrap();
        drop((live, udp));
        assert!(text.ends_with("hello\n"), "the connection that was under way: {text:?}");
        assert!(env.tinyd(["system", "check"]).stdout().lines().all(|line| !line.contains("network")));
        for id in [&server, &other] {
            env.tinyd(["rm", "-f", id]).ok();
        }
        assert_eq!(fetch(&ground.outside, HOST, 8080), None, "its monitor took the port away that came back");
        env.tinyd(["network", "rm", "web", "back"]).ok();
        env.assert_clean();
    });
    let left = ground.rules();
    assert!(left == empty || !left.contains("tinyd"), "{left}");
}

/// Without what counters of rules have counted.
fn uncounted(text: &str) -> Vec<String> {
    let mut words: Vec<_> = text.split(' ').collect();
    for at in 1..words.len() {
        if ["packets", "bytes"].contains(&words[at - 1]) {
            words[at] = words[at].trim_start_matches(|digit: char| digit.is_ascii_digit());
        }
    }
    sorted(&words.join(" "))
}

fn sorted(text: &str) -> Vec<String> {
    // The elements of a set come in any order, and of some there is more than one to a line.
    let mut words: Vec<_> = text.split([',', '\n', '{', '}']).map(|word| word.trim().to_owned()).collect();
    words.sort();
    words
}

#[test]
fn whatever_the_next_command_is_it_brings_back_what_nft_flushed() {
    require!(root);
    require!(command "nft");
    for next in [&["ps"][..], &["exec", "SERVER", "true"], &["network", "reload"]] {
        comes_back("nftables", NFT_FLUSH, next);
    }
}

#[test]
fn a_container_that_starts_brings_back_what_nft_flushed() {
    require!(root);
    require!(command "nft");
    let image = image();
    comes_back("nftables", NFT_FLUSH, &["run", "--rm", "--net", "web", &image, "true"]);
    comes_back("nftables", NFT_FLUSH, &["run", "--rm", "--net", "none", &image, "true"]);
}

/// F21, D4: no command is needed where a daemon runs.
#[test]
fn f21_a_daemon_brings_back_within_a_second_what_somebody_flushed() {
    require!(root);
    unserved!("it starts a daemon of its own");
    for (program, firewall, flush) in
        [("nft", "nftables", NFT_FLUSH), ("iptables-save", "iptables", IPTABLES_FLUSH)]
    {
        require!(command program);
        let ground = greeted();
        ground.host.within(|| {
            let env = Env::new();
            let option = format!("firewall={firewall}");
            ground::network(&env, "web", &["10.77.0.0/24"], &["--opt", &option]);
            let daemon = Daemon::start(&env, &["--live-restore"]);
            let server = serve(&env, "web");
            let answers = || fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n");
            wait_until("the server answers", answers);
            let before = ground.rules();
            for round in 0..5 {
                let mut live = ground.outside.within(|| TcpStream::connect((HOST, 8080)).unwrap());
                on_host(&ground, flush);
                let flushed = Instant::now();
                while uncounted(&ground.rules()) != uncounted(&before) {
                    let since = flushed.elapsed();
                    assert!(since < Duration::from_secs(1), "{firewall} {round}: not back after {since:?}");
                    std::thread::sleep(Duration::from_millis(5));
                }
                assert!(answers(), "{firewall} {round}");
                // Nobody asks the daemon anything here.
                live.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                live.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
                let mut text = String::new();
                live.read_to_string(&mut text).unwrap();
                assert!(text.ends_with("hello\n"), "the connection that was under way: {text:?}");
            }
            // What it does itself is no reason to do more.
            let spent = || {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
                let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
                [11, 12, 13, 14].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum::<u64>()
            };
            std::thread::sleep(Duration::from_secs(2));
            let spent_before = spent();
            std::thread::sleep(Duration::from_secs(2));
            assert!(spent() <= spent_before + 1, "{} ticks in two seconds of quiet", spent() - spent_before);
            daemon.stop().ok();
            env.tinyd(["rm", "-f", &server]).ok();
            env.tinyd(["network", "rm", "web"]).ok();
            env.assert_clean();
        });
    }
}

#[test]
fn commands_about_networks_bring_back_what_iptables_flushed() {
    require!(root);
    require!(command "iptables-save");
    let image = image();
    for next in [
        &["network", "ls"][..],
        &["network", "inspect", "back"],
        &["network", "reload", "web", "back"],
        &["run", "--rm", "--net", "back", &image, "true"],
    ] {
        comes_back("iptables", IPTABLES_FLUSH, next);
    }
}

#[test]
fn addresses_and_settings_are_found_by_a_check_and_come_back_with_a_reload() {
    require!(root);
    let ground = greeted();
    ground.host.within(|| {
        let env = Env::new();
        ground::network(&env, "web", &["10.77.0.0/24"], &[]);
        let server = serve(&env, "web");
        wait_until("the server answers", || fetch(&ground.outside, HOST, 8080).is_some());
        let seen = env.tinyd(["network", "inspect", "web"]).ok().json();
        let bridge = seen[0]["Links"][0].as_str().unwrap().to_owned();
        let harms = [
            (format!("ip addr flush dev {bridge}"), "the address 10.77.0.1/24"),
            (
                "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward".to_owned(),
                "forwarding on the way out",
            ),
            (format!("ip link del {bridge}"), "the bridge"),
        ];
        for (index, (harm, word)) in harms.iter().enumerate() {
            on_host(&ground, harm);
            let said = env.tinyd(["system", "check"]).fails(1).stdout();
            assert!(said.contains("network web: lacks ") && said.contains(word), "after {harm}: {said}");
            assert!(!reaches_out(&env, &server), "{harm} changed nothing");
            match index {
                // (Other engines of this machine may have something for it to say.)
                0 => {
                    let said = env.tinyd(["system", "check", "--repair"]).stdout();
                    assert!(said.contains("which somebody took away (repaired)"), "{said}");
                }
                _ => assert_eq!(env.tinyd(["network", "reload"]).ok().text(), "web"),
            }
            assert!(reaches_out(&env, &server), "after {harm}");
            assert_eq!(fetch(&ground.outside, HOST, 8080).as_deref(), Some("hello\n"), "after {harm}");
            assert!(!env.tinyd(["system", "check"]).stdout().contains("network"), "after {harm}");
        }
        env.tinyd(["rm", "-f", &server]).ok();
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}
