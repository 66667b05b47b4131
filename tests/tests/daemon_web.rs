//! What the web page of the daemon refuses: other hosts' names, other pages' wishes, long and slow and unclear requests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tinyd_tests::ground::{self, Ground, HOST, image};
use tinyd_tests::web::{Answer, Daemon};
use tinyd_tests::{Container, Env, require, wait_until};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

fn assert_dressed(what: &str, answer: &Answer) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name} in {answer:?}");
    }
    let allowing = answer.headers.keys().find(|name| name.starts_with("access-control-"));
    assert_eq!(allowing, None, "{what}");
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    for path in ["/", "/api/containers", "/metrics", "/assets/main.js", "/nothing"] {
        assert_dressed(path, &daemon.ask("GET", path, "Origin: http://evil.example\r\n", ""));
    }
    assert_dressed("405", &daemon.ask("POST", "/", "", ""));
    assert_dressed("421", &daemon.raw("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
    assert_dressed("400", &daemon.raw("nonsense\r\n\r\n"));
    let page = daemon.get("/").body;
    for inline in ["<script>", "<style", " style=", "onclick", "javascript:", "http://", "https://"] {
        assert!(!page.contains(inline), "the page holds {inline:?}");
    }
}

#[test]
fn only_names_of_this_machine_are_answered() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let port = daemon.address().port();
    let asked = |host: &str| daemon.raw(format!("GET /api/system HTTP/1.1\r\nHost: {host}\r\n\r\n")).status;
    for name in ["127.0.0.1", "localhost", "LocalHost", "[::1]"] {
        assert_eq!(asked(&format!("{name}:{port}")), 200, "{name}");
    }
    let near = format!("localhost.evil.example:{port}");
    for host in ["evil.example", "localhost:1", "127.0.0.1", &near, "localhost@evil.example", "0.0.0.0"] {
        assert_eq!(asked(host), 421, "{host}");
    }
    assert_eq!(daemon.raw("GET / HTTP/1.1\r\n\r\n").status, 400);
    // A name in the first line, or twice, is one more way to say two things at once.
    let twice = format!("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    assert_eq!(daemon.raw(twice).status, 400);
    let twice = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n");
    assert_eq!(daemon.raw(twice).status, 400);
}

#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_and_none_hides_behind_another() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let host = format!("Host: {}\r\n", daemon.address());
    let hidden = format!("GET /metrics HTTP/1.1\r\n{host}\r\n");
    for (status, request) in [
        (400, format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 50\r\n\r\nx{hidden}")),
        (
            411,
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (411, format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        (400, format!("GET / HTTP/1.1\r\n{host}X: a\r\n folded\r\n\r\n")),
        (400, format!("GET / HTTP/1.1\n{host}X: a\r\n\r\n")),
        (400, format!("GET / HTTP/1.1\r\n{host}X : a\r\n\r\n")),
        (400, format!("GET / HTTP/1.1\r\n{host}X: \0\r\n\r\n")),
        (400, format!("GET / HTTP/1.1\r\n{host}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n")),
        (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (505, format!("GET / HTTP/3.0\r\n{host}\r\n")),
    ] {
        assert_eq!(daemon.raw(&request).status, status, "{request:?}");
    }
    // What follows a request on the same connection is never read.
    let answer = daemon.raw(format!("GET /api/system HTTP/1.1\r\n{host}\r\n{hidden}"));
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert!(!answer.body.contains("HTTP/1.1") && !answer.body.contains("container_"), "{answer:?}");
}

#[test]
fn long_heads_and_bodies_and_compressed_ones_are_refused() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--web-control"]);
    let host = format!("Host: {}\r\n", daemon.address());
    let long = "x".repeat(33_000);
    assert_eq!(daemon.raw(format!("GET / HTTP/1.1\r\n{host}X: {long}\r\n\r\n")).status, 431);
    assert_eq!(daemon.raw(format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(101))).status, 431);
    assert_eq!(daemon.raw(format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(9000))).status, 414);
    let json = "Content-Type: application/json\r\n";
    let asked = |headers: &str, body: &str| daemon.ask("POST", "/api/session", headers, body).status;
    assert_eq!(asked(json, &"x".repeat(65_537)), 413);
    assert_eq!(asked(json, &format!("{{\"token\": \"{}\"}}", "x".repeat(4000))), 403);
    assert_eq!(asked(json, &"x".repeat(5000)), 413);
    assert_eq!(asked(&format!("{json}Content-Encoding: gzip\r\n"), "{}"), 415);
    assert_eq!(asked("Content-Type: application/x-www-form-urlencoded\r\n", "token=1"), 415);
    assert_eq!(asked("Content-Type: text/plain\r\n", "{\"token\": \"1\"}"), 415);
    assert_eq!(asked("", "{\"token\": \"1\"}"), 415);
    assert_eq!(asked(json, "{"), 400);
    // Deep enough to end a reader that calls itself.
    assert_eq!(asked(json, &"[".repeat(4000)), 400);
    daemon.stop().ok();
}

/// Names that lead elsewhere where somebody decodes them once more, or ends them early, are nobody's.
#[test]
fn names_in_addresses_are_names_and_lead_nowhere() {
    require!(root);
    let env = Env::new();
    let one = Container::start(&env, ["run", "-d", "--name", "c", "host", "sleep", "300"]);
    let daemon = Daemon::start(&env, &["--web-control"]);
    assert_eq!(daemon.get("/api/containers/c").status, 200);
    let long = "c".repeat(300);
    for name in [
        "%2e%2e",
        ".",
        "..",
        "%2f",
        "c%2f..%2fc",
        "%252e%252e",
        "c%00",
        "%63%00x",
        "c%0d%0aX:y",
        "%ff%fe",
        "%",
        "c/../c",
        &long,
        "../../etc/passwd",
        "*",
        "c%20",
        "%20c",
    ] {
        for path in [format!("/api/containers/{name}"), format!("/api/containers/{name}/logs")] {
            let status = daemon.get(&path).status;
            assert!([400, 404].contains(&status), "{path}: {status}");
        }
        let status = daemon
            .ask("POST", &format!("/api/containers/{name}/remove"), "X-Tinyd-Control: 1\r\n", "")
            .status;
        assert!([400, 403, 404, 405].contains(&status), "{name}: {status}");
    }
    assert_eq!(daemon.container(&one.id)["state"], "RUNNING");
    daemon.stop().ok();
}

#[test]
fn a_head_has_ten_seconds_and_thousands_that_say_nothing_keep_nobody_out() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    // Of this test's own descriptors; the daemon was started with what is usual.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let before = Instant::now();
    let mut slow = daemon.connect().unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut half: Vec<TcpStream> = Vec::new();
    let mut slowest = Duration::ZERO;
    for count in 0..5000 {
        let mut one = daemon.connect().unwrap();
        let _ = one.write_all(b"GET / HTTP/1.1\r\nX");
        half.push(one);
        if count % 250 == 0 {
            let asked = Instant::now();
            assert_eq!(daemon.get("/api/system").status, 200, "after {count}");
            slowest = slowest.max(asked.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Those that had to go are closed when it comes to them, and long before the time of those that are left is over.
    let sent = Instant::now();
    let open = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    wait_until("it has less than 700 descriptors", || open() < 700);
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    // The first has gone long ago, for it was the oldest; the last is told when its time is over.
    let mut last = half.pop().unwrap();
    let mut said = String::new();
    last.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(before.elapsed() >= Duration::from_secs(10));
}

#[test]
fn requests_whose_body_does_not_come_hold_their_places_for_ten_seconds() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--web-control"]);
    let head = format!(
        "POST /api/session HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n",
        daemon.address()
    );
    let mut waiting: Vec<TcpStream> = Vec::new();
    let before = Instant::now();
    let mut wait = || {
        let mut one = daemon.connect().unwrap();
        one.write_all(head.as_bytes()).unwrap();
        waiting.push(one);
    };
    (0..256).for_each(|_| wait());
    // One that asks meanwhile may have had a place before one of those.
    wait_until("all places are taken", || {
        wait();
        daemon.get("/api/system").status == 503
    });
    let mut said = String::new();
    waiting[0].read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(before.elapsed() >= Duration::from_secs(9), "after {:?}", before.elapsed());
    wait_until("there is a place again", || daemon.get("/api/system").status == 200);
    daemon.stop().ok();
}

/// Who holds all the places that a user has holds nobody else's.
#[test]
fn a_user_who_takes_all_of_his_places_keeps_no_other_out() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &["--web-control"]);
    let address = daemon.address().to_string();
    let script = r#"
import os, socket, sys, time
# What is loaded later, loaded while it can be read.
"x".encode("idna")
os.setgroups([]); os.setgid(1234); os.setuid(1234)
host, port = sys.argv[1].rsplit(":", 1)
def ask(text):
    one = socket.create_connection((host, int(port)))
    one.sendall((text + "\r\nHost: %s\r\n" % sys.argv[1]).encode())
    return one
def hold():
    one = ask("POST /api/session HTTP/1.1")
    one.sendall(b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n")
    return one
held = [hold() for _ in range(256)]
while True:
    held.append(hold())
    one = ask("GET /api/system HTTP/1.1")
    one.sendall(b"\r\n")
    if b" 503" in one.recv(16): break
print("full", flush=True)
time.sleep(100)
"#;
    let words = ["python3", "-c", script, &address];
    let mut other = env.other(words).spawn();
    other.expect("full\n");
    assert_eq!(daemon.get("/api/system").status, 200);
    other.signal(Signal::KILL);
    daemon.stop().ok();
}

#[test]
fn more_viewers_than_there_is_room_for_are_told_and_the_rest_goes_on() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let host = daemon.address();
    let view = || {
        let mut stream = daemon.connect().unwrap();
        write!(stream, "GET /api/stream HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (stream, String::from_utf8_lossy(&first).into_owned())
    };
    let mut viewers: Vec<TcpStream> = Vec::new();
    for count in 0..200 {
        let (stream, first) = view();
        assert_eq!(first, "HTTP/1.1 200", "viewer {count}");
        viewers.push(stream);
    }
    assert_eq!(view().1, "HTTP/1.1 503");
    assert_eq!(daemon.get("/api/system").status, 200);
    let mut text = [0; 16_384];
    let heard = viewers.last_mut().unwrap().read(&mut text).unwrap();
    assert!(String::from_utf8_lossy(&text[..heard]).contains("nosniff"));
    drop(viewers);
    wait_until("there is room again", || view().1 == "HTTP/1.1 200");
    // They do not keep the daemon from its end.
    let _viewer = view();
    let before = Instant::now();
    daemon.stop().ok();
    assert!(before.elapsed() < Duration::from_secs(8), "after {:?}", before.elapsed());
}

#[test]
fn the_page_changes_nothing_unless_it_was_asked_for() {
    require!(root);
    let env = Env::new();
    let container = Container::start(&env, ["run", "-d", "host", "sleep", "300"]);
    let daemon = Daemon::start(&env, &[]);
    let id = &container.id;
    for verb in ["start", "stop", "restart", "remove"] {
        let path = format!("/api/containers/{id}/{verb}");
        for method in ["POST", "GET"] {
            assert_eq!(
                daemon.ask(method, &path, "X-Tinyd-Control: 1\r\n", "").status,
                404,
                "{method} {path}"
            );
        }
    }
    assert_eq!(daemon.json("/api/overview")["control"], false);
    assert_eq!(container.inspect()["State"]["Status"], "running");
}

#[test]
fn what_changes_something_needs_the_token_of_this_start_and_our_own_page() {
    require!(root);
    let env = Env::new();
    let container =
        Container::start(&env, ["run", "-d", "--name", "web", "--stop-timeout", "1", "host", "sleep", "300"]);
    let daemon = Daemon::start(&env, &["--web-control"]);
    let file = env.run_root().join("web-control");
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.uid()), (0o600, 0));
    let address = fs::read_to_string(&file).unwrap();
    let token = address.trim().split("#token=").nth(1).unwrap().to_owned();
    assert_eq!(token.len(), 64);
    // Who only looks at the page is given no right.
    let page = daemon.get("/");
    assert!(page.header("set-cookie").is_empty() && !page.body.contains(&token));

    let json = "Content-Type: application/json\r\n";
    let log_in = |headers: &str, token: &str| {
        daemon.ask(
            "POST",
            "/api/session",
            &format!("{json}{headers}"),
            &format!("{{\"token\": \"{token}\"}}"),
        )
    };
    assert_eq!(log_in("", &"0".repeat(64)).status, 403);
    assert_eq!(log_in("Origin: http://evil.example\r\n", &token).status, 403);
    assert_eq!(log_in("Sec-Fetch-Site: cross-site\r\n", &token).status, 403);
    let given = log_in("", &token);
    let cookie = given.header("set-cookie");
    assert_eq!(given.status, 204);
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: a=b; {}\r\n", cookie.split(';').next().unwrap());

    let own = "X-Tinyd-Control: 1\r\n";
    let act = |verb: &str, headers: &str| {
        daemon.ask("POST", &format!("/api/containers/web/{verb}"), headers, "").status
    };
    let wrong = cookie.replace(&token[..8], "00000000");
    for (headers, status) in [
        (own.to_owned(), 403),
        (cookie.clone(), 403),
        (format!("{wrong}{own}"), 403),
        (format!("{cookie}{own}Origin: http://evil.example\r\n"), 403),
        (format!("{cookie}{own}Origin: null\r\n"), 403),
        (format!("{cookie}{own}Sec-Fetch-Site: same-site\r\n"), 403),
    ] {
        assert_eq!(act("stop", &headers), status, "{headers}");
    }
    assert_eq!(daemon.ask("GET", "/api/containers/web/stop", &format!("{cookie}{own}"), "").status, 405);
    assert_eq!(container.inspect()["State"]["Status"], "running");

    let both = format!("{cookie}{own}Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", daemon.address());
    let state = || container.inspect()["State"]["Status"].as_str().unwrap().to_owned();
    assert_eq!((act("remove", &both), state().as_str()), (409, "running"));
    env.tinyd(["update", "--pids-limit", "100", "web"]).ok();
    assert_eq!((act("restart", &both), state().as_str()), (200, "running"));
    let pid = container.inspect()["State"]["Pid"].as_i64().unwrap();
    assert_ne!(pid, i64::from(container.pid));
    // The page's threads go before others; what they start does not.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!(fields[16], "0", "{stat}");
    assert_eq!((act("stop", &both), state().as_str()), (200, "exited"));
    assert_eq!(act("stop", &both), 409);
    assert_eq!((act("start", &both), state().as_str()), (200, "running"));
    assert_eq!(act("explode", &both), 404);
    assert_eq!((act("stop", &both), act("remove", &both)), (200, 200));
    // One that removes itself would be gone at the end of the first half.
    env.tinyd(["run", "-d", "--rm", "--name", "brief", "host", "sleep", "300"]).ok();
    let path = "/api/containers/brief/restart";
    assert_eq!(daemon.ask("POST", path, &both, "").status, 409);
    assert_eq!(env.tinyd(["inspect", "-f", "{{.State.Status}}", "brief"]).ok().text(), "running");
    env.tinyd(["rm", "-f", "brief"]).ok();
    assert!(env.containers().is_empty());
    daemon.stop().ok();
    assert!(!file.exists());
    // The next start has another token.
    let next = Daemon::start(&env, &["--web-control"]);
    assert!(!fs::read_to_string(&file).unwrap().contains(&token));
    next.stop().ok();
}

