//! Connections to `tinyd daemon` that say nothing, or too much: each ends, and disturbs nobody meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tinyd_tests::frames::{END_HEADERS, END_STREAM, Frame, PREFACE, Wire, block, call, kind, literal};
use tinyd_tests::grpc::Grpc;
use tinyd_tests::protobuf::number;
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, require, wait_until};

const LIST: &str = "/tinyd.v1.Containers/List";
const EVENTS: &str = "/tinyd.v1.System/Events";
/// What was asked too much of HTTP/2 for its taste.
const ENHANCE_YOUR_CALM: u32 = 11;
/// The most of one user.
const PLACES: usize = 256;

fn socket(env: &Env) -> PathBuf {
    env.run_root().join("tinyd.sock")
}

/// How long it takes until a connection ends, and the reason that was given.
fn end(mut wire: Wire) -> (Duration, Option<u32>) {
    let since = Instant::now();
    let reason = wire.ended();
    (since.elapsed(), reason)
}

#[test]
fn a_connection_lasts_as_long_as_its_calls() {
    require!(root);
    let env = Env::new();
    let _daemon = Daemon::start(&env, &[]);
    let at = socket(&env);
    // Those that never come to a call: nothing, half of the beginning, all of it, half of a call's headers.
    let begun = || Wire::unix(&at).begun();
    let with = |mut wire: Wire, bytes: &[u8]| {
        wire.send(bytes).unwrap();
        wire
    };
    let half_call = Frame::new(kind::HEADERS, 0, 1, call(LIST)).bytes();
    let silent = [
        Wire::unix(&at),
        with(Wire::unix(&at), &PREFACE[..10]),
        begun(),
        with(begun(), &Frame::ping().bytes()),
        with(begun(), &half_call),
        with(begun(), &half_call[..20]),
    ];
    // One that asked something, and one that is still being answered.
    let mut asked = begun();
    asked.call(1, LIST, &[]);
    assert!(asked.answered(1));
    let mut follows = begun();
    // Those that are to come.
    follows.call(1, EVENTS, &number(4, 1));
    assert!(follows.until(|frame| frame.kind == kind::HEADERS).is_some());
    follows.call(3, LIST, &[]);
    assert!(follows.answered(3));

    std::thread::scope(|scope| {
        let idle = scope.spawn(|| end(asked));
        for silent in silent.map(|wire| scope.spawn(|| end(wire))) {
            let (lasted, _) = silent.join().unwrap();
            assert!((9..30).contains(&lasted.as_secs()), "{lasted:?}");
        }
        let (lasted, reason) = idle.join().unwrap();
        assert!((29..50).contains(&lasted.as_secs()), "{lasted:?}");
        assert_eq!(reason, Some(0), "it is told, so that nothing that it asks is lost");
    });
    std::thread::sleep(Duration::from_secs(5));
    env.tinyd(["volume", "create", "v1"]).ok();
    assert!(follows.until(|frame| (frame.kind, frame.stream) == (kind::DATA, 1)).is_some());
    // The call ends with the client's word, and the connection after that.
    follows.send(&Frame::reset(1).bytes()).unwrap();
    let (lasted, reason) = end(follows);
    assert!((29..50).contains(&lasted.as_secs()) && reason == Some(0), "{lasted:?} {reason:?}");
}

#[test]
fn one_that_asks_at_the_last_moment_is_answered() {
    require!(root);
    let env = Env::new();
    let _daemon = Daemon::start(&env, &[]);
    let mut wire = Wire::unix(&socket(&env)).begun();
    // It has heard that this is the end, when what it asks is already under way.
    let told = |frame: &Frame| frame.reason().is_some();
    assert_eq!(wire.until(told).and_then(|frame| frame.reason()), Some(0));
    wire.call(1, LIST, &[]);
    assert!(wire.answered(1));
    let (lasted, _) = end(wire);
    assert!(lasted < Duration::from_secs(20), "{lasted:?}");
}

