//! `tinyd daemon`: one for each root, what its JSON says of containers, and how it ends them and itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tinyd_tests::web::Daemon;
use tinyd_tests::{Container, Env, eventually, paths, require, wait_until};

fn status(env: &Env, id: &str) -> String {
    env.tinyd(["inspect", "--format", "{{.State.Status}}", id]).ok().text()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const ALWAYS: [&str; 3] = ["id", "pid", "state"];
const RUNNING: [&str; 9] = [
    "cpu_limit",
    "cpu_percent",
    "cpu_usage",
    "id",
    "memory_limit",
    "memory_percent",
    "memory_usage",
    "pid",
    "state",
];

#[test]
fn what_containers_use_is_told_by_their_state() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    assert_eq!(daemon.get("/api/containers").body, r#"{"containers":[]}"#);
    let load = "a=$(head -c 30000000 /dev/zero | tr '\\0' x); while :; do :; done";
    let limits = ["run", "-d", "--cpu", "25000", "-m", "128m", "host", "sh", "-c", load];
    let busy = Container::start(&env, limits);
    let free = Container::start(&env, ["run", "-d", "host", "sleep", "300"]);
    let created = env.tinyd(["create", "host", "true"]).ok().text();

    // What is told may be half a second old.
    wait_until("it is listed", || !daemon.container(&created).is_null());
    let one = daemon.container(&created);
    assert_eq!((keys(&one), &one["state"], &one["pid"]), (ALWAYS.to_vec(), &"CREATED".into(), &0.into()));
    let mut one = Value::Null;
    let seen = eventually(Duration::from_secs(60), || {
        one = daemon.container(&busy.id);
        let percent = one["cpu_percent"].as_f64().unwrap();
        let is_so = one["memory_usage"].as_u64().unwrap() > 30_000_000 && (15.0..35.0).contains(&percent);
        is_so.then_some(())
    });
    assert!(seen.is_some(), "its memory is there and its processor time is a quarter: {one}");
    let mut names = keys(&one);
    names.sort_unstable();
    assert_eq!(names, RUNNING);
    assert_eq!(one["state"], "RUNNING");
    assert_eq!(one["pid"].as_i64(), Some(busy.pid.into()));
    assert_eq!((&one["cpu_limit"], &one["memory_limit"]), (&25_000.into(), &134_217_728.into()));
    let used = one["memory_usage"].as_u64().unwrap();
    let share = f64::from(u32::try_from(used).unwrap()) / 134_217_728.0 * 100.0;
    assert!((one["memory_percent"].as_f64().unwrap() - share).abs() < 0.01, "{one}");
    let before = one["cpu_usage"].as_u64().unwrap();
    wait_until("it has used a tenth of a second more, in nanoseconds", || {
        daemon.container(&busy.id)["cpu_usage"].as_u64().unwrap() > before + 100_000_000
    });
    assert_eq!(daemon.container(&free.id)["cpu_limit"], -1);

    env.tinyd(["stop", "-t", "0", &busy.id]).ok();
    wait_until("it has stopped", || daemon.container(&busy.id)["state"] == "STOPPED");
    assert_eq!(keys(&daemon.container(&busy.id)), ALWAYS);
    env.tinyd(["pause", &free.id]).ok();
    wait_until("it stands still", || daemon.container(&free.id)["state"] == "PAUSED");
    env.tinyd(["rm", "-f", &free.id]).ok();
    wait_until("it is gone", || daemon.container(&free.id).is_null());
}

#[test]
fn the_machine_is_told_as_proc_has_it() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let total: u64 = total.trim().trim_end_matches(" kB").parse().unwrap();
    let said = daemon.json("/api/system");
    let mut names = keys(&said);
    names.sort_unstable();
    assert_eq!(names, ["cpu_percent", "total_memory", "used_memory"]);
    assert_eq!(said["total_memory"].as_u64(), Some(total * 1024));
    let used = said["used_memory"].as_u64().unwrap();
    assert!(0 < used && used < total * 1024, "{said}");
    assert!((0.0..=100.0).contains(&said["cpu_percent"].as_f64().unwrap()), "{said}");
}

#[test]
fn two_viewers_are_told_the_same_and_disturb_nobody() {
    require!(root);
    let env = Env::new();
    let busy =
        Container::start(&env, ["run", "-d", "--cpu", "20000", "host", "sh", "-c", "while :; do :; done"]);
    let daemon = Daemon::start(&env, &[]);
    daemon.container(&busy.id);
    std::thread::scope(|scope| {
        let often = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                daemon.container(&busy.id);
            }
        });
        for _ in 0..2 {
            std::thread::sleep(Duration::from_secs(1));
            let percent = daemon.container(&busy.id)["cpu_percent"].as_f64().unwrap();
            // On a machine that is busy it gets less than it may.
            assert!((1.0..30.0).contains(&percent), "{percent}");
        }
        often.join().unwrap();
    });
}

