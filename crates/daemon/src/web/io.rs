//! A connection whose request's head has been read already.

use crate::places::Place;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Who takes nothing for so long gets nothing more.
const STALLED: Duration = Duration::from_secs(30);

/// Gives the head again, and what follows it.
pub(crate) struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    given: usize,
    stalled: Pin<Box<Sleep>>,
    waits: bool,
    _place: Place,
}

impl Connection {
    /// `place` is among those of its user.
    pub(crate) fn new(stream: TcpStream, head: Vec<u8>, place: Place) -> Self {
        let stalled = Box::pin(sleep(STALLED));
        Self { stream, head, given: 0, stalled, waits: false, _place: place }
    }

    /// Fails when the other side has taken nothing for too long.
    fn writing<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !self.waits {
            self.waits = true;
            self.stalled.as_mut().reset(Instant::now() + STALLED);
        }
        ready!(self.stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(left) = this.head.get(this.given..).filter(|left| !left.is_empty()) {
            let some = left.get(..buffer.remaining()).unwrap_or(left);
            buffer.put_slice(some);
            this.given += some.len();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(context, |stream, context| stream.poll_shutdown(context))
    }
}
