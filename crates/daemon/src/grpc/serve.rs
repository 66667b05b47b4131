//! Serving connections: how many there may be, how long one may say nothing, how much it may ask for at once.

use super::guarded::{Guarded, Places};
use super::routes;
use crate::asker::Asker;
use rustix::net::sockopt;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// How long a connection may take to begin: its first byte, or all that TLS says first.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many calls one connection may have under way. A client of ours has a handful.
const MOST_CALLS: u32 = 200;
/// The most that the headers of a call may be.
const MOST_HEADERS: u32 = 32 * 1024;
/// After how long without a word a machine is asked whether it is still there, how often then, and how many times.
const ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Serves on a socket of this machine until `stop`.
pub(super) async fn unix(
    engine: &Asker,
    listener: UnixListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (sender, connections) = mpsc::channel(1);
    let places = Places::new();
    let accept = async move {
        loop {
            let Ok((connection, _)) = listener.accept().await else {
                // Too many files are open, say: those that there are end some day.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let user = connection.peer_cred().map_or(u32::MAX, |peer| peer.uid());
            let Some(place) = places.of_user(user) else { continue };
            let sender = sender.clone();
            tokio::spawn(async move {
                if let Ok(Ok(())) = timeout(PATIENCE, connection.readable()).await {
                    let _ = sender.send(Guarded::new(connection, place)).await;
                }
            });
        }
    };
    serve(engine, connections, accept, stop).await
}

/// Serves on a port, whoever shows a certificate, until `stop`.
pub(super) async fn tcp(
    engine: &Asker,
    listener: TcpListener,
    tls: TlsAcceptor,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (sender, connections) = mpsc::channel(1);
    let places = Places::new();
    let accept = async move {
        loop {
            let Ok((connection, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Some(place) = places.of_stranger() else { continue };
            let (sender, tls) = (sender.clone(), tls.clone());
            tokio::spawn(async move {
                let _ = prepare(&connection);
                if let Ok(Ok(connection)) = timeout(PATIENCE, tls.accept(connection)).await {
                    let _ = sender.send(Guarded::new(connection, place)).await;
                }
            });
        }
    };
    serve(engine, connections, accept, stop).await
}

/// What is small goes at once; and a machine that is gone without a word is found out. The kernels ask each other about that: a
/// client may be stopped for as long as its user likes.
fn prepare(connection: &TcpStream) -> std::io::Result<()> {
    let (idle, every, times) = ALIVE;
    connection.set_nodelay(true)?;
    sockopt::set_socket_keepalive(connection, true)?;
    sockopt::set_tcp_keepidle(connection, idle)?;
    sockopt::set_tcp_keepintvl(connection, every)?;
    Ok(sockopt::set_tcp_keepcnt(connection, times)?)
}

async fn serve<T>(
    engine: &Asker,
    connections: mpsc::Receiver<Guarded<T>>,
    accept: impl Future<Output = ()>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error>
where
    T: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    use tokio_stream::StreamExt as _;
    let connections = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
    let served = Server::builder()
        .max_concurrent_streams(MOST_CALLS)
        .http2_max_header_list_size(MOST_HEADERS)
        .add_routes(routes(engine))
        .serve_with_incoming_shutdown(connections, stop);
    tokio::select! {
        served = served => served,
        () = accept => Ok(()),
    }
}
