//! A connection in its place, which ends when it is silent for too long.

use super::calls::{Calls, Patience};
use crate::places::Place;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::UCred;
use tonic::transport::server::Connected;

/// What connections are made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// Who is at the other end, and what he has asked.
#[derive(Clone)]
pub(super) struct Caller {
    /// Who it is, as the kernel says; none for who comes over a network.
    pub(super) user: Option<UCred>,
    pub(super) calls: Calls,
}

/// A connection in its place.
pub(super) struct Guarded {
    stream: Pin<Box<dyn Stream>>,
    caller: Caller,
    /// None when that has come to be.
    overdue: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _place: Place,
}

impl Guarded {
    pub(super) fn new(
        stream: impl Stream + 'static,
        user: Option<UCred>,
        place: Place,
        patience: Patience,
    ) -> Self {
        let calls = Calls::new(patience);
        let overdue: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(calls.overdue());
        let caller = Caller { user, calls };
        Self { stream: Box::pin(stream), caller, overdue: Some(overdue), _place: place }
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.caller.calls
    }

    /// Does something with the stream; fails when the other side was told to end it and has not.
    fn with<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.overdue.take_if(|overdue| overdue.as_mut().poll(context).is_ready());
        match self.overdue {
            Some(_) => act(self.stream.as_mut(), context),
            None => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// The same, where something is written.
    fn writing<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = self.with(context, act);
        self.caller.calls.block(written.is_pending());
        written
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.caller.calls.end();
    }
}

impl Connected for Guarded {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(context, |stream, context| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Guarded {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
