//! Volumes that are mounted on the host for those who use them: in memory, of a plugin, of a server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tinyd_tests::{Env, in_both_modes, kill, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// What is mounted for an engine's volumes.
fn mounted(env: &Env) -> Vec<PathBuf> {
    let run = env.run_root().join("volumes");
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = all.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(&run)).collect()
}

/// I25, and the tmpfs of I17: one memory for all who use it.
#[test]
fn a_volume_in_memory_is_shared_full_at_its_size_and_gone_after_the_last() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        env.tinyd(["volume", "create", "-d", "tmpfs", "--size", "1m", "-o", "mode=1777", "mem"]).ok();
        let first = mode.start(["-v", "mem:/m", &image, "sleep", "300"]);
        let second = mode.start(["-v", "mem:/m:ro", &image, "sleep", "300"]);
        assert_eq!(mounted(env).len(), 1);
        first.exec(&[], &["sh", "-c", "echo both > /m/file"]).ok();
        assert_eq!(second.exec(&[], &["cat", "/m/file"]).ok().stdout(), "both\n");
        second.exec(&[], &["touch", "/m/x"]).fails(1);
        let full = first.exec(&[], &["dd", "if=/dev/zero", "of=/m/big", "bs=64k", "count=32"]).fails(1);
        assert!(full.stderr().contains("No space left"), "{full}");
        env.tinyd(["stop", "-t", "0", &first.id]).ok();
        assert_eq!(second.exec(&[], &["cat", "/m/file"]).ok().stdout(), "both\n", "one uses it still");
        env.tinyd(["rm", "-f", &second.id]).ok();
        assert_eq!(mounted(env), Vec::<PathBuf>::new());
        // The first one starts again with an empty one.
        env.tinyd(["start", &first.id]).ok();
        assert_eq!(first.exec(&[], &["ls", "-A", "/m"]).ok().stdout(), "");
        env.tinyd(["rm", "-f", &first.id]).ok();
        assert_eq!(mounted(env), Vec::<PathBuf>::new());
        env.assert_checked();
    });
}

#[test]
fn what_was_mounted_for_a_start_that_fails_is_unmounted() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        env.tinyd(["volume", "create", "-d", "tmpfs", "mem"]).ok();
        mode.run(["-v", "mem:/m", &image, "/nothing"]).fails(127);
        env.tinyd(["create", "--name", "c", "--userns", mode.userns(), "-v", "mem:/m", &image, "/nothing"])
            .ok();
        env.tinyd(["start", "c"]).fails(127);
        assert_eq!(mounted(env), Vec::<PathBuf>::new());
        // Nor is one left by a monitor that was killed together with its container.
        let container = mode.start(["--name", "d", "-v", "mem:/m", &image, "sleep", "300"]);
        kill::kill(kill::monitor_of(env, "d"));
        kill::kill(container.pid);
        env.tinyd(["ps", "-a"]).ok();
        assert_eq!(mounted(env), Vec::<PathBuf>::new());
    });
}

/// rclone as a volume plugin.
struct Rclone {
    child: Child,
    place: PathBuf,
}

