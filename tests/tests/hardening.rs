//! Hostile containers and odd callers: what is replaced, inherited, ignored, stopped or too long does no harm.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::kill::kill;
use tinyd_tests::remove::remove_tree;
use tinyd_tests::{Cmd, Container, Env, Output, in_both_modes, proc, require, roots, skip, wait_until};

/// What no container and no output may show.
const SECRET: &str = "the-hosts-own-words";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Runs the command in place of a shell that has done `before`, in which `$0` is `argument`.
fn behind(cmd: Cmd, before: &str, argument: &Path) -> Cmd {
    let script = format!("{before}; exec \"$@\"");
    cmd.under::<OsString>(["sh".into(), "-c".into(), script.into(), argument.into()])
}

/// Requires that nothing stands on the standard output, and one line of tinyd's on the other.
#[track_caller]
fn assert_one_line(output: &Output) {
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    assert!(output.stderr().starts_with("tinyd: "), "{output}");
}

#[test]
fn a_replaced_null_device_is_not_opened() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let secret = mode.env.file("secret", format!("{SECRET}\n"));
        let seen = "echo planted > /planted; rm /dev/null";
        for (how, may_differ) in [
            ("ln -s /proc/self/fd/9 /dev/null", "a link to what the caller may have open"),
            ("ln -s /planted /dev/null", "a link to a file"),
            ("mkfifo /dev/null", "a pipe that nobody writes to"),
            ("cp /planted /dev/null", "a file"),
        ] {
            let container = mode.start([image.as_str(), "sleep", "300"]);
            container.exec(&[], &["sh", "-c", &format!("{seen}; {how}")]).ok();
            let cmd = mode.env.cmd(["exec", &container.id, "cat"]).limit(Duration::from_secs(10));
            let output = behind(cmd, "exec 9<>\"$0\"", &secret).output().fails(125);
            assert_one_line(&output);
            assert!(!output.stderr().contains(SECRET), "{may_differ}: {output}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), format!("{SECRET}\n"), "{may_differ}");
        }
    });
}

#[test]
fn a_descriptor_of_the_caller_is_not_kept_by_the_monitor() {
    require!(root);
    require!(command "flock");
    let image = image();
    in_both_modes(|mode| {
        let lock = mode.env.file("lock", "");
        let is_free = || {
            let words: [OsString; 4] = ["flock".into(), "-n".into(), lock.clone().into(), "true".into()];
            mode.env.other(words).output().code() == Some(0)
        };
        let locked = |cmd: Cmd| behind(cmd, "exec 9>\"$0\" && flock 9", &lock).output().ok();
        let words = ["run", "-d", "--name", "c1", "--userns", mode.userns(), &image, "sleep", "300"];
        locked(mode.env.cmd(words));
        assert!(is_free(), "a container that was run keeps the lock of who ran it");
        mode.env.tinyd(["create", "--name", "c2", "--userns", mode.userns(), &image, "sleep", "300"]).ok();
        locked(mode.env.cmd(["start", "c2"]));
        assert!(is_free(), "a container that was started keeps the lock of who started it");
        let said = mode.env.tinyd(["ps", "--format", "{{.Status}}"]).ok();
        assert_eq!(said.text(), "RUNNING\nRUNNING", "the locks are free for another reason");
        // A further command gets none of it, either.
        let open = locked(mode.env.cmd(["exec", "c1", "ls", "/proc/self/fd"]));
        assert_eq!(open.text().lines().filter(|line| *line == "9").count(), 0, "{open}");
    });
}

/// The kernel then keeps no exit status for whoever inherits that.
#[test]
fn a_caller_that_ignores_the_end_of_children_gets_the_code() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let ignoring =
            |cmd: Cmd| cmd.under(["env", "--ignore-signal=CHLD"]).limit(Duration::from_secs(20)).output();
        let said = ignoring(mode.env.other(["grep", "SigIgn", "/proc/self/status"])).ok().text();
        let mask = u64::from_str_radix(said.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(mask >> (Signal::CHILD.as_raw() - 1) & 1, 1, "{said}: it is not ignored");

        let words = ["run", "--rm", "--userns", mode.userns(), &image, "sh", "-c", "exit 7"];
        ignoring(mode.env.cmd(words)).fails(7);
        let words = ["run", "-d", "--name", "c", "--userns", mode.userns(), &image];
        let script = "while [ ! -e /go ]; do sleep 0.02; done; exit 8";
        ignoring(mode.env.cmd(words.into_iter().chain(["sh", "-c", script]))).ok();
        ignoring(mode.env.cmd(["exec", "c", "sh", "-c", "exit 9"])).fails(9);
        // The end of the container may be its end too.
        ignoring(mode.env.cmd(["exec", "c", "touch", "/go"]));
        assert_eq!(ignoring(mode.env.cmd(["wait", "c"])).ok().text(), "8");
    });
}

