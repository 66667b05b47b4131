//! The files of the page. They are part of the program: nothing is loaded from elsewhere.

use super::answer::{Refusal, not_found};
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_str!(concat!("../../assets/", $name)))
    };
}

/// Name, kind, text.
const FILES: [(&str, &str, &str); 10] = [
    asset!("style.css", STYLE),
    asset!("main.js", SCRIPT),
    asset!("card.js", SCRIPT),
    asset!("charts.js", SCRIPT),
    asset!("details.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("control.js", SCRIPT),
    asset!("tables.js", SCRIPT),
    asset!("uPlot.min.css", STYLE),
    asset!("uPlot.iife.min.js", SCRIPT),
];

pub(super) async fn page() -> Response {
    ([(header::CONTENT_TYPE, HTML)], include_str!("../../assets/index.html")).into_response()
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Refusal> {
    match FILES.iter().find(|(own, ..)| *own == name) {
        Some((_, kind, text)) => Ok(([(header::CONTENT_TYPE, *kind)], *text).into_response()),
        None => Err(not_found().await),
    }
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../assets/openapi.json")).into_response()
}