#[test]
fn a_user_who_takes_all_his_places_takes_none_of_others() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let at = socket(&env);
    // Another user may come in here.
    fs::set_permissions(&at, fs::Permissions::from_mode(0o666)).unwrap();
    let ps = |user: &[&str]| env.cmd(["-H", &format!("unix://{}", at.display()), "ps"]).under(user).output();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let open = || -> Vec<Wire> { (0..PLACES).map(|_| Wire::unix(&at)).collect() };
    let held = open();
    let refused = ps(&["env"]).fails(1).stderr();
    assert!(refused.contains("256 connections are open") && refused.lines().count() == 1, "{refused}");
    assert_eq!(Wire::unix(&at).begun().ended(), Some(ENHANCE_YOUR_CALM));
    ps(&nobody).ok();
    assert_eq!(daemon.get("/api/system").status, 200);
    // One that goes makes room for one, and time for all.
    let mut held = held.into_iter();
    drop(held.next());
    wait_until("there is room for one", || ps(&["env"]).code() == Some(0));
    for wire in held {
        assert!(end(wire).0 < Duration::from_secs(30));
    }
    ps(&["env"]).ok();
    // Thousands that come and go, or are not let in at all.
    for _ in 0..20 {
        drop(open());
    }
    wait_until("there is room", || ps(&["env"]).code() == Some(0));
    let written = daemon.stop().ok().stderr();
    assert_eq!(written.lines().filter(|line| line.contains("uid=65534")).count(), 1, "{written}");
}

/// Sends one piece after another, and takes what comes, until the connection ends. Gives the reason.
fn flood(socket: &Path, beginning: &[u8], mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut out = UnixStream::connect(socket).unwrap();
    out.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut wire = Wire::of(out.try_clone().unwrap());
    let taking = std::thread::spawn(move || wire.ended());
    out.write_all(beginning).unwrap();
    let since = Instant::now();
    for count in 0.. {
        if out.write_all(&next(count)).is_err() {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "there is no end to it");
    }
    taking.join().unwrap()
}

/// Lets one client flood the daemon while another is answered. Gives the reason that the flood's connection ended for.
fn beside(env: &Env, daemon: &Daemon, flood: impl FnOnce(&Path) -> Option<u32> + Send) -> Option<u32> {
    let at = socket(env);
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = memory();
    let over = AtomicBool::new(false);
    let (reason, answers, most) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            let reason = flood(&at);
            over.store(true, Ordering::Relaxed);
            reason
        });
        let (mut answers, mut most) = (0, 0);
        loop {
            let last = over.load(Ordering::Relaxed);
            let answer = Grpc::connect(&at).call(LIST, &[]);
            let answer = answer.unwrap_or_else(|error| panic!("after {answers} answers: {error}"));
            assert_eq!(answer.status, Some(0), "{answer:?}");
            answers += 1;
            most = most.max(memory());
            if last {
                break;
            }
        }
        (flooding.join().unwrap(), answers, most)
    });
    assert!(most < before + 64 * 1024, "{before} and then {most} KiB, {reason:?} after {answers} answers");
    reason
}

fn beginning() -> Vec<u8> {
    [PREFACE, &Frame::settings().bytes()].concat()
}

#[test]
fn floods_of_pings_and_settings_end_with_their_connection() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    for frame in [Frame::ping(), Frame::settings(), Frame::new(0xfa, 0, 0, [0; 64])] {
        let piece = frame.bytes().repeat(500);
        // They ask for nothing: ten seconds, whatever they say.
        let reason = beside(&env, &daemon, |at| flood(at, &beginning(), |_| piece.clone()));
        assert!(matches!(reason, None | Some(0 | ENHANCE_YOUR_CALM)), "{reason:?}");
    }
    daemon.stop().ok();
}

#[test]
fn a_log_that_nobody_takes_stops_nobody() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    // A pipe holds some 64 KiB, and this is more than that.
    let mut client = Grpc::connect(&socket(&env));
    for _ in 0..4_000 {
        assert_eq!(client.call(LIST, &[]).unwrap().status, Some(0));
    }
    let written = daemon.stop().ok().stderr();
    let lost = written.lines().filter_map(|line| line.strip_suffix(" lines are lost: nobody took them"));
    let lost: usize = lost.map(|count| count.parse::<usize>().unwrap()).sum();
    assert!(lost > 0 && written.matches("call ").count() + lost == 4_000, "{lost} lost");
}

#[test]
fn one_that_takes_no_answers_ends_too() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let piece = Frame::ping().bytes().repeat(500);
    beside(&env, &daemon, |at| {
        let mut out = UnixStream::connect(at).unwrap();
        out.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        out.write_all(&beginning()).unwrap();
        // It blocks until the other side has had enough of that.
        let error = loop {
            if let Err(error) = out.write_all(&piece) {
                break error;
            }
        };
        let ends = [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::ConnectionReset];
        assert!(ends.contains(&error.kind()), "{error}");
        None
    });
    daemon.stop().ok();
}

