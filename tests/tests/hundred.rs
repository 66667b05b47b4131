//! A hundred containers live side by side through everything that befalls others: killed monitors and clients, a full file
//! system, storms. All answer, are stopped with their own exit codes, and are removed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use tinyd_tests::kill::{kill, monitor_of};
use tinyd_tests::{Dice, Env, crowd, proc, require, roots, wait_until};

const COUNT: usize = 100;
const AT_A_TIME: usize = 8;

/// Does `work` for each number, so many at a time; fails with the first complaint.
#[track_caller]
fn for_all(count: usize, work: impl Fn(usize) -> Result<(), String> + Sync) {
    let wrong = crowd(AT_A_TIME, count, work);
    assert!(wrong.is_empty(), "{} of {count} are wrong, the first:\n{}", wrong.len(), wrong[0]);
}

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Each has an exit code of its own.
fn code(number: usize) -> usize {
    10 + number
}

fn all_answer(env: &Env) {
    for_all(COUNT, |number| {
        let output = env.tinyd(["exec", &format!("c{number}"), "cat", "/tmp/name"]);
        if output.stdout() == format!("{number}\n") { Ok(()) } else { Err(output.to_string()) }
    });
    let listed = env.tinyd(["ps", "--format", "{{.Names}} {{.Status}}"]).ok().stdout();
    let running: BTreeSet<_> = listed.lines().filter(|line| line.ends_with(" RUNNING")).collect();
    assert!(running.len() >= COUNT, "{listed}");
}

/// Kills the monitors of a third.
fn lose_monitors(env: &Env, dice: &mut Dice) {
    for number in dice.pick((0..COUNT).collect(), COUNT / 3) {
        kill(monitor_of(env, &format!("c{number}")));
    }
}

/// Clients of others are killed at any moment of their work.
fn kill_clients(env: &Env, dice: &mut Dice) {
    for round in 0..40 {
        let mut client = env.cmd(["run", "--rm", "--name", "victim", &image(), "true"]).spawn();
        std::thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
        if !client.has_ended() {
            client.signal(Signal::KILL);
        }
        client.wait();
        if round % 10 == 0 {
            env.tinyd(["ps", "-a"]).ok();
        }
    }
    let victims = || env.tinyd(["ps", "-a"]).ok().stdout().contains("victim");
    wait_until("the last of the others is gone", || !victims());
}

/// There is no room where the state is while runs are tried and one of a hundred is killed.
fn fill_up(env: &Env) {
    let filler = env.run_root().join("filler");
    let file = fs::File::create(&filler).unwrap();
    let mut size = 1 << 20;
    let mut end = 0;
    while size > 0 {
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end, size) {
            Ok(()) => end += size,
            Err(_) => size /= 2,
        }
    }
    let output = env.tinyd(["run", "--rm", "--name", "victim", &image(), "true"]).fails(125);
    assert!(output.stderr().contains("No space left on device"), "{output}");
    kill(monitor_of(env, "c0"));
    all_answer(env);
    drop(file);
    fs::remove_file(filler).unwrap();
}

#[test]
fn a_hundred_live_through_all_that_befalls_others() {
    require!(root);
    require!(program);
    let env = Env::new();
    fs::create_dir(env.run_root()).unwrap();
    mount("tmpfs", env.run_root(), "tmpfs", MountFlags::empty(), Some(c"size=16m")).unwrap();
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live_through(&env)));
    unmount(env.run_root(), UnmountFlags::DETACH).unwrap();
    if let Err(panic) = lived {
        std::panic::resume_unwind(panic);
    }
    env.assert_clean();
}

fn live_through(env: &Env) {
    let mut dice = Dice::new();
    let image = image();
    for_all(COUNT, |number| {
        let text = format!(
            "trap 'exit {}' TERM; echo {number} > /tmp/name; while :; do sleep 0.5 & wait $!; done",
            code(number)
        );
        let output = env.tinyd(["run", "-d", "--name", &format!("c{number}"), &image, "sh", "-c", &text]);
        if output.code() == Some(0) { Ok(()) } else { Err(output.to_string()) }
    });
    all_answer(env);
    lose_monitors(env, &mut dice);
    kill_clients(env, &mut dice);
    all_answer(env);
    lose_monitors(env, &mut dice);
    fill_up(env);
    for_all(100, |number| {
        let output = env.tinyd(["run", "--rm", &image, "sh", "-c", &format!("exit {number}")]);
        if output.code() == i32::try_from(number).ok() { Ok(()) } else { Err(output.to_string()) }
    });
    all_answer(env);
    assert!((0..COUNT).all(|number| proc::is_alive(monitor_of(env, &format!("c{number}")))));

    for_all(COUNT, |number| {
        let name = format!("c{number}");
        let stopped = env.tinyd(["stop", &name]);
        let waited = env.tinyd(["wait", &name]);
        let removed = env.tinyd(["rm", &name]);
        let right = waited.text() == code(number).to_string();
        if right && removed.code() == Some(0) {
            Ok(())
        } else {
            Err(format!("{stopped}\n{waited}\n{removed}"))
        }
    });
    env.assert_checked();
    for folder in ["containers", "intents", "locks"] {
        let left = || fs::read_dir(env.run_root().join(folder)).unwrap().count();
        wait_until(&format!("nothing is left in {folder}"), || left() == 0);
    }
}
