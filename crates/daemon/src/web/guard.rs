//! Whether a request is meant for this page, and comes from it where it would change something.
//!
//! Any page that a browser shows can send requests to 127.0.0.1. By a name of its own that leads here (DNS rebinding) it could
//! read the answers, so the name must be one of ours. What changes something must come from our own page.

use super::Web;
use super::answer::{Refusal, dress};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;

/// Most bytes of a body.
pub(crate) const MOST_BODY: u64 = 64 * 1024;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names by which this page may be called.
#[derive(Debug)]
pub(crate) struct Places(Vec<String>);

impl Places {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let port = address.port();
        let own = address.ip().to_string();
        let own = if address.is_ipv6() { format!("[{own}]") } else { own };
        let names = [own.as_str(), "127.0.0.1", "[::1]", "localhost"];
        let mut places: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            places.extend(names.map(str::to_owned));
        }
        Self(places)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    fn has_origin(&self, origin: &str) -> bool {
        origin.strip_prefix("http://").is_some_and(|name| self.has(name))
    }
}

/// Lets through what is in order, and dresses every answer.
pub(crate) async fn check(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = match verdict(&web.places, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    dress(response.headers_mut());
    response
}

fn verdict(places: &Places, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |status, sentence: &str| Err(Refusal::new(status, sentence));
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if !text(&header::HOST).is_some_and(|host| places.has(host)) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this page has another name; call it 127.0.0.1 or localhost, with its port",
        );
    }
    let length = match text(&header::CONTENT_LENGTH).map(str::parse::<u64>) {
        None => 0,
        Some(length) => length.unwrap_or(u64::MAX),
    };
    if length > MOST_BODY {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 65536 bytes");
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed");
    }
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    if text(&header::ORIGIN).is_some_and(|origin| !places.has_origin(origin)) {
        return refuse(StatusCode::FORBIDDEN, "the request comes from another page");
    }
    if text(&FETCH_SITE).is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return refuse(StatusCode::FORBIDDEN, "the request comes from another site");
    }
    let kind = text(&header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim);
    if length > 0 && !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: &Method, headers: &[(&'static str, &'static str)]) -> u16 {
        let places = Places::of(([127, 0, 0, 1], 808).into());
        let map = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        verdict(&places, method, &map.collect()).map_or_else(|refusal| refusal.0.as_u16(), |()| 200)
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in ["127.0.0.1:808", "LOCALHOST:808", "[::1]:808"] {
            assert_eq!(judged(&Method::GET, &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example:808", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:808", ""] {
            assert_eq!(judged(&Method::GET, &[("host", host)]), 421, "{host}");
        }
        assert!(Places::of(([127, 0, 0, 2], 80).into()).has("127.0.0.2"));
    }

    #[test]
    fn what_changes_something_comes_from_here() {
        let host = ("host", "localhost:808");
        for (header, status) in [
            (("origin", "http://localhost:808"), 200),
            (("origin", "http://127.0.0.1:808"), 200),
            (("origin", "https://localhost:808"), 403),
            (("origin", "http://evil.example"), 403),
            (("origin", "null"), 403),
            (("sec-fetch-site", "same-origin"), 200),
            (("sec-fetch-site", "same-site"), 403),
            (("sec-fetch-site", "cross-site"), 403),
            (("content-encoding", "gzip"), 415),
            (("content-length", "65537"), 413),
            (("content-length", "5"), 415),
        ] {
            assert_eq!(judged(&Method::POST, &[host, header]), status, "{header:?}");
        }
        let form = [host, ("content-length", "5"), ("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(judged(&Method::POST, &form), 415);
        let json = [host, ("content-length", "5"), ("content-type", "application/json; charset=utf-8")];
        assert_eq!(judged(&Method::POST, &json), 200);
    }
}
