//! The init in front of a command (`--init`). Process 1 of a pid namespace is the parent of every orphan in it, and the
//! kernel keeps from it the signals that it has no handler for: few programs are made for that.
//!
//! It is this very process that stays, with the rights of the command and no descriptor; the command goes on in a copy.
//! Nobody inside may look into it: it has not been another program since it became undumpable.

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, getpid, setpgid, wait};
use rustix::termios::tcsetpgrp;
use tinyd_ns::process;

/// *Child-side.* Returns in the copy, which becomes the command; this process looks after it until its end.
pub(super) fn stay_in_front(terminal: bool) -> Result<(), Errno> {
    // Before the copy is made: whatever comes meanwhile is for it.
    process::block_signals();
    // SAFETY: the process was cloned by a monitor and has had one thread since.
    if let Some(command) = unsafe { process::fork()? } {
        look_after(command);
    }
    // Keys such as ^C are for the command alone; it would get them twice, with those that are passed on.
    setpgid(None, None)?;
    if terminal {
        tcsetpgrp(rustix::stdio::stdin(), getpid())?;
    }
    process::reset_some_signals([]);
    Ok(())
}

fn look_after(command: u32) -> ! {
    // The command's end is then the end of its streams.
    let _ = process::close_from(0);
    let _ = rustix::thread::set_name(c"tinyd-init");
    loop {
        match process::next_signal(None) {
            Ok(libc::SIGCHLD) => reap(command, WaitOptions::NOHANG),
            // Meant for a background process of a terminal, and there is none of those here.
            Ok(libc::SIGTTIN | libc::SIGTTOU) | Err(Errno::INTR) => {}
            Ok(signal) => {
                let _ = process::send_signal(command, signal);
            }
            // A profile of the user's may forbid even this.
            Err(_) => reap(command, WaitOptions::empty()),
        }
    }
}

/// Waits for all that have ended; when the command is among them, this process ends as it did.
fn reap(command: u32, options: WaitOptions) {
    loop {
        match wait(options) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() as u32 == command => {
                process::exit_now(code(status));
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(Errno::INTR) => {}
            // There is no child left, the command neither.
            Err(_) => process::exit_now(255),
        }
    }
}

fn code(status: WaitStatus) -> i32 {
    status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
}
