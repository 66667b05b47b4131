//! From options to the end: what is opened, in which order, and how it is closed.

use crate::activation::Passed;
use crate::asker::Asker;
use crate::error::Error;
use crate::listeners::Listeners;
use crate::lock::Lock;
use crate::stopping::{Stop, Stopping, pair};
use crate::{beginning, ending, grpc, log, monitors, notify, priority, rules, web};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyd_api::Address;
use tinyd_engine::{Engine, Retire};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long verbs that are under way may take to come to their end, when the daemon does.
const QUIET: Duration = Duration::from_secs(10);

/// How a daemon is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file whose lock makes it the only one; its folder is there.
    pub lock: Option<PathBuf>,
    /// The web page; `None` for none.
    pub web: Option<WebOptions>,
    /// Where clients reach the services of the contract. A socket named `grpc` that a service manager passed on comes before
    /// all that are of this machine.
    pub listen: Vec<Address>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, for clients on a network.
    pub certificates: Option<PathBuf>,
    /// Leaves the containers running when the daemon ends.
    pub live_restore: bool,
}

/// How the web page is wanted.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Where: a loopback address. A socket named `web` that a service manager passed on comes before it.
    pub address: SocketAddr,
    /// Lets who knows the token start, stop and remove containers; the token is written to this file, for its owner alone.
    pub control: Option<PathBuf>,
}

/// A daemon that has everything it needs and serves nobody yet.
pub struct Daemon {
    engine: Arc<dyn Retire>,
    live_restore: bool,
    web: Option<web::Bound>,
    clients: Vec<grpc::Listener>,
    runtime: Runtime,
    /// The page's own threads: what clients have much of, as logs, holds nobody up who looks.
    page: Runtime,
    signals: Signals,
    word: (Stop, Stopping),
    _lock: Option<Lock>,
}

impl Daemon {
    /// Takes the lock, opens the sockets and catches the signals: after this nothing is missing.
    pub fn open(engine: Arc<dyn Retire>, options: Options) -> Result<Self, Error> {
        let lock = options.lock.as_deref().map(Lock::take).transpose()?;
        let mut passed = Passed::take()?;
        let web = options.web.map(|wanted| web::Bound::new(wanted, passed.named("web"))).transpose()?;
        let failed = |operation| move |source| Error::System { operation, source };
        let runtime = threads("tinyd-daemon", 2, || {}).map_err(failed("start threads"))?;
        // The page has little to do, and somebody looks at it.
        let page = threads("tinyd-page", 1, priority::go_first).map_err(failed("start threads"))?;
        let signals = {
            let _within = runtime.enter();
            Signals::catch().map_err(failed("catch signals"))?
        };
        let word = pair();
        let clients = {
            let _within = runtime.enter();
            listeners_of(options.listen, options.certificates.as_deref(), passed.named("grpc"))?
        };
        let live_restore = options.live_restore;
        Ok(Self { engine, live_restore, web, clients, runtime, page, signals, word, _lock: lock })
    }

    /// Where the web page is.
    pub fn web_address(&self) -> Option<SocketAddr> {
        self.web.as_ref().map(web::Bound::address)
    }

    /// The ports that clients reach it by.
    pub fn ports(&self) -> Vec<SocketAddr> {
        self.clients.iter().filter_map(grpc::Listener::address).collect()
    }

    /// Ends it from another thread, as the first signal does.
    pub fn stopper(&self) -> Stop {
        self.word.0.clone()
    }

    /// Serves until SIGINT or SIGTERM, ends the containers, closes the listeners. A second signal skips the waiting.
    pub fn run(self) -> Result<(), Error> {
        let Self {
            engine,
            live_restore,
            web,
            clients,
            runtime,
            page,
            signals,
            word: (_stop, stopping),
            _lock,
        } = self;
        let web = web.map(|web| (web, page.handle().clone()));
        let ended = runtime.block_on(serve(engine, live_restore, web, clients, signals, stopping));
        // A question that hangs must not keep the process.
        for threads in [page, runtime] {
            threads.shutdown_timeout(Duration::from_millis(100));
        }
        log::flush();
        ended
    }
}

