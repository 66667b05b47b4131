//! The exit of a process that is no child of the caller's, on kernels that do not tell it by descriptor.
//!
//! Those tell every exit on the machine to listeners of the process connector (`linux/cn_proc.h`; since Linux 2.6.15, where
//! CONFIG_PROC_EVENTS is set). A filter in the kernel keeps all from the listener but the ends of one process's threads, so
//! that nobody is woken for others.

use crate::pidfd::{self, Exit};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The release since which the kernel tells by descriptor what a parent has taken (PIDFD_INFO_EXIT).
const TOLD_BY_DESCRIPTOR: (u32, u32) = (6, 15);

/// How long after the end its message may take: it is sent some microseconds later, by a thread that can be preempted.
const PATIENCE: Duration = Duration::from_secs(1);

/// The group of the process connector, and its number there (CN_IDX_PROC, CN_VAL_PROC).
const CONNECTOR: u32 = 1;
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

/// `what` of an answer to a request of ours, and of an end.
const ANSWER: u32 = 0;
const EXIT: u32 = 0x8000_0000;

/// Offsets in a message: a header of netlink (16 bytes), one of the connector (20), and a `struct proc_event`.
const ACKNOWLEDGES: usize = 28;
const WHAT: usize = 36;
const DATA: usize = 52;
const PROCESS: usize = DATA + 4;
const STATUS: usize = DATA + 8;
const LENGTH: usize = 76;

/// Hears of the end of one process.
#[derive(Debug)]
pub struct ExitWatch {
    socket: OwnedFd,
    process: OwnedFd,
    pid: u32,
    /// What wait(2) will say, as far as it is sure: that of a first thread that ended before the others may not be.
    status: Option<i32>,
}

impl ExitWatch {
    /// Whether this kernel has need of it. Newer ones tell [`pidfd::exit_of_other`].
    pub fn is_needed() -> bool {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        version(&release).is_some_and(|found| found < TOLD_BY_DESCRIPTOR)
    }

    /// Listens from now on. `process` is the descriptor of the process `pid`.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN; `ECONNREFUSED` in a network namespace that is not the first; `EOPNOTSUPP` in a user
    /// or PID namespace that is not; `EPROTONOSUPPORT` and the like where the kernel has no process connector.
    pub fn new(process: OwnedFd, pid: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            flags,
            Some(netlink::CONNECTOR),
        )?;
        filter(socket.as_fd(), pid)?;
        bind(socket.as_fd())?;
        let watch = Self { socket, process, pid, status: None };
        watch.request(LISTEN)?;
        // The answer is there when the request returns. Other namespaces get none.
        let mut message = [0; LENGTH];
        while rustix::net::recv(&watch.socket, &mut message, RecvFlags::empty()).is_ok() {
            if number(&message, WHAT) == ANSWER {
                let refusal = i32::try_from(number(&message, DATA)).unwrap_or(libc::EPERM);
                return if refusal == 0 { Ok(watch) } else { Err(io::Error::from_raw_os_error(refusal)) };
            }
        }
        Err(Errno::OPNOTSUPP.into())
    }

    /// Takes what has been told. To be called whenever the descriptor is readable.
    pub fn look(&mut self) {
        let mut message = [0; LENGTH];
        while let Ok((length, _)) = rustix::net::recv(&self.socket, &mut message, RecvFlags::empty()) {
            let is_first_thread = number(&message, DATA) == self.pid;
            if length == LENGTH && number(&message, WHAT) == EXIT && is_first_thread {
                // The descriptor is readable before the message is sent, once no thread is left. With others still there
                // the exit is theirs to decide; or another thread has become the first (execve(2)), and ends later.
                let status = number(&message, STATUS) as i32;
                self.status = is_readable(self.process.as_fd(), Duration::ZERO).then_some(status);
            }
        }
    }

    /// The exit, once the process's descriptor is readable. `None` where it was not told: the process had ended before
    /// anybody listened, or its first thread before the others.
    pub fn exit(&mut self) -> Option<Exit> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.look();
            let left = end.saturating_duration_since(Instant::now());
            if self.status.is_some() || left.is_zero() {
                return self.status.and_then(pidfd::from_status);
            }
            is_readable(self.socket.as_fd(), left);
        }
    }

    fn request(&self, operation: u32) -> io::Result<()> {
        let body = size_of::<u32>() as u32;
        let words = [
            (LENGTH_OF_REQUEST, u32::from(NLMSG_DONE)),
            // Netlink's own: sequence and port.
            (0, 0),
            (CONNECTOR, CONNECTOR),
            // The connector's: a sequence, and what it acknowledges, which comes back in the answer as one more; a length.
            (0, self.pid),
            (body, operation),
        ];
        let bytes: Vec<u8> =
            words.iter().flat_map(|(a, b)| [a.to_ne_bytes(), b.to_ne_bytes()]).flatten().collect();
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        Ok(())
    }
}

/// A header of netlink, one of the connector, and a number.
const LENGTH_OF_REQUEST: u32 = 40;
const NLMSG_DONE: u16 = 3;

impl AsFd for ExitWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ExitWatch {
    fn drop(&mut self) {
        // The kernel counts listeners by their words, and makes no messages when there are none.
        let _ = self.request(IGNORE);
    }
}

/// Lets through the answer to our request, and the ends of the threads of one process.
fn filter(socket: BorrowedFd<'_>, pid: u32) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset: usize| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset as u32);
    // What is loaded is taken for a number in network byte order.
    let is = |value: u32, jt, jf| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, value.to_be());
    let mut program = [
        load(WHAT),
        is(ANSWER, 3, 0),
        is(EXIT, 0, 5),
        load(PROCESS),
        is(pid, 2, 3),
        load(ACKNOWLEDGES),
        is(pid.wrapping_add(1), 0, 1),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program and its steps live through the call, which copies them; the size is that of what is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::from_ref(&program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })
}

fn bind(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all its fields are numbers, which may be 0: the kernel chooses the port then.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = CONNECTOR;
    // SAFETY: the address lives through the call, which reads it; the size is its own.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_nl>() as libc::socklen_t,
        )
    })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn is_readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let patience = Timespec::try_from(patience).unwrap_or_default();
    poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
}

/// A number of a message, in the machine's byte order; 0 past its end.
fn number(message: &[u8], offset: usize) -> u32 {
    message.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// Major and minor number of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests;
