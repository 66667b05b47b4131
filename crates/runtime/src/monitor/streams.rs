//! The command's streams: FIFOs, or a terminal.
//!
//! A FIFO is open for reading and writing at the command's end: should this monitor be killed, writing goes on (until the
//! pipe is full) instead of ending in SIGPIPE, and another monitor can open the FIFO by its name.

use crate::Failure;
use crate::init::Stdio;
use crate::launch::internal;
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, mkfifoat, openat};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Input is taken from clients until so much of it waits for the command.
const MAX_WAITING: usize = 1024 * 1024;

/// Which stream bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// What the command writes.
pub(crate) struct Output {
    pub(crate) fd: OwnedFd,
    pub(crate) source: Source,
    pub(crate) ended: bool,
}

impl Output {
    pub(crate) fn new(fd: OwnedFd, source: Source) -> Self {
        Self { fd, source, ended: false }
    }
}

/// The monitor's ends.
pub(crate) struct Streams {
    pub(crate) outputs: Vec<Output>,
    pub(crate) stdin: Option<Stdin>,
    /// The terminal, for its window's size.
    pub(crate) terminal: Option<OwnedFd>,
    slave: Option<OwnedFd>,
}

impl Streams {
    /// Makes the FIFOs in the folder with this path, unless there will be a terminal, and gives the command's ends.
    pub(crate) fn make(
        run_dir: &OwnedFd,
        path: &Path,
        interactive: bool,
        terminal: bool,
    ) -> Result<(Self, Stdio), Failure> {
        let mut streams = Self { outputs: Vec::new(), stdin: None, terminal: None, slave: None };
        let mut stdio = Stdio { stdin: None, stdout: None, stderr: None };
        if terminal {
            return Ok((streams, stdio));
        }
        for (name, source, end) in
            [("stdout", Source::Stdout, &mut stdio.stdout), ("stderr", Source::Stderr, &mut stdio.stderr)]
        {
            make_fifo(run_dir, path, name)?;
            let fd = open(run_dir, name, OFlags::RDONLY | OFlags::NONBLOCK)?;
            *end = Some(open(run_dir, name, OFlags::RDWR)?);
            streams.outputs.push(Output::new(fd, source));
        }
        if interactive {
            make_fifo(run_dir, path, "stdin")?;
            // Opening one end waits for the other, unless told not to.
            let read = open(run_dir, "stdin", OFlags::RDONLY | OFlags::NONBLOCK)?;
            streams.stdin = Some(Stdin::new(open(run_dir, "stdin", OFlags::WRONLY | OFlags::NONBLOCK)?));
            rustix::fs::fcntl_setfl(&read, OFlags::empty())
                .map_err(|errno| internal("set up stdin", errno))?;
            stdio.stdin = Some(read);
        }
        Ok((streams, stdio))
    }

    /// Opens the FIFOs of a command that runs and has lost its monitor. One with a terminal has none: what it writes went
    /// with the terminal. Its input ended with the monitor that gave it.
    pub(crate) fn reopen(run_dir: &OwnedFd) -> Result<Self, Failure> {
        let mut streams = Self { outputs: Vec::new(), stdin: None, terminal: None, slave: None };
        for (name, source) in [("stdout", Source::Stdout), ("stderr", Source::Stderr)] {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(run_dir, name, flags, Mode::empty()) {
                Ok(fd) => streams.outputs.push(Output::new(fd, source)),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(internal(&format!("open the fifo {name}"), errno)),
            }
        }
        Ok(streams)
    }

    /// Makes pipes, of which the command's ends belong to `owner` (user, group), for a command that ends with its session;
    /// none when there will be a `terminal`, or nobody listens.
    pub(crate) fn pipes(interactive: bool, none: bool, owner: (u32, u32)) -> Result<(Self, Stdio), Failure> {
        let mut streams = Self { outputs: Vec::new(), stdin: None, terminal: None, slave: None };
        let mut stdio = Stdio { stdin: None, stdout: None, stderr: None };
        if none {
            return Ok((streams, stdio));
        }
        for (source, end) in [(Source::Stdout, &mut stdio.stdout), (Source::Stderr, &mut stdio.stderr)] {
            let (read, write) = pipe(owner)?;
            set_nonblocking(&read)?;
            streams.outputs.push(Output::new(read, source));
            *end = Some(write);
        }
        if interactive {
            let (read, write) = pipe(owner)?;
            set_nonblocking(&write)?;
            streams.stdin = Some(Stdin::new(write));
            stdio.stdin = Some(read);
        }
        Ok((streams, stdio))
    }

    /// Uses a terminal's master for everything.
    pub(crate) fn add_terminal(&mut self, master: OwnedFd) -> Result<(), Failure> {
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|error| internal("copy a descriptor", error));
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)
            .map_err(|errno| internal("set up the terminal", errno))?;
        // Held, so that the stream does not end whenever no program has the terminal open.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)
            .map_err(|errno| internal("set up the terminal", errno))?;
        self.slave = Some(slave);
        self.outputs.push(Output::new(copy(&master)?, Source::Stdout));
        self.stdin = Some(Stdin::new(copy(&master)?));
        self.terminal = Some(master);
        Ok(())
    }
}

/// Both ends are one inode: it must be the command's user's, who may open it again as `/dev/stdout`.
fn pipe(owner: (u32, u32)) -> Result<(OwnedFd, OwnedFd), Failure> {
    let failed = |errno| internal("make a pipe for the command", errno);
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(owner.0), rustix::fs::Gid::from_raw(owner.1));
    rustix::fs::fchown(&read, Some(uid), Some(gid)).map_err(failed)?;
    Ok((read, write))
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), Failure> {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK)
        .map_err(|errno| internal("set up the command's streams", errno))
}

fn make_fifo(run_dir: &OwnedFd, path: &Path, name: &str) -> Result<(), Failure> {
    mkfifoat(run_dir, name, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| internal(&format!("make the fifo {}", path.join(name).display()), errno))
}

fn open(run_dir: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
    openat(run_dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| internal(&format!("open the fifo {name}"), errno))
}

/// Input on its way to the command.
pub(crate) struct Stdin {
    fd: OwnedFd,
    waiting: VecDeque<u8>,
    closing: bool,
}

impl Stdin {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, waiting: VecDeque::new(), closing: false }
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    /// No more will come.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Writes what can be written. False when this end is to be closed: everything was written, or nobody reads any more.
    pub(crate) fn flush(&mut self) -> bool {
        while !self.waiting.is_empty() {
            let (bytes, _) = self.waiting.as_slices();
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, bytes)) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        !self.closing
    }
}

impl Output {
    /// Reads into `buffer`. 0 is the end; `None` means that there is nothing now.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> Option<usize> {
        buffer.clear();
        let mut read =
            || rustix::io::retry_on_intr(|| rustix::io::read(self.fd.as_fd(), spare_capacity(buffer)));
        // A terminal whose last program has ended answers EIO. The kernel looks for input first, and then whether a program
        // is there: what the last one wrote between the two comes at a second read.
        let read = match read() {
            Err(Errno::IO) => read(),
            first => first,
        };
        match read {
            Ok(length) => Some(length),
            Err(Errno::AGAIN) => None,
            Err(_) => Some(0),
        }
    }
}
