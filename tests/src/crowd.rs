//! Many at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for each number below `count`, so many at a time, and gives the complaints.
pub fn crowd(
    at_a_time: usize,
    count: usize,
    work: impl Fn(usize) -> Result<(), String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let one_after_another = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            if let Err(complaint) = work(number) {
                wrong.lock().expect("no worker panics while it holds the list").push(complaint);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(one_after_another);
        }
    });
    wrong.into_inner().expect("no worker panics while it holds the list")
}