#[test]
fn a_child_that_goes_on_writing_does_not_keep_the_client_of_a_command() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let container = mode.start([image.as_str(), "sleep", "300"]);
        for stream in ["", ">&2"] {
            let script = format!("yes {stream} & exec sleep 0.3");
            let cmd = mode.env.cmd(["exec", &container.id, "sh", "-c", &script]);
            let begin = Instant::now();
            // What it writes is much, and nobody wants it.
            let cmd = behind(cmd, "exec >/dev/null 2>&1", Path::new("sh"));
            cmd.limit(Duration::from_secs(20)).output().ok();
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(300), "{took:?}: the command was not waited for");
            assert!(took < Duration::from_secs(3), "{took:?}: the child was waited for");
        }
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
        wait_until("its processes are gone", || container.pids().is_empty());
    });
}

#[test]
fn the_death_of_the_client_is_the_end_of_the_input() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let words = ["run", "--interactive", "--name", "i", "--userns", mode.userns(), &image, "cat"];
        let mut client = mode.env.cmd(words).piped().spawn();
        client.send("one\n");
        client.expect("one\n");
        client.signal(Signal::KILL);
        wait_until("the client is dead", || client.has_ended());
        let status = || mode.env.tinyd(["ps", "-a", "--format", "{{.Status}}"]).ok().text();
        wait_until("the container has ended by itself", || status().starts_with("STOPPED"));
        assert_eq!(status(), "STOPPED (0)");
    });
}

#[test]
fn a_bind_whose_source_was_replaced_by_a_link_is_refused() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let files = mode.env.files();
        let secrets = files.join("secrets");
        fs::create_dir_all(secrets.join("sub")).unwrap();
        fs::write(secrets.join("file"), SECRET).unwrap();
        fs::write(secrets.join("sub/file"), SECRET).unwrap();
        // The last part of the path, and one before it.
        for (name, replaced) in [("last", "last/sub"), ("middle", "middle")] {
            let source = files.join(name).join("sub");
            fs::create_dir_all(&source).unwrap();
            let bind = format!("{}:/m", source.display());
            let script = "cat /m/file; ls /m";
            let words = ["create", "--name", name, "--userns", mode.userns(), "-v", &bind, &image];
            mode.env.tinyd(words.into_iter().chain(["sh", "-c", script])).ok();
            remove_tree(&files.join(replaced)).unwrap();
            symlink(&secrets, files.join(replaced)).unwrap();
            for words in [&["start", name][..], &["start", "-a", name]] {
                let output = mode.env.tinyd(words.iter().copied()).fails(125);
                assert_one_line(&output);
                assert!(output.stderr().contains(source.to_str().unwrap()), "{output}");
                assert!(!output.stderr().contains(SECRET), "{output}");
            }
            let logged = mode.env.tinyd(["logs", name]);
            assert!(!(logged.stdout() + &logged.stderr()).contains(SECRET), "{logged}");
        }
    });
}

#[test]
fn a_command_with_an_endless_name_is_refused_in_a_line_that_can_be_read() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let container = mode.start([image.as_str(), "sleep", "300"]);
        for name in ["x".repeat(100_000), format!("/{}", "y/".repeat(50_000)), "é".repeat(50_000)] {
            let run = mode.run([image.as_str(), &name]);
            let exec = container.exec(&[], &[&name]);
            for output in [run, exec] {
                assert!(matches!(output.code(), Some(126 | 127)), "{output}");
                assert_one_line(&output);
                let length = output.stderr().len();
                assert!(length < 2000, "{length} bytes: {output}");
            }
        }
    });
}

#[test]
fn the_callers_place_among_the_victims_of_memory_is_not_the_containers() {
    require!(root);
    let image = image();
    let file = "/proc/self/oom_score_adj";
    let set =
        |cmd: Cmd, value: i32| behind(cmd, &format!("echo {value} > {file} || exit 99"), Path::new("sh"));
    let env = Env::new();
    // Whoever has raised the value may go back, but not below where it was.
    let lowered = set(env.other(["sh", "-c", &format!("echo 0 > {file}")]), 500).output();
    if lowered.code() != Some(0) {
        skip(module_path!(), "this machine does not let a process go back to 0");
        return;
    }
    // Protection can be tested only where there is a right to give it.
    let may_protect = set(env.other(["true"]), -500).output().code() == Some(0);
    in_both_modes(|mode| {
        for value in [Some(500), may_protect.then_some(-500)].into_iter().flatten() {
            let words = ["run", "-d", "--userns", mode.userns(), &image, "sleep", "300"];
            let id = set(mode.env.cmd(words), value).output().ok().text();
            let pid = mode.env.tinyd(["inspect", "-f", "{{.State.Pid}}", &id]).ok().text();
            let seen = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
            assert_eq!(seen.trim(), "0", "a caller with {value}");
            let exec = set(mode.env.cmd(["exec", &id, "cat", file]), value).output().ok();
            assert_eq!(exec.text(), "0", "a command of a caller with {value}");
        }
    });
}

