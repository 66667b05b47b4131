//! Paths that an engine gives the runtime and that are traps: links, FIFOs, sockets that nobody empties, files without an end; and names
//! of containers that would be something else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};
use tinyd_tests::attack::{Decoy, SECRET};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, Output, require};

/// Whoever takes longer waits for the trap.
const LIMIT: Duration = Duration::from_secs(30);

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
}

/// The words of `create`, with these before the bundle, to its end.
fn create(oci: &Oci<'_>, options: &[&str], bundle: &Path, id: &str) -> Output {
    let words = options.iter().map(OsString::from).chain(["-b".into(), bundle.into(), id.into()]);
    let words = ["create".into()].into_iter().chain(words);
    oci.leave(words)
}

#[track_caller]
fn assert_nothing_left(oci: &Oci<'_>) {
    assert_eq!(fs::read_dir(oci.root()).map_or(0, Iterator::count), 0);
}

#[test]
fn a_pid_file_is_written_through_no_link() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let decoy = Decoy::folder(&env);
    let target = decoy.path().join("secret");
    let folder = env.files().join("shared");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("pid");
    let bundle = oci.bundle("b", &["sleep", "1000"], |_| {});
    for name in ["pid", "pid.new"] {
        symlink(&target, folder.join(name)).unwrap();
    }
    create(&oci, &["--pid-file", file.to_str().unwrap()], &bundle, "b").ok();
    let written = || fs::read_to_string(&file).unwrap();
    assert_eq!(written(), oci.state("b")["pid"].to_string());
    assert!(file.symlink_metadata().unwrap().is_file());
    decoy.assert_unchanged();
    oci.run(["start", "b"]).ok();
    symlink(&target, folder.join("pid.new")).unwrap();
    let words = ["exec", "-d", "--pid-file", file.to_str().unwrap(), "b", "sleep", "500"];
    oci.leave(words).ok();
    assert_ne!(written(), oci.state("b")["pid"].to_string());
    decoy.assert_unchanged();
    // One that cannot be written takes the container with it.
    let other = oci.bundle("o", &["sleep", "1000"], |_| {});
    let refused = create(&oci, &["--pid-file", "/no/such/folder/pid"], &other, "o").fails(1);
    assert!(refused.stderr().contains("/no/such/folder/pid"), "{refused}");
    oci.run(["state", "o"]).fails(1);
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let pipe = env.files().join("pipe");
    fifo(&pipe);
    for log in [pipe.to_str().unwrap(), "/no/such/folder/log", "/", "/dev/full"] {
        let words = ["--log", log, "--log-format", "json", "state", "x"];
        let told = oci.cmd(words).limit(LIMIT).output().fails(1);
        assert!(told.stderr().contains("does not exist"), "{log}: {told}");
    }
    // Lines of JSON are lines whatever stands in them.
    let log = env.files().join("log");
    let bundle = oci.bundle("b", &["true"], |config| config["process"]["cwd"] = json!("a\nb\u{1b}[2J\""));
    for format in ["json", "text"] {
        let words =
            ["--log".into(), log.clone().into_os_string(), "--log-format".into(), OsString::from(format)];
        let words =
            words.into_iter().chain(["create".into(), "-b".into(), bundle.clone().into(), "x".into()]);
        let told = oci.run(words).fails(1);
        assert_eq!(told.stderr().lines().count(), 1, "{told}");
        assert!(!told.stderr().contains('\u{1b}'), "{told}");
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(first["msg"].as_str().unwrap().contains("process.cwd"), "{first}");
}

#[test]
fn a_console_socket_that_is_none_leaves_nothing() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("b", &["sleep", "1000"], |config| config["process"]["terminal"] = json!(true));
    let files = env.files();
    let place = |name: &str| files.join(name);
    fifo(&place("fifo"));
    fs::write(place("file"), "").unwrap();
    symlink("/dev/null", place("link")).unwrap();
    drop(UnixListener::bind(place("nobody")).unwrap());
    let datagrams = std::os::unix::net::UnixDatagram::bind(place("datagrams")).unwrap();
    let long: PathBuf = place(&"x".repeat(150));
    for path in
        ["fifo", "file", "link", "nobody", "datagrams", "missing", "."].map(place).into_iter().chain([long])
    {
        let path = path.to_str().unwrap();
        let refused = create(&oci, &["--console-socket", path], &bundle, "b").fails(1);
        assert!(refused.stderr().contains(path) && refused.stderr().lines().count() == 1, "{refused}");
        assert_nothing_left(&oci);
    }
    drop(datagrams);
    // Somebody listens, and takes nothing: connections queue up to a limit, and then nobody is kept waiting for ever.
    let full = place("full");
    let listener = UnixListener::bind(&full).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let queued = std::os::unix::net::UnixStream::connect(&full).unwrap();
    let words = ["--console-socket", full.to_str().unwrap()];
    let refused = create(&oci, &words, &bundle, "b").fails(1);
    assert!(refused.stderr().contains("hand the terminal over"), "{refused}");
    assert_nothing_left(&oci);
    drop((queued, listener));
    fs::remove_file(full).unwrap();
    env.assert_clean();
}

