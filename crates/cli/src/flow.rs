//! What goes from or to an engine through a pipe of ours: it is counted and shown, and a signal cuts it off, so that the engine
//! ends by itself and tidies up.

use crate::console::{Console, write_all};
use crate::failure::Failure;
use crate::format::size::size;
use crate::interrupt::Interrupt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes that are moved at once, and the size of the pipe where the kernel allows it.
const CHUNK: usize = 1 << 20;
/// What is over sooner is not shown.
const SOON: Duration = Duration::from_secs(1);
/// How often what is shown changes.
const STEP: Duration = Duration::from_millis(200);

/// How far it is, on a terminal.
pub(crate) struct Progress<'a> {
    console: Console<'a>,
    what: &'static str,
    total: Option<u64>,
    began: Instant,
    shown: Option<Instant>,
    moved: u64,
}

impl<'a> Progress<'a> {
    /// `None` where nobody watches, or nobody wants to.
    pub(crate) fn wanted(
        console: Console<'a>,
        quiet: bool,
        what: &'static str,
        total: Option<u64>,
    ) -> Option<Self> {
        let watched = !quiet && rustix::termios::isatty(console.stderr);
        watched.then(|| Self { console, what, total, began: Instant::now(), shown: None, moved: 0 })
    }

    fn step(&mut self, bytes: usize) {
        self.moved += bytes as u64;
        let now = Instant::now();
        let due = self.shown.map_or(self.began + SOON, |shown| shown + STEP);
        if now >= due {
            self.shown = Some(now);
            let text = format!("\r{} {}\x1b[K", self.what, told(self.moved, self.total));
            // There is nowhere to report that this fails.
            let _ = write_all(self.console.stderr, text.as_bytes());
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write_all(self.console.stderr, b"\r\x1b[K");
        }
    }
}

/// So many bytes, and how much of all that is.
fn told(moved: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => {
            format!("{} of {} ({} %)", size(moved), size(total), moved.min(total) * 100 / total)
        }
        _ => size(moved),
    }
}

/// What came of it.
pub(crate) enum Flowed<T> {
    Done(T),
    /// A signal came: the exit code that tells of it.
    CutOff(u8),
}

/// Hands the work a pipe, and writes to `to` what comes out of it.
pub(crate) fn out_of<T: Send>(
    to: BorrowedFd<'_>,
    progress: Option<Progress<'_>>,
    work: impl FnOnce(OwnedFd) -> tinyd_engine::Result<T> + Send,
) -> Result<Flowed<T>, Failure> {
    // Before the thread is there, which holds them back as well.
    let interrupt = Interrupt::catch().map_err(|error| Failure::failed("catch signals", error))?;
    let (reader, writer) = pipe()?;
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || work(writer));
        let moved = pump(reader.as_fd(), to, &interrupt, progress);
        // Whoever writes still gets an error, and ends.
        drop(reader);
        finish(worker, moved, false)
    })
}

/// Hands the work a pipe, which what is read from `from` goes into.
pub(crate) fn into<T: Send>(
    from: BorrowedFd<'_>,
    progress: Option<Progress<'_>>,
    work: impl FnOnce(OwnedFd) -> tinyd_engine::Result<T> + Send,
) -> Result<Flowed<T>, Failure> {
    let interrupt = Interrupt::catch().map_err(|error| Failure::failed("catch signals", error))?;
    let (reader, writer) = pipe()?;
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || work(reader));
        let moved = pump(from, writer.as_fd(), &interrupt, progress);
        drop(writer);
        finish(worker, moved, true)
    })
}

/// Has one side write what the other reads, both at the same time, and shows how much it is; gives what came of both.
pub(crate) fn between<W: Send, R: Send>(
    progress: Progress<'_>,
    write: impl FnOnce(OwnedFd) -> W + Send,
    read: impl FnOnce(OwnedFd) -> R + Send,
) -> Result<Flowed<(W, R)>, Failure> {
    let interrupt = Interrupt::catch().map_err(|error| Failure::failed("catch signals", error))?;
    let (from, writer) = pipe()?;
    let (reader, to) = pipe()?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write(writer));
        let reading = scope.spawn(move || read(reader));
        let moved = pump(from.as_fd(), to.as_fd(), &interrupt, Some(progress));
        // Each of them sees that the other has ended.
        drop((from, to));
        let (Ok(written), Ok(read)) = (writing.join(), reading.join()) else {
            return Err(Failure::Failed("one side of it failed".to_owned()));
        };
        match moved {
            Moved::CutOff(code) => Ok(Flowed::CutOff(code)),
            // Whoever gave up reading says why, or has all that it wants.
            Moved::Failed(failure) if !failure.is_broken_pipe() => Err(failure),
            Moved::Failed(_) | Moved::Wholly => Ok(Flowed::Done((written, read))),
        }
    })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (reader, writer) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Failure::failed("make a pipe", errno))?;
    // It works with a small one as well.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, CHUNK);
    Ok((reader, writer))
}