#[test]
fn addresses_and_methods_that_there_are_not_are_refused() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let page = daemon.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
    assert_eq!(daemon.get("/index.html").body, page.body);
    for path in ["/nothing", "/api", "/assets/nothing.js", "/assets/..%2fmain.js", "/assets/%2e%2e/x", "//"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
    assert_eq!(daemon.get("/api/containers/nothing").status, 404);
    assert_eq!(daemon.get("/api/containers/nothing/logs").status, 404);
    for (method, path) in [
        ("POST", "/"),
        ("PUT", "/api/containers"),
        ("DELETE", "/api/system"),
        ("OPTIONS", "/"),
        ("TRACE", "/"),
    ] {
        let answer = daemon.ask(method, path, "", "");
        assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{method} {answer:?}");
    }
    let head = daemon.ask("HEAD", "/", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), page.header("content-length"));
}

#[test]
fn a_second_daemon_of_a_root_is_refused_at_once() {
    require!(root);
    let env = Env::new();
    let first = Daemon::start(&env, &[]);
    let before = Instant::now();
    let refused = env.tinyd(["daemon", "--no-web"]).fails(1);
    assert!(before.elapsed() < Duration::from_secs(1), "after {:?}", before.elapsed());
    let said = refused.stderr();
    assert!(said.contains(&format!("process {}", first.pid())) && said.lines().count() == 1, "{said}");
    assert_eq!(first.get("/api/system").status, 200);
    // The lock is the process's, whatever its end.
    first.signal(Signal::KILL);
    assert_eq!(first.wait().signal(), Some(9));
    Daemon::start(&env, &[]).stop().ok();
}

#[test]
fn what_says_how_an_engine_works_is_refused_where_a_daemon_has_one() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let runtime = paths::tinyd().with_file_name("tinyd-runtime");
    for option in [["--max-containers", "7"], ["--runtime", runtime.to_str().unwrap()]] {
        let with = |words: &[&str]| env.tinyd(option.iter().chain(words).copied());
        for refused in [with(&["ps"]).fails(1), with(&["create", "host", "true"]).fails(125)] {
            let said = refused.stderr();
            assert!(said.contains(option[0]) && said.contains("--host local"), "{said}");
        }
        with(&["--host", "local", "ps"]).ok();
    }
    assert_eq!(env.containers().len(), 0);
    daemon.stop().ok();
}

#[test]
fn a_client_without_descriptors_says_so() {
    require!(root);
    require!(command "prlimit");
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let (mut worked, mut failed) = (0, 0);
    for most in (5..30).chain([64]) {
        let output = env.cmd(["ps"]).under(["prlimit", &format!("--nofile={most}:{most}")]).output();
        // The loader comes before us.
        if output.code() == Some(127) && output.stderr().contains("shared libraries") {
            continue;
        }
        if output.code() == Some(0) {
            worked += 1;
            continue;
        }
        failed += 1;
        let said = output.stderr();
        assert!(output.code() == Some(1) && said.lines().count() == 1, "{most}: {output}");
        assert!(said.contains("(os error 24)"), "{most}: {output}");
    }
    assert!(worked > 0 && failed > 1, "{worked} worked, {failed} did not");
    daemon.stop().ok();
}

#[test]
fn a_place_that_cannot_be_had_is_an_error_before_any_effect() {
    require!(root);
    let env = Env::new();
    let first = Daemon::start(&env, &[]);
    let other = Env::new();
    for (place, said) in [
        (first.address().to_string().as_str(), "--web"),
        ("0.0.0.0:0", "127.0.0.0/8"),
        ("[::]:0", "127.0.0.0/8"),
        ("10.0.0.1:808", "127.0.0.0/8"),
    ] {
        let refused = other.tinyd(["daemon", "--web", place]).fails(1).stderr();
        assert!(refused.contains(said) && refused.contains(place), "{refused}");
    }
    other.tinyd(["daemon", "--web", "nowhere"]).fails(2);
}

const TRAPS: &str = "trap 'echo ended > /mark/it; exit 3' TERM; echo ready; while :; do sleep 0.1; done";

