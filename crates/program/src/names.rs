//! The program that serves the names of a network's containers: both sides of it.
//!
//! There is one for each network that has a container. Whoever connects one opens the sockets and starts the program with
//! them, so that nobody waits until it runs: what is asked meanwhile stays in the sockets. It holds a lock beside the folder
//! of names (`lock`), by which the next one knows that it is there, and ends when the folder has been empty for a moment.
//! When it is killed, the monitors of the network's containers start it again (`server`).

mod lock;
mod server;

pub use server::run;

use lock::{Lock, Record};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tinyd_net::Companion;
use tinyd_net::names::{NameService, Served, ServerSpec, Sockets};
use tinyd_ns::socket;
use tinyd_runtime::state::ProcessId;

/// The verb of `tinyd-runtime`.
pub const VERB: &str = "names";
/// Behind it: brings the server back whose lock is that file.
const AGAIN: &str = "again";

/// Finds the program.
type Locate = dyn Fn() -> io::Result<PathBuf> + Send + Sync;

/// Starts the program where there is none.
pub struct Service {
    locate: Box<Locate>,
    group: String,
}

impl Service {
    /// One whose program is looked for when it is needed. It runs in a control group, which those that bring it back are in.
    pub fn new(locate: impl Fn() -> io::Result<PathBuf> + Send + Sync + 'static, group: &str) -> Self {
        Self { locate: Box::new(locate), group: group.to_owned() }
    }

    fn start(
        &self,
        program: &Path,
        network: &ServerSpec,
        listen: &[SocketAddr],
        lock: &Lock,
        sockets: &Sockets,
    ) -> io::Result<()> {
        let (ours, theirs) = socket::pair()?;
        let child = Command::new(program)
            .arg0(program)
            .args([VERB, &self.group])
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = ProcessId::of(child.id());
        // It goes on in a child of its own, and is nobody's to wait for; the next start reaps it.
        tinyd_runtime::client::leave(child);
        let record = Record { process: process?, listen: listen.to_vec(), network: network.clone() };
        // Before it has the lock: where it is read, the process has it or is about to. That child writes itself down.
        lock.write(&record)?;
        let packets = sockets.packets.iter().map(UdpSocket::as_fd);
        let listeners = sockets.listeners.iter().map(TcpListener::as_fd);
        let descriptors: Vec<BorrowedFd<'_>> =
            [lock.as_fd()].into_iter().chain(packets).chain(listeners).collect();
        Ok(socket::send(ours.as_fd(), &serde_json::to_vec(network)?, &descriptors)?)
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("group", &self.group).finish_non_exhaustive()
    }
}

impl NameService for Service {
    fn serve(&self, network: &ServerSpec) -> io::Result<Served> {
        let program = (self.locate)()?;
        let path = lock::path(&network.folder);
        let again = Companion {
            arguments: vec![VERB.to_owned(), AGAIN.to_owned(), path.to_string_lossy().into_owned()],
            process: path.clone(),
            program: program.clone(),
        };
        let served = |listen| Served { listen, companion: Some(again) };
        let lock = Lock::open(&path)?;
        // One that is being started now may not have written where it is: its starter leads there.
        let last = listen(&lock, network);
        if !lock.try_hold()? {
            return Ok(served(last.unwrap_or_else(|| network.listen.clone())));
        }
        let sockets = Sockets::bind_beside(last.as_deref().unwrap_or(&network.listen))?;
        let listen = sockets.addresses()?;
        self.start(&program, network, &listen, &lock, &sockets)?;
        Ok(served(listen))
    }

    fn last_served(&self, network: &ServerSpec) -> Option<Vec<SocketAddr>> {
        listen(&Lock::of_known(&lock::path(&network.folder)).ok()?, network)
    }
}

/// Where a network was served last, if that was at the addresses that it has now.
fn listen(lock: &Lock, network: &ServerSpec) -> Option<Vec<SocketAddr>> {
    let listen = lock.read()?.listen;
    listen.iter().map(SocketAddr::ip).eq(network.listen.iter().map(SocketAddr::ip)).then_some(listen)
}
