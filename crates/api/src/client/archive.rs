//! Archives: from the daemon to a descriptor, and from a descriptor to the daemon.

use super::{Client, answered, failed, read};
use crate::{proto, status};
use proto::archive_output::Message as Piece;
use rustix::event::{PollFd, PollFlags, poll};
use std::future::Future;
use std::os::fd::{AsFd as _, OwnedFd};
use tinyd_engine::{ArchiveSummary, Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

/// How much is sent at once.
const PIECE: usize = 64 * 1024;
/// How many pieces may be under way.
const UNDER_WAY: usize = 4;

impl Client {
    /// Writes an archive as it comes.
    pub(super) fn receive_archive(
        &self,
        call: impl Future<Output = std::result::Result<Response<Streaming<proto::ArchiveOutput>>, Status>>,
        to: &OwnedFd,
    ) -> Result<ArchiveSummary> {
        let mut pieces = self.ask(call)?;
        let failed_at = |status: Status| status::to_error(&status);
        while let Some(piece) = self.runtime.block_on(pieces.message()).map_err(failed_at)? {
            match piece.message {
                Some(Piece::Summary(summary)) => return read(summary),
                // Whoever reads it may let us wait; other calls are none of his business.
                Some(Piece::Data(bytes)) => {
                    write_all(to, &bytes).map_err(|errno| failed("write the archive", errno))?;
                }
                None => {}
            }
        }
        Err(Error::new(ErrorKind::Internal, "the daemon broke the archive off"))
    }

    /// Sends an archive as it is read. `first` stands before it; `wrap` makes a message of a piece.
    pub(super) fn send_archive<M, F>(
        &self,
        first: M,
        wrap: impl Fn(Vec<u8>) -> M + Send + 'static,
        from: OwnedFd,
        call: impl FnOnce(ReceiverStream<M>) -> F,
    ) -> Result<ArchiveSummary>
    where
        M: Send + 'static,
        F: Future<Output = std::result::Result<Response<proto::ArchiveSummary>, Status>>,
    {
        let (sender, pieces) = mpsc::channel(UNDER_WAY);
        // Closed when the answer is there: whatever is being read then, nobody waits for.
        let (answer, answered_already) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| failed("make a pipe", errno))?;
        let (fault, faults) = tokio::sync::oneshot::channel();
        let reader = std::thread::spawn(move || {
            if let Err(errno) = send_all(&from, &answer, first, wrap, &sender) {
                // The call is broken off by whoever hears of this, before the archive can seem to end here.
                let _ = fault.send(errno);
                std::thread::park_timeout(std::time::Duration::from_secs(1));
            }
        });
        let outcome = self.runtime.block_on(async {
            tokio::select! {
                biased;
                Ok(errno) = faults => Err(failed("read the archive", errno)),
                answer = call(ReceiverStream::new(pieces)) => answered(answer).and_then(read),
            }
        });
        drop(answered_already);
        reader.thread().unpark();
        // It panics nowhere.
        let _ = reader.join();
        outcome
    }
}

fn send_all<M>(
    from: &OwnedFd,
    answer: &OwnedFd,
    first: M,
    wrap: impl Fn(Vec<u8>) -> M,
    sender: &mpsc::Sender<M>,
) -> rustix::io::Result<()> {
    if sender.blocking_send(first).is_err() {
        return Ok(());
    }
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(answer.as_fd(), PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        if !fds[1].revents().is_empty() {
            return Ok(());
        }
        let mut piece = vec![0; PIECE];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut piece[..]))?;
        piece.truncate(count);
        if count == 0 || sender.blocking_send(wrap(piece)).is_err() {
            return Ok(());
        }
    }
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
