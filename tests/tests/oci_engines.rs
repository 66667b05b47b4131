//! Podman, containerd and Docker with `tinyd-runtime` in the place of their own runtime. Each has its own folders, and the daemons
//! their own network and mounts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tinyd_tests::oci::Oci;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Cmd, Env, Output, Running, eventually, require, roots};

/// What each of them is given: the same words mean the same.
const LOOK: &str = "id -u; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max; exit 3";

fn archive(env: &Env) -> Vec<u8> {
    env.other(["tar", "-C", roots::busybox().to_str().unwrap(), "-c", "."])
        .output()
        .ok()
        .stdout_bytes()
        .to_vec()
}

/// Groups that an engine made above those of its containers, and leaves; what watched over a container may end a moment after it.
fn remove_groups(env: &Env) {
    let remove_all = || {
        let mut left = 0;
        for hierarchy in cgroups::hierarchies() {
            let ours = cgroups::walk(&hierarchy.mount).into_iter();
            let mut ours: Vec<_> = ours.filter(|path| path.to_string_lossy().contains(env.tag())).collect();
            ours.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
            left += ours.iter().filter(|group| fs::remove_dir(group).is_err()).count();
        }
        (left == 0).then_some(())
    };
    eventually(Duration::from_secs(20), remove_all).expect("groups that nobody is in can be removed");
}

struct Podman<'env> {
    env: &'env Env,
    config: PathBuf,
    runtime: PathBuf,
}

impl<'env> Podman<'env> {
    fn new(env: &'env Env) -> Self {
        // Its own default is more than this machine's root may set.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        let engine = "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        let config = env.file("containers.conf", format!("{limits}{engine}"));
        Self { env, config, runtime: Oci::of(env).program() }
    }

    fn cmd(&self, words: &[&str]) -> Cmd {
        let folder = |name: &str| self.env.files().join(name).into_os_string();
        let mut all: Vec<OsString> = vec!["podman".into(), "--root".into(), folder("storage")];
        all.extend(["--runroot".into(), folder("run"), "--tmpdir".into(), folder("tmp")]);
        all.extend([
            "--storage-driver".into(),
            "vfs".into(),
            "--runtime".into(),
            self.runtime.clone().into(),
        ]);
        all.extend(words.iter().map(Into::into));
        self.env.other(all).env("CONTAINERS_CONF", &self.config).limit(Duration::from_secs(120))
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Output {
        self.cmd(words).output()
    }

    #[track_caller]
    fn container(&self, words: &[&str]) -> Output {
        let parent = format!("--cgroup-parent=/{}", self.env.tag());
        self.run(&[&["run", "--net", "none", &parent], words].concat())
    }
}

#[test]
fn podman_runs_stops_and_enters_containers() {
    require!(root);
    require!(program);
    require!(command "podman");
    let env = Env::new();
    let podman = Podman::new(&env);
    podman.cmd(&["import", "-", "busybox"]).stdin(archive(&env)).output().ok();
    let output = podman.container(&["--rm", "-m", "64m", "busybox", "sh", "-c", LOOK]).fails(3);
    assert_eq!(output.stdout(), "0\n67108864\n");
    podman.container(&["--rm", "busybox", "no-such-program"]).fails(127);
    podman.container(&["--rm", "busybox", "/etc"]).fails(126);

    let health = ["-d", "--name", "one", "--health-cmd", "test -e /healthy", "busybox"];
    let script = "trap 'exit 5' TERM; touch /healthy; echo up; while :; do sleep 0.1; done";
    podman.container(&[&health[..], &["sh", "-c", script]].concat()).ok();
    let up = || podman.run(&["logs", "one"]).ok().stdout() == "up\n";
    eventually(Duration::from_secs(20), || up().then_some(())).expect("it has spoken");
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
    let (status, said) = {
        let parent = format!("--cgroup-parent=/{}", env.tag());
        podman
            .cmd(&["run", "--rm", "-it", "--net", "none", &parent, "busybox", "sh", "-c", "tty; exit 9"])
            .pty(24, 80)
            .wait()
    };
    assert!(status.code() == Some(9) && said.contains("/dev/pts/0"), "{status:?} {said}");
    remove_groups(&env);
}

/// A daemon in a network and mounts of its own. It is asked to end, and waited for.
struct Engine {
    running: Option<Running>,
}

impl Engine {
    fn start(env: &Env, script: &str) -> Self {
        let log = env.files().join("log");
        let script = format!("ip link set lo up; exec > {} 2>&1; {script}", log.display());
        Self { running: Some(env.other(["unshare", "-n", "-m", "sh", "-c", &script]).spawn()) }
    }

