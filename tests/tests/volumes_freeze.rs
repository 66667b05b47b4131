//! Volumes that are exported while those who use them stand still, and how much room volumes take.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::{Container, Env, in_both_modes, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn status(env: &Env, container: &str) -> String {
    env.tinyd(["inspect", "-f", "{{.State.Status}}", container]).ok().text()
}

/// Puts something between what is first in an archive and what is last, so that reading takes a while.
fn bulky(env: &Env, volume: &str) {
    env.tinyd(["volume", "create", volume]).ok();
    let folder = env.root().join("volumes/local").join(volume);
    for number in 0..40_u8 {
        fs::write(folder.join(format!("m{number}")), vec![number + 1; 2 << 20]).unwrap();
    }
}

/// Writes the same number into two files, one after the other, again and again.
const WRITER: &str = "n=0; while :; do n=$((n+1)); echo $n > /d/.new; mv /d/.new /d/a; \
                      echo $n > /d/.new; mv /d/.new /d/z; done";

/// How many steps lie between the two files of an archive.
fn apart(env: &Env, archive: &Path) -> i64 {
    let read = |name: &str| -> i64 {
        let file = archive.to_str().unwrap();
        env.other(["tar", "-xOf", file, name]).output().ok().text().parse().unwrap()
    };
    read("z") - read("a")
}

/// Row 22 of part 3.
#[test]
fn what_is_exported_while_its_writers_stand_still_is_the_state_of_one_moment() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        bulky(env, "data");
        let writer = mode.start(["-v", "data:/d", &image, "sh", "-c", WRITER]);
        let last = env.root().join("volumes/local/data/z");
        wait_until("it writes", || last.exists());
        let file = env.files().join("data.tar");
        let export = |options: &[&str]| {
            let line = [&["volume", "export"][..], options, &["data", "-o", file.to_str().unwrap()]].concat();
            env.tinyd(line).ok();
            apart(env, &file)
        };
        assert!(
            (0..20).any(|_| export(&[]) > 1),
            "without standing still the files are never of two moments"
        );
        for _ in 0..5 {
            let apart = export(&["--freeze"]);
            assert!((-1..=0).contains(&apart), "{apart} steps between them");
        }
        assert_eq!(status(env, &writer.id), "running");
        let before = fs::read_to_string(&last).unwrap();
        wait_until("it goes on", || fs::read_to_string(&last).is_ok_and(|now| now != before));
        env.assert_checked();
    });
}

/// An export into a pipe that nobody reads.
fn stuck(env: &Env) -> tinyd_tests::Running {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pipe = env.files().join(format!("pipe-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let name = pipe.to_str().unwrap().to_owned();
    env.other(["mkfifo", &name]).output().ok();
    // The reader is there, and reads nothing.
    let script = "exec 3<>\"$1\"; shift; exec \"$@\" > /dev/fd/3";
    let words: Vec<_> = env.cmd(["volume", "export", "--freeze", "data"]).words().to_vec();
    let mut line: Vec<std::ffi::OsString> = ["sh", "-c", script, "sh", &name].map(Into::into).to_vec();
    line.extend(words);
    env.other(line).spawn()
}

#[test]
fn whatever_ends_an_export_its_containers_go_on_but_for_those_that_were_paused() {
    require!(root);
    unserved!("who is killed is the client, and the daemon goes on with what it was asked for");
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        bulky(env, "data");
        let start = |name: &str| -> Container<'_> {
            mode.start(["--name", name, "-v", "data:/d", &image, "sleep", "1000"])
        };
        let (_runs, _paused) = (start("runs"), start("paused"));
        mode.start(["--name", "other", &image, "sleep", "1000"]);
        env.tinyd(["pause", "paused"]).ok();
        let all = || ["runs", "paused", "other"].map(|name| status(env, name));
        let as_before = ["running", "paused", "running"];
        for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
            let client = stuck(env);
            wait_until("they stand still", || all() == ["paused", "paused", "running"]);
            client.signal(signal);
            let output = client.wait();
            if signal != Signal::KILL {
                assert_eq!(output.code(), Some(128 + signal.as_raw()), "{output}");
            }
            // After a kill it is this command that lets it go on.
            assert_eq!(all(), as_before, "{signal:?}");
            env.assert_checked();
        }
        // A disk that is full.
        let script = "exec \"$@\" > /dev/full";
        let mut line: Vec<std::ffi::OsString> = ["sh", "-c", script, "sh"].map(Into::into).to_vec();
        line.extend(env.cmd(["volume", "export", "--freeze", "data"]).words().to_vec());
        let output = env.other(line).output().fails(1);
        assert!(output.stderr().contains("No space left"), "{output}");
        assert_eq!(all(), as_before);
        // Two at once: it stands still until the second one has ended.
        let (first, second) = (stuck(env), stuck(env));
        wait_until("they stand still", || {
            status(env, "runs") == "paused"
                && fs::read_dir(env.run_root().join("frozen"))
                    .is_ok_and(|all| all.flatten().any(|one| fs::read_dir(one.path()).unwrap().count() == 2))
        });
        first.signal(Signal::INT);
        first.wait();
        assert_eq!(all(), ["paused", "paused", "running"]);
        second.signal(Signal::INT);
        second.wait();
        assert_eq!(all(), as_before);
        // What the user says meanwhile counts.
        let client = stuck(env);
        wait_until("they stand still", || status(env, "runs") == "paused");
        env.tinyd(["pause", "runs"]).ok();
        client.signal(Signal::INT);
        client.wait();
        assert_eq!(all(), ["paused", "paused", "running"]);
        env.tinyd(["unpause", "runs"]).ok();
        // One that is removed meanwhile is no trouble.
        let client = stuck(env);
        wait_until("they stand still", || status(env, "runs") == "paused");
        env.tinyd(["rm", "-f", "runs"]).ok();
        client.signal(Signal::INT);
        client.wait();
        assert_eq!(fs::read_dir(env.run_root().join("frozen")).map_or(0, Iterator::count), 0);
        env.assert_checked();
    });
}