#[test]
fn what_is_no_configuration_is_refused_without_waiting_and_without_reading_it_all() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let running = oci.bundle("running", &["sleep", "1000"], |_| {});
    oci.launch(&running);
    type Make = fn(&Path);
    let traps: [(&str, Make, &str); 6] = [
        ("fifo", fifo, "no file"),
        ("folder", |path| fs::create_dir(path).unwrap(), "directory"),
        ("endless", |path| symlink("/dev/zero", path).unwrap(), "no file"),
        ("huge", |path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap(), "longer than 4 MiB"),
        ("loop", |path| symlink(path, path).unwrap(), "(os error 40)"),
        ("missing", |_| {}, "No such file"),
    ];
    for (name, make, said) in traps {
        let bundle = oci.bundle(name, &["true"], |_| {});
        let config = bundle.join("config.json");
        fs::remove_file(&config).unwrap();
        make(&config);
        for verb in ["create", "run"] {
            let words = [OsString::from(verb), "-b".into(), bundle.clone().into(), "x".into()];
            let refused = oci.cmd(words).limit(LIMIT).output().fails(1);
            assert!(refused.stderr().contains(said) && refused.stderr().lines().count() == 1, "{refused}");
        }
        // A process may come over a pipe, but not without an end.
        if !["fifo", "missing"].contains(&name) {
            let words =
                ["exec".into(), "--process".into(), config.clone().into_os_string(), "running".into()];
            let refused = oci.cmd(words).limit(LIMIT).output().fails(255);
            assert!(refused.stderr().contains("read the process from"), "{refused}");
        }
        fs::remove_file(&config).or_else(|_| fs::remove_dir(&config)).unwrap_or_default();
    }
    let names: Vec<_> = fs::read_dir(oci.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["running"]);
}

#[test]
fn namespaces_that_are_none_keep_nobody_waiting() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let pipe = env.files().join("pipe");
    fifo(&pipe);
    let file = env.file("file", "");
    let decoy = Decoy::folder(&env);
    for kind in ["network", "ipc", "uts", "pid", "mount", "user", "cgroup", "time"] {
        for (number, path) in
            [&pipe, &file, &PathBuf::from("/no/such"), &PathBuf::from("/proc/self/ns")].iter().enumerate()
        {
            let bundle = oci.bundle(&format!("{kind}{number}"), &["true"], |config| {
                let all = config["linux"]["namespaces"].as_array_mut().unwrap();
                all.retain(|one| one["type"] != kind);
                all.push(json!({ "type": kind, "path": path }));
            });
            let refused = create(&oci, &[], &bundle, "x").fails(1);
            assert!(refused.stderr().contains(&format!("{}", path.display())), "{kind}: {refused}");
            assert_eq!(refused.stderr().lines().count(), 1, "{refused}");
            assert_nothing_left(&oci);
        }
    }
    decoy.assert_unchanged();
}

/// Namespaces of mounts that others have made show what they like at `/proc`.
#[test]
fn settings_and_clocks_are_written_to_no_proc_of_others() {
    require!(root);
    require!(program);
    require!(command "unshare");
    let env = Env::new();
    let oci = Oci::of(&env);
    let fake = env.files().join("fake");
    fs::create_dir_all(fake.join("self")).unwrap();
    fs::create_dir_all(fake.join("sys/kernel")).unwrap();
    for file in ["self/timens_offsets", "sys/kernel/shm_rmid_forced"] {
        fs::write(fake.join(file), SECRET).unwrap();
    }
    let decoy = Decoy::of(&fake);
    let script = format!("mount --bind {} /proc; echo ready; exec sleep 1000", fake.display());
    let mut liar =
        env.other(["unshare", "--mount", "--propagation", "private", "sh", "-c", &script]).piped().spawn();
    liar.expect("ready");
    let mounts = format!("/proc/{}/ns/mnt", liar.pid());
    for (name, change) in [
        (
            "clock",
            (|config: &mut Value| {
                let all = config["linux"]["namespaces"].as_array_mut().unwrap();
                all.push(json!({ "type": "time" }));
                config["linux"]["timeOffsets"] = json!({ "monotonic": { "secs": 5, "nanosecs": 0 } });
            }) as fn(&mut Value),
        ),
        ("setting", |config| {
            config["linux"]["sysctl"] = json!({ "kernel.shm_rmid_forced": "1" });
            config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
        }),
    ] {
        let bundle = oci.bundle(name, &["true"], |config| {
            let all = config["linux"]["namespaces"].as_array_mut().unwrap();
            all.iter_mut().find(|one| one["type"] == "mount").unwrap()["path"] = json!(mounts);
            change(config);
        });
        let refused = create(&oci, &[], &bundle, "x").fails(1);
        assert!(refused.stderr().contains("No such device"), "{name}: {refused}");
        assert_nothing_left(&oci);
        decoy.assert_unchanged();
    }
    liar.signal(rustix::process::Signal::KILL);
    liar.wait();
}

