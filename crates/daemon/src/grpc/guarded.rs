//! How many connections there may be, so that nobody takes all of the daemon's descriptors.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// The most of one user, or of all strangers.
const MOST: usize = 256;
/// Whoever comes over a network: users of this machine have smaller numbers.
const STRANGER: u32 = u32::MAX;

/// Who has how many connections.
#[derive(Clone)]
pub(super) struct Places(Arc<Mutex<HashMap<u32, usize>>>);

/// One of them. It is given back when this is dropped.
pub(super) struct Place {
    places: Places,
    user: u32,
}

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// A place for one more connection of a user; none when he has too many.
    pub(super) fn of_user(&self, user: u32) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user).or_default();
        (*count < MOST).then(|| {
            *count += 1;
            Place { places: self.clone(), user }
        })
    }

    /// A place for one more connection from elsewhere.
    pub(super) fn of_stranger(&self) -> Option<Place> {
        self.of_user(STRANGER)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

/// A connection in its place.
pub(super) struct Guarded<T> {
    connection: T,
    _place: Place,
}

impl<T> Guarded<T> {
    pub(super) fn new(connection: T, place: Place) -> Self {
        Self { connection, _place: place }
    }
}

impl<T: Connected> Connected for Guarded<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_has_too_many_takes_none_from_others() {
        let places = Places::new();
        let taken: Vec<_> = (0..MOST).map(|_| places.of_user(7).unwrap()).collect();
        assert!(places.of_user(7).is_none());
        assert!(places.of_user(8).is_some() && places.of_stranger().is_some());
        drop(taken);
        assert!(places.of_user(7).is_some());
        assert!(places.0.lock().unwrap().is_empty(), "nothing is kept of those who are gone");
    }
}
