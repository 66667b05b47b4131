//! What may be done from the page, where the daemon was started with that wish.
//!
//! The way to these rights is a token, new at each start, in a file that only root can read: who is on this machine and is not
//! root sees the page and can do nothing. The token is given once, by the page's own script, and becomes a cookie that no
//! script can read. Each deed needs the cookie and a header that no other site's page can send unasked.

use super::Web;
use super::answer::Refusal;
use super::api::json;
use crate::{Error, priority};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rustix::fs::{Mode, OFlags};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tinyd_engine::{Engine, RemoveRequest, Result as Answer, StartRequest};

/// How long a body may take, and its most bytes.
const BODY: Duration = Duration::from_secs(10);
const MOST_BODY: usize = 4096;

const DEED: HeaderName = HeaderName::from_static("x-tinyd-control");

/// The token of this start, and the name of its cookie: cookies are not told apart by port.
pub(crate) struct Control {
    token: String,
    cookie: String,
    file: PathBuf,
}

impl Control {
    /// Makes a token and writes the page's address with it to `file`, for its owner alone.
    pub(crate) fn new(address: SocketAddr, file: PathBuf) -> Result<Self, Error> {
        let failed = |source| Error::File { operation: "write", path: file.clone(), source };
        let mut bytes = [0_u8; 32];
        rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Error::System { operation: "make a token", source: errno.into() })?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // A file of the start before is not written into: somebody may have it open.
        let _ = std::fs::remove_file(&file);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&file, flags, Mode::from_raw_mode(0o600));
        let mut opened = std::fs::File::from(opened.map_err(|errno| failed(errno.into()))?);
        writeln!(opened, "http://{address}/#token={token}").map_err(failed)?;
        Ok(Self { token, cookie: format!("tinyd-{}", address.port()), file })
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && self.is_token(value))
    }

    /// In a time that does not tell how much of it is right.
    fn is_token(&self, word: &str) -> bool {
        let (own, word) = (self.token.as_bytes(), word.as_bytes());
        own.len() == word.len() && own.iter().zip(word).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[derive(serde::Deserialize)]
struct Login {
    token: String,
}

pub(super) async fn log_in(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let control = wanted(&web)?;
    let refuse = |status, sentence: &str| Refusal::new(status, sentence);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > MOST_BODY) {
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 4096 bytes"));
    }
    let body = tokio::time::timeout(BODY, to_bytes(body, MOST_BODY)).await;
    let body = body
        .map_err(|_| refuse(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "the body did not come whole"))?;
    let login: Login = serde_json::from_slice(&body)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body must be {\"token\": \"…\"}"))?;
    if !control.is_token(&login.token) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this is not the token of this start"));
    }
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", control.cookie, control.token);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

pub(super) async fn act(
    State(web): State<Web>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let control = wanted(&web)?;
    if !control.knows(&headers) || headers.get(&DEED).is_none_or(|value| value != "1") {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "open the page with the address that stands in the daemon's file of its token",
        ));
    }
    let deed = match verb.as_str() {
        "start" => start,
        "stop" => stop,
        "restart" => restart,
        "remove" => remove,
        _ => return Err(super::answer::not_found().await),
    };
    let starts = matches!(verb.as_str(), "start" | "restart");
    let start = starts.then(|| web.asker.starting()).transpose()?;
    let done = web.asker.ask(move |engine| {
        let done = priority::in_turn(|| deed(engine, &id));
        drop(start);
        done
    });
    let id = done.await?;
    json(&serde_json::json!({ "id": id }))
}

fn wanted(web: &Web) -> Result<&Control, Refusal> {
    web.control.as_deref().ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "nothing can be changed here"))
}

fn start(engine: &dyn Engine, id: &str) -> Answer<String> {
    engine.start(id, &StartRequest::detached()).map(|started| started.id)
}

fn stop(engine: &dyn Engine, id: &str) -> Answer<String> {
    engine.stop(id, None)
}

/// Also one that stands still already.
fn restart(engine: &dyn Engine, id: &str) -> Answer<String> {
    engine.restart(id, None)
}

/// One that runs is stopped first, by whoever wants that.
fn remove(engine: &dyn Engine, id: &str) -> Answer<String> {
    engine.remove(id, &RemoveRequest::default())
}
