//! Waiting for one socket without a runtime, which would leave descriptors in the process of the test.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket that is asked again and again.
pub(super) struct Polled(UnixStream);

impl Polled {
    pub(super) fn new(stream: &UnixStream) -> Polled {
        stream.set_nonblocking(true).expect("a socket need not block");
        Polled(stream.try_clone().expect("there are descriptors"))
    }
}

/// Waits for something that comes of what the socket says.
#[track_caller]
pub(super) fn wait<T>(stream: &UnixStream, wanted: impl Future<Output = T>) -> T {
    let mut wanted = pin!(wanted);
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Poll::Ready(value) = wanted.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        // What it waits for may also be a task within itself.
        let shortly = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let _ = poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&shortly));
    }
    panic!("no answer in a minute");
}

fn ready<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl AsyncRead for Polled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled());
        ready(read.map(|length| buffer.advance(length)))
    }
}

impl AsyncWrite for Polled {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready(self.0.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(std::net::Shutdown::Write))
    }
}
