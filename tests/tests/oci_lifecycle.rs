//! The life of a container under the runtime's own command line: what each verb does at each moment, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, proc, require, wait_until};

/// Says that it runs, and ends with 5 when it is asked to.
const PATIENT: &str = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done";

fn groups(name: &str) -> usize {
    let all = cgroups::hierarchies();
    let hits = all.iter().flat_map(|one| cgroups::walk(&one.mount));
    hits.filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().ends_with(name))).count()
}

#[test]
fn a_container_is_created_started_killed_and_deleted() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle =
        oci.bundle("one", &["sh", "-c", PATIENT], |config| config["annotations"] = json!({ "a.b": "c" }));
    let pid_file = env.files().join("pid");
    let log = env.files().join("out");
    let out = fs::File::create(&log).unwrap();
    let mut create = std::process::Command::new(oci.program());
    create.args([
        "--root".as_ref(),
        oci.root().as_os_str(),
        "create".as_ref(),
        "-b".as_ref(),
        bundle.as_os_str(),
    ]);
    create
        .args(["--pid-file".as_ref(), pid_file.as_os_str(), "one".as_ref()])
        .envs([tinyd_tests::NO_NETWORK]);
    let created =
        create.stdin(std::process::Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).status();
    assert!(created.unwrap().success(), "{:?}", fs::read_to_string(&log));

    let state = oci.state("one");
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    assert_eq!(
        (&state["ociVersion"], &state["id"], &state["status"], &state["pid"], &state["bundle"]),
        (&json!("1.3.0"), &json!("one"), &json!("created"), &json!(pid), &json!(bundle))
    );
    assert_eq!(state["annotations"], json!({ "a.b": "c" }));
    // It is there, in namespaces of its own, and has not become the command.
    assert!(
        proc::is_alive(pid) && proc::namespace(pid, "pid").unwrap() != proc::own_namespace("pid").unwrap()
    );
    assert_eq!(proc::status(pid, "Name").as_deref(), Some("tinyd-runtime"));
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    assert!(groups(&format!("{}-one", env.tag())) > 0);

    let again = oci.create(&bundle).fails(1);
    assert!(again.stderr().contains("already exists"), "{again}");
    oci.run(["start", "one"]).ok();
    assert_eq!(oci.status("one"), "running");
    wait_until("the command speaks", || fs::read_to_string(&log).unwrap() == "up\n");
    assert_eq!(proc::status(pid, "Name").as_deref(), Some("sh"));
    let again = oci.run(["start", "one"]).fails(1);
    assert!(again.stderr().contains("is running already"), "{again}");
    let refused = oci.run(["delete", "one"]).fails(1);
    assert!(refused.stderr().contains("is running") && proc::is_alive(pid), "{refused}");

    oci.run(["kill", "one"]).ok();
    wait_until("it has stopped", || oci.status("one") == "stopped");
    assert_eq!(oci.state("one")["pid"], json!(0));
    let refused = oci.run(["kill", "one", "KILL"]).fails(1);
    assert!(refused.stderr().contains("container not running"), "{refused}");
    let refused = oci.run(["start", "one"]).fails(1);
    assert!(refused.stderr().contains("has stopped"), "{refused}");
    oci.run(["delete", "one"]).ok();
    assert!(oci.run(["state", "one"]).fails(1).stderr().contains("does not exist"));
    oci.run(["delete", "one"]).fails(1);
    oci.run(["delete", "--force", "one"]).ok();
    assert_eq!(groups(&format!("{}-one", env.tag())), 0);
}

#[test]
fn what_has_not_stopped_is_deleted_by_force_alone() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for (name, start) in [("created", false), ("running", true)] {
        let bundle = oci.bundle(name, &["sleep", "1000"], |_| {});
        oci.create(&bundle).ok();
        let pid = oci.state(name)["pid"].as_i64().unwrap();
        if start {
            oci.run(["start", name]).ok();
        }
        let refused = oci.run(["delete", name]).fails(1);
        assert!(refused.stderr().contains(&format!("is {name}, and is deleted when")), "{refused}");
        assert_eq!((oci.status(name).as_str(), oci.state(name)["pid"].as_i64()), (name, Some(pid)));
        oci.run(["delete", "--force", name]).ok();
        assert!(!proc::is_alive(i32::try_from(pid).unwrap()), "{name}");
        assert_eq!(groups(&format!("-{name}")), 0);
    }
    assert_eq!(fs::read_dir(oci.root()).unwrap().count(), 0);
}

