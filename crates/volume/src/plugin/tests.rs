//! A real plugin, rclone's `serve docker`, and one that does everything wrong.

use super::*;
use crate::testing::{self, needs_root};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// rclone, serving volumes.
struct Rclone {
    place: tempfile::TempDir,
    child: Child,
}

impl Rclone {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("data")).unwrap();
        let child = Self::serve(place.path());
        Self { place, child }
    }

    fn serve(place: &Path) -> Child {
        let child = Command::new("/usr/bin/rclone")
            .args(["serve", "docker", "--socket-addr"])
            .arg(place.join("rclone.sock"))
            .arg("--base-dir")
            .arg(place.join("mounts"))
            .arg("--cache-dir")
            .arg(place.join("cache"))
            .arg("--config")
            .arg(place.join("rclone.conf"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.join("log")).unwrap())
            .spawn()
            .expect("rclone, which `cargo xtask setup` installs");
        let until = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(place.join("rclone.sock")).is_err() {
            assert!(Instant::now() < until, "{}", fs::read_to_string(place.join("log")).unwrap());
            thread::sleep(Duration::from_millis(20));
        }
        child
    }

    /// Ends it, mounts and all; one that waits for itself is killed.
    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::TERM).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    fn driver(&self) -> PluginDriver {
        let place = self.place.path();
        PluginDriver::at("rclone", place.join("rclone.sock"), place.join("run")).unwrap()
    }

    fn wanted(&self) -> VolumeSpec {
        let remote = format!(":local:{}", self.place.path().join("data").display());
        VolumeSpec { options: BTreeMap::from([("remote".into(), remote)]), ..VolumeSpec::named("v1") }
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.stop();
        }
        let _ = mounted::detach(&self.place.path().join("mounts/v1"));
    }
}

#[test]
fn root_volumes_of_rclone_keep_the_drivers_contract() {
    if needs_root() {
        return;
    }
    let rclone = Rclone::start();
    let make = || -> Box<dyn VolumeDriver> {
        // Where a Mount comes before rclone 1.60 has seen its own Unmount, it waits for itself for ever.
        thread::sleep(Duration::from_millis(200));
        Box::new(rclone.driver())
    };
    let but = testing::Exceptions { options_are_judged_elsewhere: true, ..Default::default() };
    testing::conformance_but(&make, &rclone.wanted(), but);
    assert!(!rclone.place.path().join("run/rclone/v1").exists());
}

#[test]
fn root_what_is_written_is_where_rclone_puts_it_and_its_list_is_ours() {
    if needs_root() {
        return;
    }
    let rclone = Rclone::start();
    let driver = rclone.driver();
    assert_eq!(driver.scope().unwrap(), Scope::Local);
    let volume = driver.create(&rclone.wanted()).unwrap();
    assert!(!driver.details(&volume).unwrap().is_global);
    // Another one who wants it has the same.
    assert_eq!(driver.create(&rclone.wanted()).unwrap(), volume);
    let path = driver.mount(&volume, "one").unwrap();
    assert_eq!(driver.mount(&volume, "two").unwrap(), path);
    assert_eq!(driver.users(&volume).unwrap(), ["one", "two"]);
    fs::write(path.join("greeting"), "hello").unwrap();
    assert_eq!(fs::read_to_string(rclone.place.path().join("data/greeting")).unwrap(), "hello");
    let listed = driver.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(PluginDriver::of("rclone", &listed[0].options, "/run".into()).unwrap().socket, driver.socket);
    let error = driver.remove(&volume).unwrap_err().to_string();
    assert!(error.contains("rclone") && error.contains("v1") && error.contains("use"), "{error}");
    driver.unmount(&volume, "one").unwrap();
    assert!(mounted::at(&path).unwrap().is_some());
    driver.unmount(&volume, "two").unwrap();
    assert!(mounted::at(&path).unwrap().is_none());
    driver.remove(&volume).unwrap();
    assert!(rclone.place.path().join("data/greeting").exists());
}

#[test]
fn root_a_plugin_that_is_killed_and_knows_nothing_any_more_holds_up_nothing() {
    if needs_root() {
        return;
    }
    let mut rclone = Rclone::start();
    let driver = rclone.driver();
    let volume = driver.create(&rclone.wanted()).unwrap();
    driver.mount(&volume, "one").unwrap();
    rclone.child.kill().unwrap();
    rclone.child.wait().unwrap();
    let error = driver.mount(&volume, "two").unwrap_err().to_string();
    assert!(error.contains("start the plugin") && error.contains("v1"), "{error}");
    assert_eq!(driver.users(&volume).unwrap(), ["one"]);
    // Its mount is dead, and stays until somebody takes it away.
    mounted::detach(&rclone.place.path().join("mounts/v1")).unwrap();
    fs::remove_file(rclone.place.path().join("rclone.sock")).unwrap();
    // With what it kept, rclone 1.60 waits for itself for ever when it starts.
    fs::remove_file(rclone.place.path().join("cache/docker-plugin.state")).unwrap();
    rclone.child = Rclone::serve(rclone.place.path());
    assert!(!driver.inspect(&volume).unwrap().available);
    driver.unmount(&volume, "one").unwrap();
    driver.create(&rclone.wanted()).unwrap();
    // Our notes are lost with a restart of the machine, which rclone's are not.
    driver.mount(&volume, "three").unwrap();
    fs::rename(rclone.place.path().join("run"), rclone.place.path().join("lost")).unwrap();
    driver.mount(&volume, "three").unwrap();
    driver.unmount(&volume, "three").unwrap();
    driver.remove(&volume).unwrap();
}