#[test]
fn sigterm_and_sigint_end_all_containers_and_then_the_daemon() {
    require!(root);
    for signal in [Signal::TERM, Signal::INT] {
        let env = Env::new();
        let mark = env.files().join("mark");
        fs::create_dir(&mark).unwrap();
        let daemon = Daemon::start(&env, &[]);
        let volume = format!("{}:/mark", mark.display());
        let kind = Container::start(&env, ["run", "-d", "-v", &volume, "host", "sh", "-c", TRAPS]);
        let deaf =
            ["run", "-d", "--stop-timeout", "1", "host", "sh", "-c", "trap '' TERM; echo ready; sleep 300"];
        let deaf = Container::start(&env, deaf);
        let created = env.tinyd(["create", "--stop-timeout", "1", "host", "sleep", "300"]).ok().text();
        let ready = |id: &str| env.tinyd(["logs", id]).ok().stdout().contains("ready");
        wait_until("both have their traps", || ready(&kind.id) && ready(&deaf.id));
        let address = daemon.address();
        daemon.signal(signal);
        daemon.wait().ok();
        assert_eq!(fs::read_to_string(mark.join("it")).unwrap(), "ended\n");
        let code = |id: &str| env.tinyd(["inspect", "--format", "{{.State.ExitCode}}", id]).ok().text();
        assert_eq!((code(&kind.id).as_str(), code(&deaf.id).as_str()), ("3", "137"));
        for id in [&kind.id, &deaf.id, &created] {
            assert_eq!(status(&env, id), "exited");
        }
        assert!(TcpStream::connect(address).is_err(), "the port is still open");

        // The next daemon finds them stopped, and they can be started.
        let next = Daemon::start(&env, &[]);
        for id in [&kind.id, &deaf.id, &created] {
            assert_eq!(next.container(id)["state"], "STOPPED");
            env.tinyd(["start", id]).ok();
            wait_until("it runs", || next.container(id)["state"] == "RUNNING");
        }
        next.stop().ok();
        env.assert_checked();
    }
}

/// Who asks for a start while all are being ended is refused, by each way, and nothing outlives the daemon.
#[test]
fn nothing_is_started_once_the_daemon_ends() {
    require!(root);
    let env = Env::new();
    let socket = format!("unix://{}", env.files().join("s").display());
    let words = ["run", "-d", "--name", "deaf", "--stop-timeout", "100", "host", "sh", "-c"];
    let deaf = Container::start(&env, words.iter().chain(&["trap '' TERM; echo ready; sleep 300"]).copied());
    wait_until("it has its trap", || env.tinyd(["logs", &deaf.id]).ok().stdout().contains("ready"));
    env.tinyd(["create", "--name", "made", "host", "sleep", "300"]).ok();
    let daemon = Daemon::start(&env, &["--listen", &socket, "--web-control"]);
    daemon.signal(Signal::TERM);
    let ask = |words: &[&str]| env.tinyd(["-H", &socket].iter().chain(words).copied());
    wait_until("it has begun to end", || ask(&["exec", "deaf", "true"]).stderr().contains("is ending"));
    for words in [
        &["run", "-d", "host", "sleep", "300"][..],
        &["run", "--rm", "host", "true"],
        &["create", "host", "true"],
        &["start", "made"],
        &["restart", "deaf"],
        &["exec", "deaf", "true"],
        &["system", "restart-policies"],
    ] {
        let output = ask(words);
        assert!(output.code() != Some(0) && output.stderr().contains("is ending"), "{words:?}: {output}");
    }
    // What starts nothing is done.
    assert!(ask(&["ps"]).ok().stdout().contains("deaf"));
    daemon.signal(Signal::TERM);
    daemon.wait().ok();
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout(), "");
    let all = env.tinyd(["ps", "-a", "--format", "{{.Names}}"]).ok().stdout();
    assert_eq!(all.lines().count(), 2, "{all}");
    env.assert_checked();
}

#[test]
fn a_second_signal_skips_the_waiting() {
    require!(root);
    let env = Env::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let words =
        ["run", "-d", "--stop-timeout", "200", "--restart", "unless-stopped", "host", "sh", "-c", script];
    let deaf = Container::start(&env, words);
    wait_until("it has its trap", || env.tinyd(["logs", &deaf.id]).ok().stdout().contains("ready"));
    let mut daemon = Daemon::start(&env, &[]);
    daemon.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!daemon.has_ended(), "it did not wait");
    assert_eq!(daemon.get("/api/system").status, 200, "the page shows how it ends");
    let before = Instant::now();
    daemon.signal(Signal::INT);
    daemon.wait().ok();
    assert!(before.elapsed() < Duration::from_secs(10), "after {:?}", before.elapsed());
    assert_eq!(status(&env, &deaf.id), "exited");
    // Nobody stopped it by name: it comes back with the next daemon.
    let next = Daemon::start(&env, &["--live-restore"]);
    wait_until("it runs again", || status(&env, &deaf.id) == "running");
    next.stop().ok();
}

