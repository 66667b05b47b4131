//! F6: too few descriptors, processes or bytes of memory. Each command either works or says in one line what it lacked, and
//! nothing is left of it. (That single calls fail so: `faults.rs`.)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was said"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tinyd_tests::proc::{self, cgroups};
use tinyd_tests::{Cmd, Env, Output, leak, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The commands that are tried: one that comes and goes, and one into a container that stays.
fn commands(env: &Env) -> [Cmd; 2] {
    let run = env.cmd(["run", "--rm", "--name", "short", &image(), "sh", "-c", "exit 42"]);
    let exec = env.cmd(["exec", "stays", "sh", "-c", "exit 42"]);
    [run, exec].map(|command| command.limit(Duration::from_secs(30)))
}

/// One that is there all the time, and does not suffer.
fn with_a_container() -> Env {
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "stays", &image(), "sleep", "1000"]).ok();
    env
}

/// Requires that nothing is there but the container that stays. What a killed or crippled client did not take back, the
/// next command does.
#[track_caller]
fn only_one_stays(env: &Env, after: &str) {
    assert_eq!(
        env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().text(),
        "stays RUNNING",
        "{after}"
    );
    let own = env.containers().into_iter().next().unwrap();
    let others = || {
        let left = env.leaks_within(Duration::ZERO).into_iter();
        // A monitor's arguments and paths name its container.
        left.filter(|item| {
            !item.what.contains(&own) && !item.what.contains("names/stays") && !item.what.contains("/ids/")
        })
        .collect::<Vec<_>>()
    };
    let gone = tinyd_tests::eventually(leak::PATIENCE, || others().is_empty().then_some(()));
    assert!(gone.is_some(), "{after}: left behind:\n{}", leak::describe(&others()));
    let leases = fs::read_dir(env.root().join("ids")).unwrap().count();
    assert!(leases <= 1, "{after}: {leases} leases");
}

/// How a command may end: with the answer, or with one line that has the kernel's words for what it lacked.
#[track_caller]
fn fair(output: &Output, words: &str) -> bool {
    if output.code() == Some(42) {
        return true;
    }
    let said = output.stderr();
    assert!(matches!(output.code(), Some(125..=127)), "{output}");
    assert!(said.lines().count() == 1 && said.starts_with("tinyd: ") && said.contains(words), "{output}");
    false
}

#[test]
fn of_descriptors() {
    require!(root);
    require!(program);
    require!(command "prlimit");
    let env = with_a_container();
    let mut said = BTreeMap::<_, usize>::new();
    // Fewer than three are the standard streams'; with enough it works.
    let mut worked = 0;
    for most in (4..40).chain([64]) {
        for command in commands(&env) {
            let output = command.under(["prlimit", &format!("--nofile={most}:{most}")]).output();
            // The loader comes before us.
            if output.code() == Some(127) && output.stderr().contains("shared libraries") {
                continue;
            }
            worked += usize::from(fair(&output, "(os error 24)"));
            *said.entry(output.stderr()).or_default() += 1;
        }
        only_one_stays(&env, &format!("{most} descriptors"));
    }
    said.iter().for_each(|(said, count)| println!("{count:>4} x {}", said.trim()));
    // A client of a daemon needs few of them for little.
    let kinds = if tinyd_tests::is_served() { 2 } else { 4 };
    assert!(worked >= 2 && said.len() >= kinds, "{worked} worked: {said:?}");
    env.tinyd(["rm", "-f", "stays"]).ok();
    env.assert_clean();
}

/// A control group of the test's own, whose name is not the test's: what it leaves is looked for.
struct Group(PathBuf);

impl Group {
    fn new() -> Group {
        let hierarchy = cgroups::hierarchy_of("pids").unwrap();
        let group = hierarchy.mount.join(format!("tinyd-shortage-{}", proc::own_pid()));
        fs::create_dir(&group).unwrap();
        Group(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let gone = || fs::remove_dir(&self.0).ok();
        assert!(
            tinyd_tests::eventually(leak::PATIENCE, gone).is_some(),
            "{} cannot be removed",
            self.0.display()
        );
    }
}

#[test]
fn of_processes() {
    require!(root);
    require!(program);
    require!(controller "pids");
    let env = with_a_container();
    let group = Group::new();
    let mut failed = 0;
    for most in 1..8 {
        fs::write(group.0.join("pids.max"), most.to_string()).unwrap();
        for command in commands(&env) {
            let join = format!("echo 0 > {}/cgroup.procs; exec \"$@\"", group.0.display());
            let output = command.under(["sh", "-c", &join, "sh"]).output();
            println!("{most}: {}", output.stderr().trim());
            failed += usize::from(!fair(&output, "Resource temporarily unavailable"));
        }
        only_one_stays(&env, &format!("{most} processes"));
    }
    assert!(
        failed >= if tinyd_tests::is_served() { 2 } else { 3 },
        "only {failed} commands were short of processes"
    );
    // Whoever was in it is gone, or has left it.
    let empty = || cgroups::members(&group.0).is_empty().then_some(());
    assert!(tinyd_tests::eventually(leak::PATIENCE, empty).is_some(), "{:?}", cgroups::members(&group.0));
    env.tinyd(["rm", "-f", "stays"]).ok();
    env.assert_clean();
}

/// Without memory a process may die of it; what it was doing is taken back.
#[test]
fn of_memory() {
    require!(root);
    require!(program);
    require!(command "prlimit");
    let env = with_a_container();
    let mut worked = 0;
    for megabytes in (2..40).step_by(3).chain([400]) {
        for command in commands(&env) {
            let output = command.under(["prlimit", &format!("--as={}", megabytes << 20)]).output();
            let code = output.code();
            println!("{megabytes}: {code:?} {}", output.stderr().trim());
            worked += usize::from(code == Some(42));
            // Never the answer of a command that did not give it.
            assert!(code != Some(0), "{output}");
            assert!(code == Some(42) || !output.stderr().is_empty() || output.signal().is_some(), "{output}");
        }
        only_one_stays(&env, &format!("{megabytes} MiB"));
    }
    assert!(worked >= 2, "{worked} worked");
    env.tinyd(["rm", "-f", "stays"]).ok();
    env.assert_clean();
}