/// What a plugin that is broken does with a call.
#[derive(Clone, Debug)]
enum Does {
    Says(u16, String),
    Writes(&'static [u8]),
    Hangs,
    Drips,
}

/// A plugin that does as it is told, and remembers what it was asked.
struct Fake {
    place: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new(does: impl Fn(&str) -> Does + Send + 'static) -> Self {
        let place = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(place.path().join("fake.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let call = hear(&mut stream);
                heard.lock().unwrap().push(call.clone());
                match does(&call) {
                    Does::Says(status, text) => {
                        let length = text.len();
                        let _ =
                            write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{text}");
                    }
                    Does::Writes(bytes) => drop(stream.write_all(bytes)),
                    Does::Hangs => held.push(stream),
                    Does::Drips => drop(thread::spawn(move || {
                        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";
                        for byte in head.bytes().chain(std::iter::repeat(b' ')) {
                            if stream.write_all(&[byte]).is_err() {
                                break;
                            }
                            thread::sleep(Duration::from_millis(20));
                        }
                    })),
                }
            }
        });
        Self { place, asked }
    }

    /// One that does all but one call well.
    fn but(broken: &'static str, does: Does) -> Self {
        Self::new(move |call| if call == broken { does.clone() } else { well(call) })
    }

    fn driver(&self) -> PluginDriver {
        let place = self.place.path();
        let driver = PluginDriver::at("fake", place.join("fake.sock"), place.join("run")).unwrap();
        PluginDriver { patience: Duration::from_millis(500), ..driver }
    }

    fn was_asked(&self, call: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == call).count()
    }
}

/// Reads a question, and says for which call it is.
fn hear(stream: &mut UnixStream) -> String {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).unwrap_or(0);
        said.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&said);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            head.contains(&format!("Content-Length: {}", body.len())) && body.ends_with('}')
        });
        if whole || length == 0 {
            let path = text.split(' ').nth(1).unwrap_or_default();
            return path.rsplit('.').next().unwrap_or_default().to_owned();
        }
    }
}