impl Rclone {
    fn start(env: &Env) -> Self {
        let place = env.files().join("rclone");
        fs::create_dir_all(place.join("data")).unwrap();
        let path = |name: &str| place.join(name);
        let child = Command::new("rclone")
            .args(["serve", "docker", "--socket-addr"])
            .arg(path("rclone.sock"))
            .arg("--base-dir")
            .arg(path("mounts"))
            .arg("--cache-dir")
            .arg(path("cache"))
            .arg("--config")
            .arg(path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let rclone = Self { child, place };
        let end = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(rclone.place.join("rclone.sock")).is_err() {
            assert!(Instant::now() < end, "rclone does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        rclone
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            let _ = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        // One that waits for itself, as rclone 1.60 can.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = rustix::mount::unmount(self.place.join("mounts/far"), rustix::mount::UnmountFlags::DETACH);
    }
}

/// I19: any store that rclone knows, here a folder, which stands for one far away.
#[test]
fn a_volume_of_a_plugin_holds_what_the_plugin_keeps() {
    require!(root);
    require!(command "rclone");
    require!(command "fusermount3");
    let env = Env::new();
    let (rclone, image) = (Rclone::start(&env), image());
    let socket = format!("socket={}", rclone.place.join("rclone.sock").display());
    let remote = format!("remote=:local:{}", rclone.place.join("data").display());
    env.tinyd(["volume", "create", "-d", "rclone", "-o", &socket, "-o", &remote, "far"]).ok();
    let run = |script: &str| {
        env.tinyd(["run", "--rm", "--userns", "host", "-v", "far:/far:nocopy", &image, "sh", "-c", script])
    };
    run("echo far > /far/file").ok();
    wait_until("it has arrived", || {
        fs::read_to_string(rclone.place.join("data/file")).is_ok_and(|text| text == "far\n")
    });
    // rclone 1.60 waits for itself for ever where a Mount comes before it has seen its own Unmount.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(run("cat /far/file").ok().stdout(), "far\n");
    let listed = env.tinyd(["volume", "ls", "--format", "{{.Name}} {{.Driver}}"]).ok();
    assert_eq!(listed.stdout(), "far rclone\n");
    env.tinyd(["volume", "rm", "far"]).ok();
    assert_eq!(
        fs::read_to_string(rclone.place.join("data/file")).unwrap(),
        "far\n",
        "the store keeps its data"
    );
    let output = env.tinyd(["volume", "create", "-d", "rclone", "far"]).fails(1);
    assert!(output.stderr().contains("no volume plugin"), "{output}");
}

/// A volume plugin with a folder for all its volumes, which notes what it is asked, and can fall silent.
struct Plugin {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    /// To who would have something unmounted; to who would have something mounted.
    silent: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    server: Option<std::thread::JoinHandle<()>>,
}

impl Plugin {
    fn start(env: &Env) -> Self {
        let (socket, folder) = (env.files().join("plugin.sock"), env.files().join("plugin"));
        fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, silent, ends) = (Arc::default(), Arc::default(), Arc::default());
        let mut plugin = Self { socket, asked, silent, deaf: Arc::default(), ends, server: None };
        let (asked, silent) = (Arc::clone(&plugin.asked), Arc::clone(&plugin.silent));
        let deaf = Arc::clone(&plugin.deaf);
        let ends = Arc::clone(&plugin.ends);
        plugin.server = Some(std::thread::spawn(move || {
            let mut unanswered = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let mut question = vec![0; 8192];
                let length = stream.read(&mut question).unwrap_or_default();
                let question = String::from_utf8_lossy(&question[..length]).into_owned();
                let call = question
                    .split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .trim_start_matches("/VolumeDriver.")
                    .to_owned();
                asked.lock().unwrap().push(call.clone());
                if call == "Unmount" && silent.load(Ordering::Relaxed)
                    || call == "Mount" && deaf.load(Ordering::Relaxed)
                {
                    unanswered.push(stream);
                    continue;
                }
                let place = folder.display();
                let answer = match call.as_str() {
                    "/Plugin.Activate" => r#"{"Implements": ["VolumeDriver"]}"#.to_owned(),
                    "Get" => format!(
                        r#"{{"Volume": {{"Name": "data", "Mountpoint": "{place}", "Status": {{"size": "5", "of": [1]}}}}}}"#
                    ),
                    "Capabilities" => r#"{"Capabilities": {"Scope": "global"}}"#.to_owned(),
                    "List" => format!(r#"{{"Volumes": [{{"Name": "data", "Mountpoint": "{place}"}}]}}"#),
                    _ => format!(r#"{{"Mountpoint": "{place}", "Err": ""}}"#),
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    answer.len()
                );
                // Who was killed reads no answer.
                let _ = stream.write_all((head + &answer).as_bytes());
            }
        }));
        plugin
    }

    fn unmounts(&self) -> usize {
        self.calls("Unmount")
    }

    fn calls(&self, wanted: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|call| *call == wanted).count()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(UnixStream::connect(&self.socket));
        let _ = self.server.take().unwrap().join();
        let _ = fs::remove_file(&self.socket);
    }
}

/// A plugin that gives no answer holds up one command, and not each, and is asked again for what was not done.
#[test]
fn a_plugin_that_falls_silent_holds_up_one_command_and_is_asked_again() {
    require!(root);
    let env = Env::new();
    let (plugin, image) = (Plugin::start(&env), image());
    let socket = format!("socket={}", plugin.socket.display());
    env.tinyd(["volume", "create", "-d", "fake", "-o", &socket, "data"]).ok();
    let run = ["run", "-d", "--name", "c", "-v", "data:/d:nocopy", &image, "sleep", "300"];
    let id = env.tinyd(run).ok().text();
    let told = ["volume", "inspect", "-f", "{{.Scope}} {{.Status.size}} {{.Status.of}}", "data"];
    assert_eq!(env.tinyd(told).ok().text(), "global 5 [1]");
    plugin.silent.store(true, Ordering::Relaxed);
    env.tinyd(["stop", "-t", "0", "c"]).ok();
    let took = |words: &[&str]| {
        let began = Instant::now();
        env.tinyd(words).ok();
        began.elapsed()
    };
    let (first, second) = (took(&["ps"]), took(&["ps"]));
    assert!(first > Duration::from_secs(5) && second < Duration::from_secs(3), "{first:?} {second:?}");
    // Its container goes; that the plugin has to unmount it is not forgotten.
    let output = env.tinyd(["rm", "c"]).fails(1);
    assert!(output.stderr().contains("\"fake\"") || output.stderr().contains("data"), "{output}");
    let third = took(&["ps", "-a"]);
    assert!(third < Duration::from_secs(3), "{third:?}");
    let before = plugin.unmounts();
    plugin.silent.store(false, Ordering::Relaxed);
    // As if a minute had passed.
    let mark = env.run_root().join("unmount").join(&id);
    fs::File::open(&mark).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    env.tinyd(["ps"]).ok();
    assert!(plugin.unmounts() > before);
    assert!(!mark.exists() && !env.root().join("trash").join(&id).exists());
    env.tinyd(["volume", "rm", "data"]).ok();
    env.assert_checked();
}

/// A start by a policy that waits for a plugin is no command's that was asked something else, and comes when it answers again.
#[test]
fn a_start_by_a_policy_that_waits_for_its_volumes_holds_up_no_command() {
    require!(root);
    let env = Env::new();
    let (plugin, image) = (Plugin::start(&env), image());
    let socket = format!("socket={}", plugin.socket.display());
    env.tinyd(["volume", "create", "-d", "fake", "-o", &socket, "data"]).ok();
    let run = ["run", "-d", "--restart", "always", "--name", "c", "-v", "data:/d:nocopy"];
    env.tinyd(run.into_iter().chain([&*image, "sleep", "300"])).ok();
    plugin.deaf.store(true, Ordering::Relaxed);
    let (monitor, init) = (kill::monitor_of(&env, "c"), kill::init_of(&env, "c"));
    kill::kill(monitor);
    kill::kill(init);
    let ask = || {
        let asked = Instant::now();
        env.tinyd(["ps", "-a"]).ok();
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    };
    // The first one was for the run.
    wait_until("it is to be started again", || {
        ask();
        plugin.calls("Mount") > 1
    });
    ask();
    plugin.deaf.store(false, Ordering::Relaxed);
    wait_until("it runs again", || {
        env.tinyd(["inspect", "-f", "{{.State.Status}}", "c"]).ok().text() == "running"
    });
    env.tinyd(["rm", "-f", "c"]).ok();
    env.tinyd(["volume", "rm", "data"]).ok();
    env.assert_checked();
}

/// The control groups of the programs that serve a volume.
fn groups_of_servers(env: &Env, volume: &str) -> Vec<String> {
    let run = env.run_root().canonicalize().unwrap().join("volumes/remote").join(volume);
    let mark = format!("TINYD_VOLUME={}/data", run.display());
    let of = |process: PathBuf| {
        let environment = fs::read(process.join("environ")).ok()?;
        let is_marked = environment.split(|byte| *byte == 0).any(|word| word == mark.as_bytes());
        is_marked.then(|| fs::read_to_string(process.join("cgroup")).ok()).flatten()
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.ok()?.path())).collect()
}

/// Row 34 of part 3: a server that takes the call and says nothing.
#[test]
fn a_server_that_does_not_answer_is_an_error_within_seconds_and_nobody_else_waits() {
    require!(root);
    require!(command "sshfs");
    let env = Env::new();
    let image = image();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("o=port={}", silent.local_addr().unwrap().port());
    let device = "device=nobody@127.0.0.1:/data";
    env.tinyd(["volume", "create", "-d", "remote", "-o", "type=sshfs", "-o", device, "-o", &port, "slow"])
        .ok();
    for name in ["c", "d"] {
        env.tinyd(["create", "--name", name, "-v", "slow:/s", &image, "true"]).ok();
    }
    let began = Instant::now();
    let mut starting = env.cmd(["start", "c"]).spawn();
    // They live with the monitors, whose caller may end.
    wait_until("its programs are where they belong", || {
        let groups = groups_of_servers(&env, "slow");
        let are_there = |all: &String| all.lines().any(|line| line.ends_with("/tinyd/monitor"));
        !groups.is_empty() && groups.iter().all(are_there)
    });
    let second = env.cmd(["start", "d"]).spawn();
    std::thread::sleep(Duration::from_millis(300));
    let others = [&["volume", "create", "near"][..], &["run", "--rm", "-v", "/own", &image, "true"]];
    let asking = [&["ps", "-a"][..], &["volume", "ls"], &["inspect", "c"], &["volume", "inspect", "slow"]];
    for words in others.into_iter().chain(asking).chain([&["volume", "rm", "near"][..]]) {
        let asked = Instant::now();
        env.tinyd(words.iter().copied()).ok();
        assert!(asked.elapsed() < Duration::from_secs(2), "{words:?} waited {:?}", asked.elapsed());
    }
    assert!(!starting.has_ended());
    let output = starting.wait().fails(125);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    for part in ["\"slow\"", "nobody@127.0.0.1:/data", "timed out"] {
        assert!(output.stderr().contains(part), "{part:?}: {output}");
    }
    // Who waits for the same server waits at the same time.
    let output = second.wait().fails(125);
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
    assert!(output.stderr().contains("\"slow\""), "{output}");
    assert_eq!(mounted(&env), Vec::<PathBuf>::new());
    let left = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
    assert_eq!(left(&env.run_root().join("volumes/remote/slow/users")), 0);
    env.tinyd(["rm", "c", "d"]).ok();
    env.tinyd(["volume", "rm", "slow"]).ok();
    env.assert_checked();
}
