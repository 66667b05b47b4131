//! Where clients reach the services, opened before anything is served.

use super::door::Door;
use super::serve::serve;
use crate::asker::Asker;
use crate::socket::Socket;
use crate::stopping::Stopping;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener as Blocking, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tinyd_api::Address;
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// A place where clients reach the services.
pub(crate) enum Listener {
    /// On this machine, whoever may open the socket.
    Unix(Option<Socket>, UnixListener),
    /// Over a network, whoever shows a certificate.
    Tcp(TcpListener, TlsAcceptor),
}

impl Listener {
    /// Opens it. `proof` is the folder with `ca.pem`, `cert.pem` and `key.pem` for those on a network. There is nothing that
    /// switches them off: a port without them is root for whoever finds it.
    pub(crate) fn open(address: &Address, proof: Option<&Path>) -> Result<Self> {
        match address {
            Address::Unix(path) => {
                Socket::listen(path).map(|(socket, listener)| Self::Unix(Some(socket), listener))
            }
            Address::Tcp { host, port } => {
                let proof = proof.ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        format!("{address} is served by mutual TLS alone, and there are no certificates"),
                    )
                    .with_hint("make some with 'tinyd daemon cert', and name their folder with --cert-path")
                })?;
                let tls = accept_by(proof)?;
                Ok(Self::Tcp(bind(address, host, *port)?, tls))
            }
        }
    }

    /// One that a service manager opened, and whose file is his.
    pub(crate) fn passed_on(socket: OwnedFd) -> Result<Self> {
        check_passed_on(&socket)?;
        let made = || -> std::io::Result<_> {
            let socket = std::os::unix::net::UnixListener::from(socket);
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket)
        };
        let made = made();
        let failed = |error| Error::with_source(ErrorKind::Internal, "take the socket grpc over", &error);
        made.map(|listener| Self::Unix(None, listener)).map_err(failed)
    }

    /// Where it is, as it turned out to be.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(..) => None,
            Self::Tcp(listener, _) => listener.local_addr().ok(),
        }
    }

    /// Serves until the word is said.
    pub(crate) async fn serve(self, engine: Asker, stopping: Stopping) {
        match self {
            Self::Unix(socket, listener) => {
                serve(&engine, Door::Unix(listener), stopping).await;
                drop(socket);
            }
            Self::Tcp(listener, tls) => serve(&engine, Door::Tcp(listener, tls), stopping).await,
        }
    }
}

/// Whoever reaches it is as good as root: a port would be without certificates, and a file that everybody may open is a way for
/// everybody.
fn check_passed_on(socket: &OwnedFd) -> Result<()> {
    let refuse = |problem: String| {
        Err(Error::new(ErrorKind::InvalidInput, format!("the socket grpc that was passed on {problem}"))
            .with_hint("pass on a listening Unix socket of mode 0660, or none and use --listen"))
    };
    let failed = |errno: Errno| Error::with_source(ErrorKind::Internal, "look at the socket grpc", &errno);
    let domain = sockopt::socket_domain(socket).map_err(failed)?;
    let kind = sockopt::socket_type(socket).map_err(failed)?;
    let listens = sockopt::socket_acceptconn(socket).map_err(failed)?;
    if (domain, kind, listens) != (AddressFamily::UNIX, SocketType::STREAM, true) {
        return refuse("is no listening Unix stream socket".to_owned());
    }
    let address = rustix::net::getsockname(socket).map_err(failed)?;
    let address = SocketAddrUnix::try_from(address).map_err(failed)?;
    let Some(path) = address.path_bytes() else {
        return refuse("has no file, so that everybody may open it".to_owned());
    };
    let path = Path::new(OsStr::from_bytes(path));
    match path.symlink_metadata() {
        Ok(found) if found.mode() & 0o002 != 0 => {
            refuse(format!("lies at {}, which everybody may open", path.display()))
        }
        // One whose file is gone nobody opens.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn bind(address: &Address, host: &str, port: u16) -> Result<TcpListener> {
    let bound = || -> std::io::Result<TcpListener> {
        let places: Vec<_> = (host, port).to_socket_addrs()?.collect();
        let listener = Blocking::bind(places.as_slice())?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    bound().map_err(|error| Error::with_source(ErrorKind::Internal, format!("listen on {address}"), &error))
}

/// Accepts whoever shows a certificate of the folder's authority.
fn accept_by(folder: &Path) -> Result<TlsAcceptor> {
    let failed = |path: PathBuf, error: &(dyn std::error::Error + 'static)| {
        Error::with_source(ErrorKind::InvalidInput, format!("use {}", path.display()), error)
            .with_hint("'tinyd daemon cert' makes ca.pem, cert.pem and key.pem")
    };
    let certificates = |name: &str| {
        let path = folder.join(name);
        let read = CertificateDer::pem_file_iter(&path)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
        read.map_err(|error| failed(path, &error))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates("ca.pem")? {
        roots.add(root).map_err(|error| failed(folder.join("ca.pem"), &error))?;
    }
    let own = certificates("cert.pem")?;
    let key = folder.join("key.pem");
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| failed(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| failed(folder.join("ca.pem"), &error))?;
    let made = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_client_cert_verifier(verifier).with_single_cert(own, key));
    let mut config = made.map_err(|error| failed(folder.join("cert.pem"), &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