fn well(call: &str) -> Does {
    let text = match call {
        "Activate" => r#"{"Implements": ["NetworkDriver", "VolumeDriver"]}"#,
        "Get" => return Does::Says(500, r#"{"Err": "no such volume"}"#.into()),
        "List" => r#"{"Volumes": null, "Err": ""}"#,
        "Mount" => r#"{"Mountpoint": "/tmp"}"#,
        _ => "{}",
    };
    Does::Says(200, text.into())
}

/// The faults of a plugin, and what is told of each.
fn faults() -> Vec<(Does, &'static str)> {
    vec![
        (Does::Hangs, "in time"),
        (Does::Drips, "in time"),
        (Does::Writes(b""), "before its answer"),
        (Does::Writes(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"Err\""), "before its answer"),
        (Does::Writes(b"220 mail ready\r\n"), "not HTTP"),
        (Does::Says(200, r#"{"Err": "disk\nfull"}"#.into()), "disk full"),
        (Does::Says(500, "a trace".into()), "a trace"),
        (Does::Says(500, String::new()), "status 500"),
        (Does::Says(200, String::new()), "not understood"),
        (Does::Says(200, "[1".into()), "not understood"),
        (
            Does::Says(200, format!(r#"{{"Mountpoint": {}1{}}}"#, "[".repeat(5000), "]".repeat(5000))),
            "not understood",
        ),
    ]
}

#[test]
fn pure_each_fault_at_creating_is_one_error_and_nothing_stays() {
    for (does, told) in faults() {
        let is_refusal = matches!(&does, Does::Says(status, text) if *status != 200 || text.contains("Err"));
        let fake = Fake::but("Create", does.clone());
        let error = fake.driver().create(&VolumeSpec::named("v1")).expect_err(told).to_string();
        for word in ["fake", "fake.sock", "\"v1\"", "Create", told, "; "] {
            assert!(error.contains(word) && !error.contains('\n'), "{does:?}: {error}");
        }
        // One that said no has made nothing; of any other nobody knows.
        assert_eq!(fake.was_asked("Remove"), usize::from(!is_refusal), "{does:?}");
    }
}

#[test]
fn pure_each_fault_at_mounting_is_one_error_and_nobody_has_it() {
    let places = [
        ("", "nowhere"),
        ("data", "absolute"),
        ("/tmp/../etc", "\\\"..\\\""),
        ("/", "whole host"),
        ("/no/such/folder", "No such file"),
        ("/tmp\\u0000x", "NUL"),
    ];
    let lies = places.map(|(place, told)| (Does::Says(200, format!(r#"{{"Mountpoint": "{place}"}}"#)), told));
    for (does, told) in faults().into_iter().chain(lies) {
        let is_refusal = matches!(&does, Does::Says(status, text) if *status != 200 || text.contains("Err"));
        let fake = Fake::but("Mount", does.clone());
        let driver = fake.driver();
        let volume = driver.create(&VolumeSpec::named("v1")).unwrap();
        let error = driver.mount(&volume, "one").expect_err(told).to_string();
        let told = told.replace("\\\"", "\"");
        assert!(error.contains(&told) && error.contains("\"v1\"") && error.contains("fake"), "{error}");
        assert!(driver.users(&volume).unwrap().is_empty());
        // What was refused is asked for once more, when this user had something to give back.
        assert_eq!(fake.was_asked("Unmount"), 1, "{does:?}");
        assert_eq!(fake.was_asked("Mount"), 1 + usize::from(is_refusal), "{does:?}");
    }
}

#[test]
fn pure_a_plugin_that_accepts_nobody_holds_up_nobody() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("full.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut queue = Vec::new();
    let address = rustix::net::SocketAddrUnix::new(&socket).unwrap();
    loop {
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
        let stream = rustix::net::socket_with(family, kind, flags, None).unwrap();
        match rustix::net::connect(&stream, &address) {
            Ok(()) => queue.push(stream),
            Err(errno) => break assert_eq!(errno, rustix::io::Errno::AGAIN),
        }
    }
    let driver = PluginDriver::at("full", socket, place.path().join("run")).unwrap();
    let driver = PluginDriver { patience: Duration::from_millis(200), ..driver };
    let error = driver.validate(&VolumeSpec::named("v1")).unwrap_err().to_string();
    assert!(error.contains("in time") && error.contains("restart"), "{error}");
}

#[test]
fn pure_what_is_no_volume_plugin_is_not_used() {
    let fake = Fake::but("Activate", Does::Says(200, r#"{"Implements": ["LogDriver"]}"#.into()));
    let error = fake.driver().create(&VolumeSpec::named("v1")).unwrap_err().to_string();
    assert!(error.contains("LogDriver") && error.contains("\"v1\""), "{error}");
    assert_eq!(fake.was_asked("Create"), 0);
    let fake = Fake::but("Capabilities", Does::Says(404, "404 page not found".into()));
    assert_eq!(fake.driver().scope().unwrap(), Scope::Local, "old ones have no such call");
    let global = Does::Says(200, r#"{"Capabilities": {"Scope": "global"}}"#.into());
    assert_eq!(Fake::but("Capabilities", global).driver().scope().unwrap(), Scope::Global);
    assert!(PluginDriver::at("x", "x.sock".into(), "/run".into()).is_err());
    let error = PluginDriver::discover("no-such-plugin", "/run".into()).unwrap_err().to_string();
    assert!(error.contains("no-such-plugin"), "{error}");
    let wanted = VolumeSpec { size_bytes: Some(1), ..VolumeSpec::named("v1") };
    assert!(fake.driver().create(&wanted).unwrap_err().to_string().contains("size"));
    let elsewhere = BTreeMap::from([("socket".to_owned(), "/other.sock".to_owned())]);
    let wanted = VolumeSpec { options: elsewhere, ..VolumeSpec::named("v1") };
    assert!(fake.driver().create(&wanted).unwrap_err().to_string().contains("/other.sock"));
}

#[test]
fn pure_names_that_are_none_here_are_not_listed() {
    let list = r#"{"Volumes": [{"Name": "../x", "Mountpoint": "/a"}, {"Name": "ok", "Mountpoint": "/b"}, {"Name": "\u001b[2J"}]}"#;
    let listed = Fake::but("List", Does::Says(200, list.into())).driver().list().unwrap();
    assert_eq!(listed.iter().map(|volume| &*volume.name).collect::<Vec<_>>(), ["ok"]);
}

#[test]
fn pure_who_waits_for_others_that_wait_for_a_plugin_waits_no_longer_than_they() {
    let place = tempfile::tempdir().unwrap();
    let (socket, run) = (place.path().join("socket"), place.path().join("run"));
    let driver = PluginDriver::at("fake", socket, run.clone()).unwrap();
    let driver = PluginDriver { patience: Duration::from_millis(300), ..driver };
    let volume = driver.state("v1", None, BTreeMap::new());
    let users = Users::lock(&run.join("fake/v1/users")).unwrap();
    users.add("one").unwrap();
    for error in [driver.mount(&volume, "two").unwrap_err(), driver.unmount(&volume, "one").unwrap_err()] {
        let error = error.to_string();
        assert!(
            error.contains("fake") && error.contains("v1") && error.contains("did not answer"),
            "{error}"
        );
    }
    assert_eq!(driver.users(&volume).unwrap(), ["one"]);
}
