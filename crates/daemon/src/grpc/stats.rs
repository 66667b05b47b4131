//! What a container uses, again and again.

use super::Service;
use std::time::Duration;
use tinyd_api::proto::{ContainerStats, WatchStatsRequest};
use tinyd_api::status;
use tinyd_api::wire::Wire as _;
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How often, where nothing is said, and at most.
const USUAL: u32 = 1000;
const OFTENEST: u32 = 100;

pub(super) type Figures = ReceiverStream<std::result::Result<ContainerStats, Status>>;

impl Service {
    pub(super) async fn watch_stats_of(
        &self,
        request: WatchStatsRequest,
    ) -> std::result::Result<Figures, Status> {
        let interval = if request.interval_ms == 0 { USUAL } else { request.interval_ms.max(OFTENEST) };
        let interval = Duration::from_millis(interval.into());
        let first = self.stats_of(request.container).await.map_err(|error| status::of_error(&error))?;
        let (sender, figures) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            // Its name may become another's.
            let (id, mut next) = (first.id.clone(), first);
            while sender.send(Ok(next.into_wire())).await.is_ok() {
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    () = sender.closed() => return,
                }
                next = match service.stats_of(id.clone()).await {
                    Ok(stats) => stats,
                    Err(error) if has_ended(&error) => return,
                    Err(error) => {
                        // Nobody may be there any more.
                        let _ = sender.send(Err(status::of_error(&error))).await;
                        return;
                    }
                };
            }
        });
        Ok(ReceiverStream::new(figures))
    }

    async fn stats_of(&self, container: String) -> Result<tinyd_engine::ContainerStats> {
        self.engine.does(move |engine| engine.stats(&container)).await
    }
}

fn has_ended(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WrongState | ErrorKind::NotFound)
}