#[test]
fn what_volumes_take_is_told_with_their_limits_and_without_what_lies_elsewhere() {
    require!(root);
    require!(command "mkfs.ext4");
    let env = Env::new();
    for (name, options) in
        [("plain", &[][..]), ("sized", &["--size", "32m"]), ("memory", &["-d", "tmpfs", "--size", "8m"])]
    {
        env.tinyd([&["volume", "create"][..], options, &[name]].concat()).ok();
    }
    let fill = "dd if=/dev/zero of=/p/file bs=1M count=5; ln /p/file /p/again; ln -s /bin /p/link; \
                dd if=/dev/zero of=/s/file bs=1M count=3; dd if=/dev/zero of=/m/file bs=1M count=2; sleep 1000";
    let mounts = ["-v", "plain:/p", "-v", "sized:/s", "-v", "memory:/m"];
    let image = image();
    let words = [&["run", "-d", "--name", "c"][..], &mounts, &[&image, "sh", "-c", fill]].concat();
    env.tinyd(words).ok();
    let usage = || -> Vec<(String, f64, String)> {
        let format = "{{.Name}} {{.Size}} {{.Limit}}";
        let text = env.tinyd(["volume", "df", "--format", format]).ok().text();
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let mebibytes = words[1].parse::<f64>().unwrap() / f64::from(1 << 20);
            (words[0].to_owned(), mebibytes, words[2].to_owned())
        };
        text.lines().map(line).collect()
    };
    let wanted = [("memory", 2.0, "8388608"), ("plain", 5.0, "<no"), ("sized", 3.0, "33554432")];
    let is_so = || {
        let all = usage();
        all.len() == 3
            && all.iter().zip(wanted).all(|((name, used, limit), wanted)| {
                (&**name, &**limit) == (wanted.0, wanted.2) && (wanted.1..wanted.1 + 0.2).contains(used)
            })
    };
    tinyd_tests::eventually(Duration::from_secs(10), || is_so().then_some(()))
        .unwrap_or_else(|| panic!("{:?}", usage()));
    // The same while nobody uses them, but for what is gone with its last user.
    env.tinyd(["rm", "-f", "c"]).ok();
    let all = usage();
    assert!(all[0].1 < 0.1 && all[1].1 >= 5.0 && all[2].1 >= 3.0, "{all:?}");
    let table = env.tinyd(["volume", "df"]).ok();
    assert!(table.stdout().starts_with("VOLUME NAME") && table.stdout().contains("32.0MiB"), "{table}");
    env.assert_checked();
}

#[test]
fn a_server_that_does_not_answer_has_no_size_and_the_others_have() {
    require!(root);
    require!(command "sshfs");
    let env = Env::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("o=port={}", silent.local_addr().unwrap().port());
    let device = "device=nobody@127.0.0.1:/data";
    for name in ["far", "farther"] {
        let options = ["-d", "remote", "-o", "type=sshfs", "-o", device, "-o", &port, name];
        env.tinyd([&["volume", "create"][..], &options].concat()).ok();
    }
    env.tinyd(["volume", "create", "near"]).ok();
    let began = Instant::now();
    let told = env.tinyd(["volume", "df"]).ok();
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
    let lines: Vec<Vec<String>> = told
        .stdout()
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert_eq!((&*lines[0][2], &*lines[1][2], &*lines[2][0]), ("-", "-", "near"), "{told}");
    assert_ne!(lines[2][2], "-", "{told}");
    env.assert_checked();
}
