//! The way in. A connection is a request's only when the head of that request is there, whole and in time; until then it
//! costs little, and of very many that say nothing the oldest goes.

use super::answer::ALWAYS;
use super::head::{self, MOST_BYTES, Refused, TOO_LONG};
use super::io::Connection;
use super::owner;
use crate::awaited::Awaited;
use crate::places::{Places, Whose};
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a head may take.
const HEAD: Duration = Duration::from_secs(10);
/// Most connections whose head is awaited.
const MOST_AWAITED: usize = 400;
/// How long a refused one may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// A listener whose connections have said what they want.
pub(crate) struct Gate {
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    address: io::Result<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// Begins to let connections in.
    pub(crate) fn open(listener: TcpListener) -> Self {
        let address = listener.local_addr();
        let (sender, ready) = mpsc::channel(16);
        Self { ready, address, accepting: tokio::spawn(accept(listener, sender)) }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for Gate {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(one) => one,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(error.kind().into()),
        }
    }
}

async fn accept(listener: TcpListener, ready: mpsc::Sender<(Connection, SocketAddr)>) {
    let places = Places::new();
    let mut awaited = Awaited::at_most(MOST_AWAITED);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                awaited.push(admit(stream, peer, places.clone(), ready.clone()));
            }
            // Out of descriptors or memory: those that there are come to an end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn admit(
    mut stream: TcpStream,
    peer: SocketAddr,
    places: Places,
    ready: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let _ = stream.set_nodelay(true);
    let received = match timeout(HEAD, receive(&mut stream)).await {
        Err(_) => Err((408, "the head did not come in time")),
        // It went away, and nobody is there to be told.
        Ok(Ok(None)) | Ok(Err(_)) => return,
        Ok(Ok(Some(received))) => received,
    };
    // One user takes no other's.
    let user = stream.local_addr().ok().and_then(|own| owner::of(peer, own));
    let place = || places.take(user.map_or(Whose::Stranger, Whose::User));
    let place = || place().ok_or((503, "too many requests at a time"));
    match received.and_then(|head| Ok((head, place()?))) {
        Ok((head, place)) => {
            let _ = ready.send((Connection::new(stream, head, place), peer)).await;
        }
        Err(refused) => drop(timeout(LINGER, refuse(stream, refused)).await),
    }
}

/// The head, with what came with it; `None` when the other side went away before.
async fn receive(stream: &mut TcpStream) -> io::Result<Option<Result<Vec<u8>, Refused>>> {
    let mut received = Vec::with_capacity(1024);
    loop {
        let seen = received.len();
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
        if let Some(whole) = head::end(&received, seen).and_then(|end| received.get(..end)) {
            return Ok(Some(head::check(whole).map(|()| received)));
        }
        if received.len() > MOST_BYTES {
            return Ok(Some(Err(TOO_LONG)));
        }
    }
}

async fn refuse(mut stream: TcpStream, (status, sentence): Refused) -> io::Result<()> {
    let reason = axum::http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let body = serde_json::json!({ "error": sentence }).to_string();
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default());
    for (name, value) in ALWAYS {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    // Until it has read this: to close with bytes unread would take the answer away from it.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
