//! Connecting.

use super::background::Background;
use super::line::Line;
use super::{Client, failed};
use crate::address::Address;
use crate::status::innermost;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{Error, ErrorKind, Result};
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
        Self::reach(endpoint)?.map_err(|error| refused(address, &error))
    }

    /// Connects to the daemon that listens on a socket of this machine; none where nobody does, or nobody who lets this user in.
    pub fn connect_if_any(socket: &Path) -> Result<Option<Self>> {
        // Where there is nothing, nothing is made to reach it. What a daemon that was killed left there refuses.
        if !socket.exists() {
            return Ok(None);
        }
        match Self::reach(unix(socket)?)? {
            Ok(client) => Ok(Some(client)),
            Err(error) if is_nobody(&error) => Ok(None),
            Err(error) => Err(refused(&Address::Unix(socket.to_owned()), &error)),
        }
    }

    fn reach(endpoint: Endpoint) -> Result<std::result::Result<Self, tonic::transport::Error>> {
        let runtime = Background::new()?;
        let reached = runtime.block_on(endpoint.connect());
        Ok(reached.map(|channel| Self { runtime: Arc::new(runtime), line: Line::new(endpoint, channel) }))
    }
}

/// Whether nobody is there, or nobody for this user; the path of a socket cannot be of any length.
fn is_nobody(error: &tonic::transport::Error) -> bool {
    let first = std::error::Error::source(error);
    let said = std::iter::successors(first, |cause| cause.source())
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    said.is_some_and(|error| {
        use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound, PermissionDenied};
        matches!(error.kind(), ConnectionRefused | InvalidInput | NotFound | PermissionDenied)
    })
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
