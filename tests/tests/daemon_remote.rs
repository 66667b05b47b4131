//! A daemon on another machine: client and daemon in network namespaces of their own, and mutual TLS between them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::certificates::{Side, Years, connect, issue};
use tinyd_tests::frames::{Frame, PREFACE, Wire};
use tinyd_tests::{Cmd, Env, Machine, Output, require, roots, wait_until};

/// Of the daemon's machine. Its certificate knows the first alone.
const HOST: [&str; 2] = ["10.99.7.1", "10.99.7.3"];
const PORT: &str = "23770";

/// A machine with a daemon, one with a client, and a cable between them.
struct Ground {
    host: Machine,
    client: Machine,
}

impl Ground {
    /// Does something with a daemon that listens on the cable; at the end nothing is left on its machine. Gives what the daemon
    /// wrote down.
    fn stand(work: impl FnOnce(&Ground, &Env)) -> String {
        let (host, client) = (Machine::new(), Machine::new());
        host.cable(("eth0", &["10.99.7.1/24", "10.99.7.3/24"]), &client, ("eth0", &["10.99.7.2/24"]));
        let ground = Ground { host, client };
        let env = ground.host.within(Env::new);
        let certs = env.files().join("certs");
        env.tinyd(["daemon", "cert", "--host", HOST[0], certs.to_str().unwrap()]).ok();
        let address = format!("tcp://{}:{PORT}", HOST[0]);
        let server = certs.join("server");
        let words = ["daemon", "--no-web", "--listen", &address, "--cert-path", server.to_str().unwrap()];
        let all = format!("tcp://{}:{PORT}", HOST[1]);
        let mut daemon = ground.host.within(|| {
            let command = env.cmd(words.into_iter().chain(["--listen", &all]));
            command.limit(Duration::from_secs(300)).spawn()
        });
        daemon.expect_error(HOST[1]);
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&ground, &env)));
        daemon.signal(Signal::TERM);
        let ended = daemon.wait();
        ground.host.within(|| drop(env));
        match worked {
            Ok(()) => ended.ok().stderr(),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A command of the client's.
    fn cmd(&self, env: &Env, words: &[&str]) -> Cmd {
        let address = format!("tcp://{}:{PORT}", HOST[0]);
        let host = ["-H".to_owned(), address].into_iter();
        let command = env.cmd(host.chain(words.iter().map(|word| (*word).to_owned())));
        command.env("TINYD_CERT_PATH", env.files().join("certs/client"))
    }

    #[track_caller]
    fn tinyd(&self, env: &Env, words: &[&str]) -> Output {
        self.client.within(|| self.cmd(env, words).output())
    }
}

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

#[test]
fn commands_run_on_the_other_machine() {
    require!(root);
    require!(program);
    let image = image();
    Ground::stand(|ground, env| {
        let script = "echo out; echo err >&2; cat; exit 7";
        let words = ["run", "--rm", "--interactive", image.as_str(), "sh", "-c", script];
        let said = ground.client.within(|| ground.cmd(env, &words).stdin("in\n").output()).fails(7);
        assert_eq!((said.stdout().as_str(), said.stderr().as_str()), ("out\nin\n", "err\n"));

        let run = ["run", "-d", "--name", "c1", &image, "sh", "-c", "echo begun; exec sleep 300"];
        let id = ground.tinyd(env, &run).ok().text();
        assert_eq!(env.containers().into_iter().collect::<Vec<_>>(), [id.as_str()]);
        let said = ground.tinyd(env, &["exec", "c1", "sh", "-c", "echo a; echo b >&2; exit 3"]).fails(3);
        assert_eq!((said.stdout().as_str(), said.stderr().as_str()), ("a\n", "b\n"));
        wait_until("it is in the log", || ground.tinyd(env, &["logs", "c1"]).ok().stdout() == "begun\n");
        // What is written, and what happens, while somebody looks.
        let (mut log, mut events) = ground.client.within(|| {
            let follow = |words: &[&str]| ground.cmd(env, words).spawn();
            (follow(&["logs", "-f", "c1"]), follow(&["events", "--since", "0", "--format", "{{.Action}}"]))
        });
        log.expect("begun\n");
        ground.tinyd(env, &["exec", "c1", "sh", "-c", "echo later > /proc/1/fd/1"]).ok();
        log.expect("later\n");
        ground.tinyd(env, &["pause", "c1"]).ok();
        events.expect("pause\n");
        ground.tinyd(env, &["unpause", "c1"]).ok();
        events.expect("unpause\n");
        drop((log, events));
        let mut stats = ground
            .client
            .within(|| ground.cmd(env, &["stats", "--format", "{{.Name}} {{.PIDs}}", "c1"]).spawn());
        stats.expect("c1 1\n");
        ground.tinyd(env, &["exec", "-d", "c1", "sleep", "1000"]).ok();
        stats.expect("c1 2\n");
        drop(stats);

        let file = env.file("there", "and back\n");
        ground.tinyd(env, &["cp", file.to_str().unwrap(), "c1:/tmp/there"]).ok();
        assert_eq!(ground.tinyd(env, &["exec", "c1", "cat", "/tmp/there"]).ok().stdout(), "and back\n");
        let back = env.files().join("back");
        ground.tinyd(env, &["cp", "c1:/tmp/there", back.to_str().unwrap()]).ok();
        assert_eq!(std::fs::read_to_string(back).unwrap(), "and back\n");

        let archive = ground.tinyd(env, &["cp", "c1:/tmp/there", "-"]).ok();
        let import = || ground.cmd(env, &["volume", "import", "v1"]).stdin(archive.stdout_bytes()).output();
        ground.client.within(import).ok();
        let exported = ground.tinyd(env, &["volume", "export", "v1"]).ok();
        assert!(exported.stdout_bytes().windows(9).any(|bytes| bytes == b"and back\n"));

        // All that this machine has done was told to the other one, and is to be seen there.
        let events = ground.tinyd(env, &["events", "--since", "0", "--no-stream", "--format", "{{.Action}}"]);
        let events = events.ok().stdout();
        for action in ["create", "start", "die", "exec_die"] {
            assert!(events.lines().any(|line| line.starts_with(action)), "no {action} in {events}");
        }
        ground.tinyd(env, &["rm", "-f", "c1"]).ok();
        ground.tinyd(env, &["volume", "rm", "v1"]).ok();
    });
}