#[test]
fn run_is_all_of_it_in_the_foreground() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("run", &["sh", "-c", "read line; echo got $line; echo two >&2; exit 7"], |_| {});
    let run = |words: &[&str]| {
        let mut all = vec![OsString::from("run"), "-b".into(), bundle.clone().into()];
        all.extend(words.iter().map(Into::into));
        oci.cmd(all).stdin("word\n").output()
    };
    let output = run(&["r1"]).fails(7);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("got word\n", "two\n"));
    oci.run(["state", "r1"]).fails(1);
    run(&["--keep", "r2"]).fails(7);
    assert_eq!(oci.status("r2"), "stopped");
    oci.run(["delete", "r2"]).ok();

    let patient = oci.bundle("patient", &["sh", "-c", PATIENT], |_| {});
    let mut running = oci.cmd([OsString::from("run"), "-b".into(), patient.into(), "r3".into()]).spawn();
    running.expect("up\n");
    running.signal(rustix::process::Signal::TERM);
    running.wait().fails(5);
    assert_eq!(groups("-patient") + groups("-run"), 0);
}

#[test]
fn a_further_command_joins_it_with_what_it_is_given() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle =
        oci.bundle("c", &["sleep", "1000"], |config| config["process"]["env"] = json!(["PATH=/bin", "A=1"]));
    oci.launch(&bundle);
    let look =
        "echo $A $B $(id -u):$(id -g) $(pwd) $(hostname) $$; grep NoNewPrivs /proc/self/status; exit 3";
    let options = ["exec", "-e", "B=2", "-u", "1000:33", "--cwd", "/tmp", "c", "sh", "-c", look];
    let output = oci.run(options).fails(3);
    assert!(output.stdout().starts_with("1 2 1000:33 /tmp tinyd "), "{output}");
    assert!(output.stdout().ends_with("NoNewPrivs:\t1\n"), "{output}");
    let missing = oci.run(["exec", "c", "no-such-program"]).fails(127);
    assert!(missing.stderr().contains("executable file not found in $PATH"), "{missing}");
    assert!(oci.run(["exec", "c", "/etc"]).fails(126).stderr().contains("Permission denied"));

    // Described in a file, and without waiting for it.
    let mut process: Value = json!({ "cwd": "/", "user": { "uid": 7, "gid": 8, "additionalGids": [9] } });
    process["args"] = json!(["sh", "-c", "id -u; id -G; grep CapEff /proc/self/status"]);
    process["env"] = json!(["PATH=/bin"]);
    let file = env.file("process.json", process.to_string());
    let output = oci.run([OsString::from("exec"), "--process".into(), file.clone().into(), "c".into()]).ok();
    assert_eq!(output.stdout(), "7\n8 9\nCapEff:\t0000000000000000\n");
    process["args"] = json!(["sleep", "500"]);
    fs::write(&file, process.to_string()).unwrap();
    let pid_file = env.files().join("exec-pid");
    let words = ["exec".into(), "-d".into(), "--process".into(), file.into(), "--pid-file".into()];
    oci.leave(words.into_iter().chain([pid_file.clone().into(), OsString::from("c")])).ok();
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    assert_eq!(proc::arguments(pid), ["sleep", "500"]);
    let listed = oci.run(["ps", "--format", "json", "c"]).ok().json();
    assert!(listed.as_array().unwrap().contains(&json!(pid)), "{listed}");
    oci.run(["kill", "c", "9"]).ok();
    wait_until("it has stopped", || oci.status("c") == "stopped");
    assert!(oci.run(["exec", "c", "true"]).fails(255).stderr().contains("is stopped"));
}

