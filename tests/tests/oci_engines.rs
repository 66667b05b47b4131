//! Podman, containerd and Docker with `tinyd-runtime` in the place of their own runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tinyd_tests::engines::{Containerd, Docker, Podman, remove_groups};
use tinyd_tests::kill::kill;
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, eventually, require, roots};

/// What each of them is given: the same words mean the same.
const LOOK: &str = "id -u; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max; exit 3";

/// Longer than anything here takes to come about.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn podman_runs_stops_and_enters_containers() {
    require!(root);
    require!(program);
    require!(command "podman");
    let env = Env::new();
    let podman = Podman::new(&env);
    podman.import("busybox");
    let output = podman.container(&["--rm", "-m", "64m", "busybox", "sh", "-c", LOOK]).fails(3);
    assert_eq!(output.stdout(), "0\n67108864\n");
    podman.container(&["--rm", "busybox", "no-such-program"]).fails(127);
    podman.container(&["--rm", "busybox", "/etc"]).fails(126);

    let health = ["-d", "--name", "one", "--health-cmd", "test -e /healthy", "busybox"];
    let script = "trap 'exit 5' TERM; touch /healthy; echo up; while :; do sleep 0.1; done";
    podman.container(&[&health[..], &["sh", "-c", script]].concat()).ok();
    let up = || podman.run(&["logs", "one"]).ok().stdout() == "up\n";
    eventually(SOON, || up().then_some(())).expect("it has spoken");
    let output =
        podman.run(&["exec", "-u", "7:8", "-w", "/tmp", "one", "sh", "-c", "id -u; pwd; exit 4"]).fails(4);
    assert_eq!(output.stdout(), "7\n/tmp\n");
    let (status, said) = podman.cmd(&["exec", "-it", "one", "sh", "-c", "tty; exit 6"]).pty(24, 80).wait();
    assert!(status.code() == Some(6) && said.contains("/dev/pts/0"), "{status:?} {said}");
    podman.run(&["healthcheck", "run", "one"]).ok();
    podman.run(&["pause", "one"]).ok();
    assert_eq!(podman.run(&["inspect", "-f", "{{.State.Status}}", "one"]).ok().text(), "paused");
    podman.run(&["unpause", "one"]).ok();
    podman.run(&["stop", "-t", "20", "one"]).ok();
    let state = ["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one"];
    assert_eq!(podman.run(&state).ok().text(), "exited 5");
    podman.run(&["start", "one"]).ok();
    podman.run(&["rm", "-f", "-t", "0", "one"]).ok();
    let parent = podman.parent();
    let words = ["run", "--rm", "-it", "--net", "none", &parent, "busybox", "sh", "-c", "tty; exit 9"];
    let (status, said) = podman.cmd(&words).pty(24, 80).wait();
    assert!(status.code() == Some(9) && said.contains("/dev/pts/0"), "{status:?} {said}");
    remove_groups(&env);
}

/// A service that runs a container is up when the container's command says so, whichever of the two between them carries the word.
#[test]
fn podman_tells_its_service_manager_when_a_command_is_ready() {
    require!(root);
    require!(program);
    require!(command "podman");
    let env = Env::new();
    let podman = Podman::new(&env);
    let place = env.files().join("manager");
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let root = format!("{}:O", roots::debian().display());
    let script = "use Socket; socket(my $to, AF_UNIX, SOCK_DGRAM, 0) or die \"$!\";
        connect($to, sockaddr_un($ENV{NOTIFY_SOCKET})) or die \"$!\"; syswrite($to, \"READY=1\") or die \"$!\"; sleep 1000";
    let parent = podman.parent();
    let words = [
        "run",
        "-d",
        "--sdnotify",
        "container",
        "--name",
        "one",
        "--net",
        "none",
        &parent,
        "--rootfs",
        &root,
    ];
    let output =
        podman.cmd(&[&words[..], &["perl", "-e", script]].concat()).env("NOTIFY_SOCKET", &place).output();
    let mut heard = String::new();
    let mut message = [0; 4096];
    while !heard.lines().any(|line| line == "READY=1") {
        let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{error}: {heard} {output}"));
        heard.push_str(&String::from_utf8_lossy(&message[..length]));
        heard.push('\n');
    }
    output.ok();
    podman.run(&["rm", "-f", "-t", "0", "one"]).ok();
    remove_groups(&env);
}

