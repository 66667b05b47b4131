//! Where connections come in, and what has to be so before one is served.

use super::calls::Patience;
use super::farewell;
use super::guarded::{Guarded, Stream};
use crate::log;
use crate::places::{Place, Places, Whose};
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a connection may be silent. TLS has as long as the first call.
const PATIENCE: Patience =
    Patience { first: Duration::from_secs(10), idle: Duration::from_secs(30), grace: Duration::from_secs(2) };
/// After how long without a word a machine is asked whether it is still there, how often then, and how many times.
const ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Where connections come in.
pub(super) enum Door {
    /// From this machine: whoever may open the socket.
    Unix(UnixListener),
    /// From a network: whoever shows a certificate.
    Tcp(TcpListener, TlsAcceptor),
}

/// A connection that has come.
pub(super) enum Arrived {
    Unix(UnixStream, UCred, Option<Place>),
    Tcp(TcpStream, SocketAddr, TlsAcceptor),
}

impl Door {
    /// The next connection. Of one from this machine it is known whose it is: who comes first takes the place.
    pub(super) async fn next(&self, places: &Places) -> io::Result<Arrived> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred()?;
                Ok(Arrived::Unix(stream, user, places.take(Whose::User(user.uid()))))
            }
            Self::Tcp(listener, tls) => {
                listener.accept().await.map(|(stream, from)| Arrived::Tcp(stream, from, tls.clone()))
            }
        }
    }
}

impl Arrived {
    /// Gives it a place, once it is known who it is. Those who have not proved that take no place from those who have.
    pub(super) async fn admit(self, places: Places) -> Option<Guarded> {
        match self {
            Self::Unix(stream, user, place) => seat(stream, Some(user), place).await,
            Self::Tcp(stream, from, tls) => {
                let _ = prepare(&stream);
                let stream = match timeout(PATIENCE.first, tls.accept(stream)).await.ok()? {
                    Ok(stream) => stream,
                    Err(error) => {
                        log::refused(from, &error);
                        return None;
                    }
                };
                seat(stream, None, places.take(Whose::Stranger)).await
            }
        }
    }
}

/// Guards a connection in its place, or says that there is none.
async fn seat(stream: impl Stream + 'static, user: Option<UCred>, place: Option<Place>) -> Option<Guarded> {
    match place {
        Some(place) => Some(Guarded::new(stream, user, place, PATIENCE)),
        None => {
            farewell::say(stream).await;
            None
        }
    }
}

/// What is small goes at once; and a machine that is gone without a word is found out. The kernels ask each other about that: a
/// client may be stopped for as long as its user likes.
fn prepare(connection: &TcpStream) -> io::Result<()> {
    let (idle, every, times) = ALIVE;
    connection.set_nodelay(true)?;
    sockopt::set_socket_keepalive(connection, true)?;
    sockopt::set_tcp_keepidle(connection, idle)?;
    sockopt::set_tcp_keepintvl(connection, every)?;
    Ok(sockopt::set_tcp_keepcnt(connection, times)?)
}