fn threads(name: &str, count: usize, first: fn()) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).thread_name(name).on_thread_start(first).enable_all().build()
}

fn listeners_of(
    wanted: Vec<Address>,
    certificates: Option<&Path>,
    passed: Option<OwnedFd>,
) -> Result<Vec<grpc::Listener>, Error> {
    let failed = |source| Error::Clients { source: Box::new(source) };
    let given = passed.is_some();
    let taken = passed.into_iter().map(grpc::Listener::passed_on);
    let opened = wanted.into_iter().filter(|address| !(given && matches!(address, Address::Unix(_))));
    let opened = opened.map(|address| grpc::Listener::open(&address, certificates));
    taken.chain(opened).collect::<tinyd_engine::Result<_>>().map_err(failed)
}

async fn serve(
    engine: Arc<dyn Retire>,
    live_restore: bool,
    web: Option<(web::Bound, Handle)>,
    clients: Vec<grpc::Listener>,
    mut signals: Signals,
    mut word: Stopping,
) -> Result<(), Error> {
    let asked: Arc<dyn Engine> = engine.clone();
    let asker = Asker::new(asked);
    let mut listeners = Listeners::new();
    if let Some((web, page)) = web {
        let web = {
            let _within = page.enter();
            web.prepare(asker.clone())?
        };
        listeners.start_on(&page, |stopping| web.serve(stopping));
    }
    for listener in clients {
        let asker = asker.clone();
        listeners.start(|stopping| async move {
            listener.serve(asker, stopping).await;
            Ok(())
        });
    }
    let watched = asker.clone();
    listeners.start(|stopping| async move {
        rules::keep(watched, stopping).await;
        Ok(())
    });
    let starts = asker.starts().clone();
    let watched = monitors::keep(Arc::clone(&engine), starts.clone());
    listeners.start(|stopping| async move {
        watched.until(stopping).await;
        Ok(())
    });
    notify::ready();
    tokio::task::spawn_blocking({
        let (engine, starts) = (Arc::clone(&engine), starts.clone());
        move || beginning::start_all(engine.as_ref(), &starts)
    });
    let broken = tokio::select! {
        () = signals.next() => None,
        () = word.wait() => None,
        error = listeners.failed() => Some(error),
    };
    starts.close();
    let (hurry, mut hurried) = pair();
    tokio::spawn(async move {
        signals.next().await;
        hurry.stop();
    });
    let ended = match live_restore || broken.is_some() {
        true => {
            notify::stopping("the containers run on");
            Ok(())
        }
        false => {
            notify::stopping("waiting for containers to end");
            ending::end_all(engine, &starts, hurried.clone()).await
        }
    };
    listeners.stop().await;
    tokio::select! {
        () = asker.quiet(QUIET) => {}
        () = hurried.wait() => {}
    }
    broken.map_or(ended, Err)
}

/// The signals that end a daemon.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns when the next one comes.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::Instant;
    use tinyd_manager::LocalEngine;

    #[test]
    fn root_a_program_of_ones_own_starts_and_stops_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let engine = LocalEngine::builder().within(folder.path()).open().unwrap();
        let web = WebOptions { address: ([127, 0, 0, 1], 0).into(), control: None };
        let options = Options { web: Some(web), ..Options::default() };
        let daemon = Daemon::open(Arc::new(engine), options).unwrap();
        let (address, stop) = (daemon.web_address().unwrap(), daemon.stopper());
        let running = std::thread::spawn(move || daemon.run());
        assert!(TcpStream::connect(address).is_ok());
        let before = Instant::now();
        stop.stop();
        running.join().unwrap().unwrap();
        assert!(before.elapsed() < Duration::from_secs(5) && TcpStream::connect(address).is_err());
    }
}
