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
