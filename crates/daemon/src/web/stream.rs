//! `/api/stream`: the overview every two seconds, as server-sent events.

use super::answer::Refusal;
use super::{Web, api};
use crate::sampler::Snapshot;
use crate::stopping::Stopping;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// How far two events are apart, and how old what they tell may be: all viewers are told of the same look.
const EVERY: Duration = Duration::from_secs(2);
const AGE: Duration = Duration::from_secs(1);

pub(super) async fn open(web: Web, stopping: Stopping) -> Result<Response, Refusal> {
    let place = std::sync::Arc::clone(&web.streams).try_acquire_owned().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many viewers; ask for /api/overview instead")
    })?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(web, place, stopping, sender));
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// Tells until nobody listens. A viewer that is slow misses events, and is never told of an old look.
async fn tell(
    web: Web,
    _place: OwnedSemaphorePermit,
    mut stopping: Stopping,
    viewer: mpsc::Sender<Result<Bytes, Infallible>>,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = viewer.closed() => return,
            () = stopping.wait() => return,
        }
        let Ok(room) = viewer.reserve().await else { return };
        room.send(Ok(event(&web).await));
    }
}

/// JSON has no line feed of its own, so it is one line of data.
async fn event(web: &Web) -> Bytes {
    match web.sampler.current(AGE).await {
        Ok(now) => now.event.get_or_init(|| sample(web, &now).into()).clone(),
        Err(error) => {
            let Refusal(_, sentence) = Refusal::from(error);
            format!("event: trouble\ndata: {}\n\n", serde_json::json!({ "error": sentence })).into()
        }
    }
}

fn sample(web: &Web, now: &Snapshot) -> String {
    match api::overview_text(web, now) {
        Some(text) => format!("event: sample\ndata: {text}\n\n"),
        None => ": nothing\n\n".to_owned(),
    }
}