#[test]
fn it_is_paused_limited_watched_and_listed() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("p", &["sh", "-c", PATIENT], |_| {});
    oci.launch(&bundle);
    oci.run(["resume", "p"]).fails(1);
    oci.run(["pause", "p"]).ok();
    assert_eq!(oci.status("p"), "paused");
    assert!(oci.run(["exec", "p", "true"]).fails(255).stderr().contains("is paused"));
    oci.run(["resume", "p"]).ok();
    assert_eq!(oci.status("p"), "running");

    oci.run(["update", "--memory", "67108864", "--pids-limit", "77", "p"]).ok();
    let resources = env.file("resources.json", r#"{"cpu": {"shares": 300}}"#);
    oci.run([OsString::from("update"), "-r".into(), resources.into(), "p".into()]).ok();
    let stats = oci.run(["events", "--stats", "p"]).ok().json();
    let data = &stats["data"];
    assert_eq!((&data["memory"]["usage"]["limit"], &data["pids"]["limit"]), (&json!(67_108_864), &json!(77)));
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{stats}");
    oci.run(["update", "--memory", "nonsense", "p"]).fails(2);
    let refused = oci.run(["update", "--mem-bw-schema", "MB:0=20", "p"]).fails(1);
    assert!(refused.stderr().contains("Intel RDT"), "{refused}");
    oci.run(["kill", "p", "0"]).ok();

    let list = oci.run(["list", "--format", "json"]).ok().json();
    assert_eq!(
        (&list[0]["id"], &list[0]["status"], &list[0]["bundle"]),
        (&json!("p"), &json!("running"), &json!(bundle))
    );
    assert_eq!(oci.run(["list", "-q"]).ok().stdout(), "p\n");
    assert!(oci.run(["ps", "p"]).ok().stdout().contains("trap"));
    oci.run(["pause", "p"]).ok();
    // A killed one ends though it stands still.
    oci.run(["kill", "p", "KILL"]).ok();
    wait_until("it has stopped", || oci.status("p") == "stopped");
}

#[test]
fn descriptors_that_are_promised_are_the_commands_and_no_others() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle(
        "fds",
        &["sh", "-c", "ls /proc/self/fd | sort -n | tr '\\n' ' '; cat <&3; cat <&4"],
        |_| {},
    );
    let (three, four) = (env.file("three", "3\n"), env.file("four", "4\n"));
    let script = format!("exec 3<{} 4<{} 5</dev/null; exec \"$@\"", three.display(), four.display());
    let run = |count: &str, id: &str| {
        let words = ["run".into(), "--preserve-fds".into(), count.into(), "-b".into()];
        let words = words.into_iter().chain([bundle.clone().into(), OsString::from(id)]);
        oci.cmd(words).under(["sh", "-c", &script, "sh"]).output()
    };
    // `ls` has one of its own, for the folder.
    assert_eq!(run("2", "two").ok().stdout(), "0 1 2 3 4 5 3\n4\n");
    // What the caller has not opened is nothing, and no file of the runtime's.
    for count in ["4", "7"] {
        assert_eq!(run(count, &format!("all{count}")).ok().stdout(), "0 1 2 3 4 5 6 3\n4\n");
    }
    run("1000000000", "too-many").fails(1);
}

/// sd_listen_fds(3), as a service of systemd with a socket runs a container.
#[test]
fn sockets_of_a_service_manager_are_the_commands() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; ls /proc/self/fd | sort -n | tr '\\n' ' '; cat <&3; cat <&4";
    let bundle = oci.bundle("fds", &["sh", "-c", script], |config| {
        config["process"]["env"].as_array_mut().unwrap().push(json!("LISTEN_PID=77"));
    });
    let (three, four) = (env.file("three", "3\n"), env.file("four", "4\n"));
    let run = |whose: &str, id: &str| {
        let script = format!(
            "exec 3<{} 4<{} 5</dev/null; LISTEN_PID={whose} LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$@\"",
            three.display(),
            four.display()
        );
        let words = ["run".into(), "--preserve-fds".into(), "1".into(), "-b".into()];
        let words = words.into_iter().chain([bundle.clone().into(), OsString::from(id)]);
        oci.cmd(words).under(["sh", "-c", &script, "sh"]).output()
    };
    // Before those that the caller has it keep.
    assert_eq!(run("$$", "own").ok().stdout(), "1 1 web\n0 1 2 3 4 5 3\n4\n");
    // They are another's.
    assert!(run("1", "others").stdout().starts_with("77\n0 1 2 3 4 3\n"));
}