/// They share the network of the pod's own container, and end with the pod.
#[test]
fn two_containers_of_a_pod_of_podman_speak_over_loopback() {
    require!(root);
    require!(program);
    require!(command "podman");
    let env = Env::new();
    let podman = Podman::new(&env);
    podman.import("busybox");
    // The pod's own container: elsewhere one that does nothing but hold the namespaces.
    let change = ["import", "--change", "CMD [\"sleep\", \"1000\"]", "-", "hold"];
    podman.cmd(&change).stdin(tinyd_tests::engines::archive(&env)).output().ok();
    let parent = podman.parent();
    let pod = ["pod", "create", "--name", "pod", "--infra-image", "hold", "--net", "none", &parent];
    podman.run(&pod).ok();
    let serve = "mkdir /page; echo both > /page/index.html; exec httpd -f -p 127.0.0.1:8080 -h /page";
    podman.run(&["run", "-d", "--pod", "pod", "--name", "server", "busybox", "sh", "-c", serve]).ok();
    let look = "for ns in net ipc mnt; do readlink /proc/self/ns/$ns; done";
    let ask = format!("until wget -q -O- http://127.0.0.1:8080/; do sleep 0.1; done; {look}");
    let asked = podman.run(&["run", "--rm", "--pod", "pod", "busybox", "sh", "-c", &ask]).ok().stdout();
    let other = ["exec", "server", "sh", "-c", look];
    let other = podman.run(&other).ok().stdout();
    let (asked, other): (Vec<_>, Vec<_>) = (asked.lines().collect(), other.lines().collect());
    assert_eq!(asked[0], "both");
    assert_eq!(asked[1..3], other[..2], "the network and IPC are the pod's");
    assert_ne!(asked[3], other[2], "the mounts are each one's own");
    let status = |format: &str| podman.run(&["pod", "inspect", "-f", format, "pod"]).ok().text();
    assert_eq!((status("{{.State}}"), status("{{.NumContainers}}")), ("Running".to_owned(), "2".to_owned()));
    podman.run(&["pod", "stop", "-t", "1", "pod"]).ok();
    assert_eq!(status("{{.State}}"), "Exited");
    podman.run(&["pod", "rm", "-f", "pod"]).ok();
    assert_eq!(podman.run(&["ps", "-aq"]).ok().stdout(), "");
    remove_groups(&env);
}

#[test]
fn containerd_runs_enters_pauses_and_kills_tasks() {
    require!(root);
    require!(program);
    require!(command "ctr");
    let env = Env::new();
    let engine = Containerd::start(&env, &["io.containerd.grpc.v1.cri"], "");
    engine.import("default", "busybox", &[]);
    let ctr = |words: &[&str]| engine.run(words);

    let runtime = Oci::of(&env).program();
    let group = format!("{}-task", env.tag());
    let run = |words: &[&str]| {
        let options = [
            "run",
            "--runc-binary",
            runtime.to_str().unwrap(),
            "--snapshotter",
            "native",
            "--cgroup",
            &group,
        ];
        ctr(&[&options[..], words].concat())
    };
    let output = run(&["--rm", "--memory-limit", "67108864", "busybox", "t1", "sh", "-c", LOOK]).fails(3);
    assert!(output.stdout().starts_with("0\n"), "{output}");
    assert!(
        run(&["--rm", "busybox", "t2", "no-such-program"]).fails(1).stderr().contains("not found in $PATH")
    );
    ctr(&["containers", "rm", "t2"]);
    run(&["-d", "busybox", "t3", "sleep", "1000"]).ok();
    let output = ctr(&["task", "exec", "--exec-id", "e", "t3", "sh", "-c", "echo inside; exit 5"]).fails(5);
    assert_eq!(output.stdout(), "inside\n");
    let status = || ctr(&["task", "ls"]).ok().stdout();
    ctr(&["task", "pause", "t3"]).ok();
    assert!(status().contains("PAUSED"), "{}", status());
    ctr(&["task", "resume", "t3"]).ok();
    assert!(status().contains("RUNNING"));
    assert_eq!(ctr(&["task", "ps", "t3"]).ok().stdout().lines().count(), 2);
    ctr(&["task", "kill", "-s", "SIGKILL", "t3"]).ok();
    eventually(SOON, || status().contains("STOPPED").then_some(())).expect("it has stopped");
    ctr(&["task", "rm", "t3"]).ok();
    ctr(&["containers", "rm", "t3"]).ok();
    engine.end();
}