#[test]
fn live_restore_and_a_crash_leave_containers_running() {
    require!(root);
    let env = Env::new();
    let script = "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 42";
    let container = Container::start(&env, ["run", "-d", "host", "sh", "-c", script]);
    Daemon::start(&env, &["--live-restore"]).stop().ok();
    assert_eq!(status(&env, &container.id), "running");
    let crashing = Daemon::start(&env, &[]);
    crashing.signal(Signal::KILL);
    crashing.wait();
    assert_eq!(status(&env, &container.id), "running");
    let daemon = Daemon::start(&env, &["--live-restore"]);
    let one = daemon.container(&container.id);
    assert_eq!((&one["state"], one["pid"].as_i64()), (&"RUNNING".into(), Some(container.pid.into())));
    container.exec(&[], &["touch", "/tmp/end"]).ok();
    assert_eq!(env.tinyd(["wait", &container.id]).ok().text(), "42");
}

#[test]
fn a_service_manager_is_told_and_its_sockets_are_taken() {
    require!(root);
    let env = Env::new();
    let path = env.files().join("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hear = || {
        let mut buffer = [0; 512];
        let length = heard.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let daemon = Daemon::with(&env, &[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert!(hear().lines().any(|line| line == "READY=1"));
    daemon.signal(Signal::TERM);
    assert!(hear().lines().any(|line| line == "STOPPING=1"));
    daemon.wait().ok();

    // systemd-socket-activate's way: the socket is descriptor 3, and the process knows itself by LISTEN_PID.
    let script = r#"
import os, socket, sys
one = socket.socket(); one.bind(("127.0.0.1", 0)); one.listen()
os.dup2(one.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
sys.stderr.write("passed %d\n" % one.getsockname()[1]); sys.stderr.flush()
os.execvp(sys.argv[1], sys.argv[1:])
"#;
    let mut running = env.cmd(["daemon", "--web", "127.0.0.1:0"]).under(["python3", "-c", script]).spawn();
    let said = running.expect_error("\n");
    let port: u16 = said.split("passed ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let daemon = Daemon::of(running);
    assert_eq!(daemon.address().port(), port);
    assert_eq!(daemon.get("/api/system").status, 200);
    daemon.stop().ok();
}

/// The clients' socket of a service manager; one that anybody could open, or that no file leads to, is refused.
#[test]
fn a_socket_of_clients_is_taken_over_when_it_is_one_for_few() {
    require!(root);
    let env = Env::new();
    let path = env.files().join("api");
    let script = r#"
import os, socket, sys
kind, path = sys.argv[1:3]
if kind == "tcp":
    one = socket.socket(); one.bind(("127.0.0.1", 0))
elif kind == "abstract":
    one = socket.socket(socket.AF_UNIX); one.bind("\0" + path)
else:
    one = socket.socket(socket.AF_UNIX); one.bind(path); os.chmod(path, int(kind, 8))
if kind != "0600": one.listen()
os.dup2(one.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="grpc")
os.execvp(sys.argv[3], sys.argv[3:])
"#;
    let daemon = |kind: &str| {
        let _ = fs::remove_file(&path);
        let words = ["python3", "-c", script, kind, path.to_str().unwrap()];
        env.cmd(["daemon", "--web", "127.0.0.1:0"]).under(words)
    };
    for (kind, problem) in [
        ("tcp", "no listening Unix stream socket"),
        ("0600", "no listening Unix stream socket"),
        ("abstract", "everybody may open"),
        ("0666", "everybody may open"),
    ] {
        let output = daemon(kind).output().fails(1);
        assert!(output.stderr().contains(problem), "{kind}: {output}");
    }
    let daemon = Daemon::of(daemon("0660").spawn());
    let host = format!("unix://{}", path.display());
    env.tinyd(["-H", &host, "ps"]).ok();
    daemon.stop().ok();
    assert!(path.exists(), "its file is the service manager's");
    let unit = include_str!("../../packaging/systemd/tinyd-api.socket");
    for line in ["ListenStream=/run/tinyd/tinyd.sock", "SocketMode=0660", "FileDescriptorName=grpc"] {
        assert!(unit.lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn a_daemon_that_nobody_asks_does_nothing() {
    require!(root);
    let env = Env::new();
    let _one = Container::start(&env, ["run", "-d", "host", "sleep", "300"]);
    let daemon = Daemon::start(&env, &[]);
    daemon.get("/api/containers");
    let spent = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        let switches = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        let count = |text: String| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse().unwrap()
        };
        switches.map(count).sum::<u64>()
    };
    std::thread::sleep(Duration::from_millis(500));
    let before = spent();
    std::thread::sleep(Duration::from_secs(2));
    // Not one look at a container, each of which wakes a thread: what is left are the ends of idle threads.
    assert!(spent() < before + 10, "{before} and then {}", spent());
}
