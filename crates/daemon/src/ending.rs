//! The end of all containers: asked first, killed later; whoever asks for a second time does not want to wait.

use crate::Error;
use crate::starts::Starts;
use crate::stopping::Stopping;
use rustix::process::Signal as Number;
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{Engine, ListRequest, Retire};

/// How long a start may take that was asked for before the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends all that run, within their own time or ten seconds; at once when `hurry` says so. Nothing is started any more.
pub(crate) async fn end_all(engine: Arc<dyn Retire>, starts: &Starts, hurry: Stopping) -> Result<(), Error> {
    // What is being started is ended with the others, if it comes to that in time.
    let all = none_under_way(starts, hurry.clone()).await;
    let ended = end(&engine, hurry.clone()).await;
    if all {
        return ended;
    }
    none_under_way(starts, hurry.clone()).await;
    end(&engine, hurry).await
}

async fn none_under_way(starts: &Starts, mut hurry: Stopping) -> bool {
    tokio::select! {
        none = starts.none_under_way(PATIENCE) => none,
        () = hurry.wait() => false,
    }
}

async fn end(engine: &Arc<dyn Retire>, mut hurry: Stopping) -> Result<(), Error> {
    let failed = |error: tokio::task::JoinError| Error::System {
        operation: "end the containers",
        source: std::io::Error::other(error),
    };
    let (engine, retiring) = (Arc::clone(engine), Arc::clone(engine));
    let mut ending = tokio::task::spawn_blocking(move || retiring.retire(None));
    let ended = tokio::select! {
        ended = &mut ending => ended,
        () = hurry.wait() => {
            let killing = tokio::task::spawn_blocking(move || kill_all(engine.as_ref()));
            killing.await.map_err(failed)?;
            ending.await
        }
    };
    ended.map_err(failed)?.map(drop).map_err(|source| Error::Ending { source: Box::new(source) })
}

/// What is under way sees that they have ended. One that ends by itself meanwhile is no failure, and one that cannot be
/// killed is found by who waits for it.
fn kill_all(engine: &dyn Engine) {
    let running = engine.list(&ListRequest { all: false }).unwrap_or_default();
    for container in running {
        let _ = engine
            .stop(&container.id, Some(Duration::ZERO))
            .map(drop)
            .or_else(|_| engine.kill(&container.id, Number::KILL.as_raw()).map(drop));
    }
}