#[test]
fn a_terminal_is_on_the_other_machine() {
    require!(root);
    require!(program);
    let image = image();
    Ground::stand(|ground, env| {
        ground.tinyd(env, &["run", "-d", "--name", "c1", &image, "sleep", "300"]).ok();
        let words = ["exec", "-it", "c1", "sh"];
        let mut shell = ground.client.within(|| ground.cmd(env, &words).pty(24, 80));
        shell.send("stty size\n");
        shell.expect("24 80");
        shell.resize(30, 100);
        shell.send("sleep 0.3; stty size\n");
        shell.expect("30 100");
        // What is typed for the program's end is no signal to the client. (A shell that shows its prompt forgets what was typed.)
        let type_later = |shell: &mut tinyd_tests::Pty, keys: &[u8]| {
            std::thread::sleep(Duration::from_millis(500));
            shell.send(keys);
        };
        type_later(&mut shell, b"sleep 300\n");
        type_later(&mut shell, &[3]);
        type_later(&mut shell, b"echo $((6 * 7)); exit 5\n");
        shell.expect("42");
        let (status, said) = shell.wait();
        assert_eq!(status.code(), Some(5), "{said}");
        ground.tinyd(env, &["rm", "-f", "c1"]).ok();
    });
}

#[test]
fn a_run_that_fails_gives_no_id_and_leaves_nothing() {
    require!(root);
    require!(program);
    let image = image();
    Ground::stand(|ground, env| {
        for (words, code) in [
            (["run", "-d", "/no/such/image", "true"], 125),
            (["run", "-d", image.as_str(), "/no/such/command"], 127),
            (["run", "-d", image.as_str(), "/etc"], 126),
        ] {
            let said = ground.tinyd(env, &words).fails(code);
            assert_eq!(said.stdout(), "", "{words:?}");
            assert_eq!(said.stderr().lines().count(), 1, "{said}");
        }
        assert_eq!(ground.tinyd(env, &["ps", "-aq"]).ok().stdout(), "");
        assert!(env.containers().is_empty());
    });
}

#[test]
fn w33_nobody_is_served_without_the_right_certificate() {
    require!(root);
    require!(program);
    let written = Ground::stand(|ground, env| {
        let certs = |name: &str| env.files().join(name).to_str().unwrap().to_owned();
        ground.tinyd(env, &["ps"]).ok();
        let ps = |folder: Option<&str>, host: &str| {
            let address = format!("tcp://{host}:{PORT}");
            let command = env.cmd(["-H", &address, "ps"]);
            let command = match folder {
                Some(folder) => command.env("TINYD_CERT_PATH", certs(folder)),
                None => command,
            };
            ground.client.within(|| command.output()).fails(1).stderr()
        };
        assert!(ps(None, HOST[0]).contains("mutual TLS"));
        // Somebody else's authority; then his certificate, with ours to judge the server by.
        env.tinyd(["daemon", "cert", "--host", HOST[0], &certs("foreign")]).ok();
        assert!(ps(Some("foreign/client"), HOST[0]).contains("certificate"));
        std::fs::create_dir(certs("mixed")).unwrap();
        for (from, name) in [("certs", "ca.pem"), ("foreign", "cert.pem"), ("foreign", "key.pem")] {
            std::fs::copy(certs(&format!("{from}/client/{name}")), certs(&format!("mixed/{name}"))).unwrap();
        }
        // A name that the server's certificate does not have; somebody else's, and a server's, certificate for a client.
        assert!(ps(Some("certs/client"), HOST[1]).contains("certificate"));
        for folder in ["mixed", "certs/server"] {
            let refused = ps(Some(folder), HOST[0]);
            assert!(refused.contains("certificate") && refused.lines().count() == 1, "{folder}: {refused}");
        }
        ground.tinyd(env, &["ps"]).ok();
    });
    // Why, in the daemon's own words: somebody else has signed it, and it is for something else.
    for why in ["BadSignature", "does not allow extended key usage for client authentication"] {
        let told = |line: &str| line.starts_with("refused 10.99.7.2:") && line.contains(why);
        assert!(written.lines().any(told), "{why}: {written}");
    }
    // Only the first and the last were heard.
    assert_eq!(written.matches("call /tinyd.v1.Containers/List ").count(), 2, "{written}");
    assert_eq!(written.matches("call ").count(), 2, "{written}");
}

