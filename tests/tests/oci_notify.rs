//! A command tells the service manager of whoever runs its container that it is ready (sd_notify(3)), and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tinyd_tests::oci::{Oci, bind};
use tinyd_tests::{Env, require, roots};

/// Says `$1` where it was told to speak, and waits for the file `$2`. Nobody may listen any more once it has said that it is ready.
const SPEAK: &str = r#"
use Socket;
socket(my $to, AF_UNIX, SOCK_DGRAM, 0) or die "$!";
connect($to, sockaddr_un($ENV{NOTIFY_SOCKET})) or die "$!";
for (split /,/, $ARGV[0]) { s/;/\n/g; syswrite($to, $_) }
select(undef, undef, undef, 0.02) until -e $ARGV[1];
"#;

/// What listens for the test, and where.
struct Manager {
    socket: UnixDatagram,
    place: PathBuf,
}

impl Manager {
    fn of(env: &Env) -> Manager {
        let place = env.files().join("manager");
        let socket = UnixDatagram::bind(&place).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Manager { socket, place }
    }

    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    fn hears_nothing_more(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let heard = self.socket.recv(&mut [0; 16]);
        assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// A bundle whose command says this and then waits for the file `end` in the test's folder.
fn bundle(oci: &Oci<'_>, name: &str, words: &str) -> PathBuf {
    let shared = oci.env.files();
    oci.bundle(name, &["perl", "-e", SPEAK, words, "/mnt/end"], |config| {
        config["root"]["path"] = json!(roots::debian());
        config["process"]["env"].as_array_mut().unwrap().push(json!("NOTIFY_SOCKET=/nowhere"));
        bind(config, shared.to_str().unwrap(), "/mnt");
    })
}

fn end(env: &Env) {
    std::fs::write(env.files().join("end"), "").unwrap();
}

fn create(oci: &Oci<'_>, manager: &Path, bundle: &Path, name: &str) {
    let quiet = ["sh", "-c", "exec \"$@\" < /dev/null > /dev/null 2>&1", "sh"];
    let words = [OsString::from("create"), "-b".into(), bundle.into(), name.into()];
    oci.cmd(words).env("NOTIFY_SOCKET", manager).under(quiet).output().ok();
}

#[test]
fn start_stays_until_the_command_is_ready() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let manager = Manager::of(&env);
    let words = "STATUS=warming up;X_READY=1,MAINPID=1;READY=0,STATUS=up;READY=1,STOPPING=1";
    create(&oci, &manager.place, &bundle(&oci, "one", words), "one");
    let pid = oci.pid("one");
    oci.cmd(["start", "one"]).env("NOTIFY_SOCKET", &manager.place).output().ok();
    assert_eq!(manager.hears(), format!("READY=1\nMAINPID={pid}"));
    manager.hears_nothing_more();
    assert_eq!(oci.status("one"), "running");
    end(&env);
}

#[test]
fn a_container_may_be_deleted_while_it_is_awaited() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let manager = Manager::of(&env);
    create(&oci, &manager.place, &bundle(&oci, "one", "READY=0"), "one");
    let started = oci.cmd(["start", "one"]).env("NOTIFY_SOCKET", &manager.place).spawn();
    tinyd_tests::wait_until("it runs", || oci.status("one") == "running");
    oci.run(["delete", "--force", "one"]).ok();
    started.wait().ok();
    manager.hears_nothing_more();
}

#[test]
fn run_passes_the_word_on_in_the_foreground_and_detached() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let manager = Manager::of(&env);
    for (name, detach) in [("stays", &[][..]), ("goes", &["--detach"])] {
        let bundle = bundle(&oci, name, "READY=1");
        let mut words: Vec<OsString> = vec!["run".into()];
        words.extend(detach.iter().map(OsString::from));
        words.extend(["-b".into(), bundle.into(), name.into()]);
        let quiet = ["sh", "-c", "exec \"$@\" < /dev/null > /dev/null 2>&1", "sh"];
        let run = oci.cmd(words).env("NOTIFY_SOCKET", &manager.place).under(quiet).spawn();
        assert_eq!(manager.hears(), format!("READY=1\nMAINPID={}", oci.pid(name)));
        end(&env);
        run.wait().ok();
        std::fs::remove_file(env.files().join("end")).unwrap();
    }
}

#[test]
fn a_manager_that_is_not_there_is_named_before_the_command_runs() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let nowhere = env.files().join("nowhere");
    create(&oci, &nowhere, &bundle(&oci, "one", "READY=1"), "one");
    let refused = oci.cmd(["start", "one"]).env("NOTIFY_SOCKET", &nowhere).output().fails(1);
    assert!(refused.stderr().contains(&format!("NOTIFY_SOCKET={}", nowhere.display())), "{refused}");
    assert_eq!(oci.status("one"), "created");
}

#[test]
fn without_a_manager_nothing_is_added() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let output = oci.look("one", "echo \"[$NOTIFY_SOCKET]\"; ls -d /run/notify", |_| ());
    assert_eq!(output.stdout(), "[]\n");
}
