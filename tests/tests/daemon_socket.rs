//! The socket of `tinyd daemon`: whose it is, who may call, and what hostile callers get.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tinyd_tests::grpc::{Grpc, answer_once, framed};
use tinyd_tests::protobuf::{field, number};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Container, Dice, Env, require, wait_until};

const LIST: &str = "/tinyd.v1.Containers/List";
/// Numbers of gRPC.
const INVALID_ARGUMENT: u16 = 3;
const NOT_FOUND: u16 = 5;
const OUT_OF_RANGE: u16 = 11;
const UNIMPLEMENTED: u16 = 12;

fn socket(env: &Env) -> PathBuf {
    env.run_root().join("tinyd.sock")
}

/// Who may do what with each socket, and folder for one, that was to be seen in a folder: path, mode, owner, group.
type Seen = BTreeSet<(&'static str, u32, u32, u32)>;

/// Looks at the socket, and at what it is made in, as often as can be.
fn watch(folder: &Path, until: &AtomicBool) -> Seen {
    let mut seen = Seen::new();
    while !until.load(Ordering::Relaxed) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let what = match name.as_ref() {
                "tinyd.sock" => "socket",
                name if name.starts_with(".tinyd-socket-") => "folder",
                _ => continue,
            };
            // It may be gone already.
            let Ok(found) = fs::symlink_metadata(entry.path()) else { continue };
            assert!(what == "folder" || found.file_type().is_socket(), "{name}");
            seen.insert((what, found.mode() & 0o7777, found.uid(), found.gid()));
        }
    }
    seen
}

/// The group that may open it where the machine has one of that name.
fn group() -> u32 {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let own = groups.lines().find_map(|line| line.strip_prefix("tinyd:"));
    own.map_or(0, |rest| rest.split(':').nth(1).unwrap().parse().unwrap())
}

#[test]
fn it_is_roots_and_its_groups_at_every_moment() {
    require!(root);
    let env = Env::new();
    // Before the socket is made all files of this daemon could be written by anybody.
    let lax = ["sh", "-c", "umask 0; exec \"$0\" \"$@\""];
    let groups = env.file("group", fs::read_to_string("/etc/group").unwrap() + "\ntinyd:x:65534:\n");
    let bound = format!("mount --bind {} /etc/group; umask 0; exec \"$0\" \"$@\"", groups.display());
    let grouped = ["unshare", "-m", "sh", "-c", &bound];
    let folder = env.run_root();
    for (under, group) in [(&lax[..], group()), (&grouped, 65534)] {
        let over = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            let watched = scope.spawn(|| watch(&folder, &over));
            for _ in 0..10 {
                let command = env.cmd(["daemon", "--web", "127.0.0.1:0"]).under(under.iter().copied());
                Daemon::of(command.spawn()).stop().ok();
            }
            over.store(true, Ordering::Relaxed);
            watched.join().unwrap()
        });
        assert!(seen.contains(&("socket", 0o660, 0, group)), "{seen:?}");
        let right = |one: &_| [("socket", 0o660, 0, group), ("folder", 0o700, 0, 0)].contains(one);
        assert!(seen.iter().all(right), "{seen:?}");
    }
}

#[test]
fn others_are_refused_and_who_calls_is_written_down() {
    require!(root);
    let env = Env::new();
    let groups = env.file("group", fs::read_to_string("/etc/group").unwrap() + "\ntinyd:x:65534:\n");
    let bound = format!("mount --bind {} /etc/group; exec \"$0\" \"$@\"", groups.display());
    let command = env.cmd(["daemon", "--web", "127.0.0.1:0"]).under(["unshare", "-m", "sh", "-c", &bound]);
    let daemon = Daemon::of(command.spawn());
    let host = format!("unix://{}", socket(&env).display());
    let ps = |user: &[&str]| env.cmd(["-H", &host, "ps"]).under(user);
    let stranger = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"];
    let refused = ps(&stranger).output().fails(1).stderr();
    assert!(refused.contains("connect to the daemon") && refused.contains("ermission denied"), "{refused}");
    let member = ["setpriv", "--reuid=65533", "--regid=65534", "--clear-groups"];
    let running = ps(&member).spawn();
    let pid = running.pid();
    running.wait().ok();
    let written = daemon.stop().ok().stderr();
    let calls: Vec<&str> = written.lines().filter(|line| line.starts_with("call ")).collect();
    assert_eq!(calls, [format!("call {LIST} uid=65533 pid={pid}")], "{written}");
}