/// How the moving of bytes ended.
enum Moved {
    Wholly,
    CutOff(u8),
    Failed(Failure),
}

/// Moves everything until its end, or a signal.
fn pump(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    interrupt: &Interrupt,
    mut progress: Option<Progress<'_>>,
) -> Moved {
    // A pipe that can be written to has room for so much, and for more it would be waited where no signal is seen.
    let is_pipe = rustix::fs::fstat(to).is_ok_and(|data| FileType::from_raw_mode(data.st_mode).is_fifo());
    let most = if is_pipe { rustix::pipe::PIPE_BUF } else { CHUNK };
    let (mut buffer, mut rest) = (vec![0; CHUNK], 0..0);
    loop {
        let signals = interrupt.as_fd();
        let next = match rest.is_empty() {
            true => PollFd::new(&from, PollFlags::IN),
            false => PollFd::new(&to, PollFlags::OUT),
        };
        // The going of whoever reads is seen also while there is nothing for him.
        let gone = PollFd::new(&to, PollFlags::empty());
        let mut ready = [PollFd::new(&signals, PollFlags::IN), next, gone];
        let wait = Timespec { tv_sec: 0, tv_nsec: STEP.subsec_nanos().into() };
        match poll(&mut ready, progress.as_ref().map(|_| &wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Moved::Failed(Failure::failed("wait for the archive", errno)),
        }
        let [signal, now, gone] = ready.map(|one| !one.revents().is_empty());
        let mut moved = 0;
        let done = match (signal, now, rest.is_empty()) {
            (true, ..) => {
                let code = interrupt.exit_code();
                interrupt.release();
                return Moved::CutOff(code);
            }
            _ if gone && is_pipe => Err(Errno::PIPE),
            (_, false, _) => Ok(()),
            (_, true, true) => match rustix::io::read(from, &mut buffer) {
                Ok(0) => return Moved::Wholly,
                read => read.map(|length| rest = 0..length),
            },
            (_, true, false) => {
                let end = rest.end.min(rest.start + most);
                rustix::io::write(to, &buffer[rest.start..end]).map(|length| {
                    rest.start += length;
                    moved = length;
                })
            }
        };
        match done {
            Ok(()) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Moved::Failed(Failure::failed("move the archive", errno)),
        }
        if let Some(progress) = &mut progress {
            progress.step(moved);
        }
    }
}

fn finish<T>(
    worker: std::thread::ScopedJoinHandle<'_, tinyd_engine::Result<T>>,
    moved: Moved,
    is_reader: bool,
) -> Result<Flowed<T>, Failure> {
    let done = worker.join().map_err(|_| Failure::Failed("the engine failed".to_owned()))?;
    match moved {
        Moved::CutOff(code) => Ok(Flowed::CutOff(code)),
        // Where the engine had said why it reads no more, that is the reason.
        Moved::Failed(failure) if is_reader => Err(done.err().map_or(failure, Failure::from)),
        Moved::Failed(failure) => Err(failure),
        Moved::Wholly => Ok(Flowed::Done(done?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::terminal;
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_goes_from_one_side_to_the_other_arrives_and_is_shown() {
        let (main, terminal) = terminal();
        let null = File::open("/dev/null").expect("null");
        let console = Console { stdin: null.as_fd(), stdout: null.as_fd(), stderr: terminal.as_fd() };
        let watched = |console| {
            let mut progress = Progress::wanted(console, false, "copied", None).expect("a terminal");
            progress.began -= 2 * SOON;
            progress
        };
        let bytes = vec![b'x'; 3 << 20];
        let write = |to: OwnedFd| File::from(to).write_all(&bytes);
        let read = |from: OwnedFd| {
            let mut all = Vec::new();
            File::from(from).read_to_end(&mut all).map(|_| all)
        };
        let Ok(Flowed::Done((written, read))) = between(watched(console), write, read) else {
            panic!("it did not end by itself")
        };
        written.expect("written");
        assert_eq!(read.expect("read"), bytes);
        let mut shown = [0; 64];
        let length = rustix::io::read(&main, &mut shown).expect("shown");
        let shown = String::from_utf8_lossy(&shown[..length]);
        assert!(shown.starts_with("\rcopied "), "{shown:?}");
        // Who reads no more ends the other, too.
        let Ok(Flowed::Done((written, _))) = between(watched(console), write, drop) else {
            panic!("it did not end by itself")
        };
        assert_eq!(written.expect_err("nobody read it").kind(), std::io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn how_far_it_is_stands_beside_the_whole_where_that_is_known() {
        assert_eq!(told(3 << 20, None), "3.00MiB");
        assert_eq!(told(3 << 20, Some(12 << 20)), "3.00MiB of 12.0MiB (25 %)");
        assert_eq!(told(5, Some(0)), "5B");
    }
}
