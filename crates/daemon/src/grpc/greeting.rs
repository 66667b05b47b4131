//! What is done with every call: its version is looked at, and who made it is written down.

use crate::log;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use tinyd_api::status;
use tinyd_api::version::{self, VERSION, VERSION_KEY};
use tonic::transport::server::UdsConnectInfo;

/// Passes a call on, or refuses it by its version; names this version with every answer.
pub(super) async fn greet(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    match peer {
        Some(peer) => log::call(&path, peer.uid(), peer.pid()),
        None => log::call_from_afar(&path),
    }
    let client =
        request.headers().get(VERSION_KEY).map(|value| value.to_str().unwrap_or("unknown").to_owned());
    let refused = client.and_then(|client| version::check(&client, VERSION).err());
    let mut response = match refused {
        Some(error) => status::of_error(&error).into_http(),
        None => next.run(request).await,
    };
    response.headers_mut().insert(VERSION_KEY, HeaderValue::from_static(VERSION));
    response
}
