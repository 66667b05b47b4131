//! Connecting.

use super::{Client, Name, failed};
use crate::address::Address;
use crate::status::innermost;
use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::event::EventfdFlags;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// How long a daemon has to answer at first.
const PATIENCE: Duration = Duration::from_secs(10);

/// What proves each side to the other.
#[derive(Clone, Debug)]
pub struct Tls {
    folder: PathBuf,
}

impl Tls {
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(&self) -> Result<ClientTlsConfig> {
        let file = |name: &str| {
            let path = self.folder.join(name);
            fs::read(&path).map_err(|error| {
                failed(&format!("read {}", path.display()), error)
                    .with_hint("TINYD_CERT_PATH names the folder with ca.pem, cert.pem and key.pem")
            })
        };
        let identity = Identity::from_pem(file("cert.pem")?, file("key.pem")?);
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(file("ca.pem")?)).identity(identity))
    }
}

impl Client {
    /// Connects to a daemon. One at the other end of a network is asked for its certificate, and shown one: `tls` is needed
    /// for that, and for that alone.
    pub fn connect(address: &Address, tls: Option<&Tls>) -> Result<Self> {
        let endpoint = match address {
            Address::Unix(path) => unix(path)?,
            Address::Tcp { host, port } => tcp(host, *port, tls)?,
        };
        let runtime = background()?;
        let channel = runtime.block_on(endpoint.connect()).map_err(|error| refused(address, &error))?;
        Ok(Self { runtime: Arc::new(runtime), channel: InterceptedService::new(channel, Name) })
    }
}

/// As many descriptors as a runtime of tokio takes for itself, and the first connection.
const DESCRIPTORS: usize = 8;

/// A runtime that cannot have its descriptors or its thread ends the whole process: it is an error here, of which somebody is told.
fn room() -> io::Result<()> {
    let eventfd = || rustix::event::eventfd(0, EventfdFlags::CLOEXEC);
    let _descriptors = (0..DESCRIPTORS).map(|_| eventfd()).collect::<rustix::io::Result<Vec<_>>>()?;
    // It does nothing, and has ended when it is joined.
    let _ = std::thread::Builder::new().spawn(|| {})?.join();
    Ok(())
}

/// One thread that carries what goes on in the background: the streams of sessions and logs. Signals are none of its business:
/// whoever made the client may wait for them in a thread of his own.
fn background() -> Result<Runtime> {
    room().map_err(|error| failed("make a client", error))?;
    let blocked = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    if let Ok(before) = blocked {
        // It was this one just now.
        let _ = before.thread_set_mask();
    }
    runtime.map_err(|error| failed("make a client", error))
}

fn unix(path: &Path) -> Result<Endpoint> {
    let text = path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("the daemon's socket {} is not UTF-8", path.display()))
    })?;
    Ok(endpoint(format!("unix://{text}"))?.connect_timeout(PATIENCE))
}

fn tcp(host: &str, port: u16, tls: Option<&Tls>) -> Result<Endpoint> {
    let tls = tls.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "a daemon on a network is reached by mutual TLS alone")
            .with_hint("TINYD_CERT_PATH names the folder with ca.pem, cert.pem and key.pem that 'tinyd daemon cert' made")
    })?;
    endpoint(format!("https://{}", Address::authority(host, port)))?
        .connect_timeout(PATIENCE)
        // A machine that is gone without a word is found out. The kernels ask each other: a process may be stopped for long.
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .tcp_keepalive_interval(Some(Duration::from_secs(10)))
        .tcp_keepalive_retries(Some(3))
        .tls_config(tls.read()?)
        .map_err(|error| failed("use the certificates", error))
}

fn endpoint(uri: String) -> Result<Endpoint> {
    Endpoint::try_from(uri).map_err(|error| failed("read the daemon's address", error))
}

fn refused(address: &Address, error: &tonic::transport::Error) -> Error {
    let cause = innermost(error);
    Error::with_causes(ErrorKind::Internal, format!("connect to the daemon at {address}"), cause)
        .with_hint("is it running? 'tinyd daemon' starts one")
}