    fn end(mut self) {
        let running = self.running.take().expect("it has not been ended");
        running.signal(Signal::TERM);
        running.wait();
    }
}

#[test]
fn containerd_runs_enters_pauses_and_kills_tasks() {
    require!(root);
    require!(program);
    require!(command "ctr");
    let env = Env::new();
    let folder = |name: &str| env.files().join(name).display().to_string();
    let disabled = [
        "cri",
        "snapshotter.v1.aufs",
        "snapshotter.v1.devmapper",
        "snapshotter.v1.zfs",
        "snapshotter.v1.btrfs",
    ];
    let disabled = disabled.map(|name| match name {
        "cri" => "\"io.containerd.grpc.v1.cri\"".to_owned(),
        name => format!("\"io.containerd.{name}\""),
    });
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [{}]\n[grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n",
        folder("root"),
        folder("state"),
        disabled.join(", "),
        folder("grpc.sock"),
        folder("ttrpc.sock"),
    );
    let config = env.file("containerd.toml", config);
    let engine = Engine::start(&env, &format!("exec containerd -c {}", config.display()));
    let socket = folder("grpc.sock");
    let ctr = |words: &[&str]| {
        env.other([&["ctr", "-a", socket.as_str()], words].concat()).limit(Duration::from_secs(120)).output()
    };
    let ready = || (ctr(&["version"]).code() == Some(0)).then_some(());
    eventually(Duration::from_secs(60), ready).expect("containerd answers");
    // An image in the form that it takes.
    let podman = Podman::new(&env);
    podman.cmd(&["import", "-", "busybox"]).stdin(archive(&env)).output().ok();
    let image = folder("image.tar");
    podman.run(&["save", "--format", "oci-archive", "-o", &image, "busybox"]).ok();
    ctr(&["images", "import", "--index-name", "busybox", &image]).ok();

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
    eventually(Duration::from_secs(20), || status().contains("STOPPED").then_some(()))
        .expect("it has stopped");
    ctr(&["task", "rm", "t3"]).ok();
    ctr(&["containers", "rm", "t3"]).ok();
    engine.end();
    remove_groups(&env);
}

#[test]
fn docker_runs_publishes_limits_and_restarts() {
    require!(root);
    require!(program);
    require!(command "dockerd");
    let env = Env::new();
    let folder = |name: &str| env.files().join(name).display().to_string();
    let (socket, pid) = (folder("docker.sock"), folder("docker.pid"));
    let nothing = env.file("daemon.json", "{}");
    let folders = format!("--data-root {} --exec-root {} --pidfile {pid}", folder("data"), folder("exec"));
    let runtime =
        format!("--add-runtime tinyd={} --default-runtime tinyd", Oci::of(&env).program().display());
    let line = format!(
        "exec dockerd {folders} {runtime} -H unix://{socket} --storage-driver vfs --cgroup-parent /{} --config-file {}",
        env.tag(),
        nothing.display()
    );
    let engine = Engine::start(&env, &line);
    let host = format!("unix://{socket}");
    let docker = |words: &[&str]| {
        env.other([&["docker", "-H", host.as_str()], words].concat()).limit(Duration::from_secs(120))
    };
    let run = |words: &[&str]| docker(words).output();
    let ready = || (run(&["version"]).code() == Some(0)).then_some(());
    eventually(Duration::from_secs(60), ready).expect("dockerd answers");
    docker(&["import", "-", "busybox"]).stdin(archive(&env)).output().ok();

    let output = run(&["run", "--rm", "-m", "64m", "busybox", "sh", "-c", LOOK]).fails(3);
    assert_eq!(output.stdout(), "0\n67108864\n");
    run(&["run", "--rm", "busybox", "no-such-program"]).fails(127);
    run(&["run", "--rm", "busybox", "/etc"]).fails(126);
    let serve = "echo page > /index.html; exec httpd -f -p 80 -h /";
    run(&[
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "8099:80",
        "--restart",
        "always",
        "busybox",
        "sh",
        "-c",
        serve,
    ])
    .ok();
    // From within its network, as a neighbour.
    let ask = ["run", "--rm", "--net", "container:web", "busybox", "wget", "-q", "-O-", "http://127.0.0.1/"];
    let page = || (run(&ask).stdout() == "page\n").then_some(());
    eventually(Duration::from_secs(30), page).expect("it is served");
    assert!(run(&["port", "web"]).ok().stdout().contains("80/tcp -> 0.0.0.0:8099"));
    assert_eq!(run(&["exec", "-u", "5", "web", "id", "-u"]).ok().stdout(), "5\n");
    run(&["exec", "web", "sh", "-c", "exit 6"]).fails(6);
    assert!(run(&["top", "web"]).ok().stdout().contains("httpd"));
    run(&["update", "-m", "80m", "--memory-swap", "160m", "web"]).ok();
    run(&["pause", "web"]).ok();
    run(&["unpause", "web"]).ok();
    run(&["restart", "-t", "1", "web"]).ok();
    // It is started again by its policy.
    let pid = || run(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok().text();
    let before = pid();
    run(&["exec", "web", "sh", "-c", "kill -9 1; kill 1"]);
    run(&["kill", "-s", "KILL", "web"]);
    run(&["start", "web"]);
    eventually(Duration::from_secs(30), || (pid() != before && pid() != "0").then_some(()))
        .expect("it is there again");
    run(&["rm", "-f", "web"]).ok();
    let (status, said) =
        docker(&["run", "--rm", "-it", "busybox", "sh", "-c", "tty; exit 9"]).pty(24, 80).wait();
    assert!(status.code() == Some(9) && said.contains("/dev/pts/0"), "{status:?} {said}");
    engine.end();
    remove_groups(&env);
}
