//! Serving connections: how many may come at once, how much one may ask for at once, and how they end.

use super::door::Door;
use super::guarded::Guarded;
use super::routes;
use crate::asker::Asker;
use crate::awaited::Awaited;
use crate::places::Places;
use crate::stopping::Stopping;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tonic::transport::Server;
use tonic::transport::server::Router;

/// How many calls one connection may have under way. A client of ours has a handful.
const MOST_CALLS: u32 = 200;
/// The most that the headers of a call may be.
const MOST_HEADERS: u32 = 32 * 1024;
/// How many connections may be about to prove who they are.
const MOST_AWAITED: usize = 400;

/// Serves whoever comes in by a door until the word is said, and until those have gone who were there.
pub(super) async fn serve(engine: &Asker, door: Door, mut stopping: Stopping) {
    let server = Server::builder()
        .max_concurrent_streams(MOST_CALLS)
        .http2_max_header_list_size(MOST_HEADERS)
        .add_routes(routes(engine));
    let places = Places::new();
    let mut served = JoinSet::new();
    // Those who still come in go with this.
    {
        let mut awaited = Awaited::at_most(MOST_AWAITED);
        let (sender, mut admitted) = mpsc::channel(1);
        loop {
            tokio::select! {
                () = stopping.wait() => break,
                arrived = door.next(&places) => match arrived {
                    Ok(arrived) => {
                        let (sender, places) = (sender.clone(), places.clone());
                        awaited.push(async move {
                            if let Some(connection) = arrived.admit(places).await {
                                let _ = sender.send(connection).await;
                            }
                        });
                    }
                    // Too many files are open, say: those that there are end some day.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(connection) = admitted.recv() => {
                    served.spawn(attend(server.clone(), connection, stopping.clone()));
                }
                Some(_) = served.join_next() => {}
            }
        }
    }
    drop(door);
    while served.join_next().await.is_some() {}
}

/// Serves one connection to its end. One that is over is told so; what was asked until then is answered.
async fn attend(server: Router, connection: Guarded, mut stopping: Stopping) {
    let silent = connection.calls().over();
    let over = async move {
        tokio::select! {
            () = silent => {}
            () = stopping.wait() => {}
        }
    };
    let connection = tokio_stream::once(Ok::<_, io::Error>(connection)).chain(tokio_stream::pending());
    // Its end is nobody's trouble but its own.
    let _ = server.serve_with_incoming_shutdown(connection, over).await;
}