#[test]
fn the_terminal_is_handed_to_who_listens() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("tty", &["sh", "-c", "tty; stty size; exit 9"], |config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({ "height": 30, "width": 100 });
    });
    let refused = oci.create(&bundle).fails(1);
    assert!(refused.stderr().contains("--console-socket"), "{refused}");
    // On a terminal `run` shows it itself.
    let words = [OsString::from("run"), "-b".into(), bundle.clone().into(), "tty".into()];
    let (status, said) = oci.cmd(words).pty(24, 80).wait();
    assert_eq!(status.code(), Some(9), "{said}");
    assert!(said.contains("/dev/pts/0") && said.contains("24 80"), "{said}");

    let path = env.files().join("console");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let words = ["create".into(), "--console-socket".into(), path.into(), "-b".into(), bundle.into()];
    oci.run(words.into_iter().chain([OsString::from("tty")])).ok();
    let (socket, _) = listener.accept().unwrap();
    let mut master = receive(&socket);
    oci.run(["start", "tty"]).ok();
    let mut said = Vec::new();
    // A terminal whose other end is closed is an error, after all that was written to it.
    let _ = std::io::Read::read_to_end(&mut master, &mut said);
    assert_eq!(String::from_utf8_lossy(&said), "/dev/pts/0\r\n30 100\r\n");
}

/// The descriptor that comes over a socket.
fn receive(socket: &std::os::unix::net::UnixStream) -> fs::File {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    let slices = &mut [std::io::IoSliceMut::new(&mut name)];
    recvmsg(socket, slices, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    descriptors.next().unwrap().next().unwrap().into()
}

#[test]
fn what_is_wrong_is_one_clear_line_and_leaves_nothing() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let log = env.files().join("log");
    let good = oci.bundle("good", &["true"], |_| {});
    let with = |name: &str, change: fn(&mut Value)| oci.bundle(name, &["true"], change);
    let no_json = with("no-json", |_| {});
    fs::write(no_json.join("config.json"), "{").unwrap();
    let cases: Vec<(&Path, &str, &str)> = vec![
        (Path::new("/no/such/folder"), "x", "/no/such/folder/config.json"),
        (&no_json, "x", "EOF while parsing"),
        (&good, "../x", "is no container id"),
        (&good, "a b", "is no container id"),
    ];
    let mut made: Vec<(std::path::PathBuf, &str)> = Vec::new();
    for (name, change, said) in [
        (
            "no-root",
            (|config: &mut Value| config["root"]["path"] = json!("gone")) as fn(&mut Value),
            "root.path",
        ),
        ("no-args", |config| config["process"]["args"] = json!([]), "command"),
        ("no-program", |config| config["process"]["args"] = json!(["/no/such"]), "not found"),
        (
            "hook",
            |config| config["hooks"] = json!({ "poststop": [{ "path": "relative" }] }),
            "hooks.poststop",
        ),
        ("cwd", |config| config["process"]["cwd"] = json!("relative"), "process.cwd"),
    ] {
        made.push((with(name, change), said));
    }
    let made = made.iter().map(|(bundle, said)| (bundle.as_path(), "x", *said));
    for (bundle, id, said) in cases.into_iter().chain(made) {
        let words =
            ["--log".into(), log.clone().into_os_string(), "--log-format=json".into(), "create".into()];
        let output = oci.run(words.into_iter().chain(["-b".into(), bundle.into(), id.into()])).fails(1);
        assert!(
            output.stderr().contains(said) && output.stderr().lines().count() == 1,
            "{bundle:?}: {output}"
        );
        let told = fs::read_to_string(&log).unwrap();
        let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        assert_eq!(last["level"], "error");
        assert!(last["msg"].as_str().unwrap().contains(said), "{last}");
        let left = fs::read_dir(oci.root()).map_or(0, Iterator::count);
        assert_eq!((left, groups(&format!("{}-x", env.tag()))), (0, 0), "{bundle:?}");
    }
    for words in
        [&["nope"][..], &["--nope"], &["create", "--nope", "x"], &["kill", "x", "NOPE"], &["state"], &[]]
    {
        oci.run(words.iter().copied()).fails(2);
    }
    oci.run(["checkpoint", "x"]).fails(1);
}