#[test]
fn values_of_the_environment_are_not_told() {
    require!(root);
    let env = Env::new();
    let words =
        ["run", "-d", "-e", "PASSWORD=hunter2hunter2", "--label", "kind=test", "host", "sleep", "300"];
    let container = Container::start(&env, words);
    let daemon = Daemon::start(&env, &[]);
    let details = daemon.json(&format!("/api/containers/{}", container.id));
    assert!(details["environment"].as_array().unwrap().contains(&"PASSWORD".into()), "{details}");
    assert_eq!(details["labels"]["kind"], "test");
    for path in [&format!("/api/containers/{}", container.id), "/api/overview", "/api/containers", "/metrics"]
    {
        assert!(!daemon.get(path).body.contains("hunter2"), "{path}");
    }
}

#[test]
fn logs_are_told_up_to_a_bound() {
    require!(root);
    let env = Env::new();
    let script = "for i in $(seq 1500); do echo line $i; done; printf 'bad \\377\\n' >&2; sleep 300";
    let container = Container::start(&env, ["run", "-d", "host", "sh", "-c", script]);
    let daemon = Daemon::start(&env, &[]);
    let path = format!("/api/containers/{}/logs", container.id);
    let lines = |query: &str| daemon.json(&format!("{path}{query}"))["lines"].as_array().unwrap().clone();
    wait_until("all is written", || {
        lines("?tail=3").iter().any(|line| line["stream"] == "stderr" && line["text"] == "bad \u{fffd}")
    });
    assert_eq!(lines("").len(), 200);
    assert_eq!(lines("?tail=100000").len(), 1000);
    assert_eq!(daemon.get(&format!("{path}?tail=many")).status, 400);
}

