//! Pseudo-terminals (pty(7)).

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Both ends of a pseudo-terminal, closed on exec.
#[derive(Debug)]
pub struct Pty {
    /// The end of whoever plays the screen and keyboard.
    pub master: OwnedFd,
    /// The end of the program.
    pub slave: OwnedFd,
}

impl Pty {
    /// *Child-side.* A new one of the devpts file system that is open at `devpts`, which may be a detached mount. The
    /// slave is opened through its master, not by a path that someone could have replaced (CVE-2025-52565).
    pub fn open_in(devpts: BorrowedFd<'_>) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = rustix::fs::openat(devpts, c"ptmx", flags, Mode::empty())?;
        rustix::pty::unlockpt(&master)?;
        let slave = rustix::pty::ioctl_tiocgptpeer(
            &master,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )?;
        Ok(Self { master, slave })
    }
}

/// *Child-side.* Sets the size of the terminal's window; the foreground process group gets SIGWINCH.
pub fn resize(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<(), Errno> {
    rustix::termios::tcsetwinsize(
        terminal,
        Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 },
    )
}

/// *Child-side.* Starts a session of which `terminal` is the controlling terminal.
pub fn become_session_leader(terminal: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    rustix::process::setsid()?;
    terminal.map_or(Ok(()), rustix::process::ioctl_tiocsctty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_goes_in_at_one_end_comes_out_at_the_other() {
        let devpts = std::fs::File::open("/dev/pts").unwrap();
        let pty = Pty::open_in(devpts.as_fd()).unwrap();
        resize(pty.master.as_fd(), 50, 132).unwrap();
        let size = rustix::termios::tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (50, 132));
        rustix::io::write(&pty.slave, b"hello").unwrap();
        let mut buffer = [0; 16];
        let length = rustix::io::read(&pty.master, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
    }
}
