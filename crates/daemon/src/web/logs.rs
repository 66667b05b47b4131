//! The last lines of a container's log.

use super::Web;
use super::answer::Refusal;
use super::api::{json, milliseconds};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tinyd_engine::{Engine, LogSource, LogsRequest, Result as Answer};

/// Most lines and bytes of an answer, and the lines of one that asks for no number.
const MOST_LINES: usize = 1000;
const MOST_BYTES: usize = 1024 * 1024;
const LINES: usize = 200;

#[derive(Deserialize)]
pub(super) struct Wanted {
    tail: Option<usize>,
}

#[derive(Serialize)]
struct Log {
    lines: Vec<Line>,
    /// There was more than fits into an answer.
    cut: bool,
}

#[derive(Serialize)]
struct Line {
    time_ms: u64,
    stream: &'static str,
    /// What is no UTF-8 is shown as U+FFFD.
    text: String,
}

pub(super) async fn tail(
    State(web): State<Web>,
    Path(id): Path<String>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) =
        wanted.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "tail must be a number of lines"))?;
    let tail = wanted.tail.unwrap_or(LINES).min(MOST_LINES);
    json(&web.asker.ask(move |engine| read(engine, &id, tail)).await?)
}

fn read(engine: &dyn Engine, id: &str, tail: usize) -> Answer<Log> {
    let mut log = engine.logs(id, &LogsRequest { tail: Some(tail), ..LogsRequest::default() })?;
    let mut found = Log { lines: Vec::new(), cut: false };
    let mut bytes = 0_usize;
    while let Some(entry) = log.next()? {
        bytes = bytes.saturating_add(entry.data.len());
        if bytes > MOST_BYTES || found.lines.len() >= MOST_LINES {
            found.cut = true;
            break;
        }
        found.lines.push(Line {
            time_ms: milliseconds(entry.time),
            stream: match entry.source {
                LogSource::Stdout => "stdout",
                LogSource::Stderr => "stderr",
            },
            text: String::from_utf8_lossy(&entry.data).trim_end_matches('\n').to_owned(),
        });
    }
    Ok(found)
}
