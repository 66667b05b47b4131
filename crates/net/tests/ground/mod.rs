//! Network namespaces for tests, which go with the threads that made them.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

use std::fs::File;
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread;
use tinyd_net::Prefix;
use tinyd_ns::Namespaces;

macro_rules! root_only {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
    };
}

/// Runs `work` in a thread with a network namespace of its own, which goes with it.
pub(crate) fn in_a_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        tinyd_ns::join::unshare(Namespaces::NET).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// This thread's network namespace.
pub(crate) fn own() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// A second namespace, which a thread holds until it is told to end.
pub(crate) struct Other {
    pub(crate) netns: File,
    end: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Other {
    pub(crate) fn new() -> Self {
        let (send, receive) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            tinyd_ns::join::unshare(Namespaces::NET).unwrap();
            send.send(own()).unwrap();
            let _ = ended.recv();
        });
        Self { netns: receive.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }
}

impl Other {
    /// The namespace that this thread is in itself.
    pub(crate) fn here() -> Self {
        Self { netns: own(), end: None, thread: None }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) use root_only;
