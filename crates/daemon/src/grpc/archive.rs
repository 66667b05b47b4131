//! Archives: what an engine writes to a descriptor goes to the client, and what he sends is read from one.

use super::Service;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Blocking;
use tinyd_api::proto::archive_output::Message;
use tinyd_api::proto::{self, ArchiveOutput};
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{ArchiveSummary, Engine, Error, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// How much is sent at once.
const PIECE: usize = 64 * 1024;
/// How many pieces may be under way.
const UNDER_WAY: usize = 4;

/// An archive on its way to a client.
pub(super) type Pieces = ReceiverStream<Result<ArchiveOutput, Status>>;

fn failed(error: &io::Error) -> Status {
    status::of_error(&Error::with_source(ErrorKind::Internal, "carry the archive", error))
}

impl Service {
    /// What `write` writes, in pieces, and at last what it says of it.
    pub(super) async fn send_archive(
        &self,
        write: impl FnOnce(&dyn Engine, OwnedFd) -> tinyd_engine::Result<ArchiveSummary> + Send + 'static,
    ) -> Result<Pieces, Status> {
        let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| failed(&errno.into()))?;
        let from = pipe::Receiver::from_owned_fd(from).map_err(|error| failed(&error))?;
        let (sender, pieces) = mpsc::channel(UNDER_WAY);
        let service = self.clone();
        tokio::spawn(async move {
            let written = service.ask(move |engine| write(engine, to));
            let carried = carry(from, sender.clone());
            let (summary, ()) = tokio::join!(written, carried);
            let last =
                summary.map(|summary| ArchiveOutput { message: Some(Message::Summary(summary.into_wire())) });
            let _ = sender.send(last).await;
        });
        Ok(ReceiverStream::new(pieces))
    }

    /// Lets `take` read the pieces that a client sends. One who breaks off is no end of the archive: the reader gets an error.
    pub(super) async fn receive_archive<M>(
        &self,
        mut pieces: Streaming<M>,
        data: fn(M) -> Option<Vec<u8>>,
        take: impl FnOnce(&dyn Engine, OwnedFd) -> tinyd_engine::Result<ArchiveSummary> + Send + 'static,
    ) -> Result<proto::ArchiveSummary, Status> {
        let (mut feed, theirs) = Feed::new().map_err(|error| failed(&error))?;
        let fed = async {
            loop {
                match pieces.message().await {
                    Ok(Some(message)) => {
                        // Whoever reads no more has said, or is about to say, why.
                        if !feed.write(&data(message).unwrap_or_default()).await {
                            break;
                        }
                    }
                    Ok(None) => {
                        feed.end().await;
                        break;
                    }
                    Err(_gone) => break,
                }
            }
            drop(feed);
            std::future::pending::<()>().await
        };
        tokio::select! {
            taken = self.ask(move |engine| take(engine, theirs)) => Ok(taken?.into_wire()),
            () = fed => Err(broken_off()),
        }
    }
}

/// Sends on what comes out of the pipe. It is closed where the client is gone, of which the engine hears then.
async fn carry(mut from: pipe::Receiver, sender: mpsc::Sender<Result<ArchiveOutput, Status>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let message = match from.read_buf(&mut piece).await {
            Ok(0) => return,
            Ok(_) => Ok(ArchiveOutput { message: Some(Message::Data(piece)) }),
            Err(error) => Err(failed(&error)),
        };
        let last = message.is_err();
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

fn broken_off() -> Status {
    Status::cancelled("the archive was broken off")
}

/// One end of a pair of sockets, whose other end reads an archive. A pipe knows only one end of what is written to it; this one
/// is an error unless it was said that it is the end: the kernel resets a connection that is closed with something unread.
struct Feed {
    socket: UnixStream,
}

impl Feed {
    fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = Blocking::pair()?;
        // What stays unread until the end is said.
        io::Write::write_all(&mut &theirs, &[0])?;
        ours.set_nonblocking(true)?;
        Ok((Self { socket: UnixStream::from_std(ours)? }, theirs.into()))
    }

    async fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    async fn end(&mut self) {
        let _ = self.socket.read_exact(&mut [0]).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn an_archive_that_is_broken_off_has_no_end() {
        for ends in [true, false] {
            let (mut feed, theirs) = Feed::new().unwrap();
            assert!(feed.write(b"data").await);
            if ends {
                feed.end().await;
            }
            drop(feed);
            let mut read = Vec::new();
            let outcome = std::fs::File::from(theirs).read_to_end(&mut read);
            match ends {
                true => assert_eq!((outcome.unwrap(), read.as_slice()), (4, b"data".as_slice())),
                false => assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionReset),
            }
        }
    }
}