#[test]
fn a_flood_of_calls_that_are_broken_off_ends_with_its_connection() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let headers = call(LIST);
    let reason = beside(&env, &daemon, |at| {
        flood(at, &beginning(), |count| {
            let streams = (0..100).map(|one| (count * 100 + one) * 2 + 1);
            let pair = |stream| {
                let begin = Frame::new(kind::HEADERS, END_HEADERS, stream, headers.clone());
                [begin.bytes(), Frame::reset(stream).bytes()].concat()
            };
            streams.flat_map(pair).collect()
        })
    });
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    daemon.stop().ok();
}

#[test]
fn headers_without_an_end_end_with_their_connection() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let begin = |rest: &[u8]| {
        let headers = Frame::new(kind::HEADERS, 0, 1, call(LIST)).bytes();
        [&beginning(), &headers, rest].concat()
    };
    // Further headers, such as fill memory; and frames that hold nothing.
    let more = Frame::new(kind::CONTINUATION, 0, 1, block(&[("x", &[b'y'; 1_000])]).repeat(16));
    let nothing = Frame::new(kind::CONTINUATION, 0, 1, []);
    for frame in [more, nothing] {
        let piece = frame.bytes();
        let reason = beside(&env, &daemon, |at| flood(at, &begin(&[]), |_| piece.clone()));
        assert!(reason.is_some_and(|reason| reason != 0), "{reason:?}");
    }
    daemon.stop().ok();
}

#[test]
fn a_flood_of_data_that_holds_nothing_ends_with_its_connection() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let headers = Frame::new(kind::HEADERS, END_HEADERS, 1, call(LIST)).bytes();
    let piece = Frame::new(kind::DATA, 0, 1, []).bytes().repeat(500);
    let reason = beside(&env, &daemon, |at| flood(at, &[beginning(), headers].concat(), |_| piece.clone()));
    assert!(reason.is_some_and(|reason| reason != 0), "{reason:?}");
    daemon.stop().ok();
}

#[test]
fn headers_that_are_too_long_are_refused_alone() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let mut wire = Wire::unix(&socket(&env)).begun();
    // In pieces, for a frame is at most 16 KiB.
    let long = [call(LIST), literal("x", &[b'y'; 40_000])].concat();
    let (first, rest) = long.split_at(16_000);
    let mut bytes = Frame::new(kind::HEADERS, END_STREAM, 1, first).bytes();
    let (second, third) = rest.split_at(16_000);
    bytes.extend(Frame::new(kind::CONTINUATION, 0, 1, second).bytes());
    bytes.extend(Frame::new(kind::CONTINUATION, END_HEADERS, 1, third).bytes());
    wire.send(&bytes).unwrap();
    let about_it = |frame: &Frame| frame.stream == 1 || frame.kind == kind::GOAWAY;
    let answer = wire.until(about_it).expect("it is told");
    assert!([kind::HEADERS, kind::RST_STREAM].contains(&answer.kind), "{answer:?}");
    // Of a hundred small ones there may be as many as fit.
    wire.call(3, LIST, &[]);
    assert!(wire.answered(3));
    let written = daemon.stop().ok().stderr();
    assert_eq!(written.matches("call ").count(), 1, "{written}");
}

/// Whoever waits for what may never come is forgotten when he leaves: no thread waits in his place, and nothing is watched.
#[test]
fn who_waits_for_a_container_and_leaves_takes_all_with_him() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let host = format!("unix://{}", socket(&env).display());
    env.tinyd(["create", "--name", "c1", "host", "true"]).ok();
    let watches = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().flatten();
        fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.ends_with("anon_inode:inotify"))).count()
    };
    let before = watches();
    let waiting: Vec<_> =
        (0..5).map(|_| env.cmd(["-H", &host, "wait", "--condition", "removed", "c1"]).spawn()).collect();
    wait_until("all of them wait", || watches() >= before + 5);
    // Something happens beside it, which each looks at.
    env.tinyd(["create", "--name", "c2", "host", "true"]).ok();
    for waiting in waiting {
        waiting.signal(rustix::process::Signal::KILL);
        waiting.wait();
    }
    wait_until("none of them does", || watches() == before);
    // One that stays is told.
    let stays = env.cmd(["-H", &host, "wait", "--condition", "removed", "c1"]).spawn();
    wait_until("it waits", || watches() > before);
    env.tinyd(["rm", "c1", "c2"]).ok();
    assert_eq!(stays.wait().ok().text(), "0");
    daemon.stop().ok();
}
