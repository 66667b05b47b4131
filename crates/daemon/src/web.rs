//! The web page: what it shows, what it answers, and what it refuses (SECURITY §4, ADR 36).
//!
//! A request passes [`gate`] (its head is whole, short and in time), then [`guard`] (it is meant for us and comes from our
//! page), then the routes below. Each connection carries one request.

mod answer;
mod api;
mod assets;
mod control;
mod details;
mod gate;
mod guard;
pub(crate) mod head;
mod io;
mod logs;
mod metrics;
mod owner;
mod stream;

use crate::Error;
use crate::asker::Asker;
use crate::daemon::WebOptions;
use crate::sampler::Sampler;
use crate::stopping::Stopping;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use control::Control;
use guard::Places;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// So many viewers get samples as they are taken; others are told to ask again.
const MOST_STREAMS: usize = 200;

/// So many connections may wait to be accepted; the kernel's own limit (net.core.somaxconn) stands above it.
const BACKLOG: i32 = 4096;

/// An open socket.
pub(crate) struct Bound {
    socket: TcpListener,
    address: SocketAddr,
    control: Option<Control>,
}

/// What all routes share.
#[derive(Clone)]
pub(crate) struct Web {
    asker: Asker,
    sampler: Arc<Sampler>,
    places: Arc<Places>,
    control: Option<Arc<Control>>,
    streams: Arc<tokio::sync::Semaphore>,
}

/// All that it takes to serve.
pub(crate) struct Prepared {
    listener: tokio::net::TcpListener,
    web: Web,
}

impl Bound {
    /// Listens, or takes over a socket that listens already.
    pub(crate) fn new(wanted: WebOptions, passed: Option<OwnedFd>) -> Result<Self, Error> {
        let address = wanted.address;
        let listen = |source| Error::Listen { address, source };
        let socket = match passed {
            Some(socket) => TcpListener::from(socket),
            None if !address.ip().is_loopback() => return Err(Error::NotLoopback { address }),
            None => listen_at(address).map_err(|errno| listen(errno.into()))?,
        };
        let address = socket.local_addr().map_err(listen)?;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback { address });
        }
        socket.set_nonblocking(true).map_err(listen)?;
        let control = wanted.control.map(|file| Control::new(address, file)).transpose()?;
        Ok(Self { socket, address, control })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes ready to serve; within a runtime of tokio.
    pub(crate) fn prepare(self, asker: Asker) -> Result<Prepared, Error> {
        let address = self.address;
        let listener = tokio::net::TcpListener::from_std(self.socket)
            .map_err(|source| Error::Listen { address, source })?;
        let web = Web {
            sampler: Arc::new(Sampler::new(asker.clone())),
            asker,
            places: Arc::new(Places::of(address)),
            control: self.control.map(Arc::new),
            streams: Arc::new(tokio::sync::Semaphore::new(MOST_STREAMS)),
        };
        Ok(Prepared { listener, web })
    }
}

/// As the standard library does, with room for more that come at once: beyond it a caller tries again after a second.
fn listen_at(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connections of the daemon before are waited for by the kernel, not by us.
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

impl Prepared {
    /// Serves until the word.
    pub(crate) async fn serve(self, stopping: Stopping) -> Result<(), Error> {
        let gate = gate::Gate::open(self.listener);
        let mut word = stopping.clone();
        let routes = routes(self.web, stopping);
        let serve = axum::serve(gate, routes).with_graceful_shutdown(async move { word.wait().await });
        serve.await.map_err(|source| Error::System { operation: "serve the web page", source })
    }
}

fn routes(web: Web, stopping: Stopping) -> Router {
    let streaming = {
        let web = web.clone();
        move || stream::open(web.clone(), stopping.clone())
    };
    let mut routes = Router::new()
        .route("/", get(assets::page))
        .route("/index.html", get(assets::page))
        .route("/assets/{name}", get(assets::file))
        .route("/openapi.json", get(assets::openapi))
        .route("/metrics", get(metrics::show))
        .route("/api/containers", get(api::containers))
        .route("/api/system", get(api::system))
        .route("/api/overview", get(api::overview))
        .route("/api/stream", get(streaming))
        .route("/api/networks", get(details::networks))
        .route("/api/volumes", get(details::volumes))
        .route("/api/containers/{id}", get(details::container))
        .route("/api/containers/{id}/logs", get(logs::tail));
    if web.control.is_some() {
        routes = routes
            .route("/api/session", post(control::log_in))
            .route("/api/containers/{id}/{verb}", post(control::act));
    }
    routes
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::not_allowed)
        .layer(from_fn_with_state(web.clone(), guard::check))
        .with_state(web)
}
