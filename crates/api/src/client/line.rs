//! The connection to a daemon, made anew where the daemon may be about to end it.
//!
//! A daemon ends a connection without a call in its own time. A call that is begun at that very moment, by a program that was
//! stopped meanwhile, say, could fail and nobody would know whether it was heard. So none is begun on a connection that has been
//! idle for almost as long; calls that are under way on it come to their end there.

use crate::version::{VERSION, VERSION_KEY};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// For how long a connection is good for its first call: a daemon ends it after ten seconds.
const UNUSED: Duration = Duration::from_secs(5);
/// For how long it is good for a further one: a daemon ends it after thirty.
const IDLE: Duration = Duration::from_secs(20);

/// A connection whose every call says who asks.
pub(super) type Named = InterceptedService<Channel, Name>;

/// Says which version asks.
#[derive(Clone)]
pub(super) struct Name;

impl Interceptor for Name {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(VERSION_KEY, MetadataValue::from_static(VERSION));
        Ok(request)
    }
}

/// The way to a daemon.
pub(super) struct Line {
    endpoint: Endpoint,
    /// The connection, and until when it is good for a call.
    current: Mutex<(Channel, Instant)>,
}

impl Line {
    /// One with a connection that was made just now.
    pub(super) fn new(endpoint: Endpoint, channel: Channel) -> Self {
        Self { endpoint, current: Mutex::new((channel, Instant::now() + UNUSED)) }
    }

    /// A connection for a call that begins now. It is called within the client's runtime.
    pub(super) fn for_a_call(&self) -> Named {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (channel, good) = &mut *current;
        let now = Instant::now();
        if now >= *good {
            // It is made with the call.
            *channel = self.endpoint.connect_lazy();
        }
        *good = now + IDLE;
        InterceptedService::new(channel.clone(), Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Empty;
    use crate::proto::system_client::SystemClient;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{UnixListener, UnixStream};
    use tokio::time::timeout;

    /// What a connection begins with, before any call.
    const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn accept(listener: &UnixListener) -> UnixStream {
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("somebody comes").unwrap();
        let mut beginning = [0; BEGINNING.len()];
        stream.read_exact(&mut beginning).await.unwrap();
        assert_eq!(beginning, BEGINNING);
        stream
    }

    #[tokio::test]
    async fn no_call_is_begun_on_a_connection_that_may_be_about_to_end() {
        let folder = std::env::temp_dir().join(format!("tinyd-line-{}", std::process::id()));
        let listener = UnixListener::bind(&folder).unwrap();
        let endpoint = Endpoint::try_from(format!("unix://{}", folder.display())).unwrap();
        let line = Line::new(endpoint.clone(), endpoint.connect().await.unwrap());
        let call = || {
            let mut client = SystemClient::new(line.for_a_call());
            tokio::spawn(async move { client.version(Empty {}).await })
        };
        let first = accept(&listener).await;
        let calls = [call(), call()];
        // The next one is made only when that is no more as good as new.
        line.current.lock().unwrap().1 = Instant::now();
        let late = call();
        let second = accept(&listener).await;
        std::fs::remove_file(&folder).unwrap();
        for mut stream in [first, second] {
            // SETTINGS, and then a call: HEADERS.
            let mut kinds = Vec::new();
            while !kinds.contains(&1) {
                let mut head = [0; 9];
                timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("a call comes").unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut rest = vec![0; length as usize];
                stream.read_exact(&mut rest).await.unwrap();
                kinds.push(head[3]);
            }
        }
        assert!(calls.iter().chain([&late]).all(|call| !call.is_finished()));
    }
}
