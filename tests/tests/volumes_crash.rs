//! Volumes whose makers are killed: what was acknowledged is there, nothing has no owner, and a volume is filled whole.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::{Container, Dice, Env, Moments, kill, require, roots, wait_until};

const ROUNDS: usize = 60;
const FILES: usize = 300;

/// Waits without sleeping: a sleep is longer than what is waited for here.
fn busy(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::yield_now();
    }
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_client_that_is_killed_while_it_fills_a_volume_leaves_none_that_is_filled_by_half() {
    require!(root);
    let env = Env::new();
    let root = roots::copy_of_busybox(&env);
    let tree = root.join("srv");
    fs::create_dir_all(&tree).unwrap();
    for number in 0..FILES {
        fs::write(tree.join(number.to_string()), vec![b'x'; 4096]).unwrap();
    }
    let image = root.to_str().unwrap();
    let mut dice = Dice::new();
    let (mut killed, mut partly) = (0, 0);
    let mut moments = Moments::of(Duration::from_millis(40));
    for round in 0..ROUNDS {
        let own = ["create", "--name", "c", "-v", "data:/srv", "-v", "/srv/own", image, "true"];
        let mut client = env.cmd(own).spawn();
        busy(moments.next(&mut dice));
        let had_ended = client.has_ended();
        moments.learn(had_ended);
        if !had_ended {
            client.signal(Signal::KILL);
        }
        killed += usize::from(client.wait().signal().is_some());
        let volume = env.root().join("volumes/local/data");
        partly += usize::from((1..FILES).contains(&count(&volume)));
        // The next command puts right what the dead one left; the next container has all of it.
        env.tinyd(["ps", "-a"]).ok();
        env.assert_checked();
        let seen = env.tinyd([
            "run",
            "--rm",
            "-v",
            "data:/srv",
            image,
            "sh",
            "-c",
            "ls /srv | wc -l; cat /srv/* | wc -c",
        ]);
        assert_eq!(seen.ok().stdout(), format!("{FILES}\n{}\n", FILES * 4096), "round {round}");
        if env.containers().len() == 1 {
            env.tinyd(["rm", "-v", "c"]).ok();
        }
        assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().stdout(), "data\n", "round {round}");
        env.tinyd(["volume", "rm", "data"]).ok();
        assert_eq!(count(&env.root().join("volumes/local")), 0, "round {round}");
    }
    assert!(killed > ROUNDS / 4 && partly > 2, "{killed} were killed, {partly} while they filled");
}

#[test]
fn a_removal_that_is_killed_leaves_the_volume_or_nothing() {
    require!(root);
    let env = Env::new();
    let mut dice = Dice::new();
    let (mut whole, mut gone) = (0, 0);
    let mut moments = Moments::of(Duration::from_millis(8));
    for round in 0..ROUNDS {
        env.tinyd(["volume", "create", "data"]).ok();
        let data = env.root().join("volumes/local/data");
        for number in 0..FILES {
            fs::write(data.join(number.to_string()), "x").unwrap();
        }
        let mut client = env.cmd(["volume", "rm", "data"]).spawn();
        busy(moments.next(&mut dice));
        let had_ended = client.has_ended();
        moments.learn(had_ended);
        if !had_ended {
            client.signal(Signal::KILL);
        }
        client.wait();
        let there = env.tinyd(["volume", "ls", "-q"]).ok().stdout() == "data\n";
        match there {
            true => assert_eq!(count(&data), FILES, "round {round}"),
            false => assert_eq!(count(data.parent().unwrap()), 0, "round {round}"),
        }
        (whole, gone) = (whole + usize::from(there), gone + usize::from(!there));
        if there {
            env.tinyd(["volume", "rm", "data"]).ok();
        }
        env.assert_checked();
    }
    assert!(whole > 0 && gone > 0, "{whole} were left as they were, {gone} went");
}

/// All processes of it at once, and what was written is there.
#[test]
fn data_survives_a_kill_of_everything() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox();
    let script = "i=0; while :; do i=$((i+1)); echo $i > /d/new; mv /d/new /d/last; done";
    let words = ["run", "-d", "--name", "c", "-v", "data:/d", image.to_str().unwrap(), "sh", "-c", script];
    let container = Container::start(&env, words);
    let last = env.root().join("volumes/local/data/last");
    wait_until("it writes", || last.exists());
    let monitor = kill::monitor_of(&env, "c");
    kill::kill(monitor);
    kill::kill(container.pid);
    let written = fs::read_to_string(&last).unwrap();
    assert!(written.trim().parse::<u64>().unwrap() > 0);
    env.tinyd(["rm", "-f", "c"]).ok();
    let words = ["run", "--rm", "-v", "data:/d", image.to_str().unwrap(), "cat", "/d/last"];
    assert_eq!(env.tinyd(words).ok().stdout(), written);
    env.tinyd(["volume", "rm", "data"]).ok();
}
