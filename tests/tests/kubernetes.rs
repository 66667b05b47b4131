//! A pod as the kubelet asks containerd for it, with the configuration that `docs/kubernetes.md` gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use tinyd_tests::engines::Containerd;
use tinyd_tests::grpc::Grpc;
use tinyd_tests::protobuf::{content, field, number, value};
use tinyd_tests::{Env, eventually, paths, require, roots};

/// Longer than anything here takes to come about.
const SOON: Duration = Duration::from_secs(30);

/// A container's state in the interface, when it runs and when it has ended.
const RUNNING: u64 = 1;
const EXITED: u64 = 2;

/// The text of the page's first block of this kind.
fn block<'page>(page: &'page str, kind: &str) -> &'page str {
    let (_, rest) = page.split_once(&format!("```{kind}\n")).expect("the page has such a block");
    rest.split_once("```").expect("a block ends").0
}

/// What the page leaves to the node: images and the network of pods. The machine may withhold the right to raise one's score.
fn node(env: &Env) -> String {
    let nets = env.files().join("nets");
    fs::create_dir(&nets).unwrap();
    let ipam = r#"{"type": "host-local", "subnet": "10.88.0.0/24"}"#;
    let bridge = format!(r#"{{"type": "bridge", "bridge": "pods", "isGateway": true, "ipam": {ipam}}}"#);
    let list = format!(r#"{{"cniVersion": "0.4.0", "name": "pods", "plugins": [{bridge}]}}"#);
    fs::write(nets.join("pods.conflist"), list).unwrap();
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    format!(
        "[{cri}]\nsandbox_image = \"localhost/pause\"\nrestrict_oom_score_adj = true\n\
         [{cri}.containerd]\nsnapshotter = \"native\"\n\
         [{cri}.cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = {nets:?}\n"
    )
}

/// The kubelet's side.
struct Kubelet(Grpc);

impl Kubelet {
    #[track_caller]
    fn ask(&mut self, verb: &str, message: &[u8]) -> Vec<u8> {
        let answer = self.0.call(&format!("/runtime.v1.RuntimeService/{verb}"), message).unwrap();
        assert_eq!(answer.status, Some(0), "{verb}: {}", answer.message);
        answer.body.get(5..).unwrap_or_default().to_vec()
    }

    /// Runs a command in a container: its exit code and output.
    #[track_caller]
    fn exec(&mut self, container: &str, command: &[&str]) -> (u64, String) {
        let words: Vec<u8> = command.iter().flat_map(|word| field(2, word)).collect();
        let said = self.ask("ExecSync", &[field(1, container), words, number(3, 20)].concat());
        (value(&said, 3), String::from_utf8_lossy(content(&said, 1)).into_owned())
    }

    fn state(&mut self, container: &str) -> (u64, u64) {
        let said = self.ask("ContainerStatus", &field(1, container));
        let status = content(&said, 1);
        (value(status, 3), value(status, 7))
    }
}

/// A pod of the test's own control group.
fn pod(env: &Env) -> Vec<u8> {
    let metadata = [field(1, "one"), field(2, "uid-of-one"), field(3, "default")].concat();
    let linux = field(1, format!("/{}", env.tag()));
    let logs = field(3, env.files().display().to_string());
    [field(1, metadata), field(2, "box"), logs, field(8, linux)].concat()
}

/// A container of it, with 32 MiB of memory.
fn container(name: &str, command: &[&str]) -> Vec<u8> {
    let words: Vec<u8> = command.iter().flat_map(|word| field(3, word)).collect();
    let variable = [field(1, "WHO"), field(2, name)].concat();
    let limits = field(1, number(4, 32 << 20));
    let log = field(11, format!("{name}.log"));
    let image = field(1, "localhost/busybox");
    [field(1, field(1, name)), field(2, image), words, field(6, variable), log, field(15, limits)].concat()
}

fn id(answer: &[u8]) -> String {
    String::from_utf8(content(answer, 1).to_vec()).unwrap()
}

#[test]
fn containerd_runs_a_pod_with_the_configuration_of_the_page() {
    require!(root);
    require!(program);
    require!(command "containerd");
    require!(command "/usr/lib/cni/bridge");
    let env = Env::new();
    let page = fs::read_to_string(paths::workspace().join("docs/kubernetes.md")).unwrap();
    let settings = format!("{}{}", node(&env), block(&page, "toml"));
    let containerd = Containerd::start(&env, &[], &settings);
    containerd.import("k8s.io", "localhost/busybox", &[]);
    let pause = ["--change", "CMD [\"sleep\", \"1000\"]"];
    containerd.import("k8s.io", "localhost/pause", &pause);

    let mut kubelet = Kubelet(Grpc::connect(&containerd.socket()));
    let handler = block(&page, "yaml").lines().find_map(|line| line.strip_prefix("handler: ")).unwrap();
    let sandbox = id(&kubelet.ask("RunPodSandbox", &[field(1, pod(&env)), field(2, handler)].concat()));
    let said = kubelet.ask("PodSandboxStatus", &field(1, &sandbox));
    let address = String::from_utf8(content(content(content(&said, 1), 5), 1).to_vec()).unwrap();
    assert!(address.starts_with("10.88.0."), "{address:?}");

    let mut start = |name: &str, command: &[&str]| {
        let wanted = [field(1, &sandbox), field(2, container(name, command)), field(3, pod(&env))].concat();
        let made = id(&kubelet.ask("CreateContainer", &wanted));
        kubelet.ask("StartContainer", &field(1, &made));
        made
    };
    let serve = "trap 'exit 7' TERM; mkdir /page; echo $WHO > /page/index.html; httpd -p 80 -h /page; while :; do sleep 0.1; done";
    let server = start("server", &["sh", "-c", serve]);
    let other = start("other", &["sleep", "1000"]);
    assert_eq!(kubelet.state(&server), (RUNNING, 0));
    // No other runtime keeps such a record.
    let record = Path::new("/run/containerd/runc/k8s.io").join(&server).join("container.json");
    assert!(record.is_file(), "{}", record.display());
    // Containers of a pod share its network, which the node reaches too.
    let ask = ["wget", "-q", "-O-", "http://127.0.0.1/"];
    let page = eventually(SOON, || Some(kubelet.exec(&other, &ask)).filter(|(code, _)| *code == 0));
    assert_eq!(page.expect("the page is served").1, "server\n");
    assert_eq!(kubelet.exec(&other, &["sh", "-c", "hostname; exit 5"]), (5, "box\n".to_owned()));
    let url = format!("http://{address}/");
    let busybox = roots::busybox().join("bin/busybox").display().to_string();
    let asked = containerd.inside(&[busybox.as_str(), "wget", "-q", "-O-", &url]).output().ok();
    assert_eq!(asked.stdout(), "server\n");
    let limit =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(kubelet.exec(&other, &["sh", "-c", limit]).1, "33554432\n");
    kubelet.ask("UpdateContainerResources", &[field(1, &other), field(2, number(4, 48 << 20))].concat());
    assert_eq!(kubelet.exec(&other, &["sh", "-c", limit]).1, "50331648\n");

    kubelet.ask("StopContainer", &[field(1, &server), number(2, 20)].concat());
    assert_eq!(kubelet.state(&server), (EXITED, 7));
    for made in [&server, &other] {
        kubelet.ask("StopContainer", &[field(1, made), number(2, 1)].concat());
        kubelet.ask("RemoveContainer", &field(1, made));
    }
    kubelet.ask("StopPodSandbox", &field(1, &sandbox));
    kubelet.ask("RemovePodSandbox", &field(1, &sandbox));
    assert_eq!(containerd.run(&["-n", "k8s.io", "containers", "ls", "-q"]).ok().stdout(), "");
    containerd.end();
}