#[test]
fn w33_a_certificate_that_is_not_good_today_is_refused_by_both_sides() {
    require!(root);
    require!(program);
    let written = Ground::stand(|ground, env| {
        let certs = env.files().join("certs");
        for (years, why) in [(Years::Past, "expired"), (Years::Future, "not valid yet")] {
            let folder = env.files().join(format!("{years:?}"));
            issue(&certs, &folder, Side::Client, years);
            let command = ground.cmd(env, &["ps"]).env("TINYD_CERT_PATH", &folder);
            let refused = ground.client.within(|| command.output()).fails(1).stderr();
            // To strangers TLS says little: the reason is in the daemon's own words.
            assert!(refused.contains("certificate") && refused.lines().count() == 1, "{why}: {refused}");

            // The other way round it is the client who judges.
            let folder = env.files().join(format!("{years:?}-server"));
            issue(&certs, &folder, Side::Server(HOST[1]), years);
            let address = format!("tcp://{}:23771", HOST[1]);
            let other = ground.host.within(Env::new);
            let words = ["daemon", "--no-web", "--listen", &address, "--cert-path", folder.to_str().unwrap()];
            let mut daemon = ground.host.within(|| other.cmd(words).spawn());
            daemon.expect_error(HOST[1]);
            let command = env.cmd(["-H", &address, "ps"]).env("TINYD_CERT_PATH", certs.join("client"));
            let refused = ground.client.within(|| command.output()).fails(1).stderr();
            assert!(refused.contains(why) && refused.lines().count() == 1, "{why}: {refused}");
            daemon.signal(Signal::TERM);
            let heard = daemon.wait().ok().stderr();
            assert!(heard.contains("refused 10.99.7.2:") && !heard.contains("call "), "{heard}");
            ground.host.within(|| drop(other));
        }
    });
    for why in ["expired", "not valid yet"] {
        let told = |line: &str| line.starts_with("refused 10.99.7.2:") && line.contains(why);
        assert!(written.lines().any(told), "{why}: {written}");
    }
    assert!(!written.contains("call "), "{written}");
}

#[test]
fn w33_strangers_take_no_place_from_those_with_certificates() {
    require!(root);
    require!(program);
    let written = Ground::stand(|ground, env| {
        let address = format!("{}:{PORT}", HOST[0]);
        let own = env.files().join("certs/client");
        ground.client.within(|| {
            // More than there are places, and than are waited for at once.
            let silent = || TcpStream::connect(&address).unwrap();
            let held: Vec<TcpStream> = (0..600).map(|_| silent()).collect();
            ground.cmd(env, &["ps"]).output().ok();
            // One that has proved who it is, and says nothing, or half of something, more.
            let begun = || Wire::of(connect(&address, &own)).begun();
            let mut wires = vec![Wire::of(connect(&address, &own)), begun(), begun()];
            wires[0].send(&PREFACE[..12]).unwrap();
            wires[1].send(&Frame::ping().bytes()).unwrap();
            for wire in &mut wires {
                let since = Instant::now();
                wire.ended();
                assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
            }
            for mut stream in held {
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
            }
            ground.cmd(env, &["ps"]).output().ok();
        });
    });
    assert_eq!(written.matches("call ").count(), 2, "{written}");
}

#[test]
fn w33_a_port_without_certificates_is_not_opened() {
    require!(root);
    let env = Env::new();
    for address in ["tcp://127.0.0.1:23771", "tcp://[::1]:23771", "tcp://0.0.0.0:23771"] {
        let said = env.tinyd(["daemon", "--no-web", "--listen", address]).fails(1).stderr();
        assert!(said.contains("mutual TLS") && said.contains("daemon cert"), "{said}");
    }
}

#[test]
fn i03_without_a_daemon_the_client_says_so() {
    require!(root);
    let env = Env::new();
    let socket = format!("unix://{}", env.files().join("none.sock").display());
    for (words, code) in [(&["ps", "-a"][..], 1), (&["run", "host", "true"], 125)] {
        let said = env.tinyd(["-H", &socket].iter().chain(words).copied()).fails(code).stderr();
        assert!(said.contains("connect to the daemon") && said.contains("tinyd daemon"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    for wrong in ["http://127.0.0.1:1", "tcp://127.0.0.1", "unix://relative"] {
        let said = env.tinyd(["-H", wrong, "ps"]).fails(1).stderr();
        assert!(said.contains(wrong) && said.contains("unix:///"), "{said}");
    }
    // The engine of this process needs none.
    env.tinyd(["-H", "local", "ps"]).ok();
}