#[test]
fn an_id_is_one_plain_name() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("b", &["true"], |_| {});
    let decoy = Decoy::folder(&env);
    fs::create_dir_all(oci.root()).unwrap();
    let outside = decoy.path().to_str().unwrap();
    let long = "x".repeat(300);
    let up = format!("../../../../../..{outside}");
    for id in [
        "..",
        ".",
        "",
        "a/b",
        "../x",
        "/",
        outside,
        &up,
        "a\nb",
        "a b",
        "\u{1b}[2J",
        "%2e%2e",
        "é",
        "a\\b",
        &long,
    ] {
        let verbs: [&[&str]; 8] = [
            &["create"],
            &["run"],
            &["start"],
            &["state"],
            &["kill"],
            &["delete", "--force"],
            &["pause"],
            &["events", "--stats"],
        ];
        for verb in verbs {
            let mut words: Vec<OsString> = verb.iter().map(OsString::from).collect();
            if ["create", "run"].contains(&verb[0]) {
                words.extend(["-b".into(), bundle.clone().into_os_string()]);
            }
            words.extend(["--".into(), id.into()]);
            let refused = oci.run(words);
            assert!(matches!(refused.code(), Some(1)), "{verb:?} {id:?}: {refused}");
            assert_eq!(refused.stderr().lines().count(), 1, "{verb:?} {id:?}: {refused}");
            assert!(!refused.stderr().contains('\u{1b}'), "{refused}");
        }
        let refused = oci.run(["exec", "--", id, "true"]).fails(255);
        assert_eq!(refused.stderr().lines().count(), 1, "{refused}");
        assert_nothing_left(&oci);
        decoy.assert_unchanged();
    }
}

/// A folder of containers that is a link is taken as what it leads to; a container that is a link is none.
#[test]
fn a_container_is_a_folder_and_no_link() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("b", &["sleep", "1000"], |_| {});
    let real = env.files().join("real");
    fs::create_dir(&real).unwrap();
    fs::create_dir_all(oci.root().parent().unwrap()).unwrap();
    symlink(&real, oci.root()).unwrap();
    create(&oci, &[], &bundle, "b").ok();
    assert!(real.join("b/container.json").is_file());
    // A copy of its record where somebody else can write, and a link to it.
    let copy = env.files().join("copy");
    env.other(["cp".into(), "-a".into(), real.join("b"), copy.clone()]).output().ok();
    let decoy = Decoy::of(&copy);
    symlink(&copy, real.join("link")).unwrap();
    let status = oci.status("b");
    for words in [&["state", "link"][..], &["start", "link"], &["kill", "link", "KILL"], &["delete", "link"]]
    {
        let refused = oci.run(words.iter().copied()).fails(1);
        assert!(refused.stderr().contains("does not exist"), "{refused}");
    }
    oci.run(["delete", "--force", "link"]).ok();
    assert_eq!(oci.status("b"), status);
    decoy.assert_unchanged();
    let refused = create(&oci, &[], &bundle, "link").fails(1);
    assert!(refused.stderr().contains("already exists"), "{refused}");
    assert_eq!(oci.run(["list", "-q"]).ok().stdout(), "b\n");
    oci.run(["delete", "--force", "b"]).ok();
    fs::remove_file(real.join("link")).unwrap();
    fs::remove_file(oci.root()).unwrap();
}

/// A control group that is somebody else's is neither taken nor emptied.
#[test]
fn a_group_of_others_is_left_alone() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let first = oci.bundle("first", &["sleep", "1000"], |_| {});
    oci.launch(&first);
    let path = format!("/{}-first", env.tag());
    for (number, path) in [path.as_str(), "/", "/..", "../x", "/a/../../b", "/a\nb"].into_iter().enumerate() {
        let bundle = oci
            .bundle(&format!("o{number}"), &["true"], |config| config["linux"]["cgroupsPath"] = json!(path));
        for said in [oci.by_run(&bundle), oci.by_start(&bundle)] {
            said.refused(&["cgroup"]);
        }
        let names: Vec<_> =
            fs::read_dir(oci.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["first"], "{path:?}");
    }
    assert_eq!(oci.status("first"), "running");
}
