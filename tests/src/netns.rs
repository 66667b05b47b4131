//! Machines for a test of networks: network namespaces that are joined by cables, of which one is the host that the engine runs
//! on. They go with the test; the real machine's links and rules are never touched.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A machine: a network namespace that a sleeping process holds, or a container's.
#[derive(Debug)]
pub struct Machine {
    netns: File,
    holder: Option<Child>,
}

impl Machine {
    /// One that has nothing but its loopback device, switched on.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is no value but a thing that is made")]
    pub fn new() -> Machine {
        let mut holder = Command::new("unshare");
        holder
            .args(["--net", "sh", "-c", "echo; exec sleep infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut holder = holder.spawn().expect("unshare(1) can be started");
        let mut made = [0; 1];
        let said = holder.stdout.take().expect("it has a pipe").read_exact(&mut made);
        said.expect("root can make a network namespace");
        let netns =
            File::open(format!("/proc/{}/ns/net", holder.id())).expect("a child's namespace can be opened");
        let machine = Machine { netns, holder: Some(holder) };
        machine.ip("link set lo up");
        machine
    }

    /// The one that a process lives on, such as a container's. It is there for as long as this is, even without the process.
    #[must_use]
    pub fn of(pid: i32) -> Machine {
        let netns = File::open(format!("/proc/{pid}/ns/net")).expect("the process runs");
        Machine { netns, holder: None }
    }

    /// Does something on this machine: whatever is started there is there too.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            move_into_link_name_space(self.netns.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root can enter a namespace");
            work()
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(value) => value,
            // A failed test inside is the test's failure, with its own message.
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs a command on it to its end, and gives its output.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        assert!(
            output.status.success(),
            "{words:?} said {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command on it that may fail.
    pub fn try_run(&self, words: &[&str]) -> Output {
        let (program, arguments) = words.split_first().expect("a command has a word");
        self.within(|| {
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .expect("the command can be started")
        })
    }

    /// Runs `ip` on it.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        self.run(&[&["ip"], &words.split_whitespace().collect::<Vec<_>>()[..]].concat())
    }

    /// Lays a cable to another machine: a link on each, switched on, with these names and addresses.
    #[track_caller]
    pub fn cable(&self, (name, addresses): (&str, &[&str]), other: &Machine, (far, theirs): (&str, &[&str])) {
        // The path of a descriptor of this process, which `ip` is a child of.
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.netns.as_raw_fd());
        self.ip(&format!("link add {name} type veth peer name {far} netns {path}"));
        for (machine, link, addresses) in [(self, name, addresses), (other, far, theirs)] {
            for address in addresses {
                let flags = if address.contains(':') { "nodad" } else { "" };
                machine.ip(&format!("addr add {address} dev {link} {flags}"));
            }
            machine.ip(&format!("link set {link} up"));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