#[test]
fn versions_that_do_not_fit_are_both_named() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let own = env.tinyd(["-H", "local", "--version"]).ok().text();
    let own = own.split(' ').nth(1).unwrap();
    let mut client = Grpc::connect(&socket(&env));
    for theirs in ["99.0.0", "0.99.7", "nonsense", "-1.1"] {
        let answer = client.raw(LIST, &[("tinyd-version", theirs.as_bytes())], framed(&[])).unwrap();
        assert_eq!(answer.status, Some(UNIMPLEMENTED), "{answer:?}");
        assert!(answer.message.contains(theirs) && answer.message.contains(own), "{answer:?}");
        assert_eq!(answer.headers["tinyd-version"], own);
    }
    // Somebody else's client names none.
    assert_eq!(client.call(LIST, &[]).unwrap().status, Some(0));
    daemon.stop().ok();

    let other = env.files().join("other.sock");
    let answered = answer_once(&other, "tinyd-version", "99.0.0");
    let said = env.tinyd(["-H", &format!("unix://{}", other.display()), "ps"]).fails(1).stderr();
    assert!(said.contains(own) && said.contains("99.0.0") && said.contains("same version"), "{said}");
    answered.join().unwrap();
}

#[test]
fn messages_that_are_too_much_are_refused_before_they_are_read() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let mut client = Grpc::connect(&socket(&env));
    // A field that nobody knows takes room and means nothing.
    let padded = |length: usize| field(15, vec![0; length]);
    assert_eq!(client.call(LIST, &padded(4 * 1024 * 1024 - 16)).unwrap().status, Some(0));
    let answer = client.call(LIST, &padded(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(answer.status, Some(OUT_OF_RANGE), "{answer:?}");
    assert!(answer.message.contains("4194304"), "{answer:?}");
    // One that only says so: nothing is made ready for it.
    let answer = client.raw(LIST, &[], [&[0], &[0xff; 4][..]].concat()).unwrap();
    assert_eq!(answer.status, Some(OUT_OF_RANGE), "{answer:?}");
    // Compressed ones would be larger than they are: with the word for it and without.
    let squeezed = [&[1][..], &framed(b"\x1f\x8b\x08")[1..]].concat();
    for headers in [&[("grpc-encoding", &b"gzip"[..])][..], &[("grpc-encoding", b"zstd")], &[]] {
        let answer = client.raw(LIST, headers, squeezed.clone()).unwrap();
        assert!(!matches!(answer.status, Some(0) | None), "{answer:?}");
        assert!(answer.message.to_lowercase().contains("compress"), "{answer:?}");
    }
    // Neither a body of another kind, nor half a message, nor none, comes to anything.
    for body in [&b"{}"[..], b"\0\0\0\0\x05ab", b"\0\0", b"\x02\0\0\0\0", b""] {
        let answer = client.raw(LIST, &[], body.to_vec()).unwrap();
        assert!(!matches!(answer.status, Some(0)), "{body:?}: {answer:?}");
    }
    assert_eq!(client.call("/tinyd.v1.Containers/Nothing", &[]).unwrap().status, Some(UNIMPLEMENTED));
    assert_eq!(client.call(LIST, &[]).unwrap().status, Some(0));
    daemon.stop().ok();
}

/// All paths below the folders of a test.
fn tree(env: &Env) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![env.root(), env.run_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

/// What is no name, and what would mean something else where it was taken for one.
fn hostile() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "../x",
        "..",
        ".",
        "a/b",
        "/etc",
        "a\0b",
        "a\nb",
        "a\rb",
        "--root",
        "-f",
        "\u{202e}x",
        "a\u{1b}[2J",
        "a b",
        "%2e%2e",
        "%2e%2e%2fx",
        "a\\b",
        "$(id)",
        "*",
        "é",
        "a:b",
        "a@b",
        "a,b",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    names.push(vec![b'x'; 10_000]);
    names.push(vec![b'x'; 256]);
    names
}

#[test]
fn hostile_names_are_refused_before_any_effect() {
    require!(root);
    let env = Env::new();
    let container = Container::start(&env, ["run", "-d", "--stop-timeout", "0", "host", "sleep", "300"]);
    let daemon = Daemon::start(&env, &[]);
    let mut client = Grpc::connect(&socket(&env));
    let spec = |name: &[u8]| [field(1, "host"), field(2, "true"), field(4, name)].concat();
    let rename = |name: &[u8]| [field(1, &container.id), field(2, name)].concat();
    type Made<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let makers: [(&str, Made<'_>); 7] = [
        ("Volumes/Create", &|name| field(1, field(1, name))),
        ("Networks/Create", &|name| field(1, field(1, name))),
        ("Secrets/Create", &|name| [field(1, field(1, name)), field(2, "content")].concat()),
        ("Containers/Create", &|name| field(1, spec(name))),
        ("Containers/Run", &|name| field(1, spec(name))),
        ("Containers/Rename", &rename),
        // Where it is made in what is there.
        ("Volumes/Snapshot", &|name| [field(1, name), field(2, name)].concat()),
    ];
    let seekers = [
        "Containers/Start",
        "Containers/Stop",
        "Containers/Restart",
        "Containers/Pause",
        "Containers/Stats",
        "Containers/Top",
        "Containers/Remove",
        "Containers/Logs",
        "Containers/Wait",
        "Containers/Inspect",
        "Containers/Mount",
        "Containers/Unmount",
        "Containers/Diff",
        "Containers/Export",
        "Containers/CopyOut",
        "Volumes/Inspect",
        "Volumes/Remove",
        "Volumes/Snapshots",
        "Volumes/Export",
        "Networks/Inspect",
        "Networks/Remove",
        "Secrets/Inspect",
        "Secrets/Remove",
    ];
    // The folders that they would be kept in are made when somebody first asks for them.
    for call in ["Volumes/Remove", "Networks/Remove"] {
        let answer = client.call(&format!("/tinyd.v1.{call}"), &field(1, "absent")).unwrap();
        assert_eq!(answer.status, Some(NOT_FOUND), "{answer:?}");
    }
    wait_until("what a start does afterwards is done", || {
        let before = tree(&env);
        std::thread::sleep(std::time::Duration::from_millis(300));
        before == tree(&env)
    });
    let before = tree(&env);
    for name in hostile() {
        let shown = String::from_utf8_lossy(&name[..name.len().min(20)]).into_owned();
        for (call, message) in makers {
            let answer = client.call(&format!("/tinyd.v1.{call}"), &message(&name)).unwrap();
            let refused = [Some(INVALID_ARGUMENT), (call == "Volumes/Snapshot").then_some(NOT_FOUND)];
            assert!(refused.contains(&answer.status), "{call} {shown:?}: {answer:?}");
            assert!(!answer.message.contains(['\n', '\u{1b}', '\u{202e}', '\0']), "{call}: {answer:?}");
        }
        for call in seekers {
            // Its second field is a word, and not how the rest is wanted.
            let how = if call == "Networks/Remove" { vec![] } else { field(2, []) };
            let message = [field(1, &name), how].concat();
            let answer = client.call(&format!("/tinyd.v1.{call}"), &message).unwrap();
            assert!(
                [Some(INVALID_ARGUMENT), Some(NOT_FOUND)].contains(&answer.status),
                "{call} {shown:?}: {answer:?}"
            );
        }
    }
    let after = tree(&env);
    assert_eq!(before.symmetric_difference(&after).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    let written = daemon.stop().ok().stderr();
    assert!(written.lines().all(|line| line.len() < 200), "{written}");
}

/// Messages of many calls, none of which does anything: no such container, no such image.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let limits = [number(1, 100), number(2, 50_000), field(3, "0-1")].concat();
    let spec = [
        field(1, "/no/such/image"),
        field(2, "sh"),
        field(2, "-c"),
        field(4, "name"),
        field(6, "A=b"),
        number(9, 1),
        field(14, &limits),
        field(17, [field(1, "/tmp"), field(2, "/mnt")].concat()),
        field(21, [field(1, "/run"), number(2, 65_536)].concat()),
        field(33, [field(1, "net.ipv4.ip_forward"), field(2, "1")].concat()),
        field(34, [field(1, "label"), field(2, "value")].concat()),
        number(35, 15),
    ];
    let spec = spec.concat();
    let window = [number(1, 24), number(2, 80)].concat();
    let run = [field(1, &spec), field(2, &window)].concat();
    vec![
        ("Containers/Create", field(1, &spec)),
        ("Containers/Run", run.clone()),
        ("Containers/Session", field(1, &run)),
        ("Containers/Session", field(3, [field(1, "none"), field(2, field(1, "sh"))].concat())),
        ("Containers/Stop", [field(1, "none"), field(2, number(1, 10))].concat()),
        ("Containers/Kill", [field(1, "none"), number(2, 9)].concat()),
        ("Containers/Update", [field(1, "none"), field(2, &limits)].concat()),
        (
            "Containers/Exec",
            [field(1, "none"), field(2, [field(1, "sh"), field(2, "A=b")].concat())].concat(),
        ),
        ("Containers/Logs", [field(1, "none"), field(2, [number(1, 5), number(4, 1)].concat())].concat()),
        ("Containers/CopyIn", field(1, [field(1, "none"), field(2, field(1, "/tmp"))].concat())),
        ("Containers/WaitFor", [field(1, "none"), number(2, 1)].concat()),
        ("Volumes/Inspect", field(1, "none")),
        ("Networks/ConnectContainer", [field(1, "none"), field(2, "none")].concat()),
        ("Secrets/Inspect", field(1, "none")),
        ("System/Info", vec![]),
    ]
}

#[test]
fn bytes_that_are_no_message_break_nothing() {
    require!(root);
    let env = Env::new();
    let mut daemon = Daemon::start(&env, &[]);
    let mut client = Grpc::connect(&socket(&env));
    let mut dice = Dice::new();
    let messages = messages();
    for _ in 0..300 {
        for (call, message) in &messages {
            let mut bytes = message.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(bytes.len() + 1);
                match dice.below(4) {
                    0 => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
                    1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
                    2 => bytes.truncate(at),
                    _ => bytes.extend_from_within(at..),
                }
            }
            let answer = client.call(&format!("/tinyd.v1.{call}"), &bytes);
            let answer = answer.unwrap_or_else(|error| panic!("{call} {}: {error}", bytes.escape_ascii()));
            assert!(answer.status.is_some(), "{call} {}: {answer:?}", bytes.escape_ascii());
            assert!(!answer.message.contains("broke off"), "{call} {}: {answer:?}", bytes.escape_ascii());
        }
    }
    assert!(!daemon.has_ended());
    assert_eq!(client.call(LIST, &[]).unwrap().status, Some(0));
    daemon.stop().ok();
}

#[test]
fn no_secret_is_written_down() {
    require!(root);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    const SECRETS: [&str; 5] = ["hunter1", "hunter2", "hunter3", "hunter4", "hunter5"];
    let create = env.cmd(["secret", "create", "s1", "-"]).stdin(SECRETS[0]);
    create.output().ok();
    let variable = format!("PASSWORD={}", SECRETS[1]);
    let words = ["run", "-d", "--stop-timeout", "0", "--name", "c1", "--secret", "s1", "-e", &variable];
    let container = Container::start(&env, words.iter().chain(&["host", "sleep", "300"]).copied());
    container.exec(&["-e", &format!("TOKEN={}", SECRETS[2])], &["true"]).ok();
    let argument = format!("--password={}", SECRETS[3]);
    container.exec(&[], &["true", &argument]).ok();
    // Also where it fails.
    env.tinyd(["run", "-e", &variable, "--name", "c1", "host", "true"]).fails(125);
    let mut client = Grpc::connect(&socket(&env));
    let header = [("authorization", SECRETS[4].as_bytes())];
    assert_eq!(client.raw(LIST, &header, framed(&[])).unwrap().status, Some(0));
    let malformed = field(1, [field(1, "host"), field(6, SECRETS[1]), field(4, [0xff, 0xfe])].concat());
    let answer = client.call("/tinyd.v1.Containers/Create", &malformed).unwrap();
    assert!(!matches!(answer.status, Some(0) | None) && !answer.message.contains("hunter"), "{answer:?}");
    let written = daemon.stop().ok();
    assert!(!written.to_string().contains("hunter"), "{written}");
    assert!(written.stderr().contains("/tinyd.v1.Secrets/Create uid=0"), "{written}");
}
