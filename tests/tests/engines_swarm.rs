//! Docker Swarm on one node, with `tinyd-runtime` as the default runtime: `cargo xtask engines swarm`.
//!
//! Services have no published port and are found by DNS round robin: what else there is needs IPVS, which not every kernel has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]
#![allow(clippy::print_stdout, reason = "what it has seen is told as it comes")]

use std::collections::BTreeSet;
use std::time::Duration;

use tinyd_tests::engines::Docker;
use tinyd_tests::kill::kill;
use tinyd_tests::{Env, eventually, require};

/// Longer than the orchestrator takes to do anything here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A task ends when it is asked to.
const SERVE: &str = "trap 'exit 0' TERM; mkdir /page; hostname > /page/index.html; httpd -p 80 -h /page; while :; do sleep 0.1; done";

struct Swarm<'env>(&'env Docker<'env>);

impl Swarm<'_> {
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        self.0.run(words).ok().text()
    }

    /// The ids of the containers that run for the service.
    fn containers(&self) -> BTreeSet<String> {
        let words = ["ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name=web"];
        self.run(&words).lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn await_tasks(&self, count: usize) -> BTreeSet<String> {
        let there = || Some(self.containers()).filter(|all| all.len() == count && self.running() == count);
        eventually(PATIENCE, there)
            .unwrap_or_else(|| panic!("{count} tasks:\n{}", self.run(&["service", "ps", "web"])))
    }

    /// How many tasks the orchestrator has seen to run.
    fn running(&self) -> usize {
        let words = ["service", "ps", "-f", "desired-state=running", "--format", "{{.CurrentState}}", "web"];
        self.run(&words).lines().filter(|state| state.starts_with("Running")).count()
    }

    /// What the name of the service is to one of its tasks.
    fn addresses(&self, container: &str) -> BTreeSet<String> {
        let said = self.run(&["exec", container, "nslookup", "-type=a", "web"]);
        let answer = said.split_once("Name:").map_or("", |(_, answer)| answer);
        answer.lines().filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned).collect()
    }

    #[track_caller]
    fn await_addresses(&self, container: &str, count: usize) -> BTreeSet<String> {
        let there = || Some(self.addresses(container)).filter(|all| all.len() == count);
        eventually(PATIENCE, there)
            .unwrap_or_else(|| panic!("{count} addresses: {:?}", self.addresses(container)))
    }
}

#[test]
#[ignore = "takes a minute or two: cargo xtask engines swarm"]
fn engines_swarm_scales_updates_and_replaces_the_tasks_of_a_service() {
    require!(root);
    require!(program);
    require!(command "dockerd");
    let env = Env::new();
    let docker = Docker::start(&env);
    let swarm = Swarm(&docker);
    swarm.run(&["swarm", "init", "--advertise-addr", "10.77.0.1", "--listen-addr", "10.77.0.1:2377"]);
    assert_eq!(swarm.run(&["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"]), "Ready Leader");
    swarm.run(&["network", "create", "--driver", "overlay", "net"]);
    let create = ["service", "create", "--detach", "--no-resolve-image", "--name", "web", "--replicas", "3"];
    let options =
        ["--network", "net", "--endpoint-mode", "dnsrr", "--limit-memory", "64m", "--env", "EDITION=1"];
    swarm.run(&[&create[..], &options, &["busybox", "sh", "-c", SERVE]].concat());

    let three = swarm.await_tasks(3);
    let one = three.first().unwrap();
    let runtime =
        |id: &str| swarm.run(&["inspect", "-f", "{{.HostConfig.Runtime}} {{.HostConfig.Memory}}", id]);
    assert_eq!(runtime(one), "tinyd 67108864");
    println!("three replicas run");
    // Every address that the name has is a task that answers, each with a name of its own.
    let found = swarm.await_addresses(one, 3);
    let page = |address: &String| {
        let url = format!("http://{address}/");
        let ask = ["exec", one, "wget", "-q", "-O-", &url];
        eventually(PATIENCE, || Some(docker.run(&ask)).filter(|said| said.code() == Some(0)))
            .expect("a task answers")
            .text()
    };
    let pages: BTreeSet<String> = found.iter().map(page).collect();
    let names: BTreeSet<String> = three.iter().map(|id| id[..12].to_owned()).collect();
    assert_eq!(pages, names);
    println!("their name has three addresses, and each answers: {found:?}");

    swarm.run(&["service", "scale", "--detach", "web=5"]);
    let five = swarm.await_tasks(5);
    assert!(three.is_subset(&five), "what ran goes on running");
    swarm.await_addresses(one, 5);
    println!("scaled to five");

    let update = ["service", "update", "--detach", "--no-resolve-image", "--env-add", "EDITION=2"];
    swarm.run(&[&update[..], &["--update-parallelism", "2", "--update-delay", "0s", "web"]].concat());
    let state = || swarm.run(&["service", "inspect", "-f", "{{.UpdateStatus.State}}", "web"]);
    eventually(PATIENCE, || (state() == "completed").then_some(())).expect("the update is completed");
    let updated = swarm.await_tasks(5);
    assert!(updated.is_disjoint(&five), "every task is a new one");
    for id in &updated {
        assert_eq!(swarm.run(&["exec", id, "sh", "-c", "echo $EDITION"]), "2");
    }
    println!("updated: five new tasks");

    let victim = updated.first().unwrap();
    let pid = swarm.run(&["inspect", "-f", "{{.State.Pid}}", victim]);
    kill(pid.parse().unwrap());
    let replaced = || Some(swarm.containers()).filter(|all| all.len() == 5 && !all.contains(victim));
    let replaced = eventually(PATIENCE, replaced).expect("the task is replaced");
    assert_eq!(replaced.intersection(&updated).count(), 4);
    let failed =
        swarm.run(&["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", "web"]);
    let failed: Vec<&str> = failed.lines().filter(|line| line.starts_with("Failed")).collect();
    assert!(failed.len() == 1 && failed[0].contains("non-zero exit (137)"), "{failed:?}");
    swarm.await_tasks(5);
    println!("a killed task was replaced: {}", failed[0]);
    let logs = docker.run(&["service", "logs", "web"]);
    assert_eq!(logs.code(), Some(0), "{logs}");

    swarm.run(&["service", "rm", "web"]);
    let gone = || swarm.run(&["ps", "-aq"]).is_empty().then_some(());
    eventually(PATIENCE, gone).expect("the tasks go with the service");
    swarm.run(&["network", "rm", "net"]);
    swarm.run(&["swarm", "leave", "--force"]);
    docker.end();
}
