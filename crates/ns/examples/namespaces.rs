//! Runs a command as process 1 of its own PID namespace, with mounts, a host name and a `/proc` of its own.
//!
//! As root:
//! ```text
//! cargo run -p tinyd-ns --example namespaces -- sh -c 'echo "I am $$ on $(hostname)"; ls -d /proc/[0-9]*'
//! ```

use std::ffi::OsString;
use std::io::{Error, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use tinyd_ns::clone::{Clone3, Cloned};
use tinyd_ns::{Namespaces, pidfd, process};

fn main() -> Result<ExitCode, Error> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().ok_or_else(|| Error::other("usage: namespaces COMMAND [ARGUMENT…]"))?;
    let args: Vec<OsString> = args.collect();

    let namespaces = Namespaces::PID | Namespaces::MOUNT | Namespaces::UTS;
    // SAFETY: this program has one thread, and the child execs or exits: it never returns from this match.
    match unsafe { Clone3::new(namespaces).spawn() }? {
        Cloned::Child => {
            let failed = prepare().err().unwrap_or_else(|| Command::new(&program).args(&args).exec());
            let _ = writeln!(std::io::stderr(), "cannot run {}: {failed}", program.display());
            process::exit_now(127)
        }
        Cloned::Parent { pidfd, .. } => Ok(ExitCode::from(pidfd::wait(&pidfd)?.code())),
    }
}

/// The child's own corner of the machine.
fn prepare() -> Result<(), Error> {
    rustix::system::sethostname(b"namespaces")?;
    // Before the first mount: the host's mounts are shared with their copies here, on most machines.
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // A procfs shows the PID namespace that it was mounted from.
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount(c"proc", c"/proc", c"proc", flags, None)?;
    Ok(())
}