#[test]
fn a_terminal_that_nobody_has_open_for_a_moment_goes_on() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let script = "echo one; exec </dev/null >/dev/null 2>&1; sleep 0.3; echo two >/dev/console; exit 4";
        let words = ["run", "--rm", "-it", "--userns", mode.userns(), &image, "sh", "-c", script];
        let (status, text) = mode.env.pty(words, 24, 80).wait();
        assert_eq!((status.code(), text.as_str()), (Some(4), "one\r\ntwo\r\n"));
    });
}

#[test]
fn a_stopped_client_holds_up_neither_the_end_nor_the_name() {
    require!(root);
    let image = image();
    in_both_modes(|mode| {
        let script = "head -c 1000000 /dev/zero; echo mark; exec yes";
        let words = ["run", "--rm", "--name", "z", "--userns", mode.userns(), &image, "sh", "-c", script];
        let mut client = mode.env.cmd(words).spawn();
        client.expect("mark\n");
        client.signal(Signal::STOP);
        // Everything between the command and the client fills up, so that there is something that cannot be delivered.
        let container = Container::start(&mode.env, ["inspect", "-f", "{{.Id}}", "z"]);
        let written = || fs::read_to_string(format!("/proc/{}/io", container.pid)).unwrap();
        let mut before = written();
        wait_until("the command cannot write any more", || {
            std::thread::sleep(Duration::from_millis(50));
            let now = written();
            std::mem::replace(&mut before, now.clone()) == now
        });
        let limit = Duration::from_secs(10);
        let monitor = container.inspect()["State"]["MonitorPid"].as_i64().unwrap();
        let connections = || {
            let open = proc::descriptors(i32::try_from(monitor).unwrap());
            open.iter().filter(|(_, path)| path.to_string_lossy().starts_with("socket:")).count()
        };
        let before = connections();
        let waiting = mode.env.cmd(["wait", "z"]).limit(limit).spawn();
        wait_until("the monitor knows who waits", || connections() > before);
        kill(container.pid);
        assert_eq!(waiting.wait().ok().text(), "137");
        wait_until("the container is gone", || mode.env.containers().is_empty());
        let words = ["run", "--rm", "--name", "z", "--userns", mode.userns(), &image, "echo", "again"];
        assert_eq!(mode.env.cmd(words).limit(limit).output().ok().text(), "again");
        client.signal(Signal::CONT);
        client.wait().fails(137);
    });
}

/// The disk is a small one that only this shell and its children see; `$0` is where, and the rest the program's words.
const ON_A_FULL_DISK: &str = r#"
    set -e
    disk=$0 image=$1 userns=$2
    shift 2
    mount -t tmpfs -o size=4m,mode=711 tmpfs "$disk"
    trap '"$@" rm -f c >/dev/null' EXIT
    # Writes more than a pipe holds, so that by /done the monitor has met the full disk.
    script='echo before; until [ -e /go ]; do sleep 0.02; done; yes aaaaaaaaaaaaaaaaaaaaaaaaaaa | head -c 280000; : >/done
        until [ -e /free ]; do sleep 0.02; done; echo after; : >/end; exec sleep 300'
    "$@" run -d --name c --userns $userns "$image" sh -c "$script" >/dev/null
    until "$@" logs c | grep -qx before; do sleep 0.02; done
    dd if=/dev/zero of="$disk/fill" bs=1k 2>/dev/null && exit 98
    "$@" exec c sh -c ': >/go; until [ -e /done ]; do sleep 0.02; done'
    rm "$disk/fill"
    "$@" exec c sh -c ': >/free; until [ -e /end ]; do sleep 0.02; done'
    for try in $(seq 100); do
        "$@" logs c | grep -x after && exit 0
        sleep 0.02
    done
    exit 97
"#;

#[test]
fn a_record_that_a_full_disk_cuts_off_does_not_swallow_the_next() {
    require!(root);
    require!(command "unshare");
    let image = image();
    in_both_modes(|mode| {
        let shell: [OsString; 6] = [
            "unshare".into(),
            "--mount".into(),
            "--propagation=private".into(),
            "sh".into(),
            "-c".into(),
            ON_A_FULL_DISK.into(),
        ];
        let words: [OsString; 3] = [mode.env.root().into(), (&image).into(), mode.userns().into()];
        let output = mode.env.cmd::<OsString>([]).under(shell.into_iter().chain(words)).output();
        assert_eq!(output.ok().text(), "after");
    });
}
