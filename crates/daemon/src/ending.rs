//! The end of all containers: asked first, killed later; whoever asks for a second time does not want to wait.

use crate::Error;
use crate::starts::Starts;
use crate::stopping::Stopping;
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::Retire;

/// How long a start may take that was asked for before the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to kill all in a hurry, and to tidy up after them.
const HURRIED: Duration = Duration::from_secs(20);

/// Ends all that run, within their own time or ten seconds; at once when `hurry` says so. Nothing is started any more.
pub(crate) async fn end_all(
    engine: Arc<dyn Retire>,
    starts: &Starts,
    mut hurry: Stopping,
) -> Result<(), Error> {
    // What is being started is ended with the others, if it comes to that in time.
    let all = tokio::select! {
        none = starts.none_under_way(PATIENCE) => none,
        () = hurry.wait() => false,
    };
    let ended = end(&engine, hurry.clone()).await;
    // Else it is ended when it has started, and whoever is in a hurry waits for that. What hangs is given up.
    match !all && starts.none_under_way(PATIENCE).await {
        true => end(&engine, hurry).await,
        false => ended,
    }
}

async fn end(engine: &Arc<dyn Retire>, mut hurry: Stopping) -> Result<(), Error> {
    let failed = |error: tokio::task::JoinError| Error::System {
        operation: "end the containers",
        source: std::io::Error::other(error),
    };
    let retire = |grace| {
        let engine = Arc::clone(engine);
        tokio::task::spawn_blocking(move || engine.retire(grace))
    };
    let mut ending = retire(None);
    let ended = tokio::select! {
        ended = &mut ending => ended,
        () = hurry.wait() => {
            // What is under way sees that they have ended. One that ends by itself meanwhile is no failure.
            let killed = async {
                let _ = retire(Some(Duration::ZERO)).await;
                ending.await
            };
            tokio::time::timeout(HURRIED, killed).await.map_err(|_| Error::System {
                operation: "end all containers in a hurry: something hangs, and what is left is put right by the next command",
                source: std::io::ErrorKind::TimedOut.into(),
            })?
        }
    };
    ended.map_err(failed)?.map(drop).map_err(|source| Error::Ending { source: Box::new(source) })
}