/// The only test whose bundles name no control group.
#[test]
fn the_group_above_its_own_goes_with_the_last_container_however_that_ends() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let unnamed = |name: &str, command: &[&str]| {
        oci.bundle(name, command, |config| config["linux"]["cgroupsPath"] = Value::Null)
    };
    let ours = || groups("tinyd-runtime");
    let (sleeps, missing, hooked) = (
        unnamed("sleeps", &["sleep", "1000"]),
        unnamed("missing", &["/no/such"]),
        unnamed("hooked", &["true"]),
    );
    let path = hooked.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/false" }] });
    fs::write(&path, config.to_string()).unwrap();
    for bundle in [&missing, &hooked] {
        oci.create(bundle).fails(1);
        assert_eq!(ours(), 0, "{bundle:?}");
    }
    oci.launch(&sleeps);
    assert!(ours() > 0);
    oci.create(&missing).fails(1);
    assert!(ours() > 0);
    oci.run(["delete", "-f", "sleeps"]).ok();
    assert_eq!(ours(), 0);
}

/// A container that could open it could read what is typed, and set it.
#[test]
fn the_callers_terminal_is_shown_what_a_command_without_one_writes_and_is_out_of_its_reach() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "trap 'echo got it; exit 7' INT; for fd in 0 1 2; do [ -t $fd ] || echo pipe$fd; done; read word; echo \"<$word>\" >&2; \
        while :; do sleep 0.05; done";
    let bundle = oci.bundle("one", &["sh", "-c", script], |_| ());
    oci.launch(&oci.bundle("two", &["sleep", "1000"], |_| ()));
    let run = [OsString::from("run"), "-b".into(), bundle.into(), "one".into()];
    let exec = ["exec", "two", "sh", "-c", script].map(OsString::from);
    for words in [&run[..], &exec] {
        let mut pty = oci.cmd(words.iter().cloned()).pty(24, 80);
        pty.expect("pipe2");
        pty.send(b"typed\n");
        pty.expect("<typed>");
        // The key, by which the terminal tells the command in front: that is the runtime.
        pty.send(b"\x03");
        let (status, said) = pty.wait();
        assert!(status.code() == Some(7) && said.contains("got it"), "{status:?} {said}");
        assert!(["pipe0", "pipe1"].iter().all(|line| said.contains(line)), "{said}");
    }
}

/// Whoever asks for a protection that there is not is told so, and not given a command without it.
#[test]
fn what_a_further_command_is_not_held_to_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    oci.launch(&oci.bundle("c", &["sleep", "1000"], |_| {}));
    let lacks =
        |module: &str| !fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default().contains(module);
    for (option, there_is_none, said) in [
        ("--apparmor", lacks("apparmor"), "AppArmor"),
        ("--process-label", lacks("selinux"), "SELinux"),
        ("--cgroup", true, "own group"),
    ] {
        if there_is_none {
            let refused = oci.run(["exec", option, "strict", "c", "true"]);
            assert_ne!(refused.code(), Some(0), "{option}");
            assert!(refused.stderr().contains(said), "{refused}");
        }
    }
    oci.run(["delete", "--force", "c"]).ok();
}

/// As the first command's does: the pipes are its caller's.
#[test]
fn the_user_of_a_further_command_opens_its_streams_again() {
    require!(root);
    require!(program);
    for mapped in [false, true] {
        let env = Env::new();
        let oci = Oci::of(&env).mapped(mapped);
        oci.launch(&oci.bundle("c", &["sleep", "1000"], |_| {}));
        let script = "echo out > /dev/stdout; echo err > /dev/stderr";
        let said = oci.run(["exec", "--user", "1000:1000", "c", "sh", "-c", script]).ok();
        assert_eq!((said.stdout(), said.stderr()), ("out\n".to_owned(), "err\n".to_owned()), "{mapped}");
        oci.run(["delete", "--force", "c"]).ok();
    }
}

/// A kill for want of memory is told when it happens, not at the next look.
#[test]
fn events_tell_of_a_want_of_memory_at_once() {
    require!(root);
    require!(program);
    require!(controller "memory");
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("m", &["sleep", "1000"], |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 16 << 20 });
    });
    oci.launch(&bundle);
    let mut events = oci.cmd(["events", "--interval", "1h", "m"]).spawn();
    events.expect("stats");
    oci.run(["exec", "m", "tail", "-n1", "/dev/zero"]).fails(137);
    events.expect("\"oom\"");
    // Whoever ends it ends this, too.
    oci.run(["kill", "m", "KILL"]).ok();
    events.wait().ok();
    oci.run(["delete", "m"]).ok();
}