#[test]
fn without_a_word_the_page_is_on_port_808_of_the_loopback() {
    require!(root);
    Ground::stand(|_, env| {
        let daemon = Daemon::of(env.cmd(["daemon"]).limit(Duration::from_secs(60)).spawn());
        assert_eq!(daemon.address().to_string(), "127.0.0.1:808");
        assert_eq!(daemon.get("/").status, 200);
        let before = Instant::now();
        daemon.stop().ok();
        assert!(before.elapsed() < Duration::from_secs(2), "after {:?}", before.elapsed());
        assert!(TcpStream::connect("127.0.0.1:808").is_err());
        let none = env.cmd(["daemon", "--no-web"]).spawn();
        let socket = env.run_root().join("tinyd.sock");
        wait_until("it is there", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        assert!(TcpStream::connect("127.0.0.1:808").is_err());
        none.signal(rustix::process::Signal::TERM);
        none.wait().ok();
    });
}

#[test]
fn d11_no_container_reaches_the_page() {
    require!(root);
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        ground::network(env, "back", &["10.78.0.0/24"], &["--internal"]);
        let daemon = Daemon::start(env, &[]);
        let port = daemon.address().port();
        let addresses = ground.host.run(&["ip", "-o", "-4", "addr"]);
        let of_host = addresses.lines().filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
        let all = of_host.collect::<Vec<_>>().join(" ");
        assert!(all.contains("10.77.0.1") && all.contains(HOST), "{addresses}");
        let script = format!(
            "for ip in {all} localhost host.tinyd.internal; do nc -w 2 $ip {port} </dev/null && echo open $ip; done; echo asked"
        );
        for network in ["web", "back"] {
            let said =
                env.tinyd(["run", "--rm", "--net", network, &image(), "sh", "-c", &script]).ok().text();
            assert_eq!(said, "asked", "from {network}");
        }
        // The same words find it from where it may be seen.
        let seen = ground.host.run(&[
            "sh",
            "-c",
            &format!("busybox nc -w 2 127.0.0.1 {port} </dev/null && echo open"),
        ]);
        assert_eq!(seen.trim(), "open");
        daemon.stop().ok();
        env.tinyd(["network", "rm", "web", "back"]).ok();
    });
}

