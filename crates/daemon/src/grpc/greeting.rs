//! What is done with every call: its version is looked at, who made it is written down, and its connection lasts as
//! long as it.

use super::guarded::Caller;
use crate::log;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use tinyd_api::status;
use tinyd_api::version::{self, VERSION, VERSION_KEY};

/// Passes a call on, or refuses it by its version; names this version with every answer.
pub(super) async fn greet(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let caller = request.extensions().get::<Caller>();
    match caller.and_then(|caller| caller.user) {
        Some(user) => log::call(&path, user.uid(), user.pid()),
        None => log::call_from_afar(&path),
    }
    let call = caller.map(|caller| caller.calls.begin());
    let client =
        request.headers().get(VERSION_KEY).map(|value| value.to_str().unwrap_or("unknown").to_owned());
    let refused = client.and_then(|client| version::check(&client, VERSION).err());
    let mut response = match refused {
        Some(error) => status::of_error(&error).into_http(),
        None => next.run(request).await,
    };
    response.headers_mut().insert(VERSION_KEY, HeaderValue::from_static(VERSION));
    match call {
        Some(call) => response.map(|body| call.until_end_of(body)),
        None => response,
    }
}
