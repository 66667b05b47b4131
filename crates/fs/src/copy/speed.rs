//! How a copy compares to that of cp(1).

use super::tree;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::{Duration, Instant};

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// In release: `cargo test -p tinyd-fs --release -- --ignored --nocapture copy::speed`.
#[test]
#[ignore = "a measurement: prints how it compares to cp, and is for a quiet machine"]
fn root_speed_compared_to_cp() {
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let (from, to) = (place.path().join("from"), place.path().join("to"));
    for folder in 0..60 {
        let folder = from.join(format!("folder{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for number in 0..50 {
            let size = [300, 2_000, 9_000, 40_000][number % 4];
            fs::write(folder.join(format!("file{number}")), vec![b'a'; size]).unwrap();
        }
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        fs::create_dir(&to).unwrap();
        let start = Instant::now();
        tree(File::open(&from).unwrap().as_fd(), File::open(&to).unwrap().as_fd()).unwrap();
        ours.push(start.elapsed());
        crate::remove_tree(&to).unwrap();
        let start = Instant::now();
        assert!(Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
        theirs.push(start.elapsed());
        crate::remove_tree(&to).unwrap();
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    println!("{ours:?}, cp -a {theirs:?}: {:.2} times its speed", theirs.as_secs_f64() / ours.as_secs_f64());
}