#[test]
fn docker_runs_publishes_limits_and_restarts() {
    require!(root);
    require!(program);
    require!(command "dockerd");
    let env = Env::new();
    let docker = Docker::start(&env);
    let run = |words: &[&str]| docker.run(words);
    let output = run(&["run", "--rm", "-m", "64m", "busybox", "sh", "-c", LOOK]).fails(3);
    assert_eq!(output.stdout(), "0\n67108864\n");
    run(&["run", "--rm", "busybox", "no-such-program"]).fails(127);
    run(&["run", "--rm", "busybox", "/etc"]).fails(126);
    let serve = "echo page > /index.html; exec httpd -f -p 80 -h /";
    let web = ["run", "-d", "--name", "web", "-p", "8099:80", "--restart", "always", "busybox"];
    run(&[&web[..], &["sh", "-c", serve]].concat()).ok();
    // By its published port, and from within its network, as a neighbour.
    let page = |words: &[&str]| (docker.inside(words).output().stdout() == "page\n").then_some(());
    let busybox = tinyd_tests::roots::busybox().join("bin/busybox").display().to_string();
    let ask = [busybox.as_str(), "wget", "-q", "-O-", "http://10.77.0.1:8099/"];
    eventually(SOON, || page(&ask)).expect("it is served at the published port");
    let ask = ["run", "--rm", "--net", "container:web", "busybox", "wget", "-q", "-O-", "http://127.0.0.1/"];
    assert_eq!(run(&ask).ok().stdout(), "page\n");
    assert!(run(&["port", "web"]).ok().stdout().contains("80/tcp -> 0.0.0.0:8099"));
    assert_eq!(run(&["exec", "-u", "5", "web", "id", "-u"]).ok().stdout(), "5\n");
    run(&["exec", "web", "sh", "-c", "exit 6"]).fails(6);
    assert!(run(&["top", "web"]).ok().stdout().contains("httpd"));
    run(&["update", "-m", "80m", "--memory-swap", "160m", "web"]).ok();
    assert!(run(&["exec", "web", "sh", "-c", LOOK]).stdout().ends_with("\n83886080\n"));
    run(&["pause", "web"]).ok();
    run(&["unpause", "web"]).ok();
    run(&["restart", "-t", "1", "web"]).ok();
    // By its policy it is started again when it ends without having been asked to.
    let pid = || run(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok().text();
    let before = pid();
    kill(before.parse().unwrap());
    eventually(SOON, || (pid() != before && pid() != "0").then_some(())).expect("it is there again");
    run(&["rm", "-f", "web"]).ok();
    let (status, said) =
        docker.cmd(&["run", "--rm", "-it", "busybox", "sh", "-c", "tty; exit 9"]).pty(24, 80).wait();
    assert!(status.code() == Some(9) && said.contains("/dev/pts/0"), "{status:?} {said}");
    docker.end();
}