#[test]
fn f22_a_daemon_that_ends_while_a_network_is_taken_down_leaves_nothing() {
    require!(root);
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        for moment in [0, 5, 10, 20, 40] {
            let words = ["run", "-d", "--stop-timeout", "1", "--net", "web", "-p", "8080:80", &image()];
            let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done";
            let one = Container::start(env, words.iter().chain(&["sh", "-c", script]).copied());
            wait_until("it has its trap", || env.tinyd(["logs", &one.id]).ok().text() == "ready");
            let daemon = Daemon::start(env, &["--web-control", "--live-restore"]);
            let address = fs::read_to_string(env.run_root().join("web-control")).unwrap();
            let token = address.trim().split("#token=").nth(1).unwrap();
            let cookie = format!("tinyd-{}={token}", daemon.address().port());
            let host = daemon.address();
            let mut asked = daemon.connect().unwrap();
            let path = format!("/api/containers/{}/stop", one.id);
            write!(
                asked,
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Tinyd-Control: 1\r\n\r\n"
            )
            .unwrap();
            std::thread::sleep(Duration::from_millis(moment));
            daemon.stop().ok();
            drop(asked);
            // A wish that came too late is none: then it runs, and is stopped from here.
            let state = one.inspect()["State"]["Status"].as_str().unwrap().to_owned();
            assert!(["exited", "running"].contains(&state.as_str()), "{state}");
            env.tinyd(["rm", "-f", &one.id]).ok();
            env.assert_checked();
        }
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}
