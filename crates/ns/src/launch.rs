//! A command in namespaces of its own, from a process that may have threads.
//!
//! All that the child needs is made before the clone; between clone and exec it only makes system calls, and tells its parent
//! which of them failed. With a PID and a mount namespace it has a `/proc` of its own; with any mount namespace its mounts are
//! private; with a user namespace it is root inside.
//!
//! ```
//! use tinyd_ns::Namespaces;
//! use tinyd_ns::launch::Launch;
//!
//! # if !rustix::process::geteuid().is_root() { return Ok(()) }
//! // As root; or as anybody, with `Namespaces::ISOLATED | Namespaces::USER`.
//! let shell = Launch::new(Namespaces::ISOLATED, "sh").args(["-c", "exit $$"]).spawn()?;
//! assert_eq!(shell.wait()?.code(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod child;
mod error;

pub use error::{LaunchError, Step};

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use self::child::{Child, Groups};
use crate::Namespaces;
use crate::clone::{Clone3, Cloned};
use crate::idmap::{IdMaps, Setgroups};
use crate::pidfd::{self, Exit};
use crate::socket;

/// Where programs are looked for when there is no `PATH`, as execvp(3) has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A command that is wanted.
#[derive(Clone, Debug)]
pub struct Launch {
    namespaces: Namespaces,
    args: Vec<OsString>,
    id_maps: Option<IdMaps>,
    host_name: Option<OsString>,
}

/// A command that runs. Dropping this neither ends nor reaps it.
#[derive(Debug)]
pub struct Launched {
    /// The process's number as the caller sees it.
    pub pid: u32,
    /// A descriptor of it, closed on exec.
    pub pidfd: OwnedFd,
}

impl Launched {
    /// Waits for it to end and takes its exit.
    ///
    /// # Errors
    /// `ECHILD` when its exit was taken before.
    pub fn wait(&self) -> io::Result<Exit> {
        pidfd::wait(&self.pidfd)
    }
}

impl Launch {
    /// A program in new namespaces of these kinds, and the caller's own of all others. One without a slash is looked for in
    /// the folders of `PATH`, as the new namespaces show them.
    pub fn new(namespaces: Namespaces, program: impl AsRef<OsStr>) -> Self {
        Self { namespaces, args: vec![program.as_ref().to_owned()], id_maps: None, host_name: None }
    }

    /// Arguments of the program, after those there are.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The maps of its user namespace. When none are given, the caller's own user and group are root inside.
    #[must_use]
    pub fn id_maps(mut self, maps: IdMaps) -> Self {
        self.id_maps = Some(maps);
        self
    }

    /// The host name of its UTS namespace; when none is given it starts with a copy of the caller's.
    #[must_use]
    pub fn host_name(mut self, name: impl AsRef<OsStr>) -> Self {
        self.host_name = Some(name.as_ref().to_owned());
        self
    }

    /// Starts it, and returns as soon as it is the program that was asked for.
    ///
    /// # Errors
    /// [`LaunchError`]. Nothing is left then: the child is reaped.
    pub fn spawn(&self) -> Result<Launched, LaunchError> {
        let (user, uts) =
            (self.namespaces.contains(Namespaces::USER), self.namespaces.contains(Namespaces::UTS));
        if self.id_maps.is_some() && !user {
            return Err(LaunchError::NoNamespaceFor { what: "id maps", kind: Namespaces::USER });
        }
        if self.host_name.is_some() && !uts {
            return Err(LaunchError::NoNamespaceFor { what: "a host name", kind: Namespaces::UTS });
        }
        let own =
            || IdMaps::root_as(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let maps = user.then(|| self.id_maps.clone().unwrap_or_else(own));
        if let Some(maps) = &maps {
            maps.check().map_err(LaunchError::Maps)?;
        }
        let child = Child::new(
            self.namespaces,
            &self.candidates()?,
            self.args.iter().map(|arg| c_string(arg)).collect::<Result<_, _>>()?,
            environment()?,
            self.host_name.as_deref().map(c_string).transpose()?,
        );
        let (ours, theirs) = socket::pair().map_err(|errno| LaunchError::Socket(errno.into()))?;
        // SAFETY: the process may have threads; the child only makes system calls on what was prepared above, and ends in
        // an exec or an exit, both within `run`.
        let cloned = unsafe { Clone3::new(self.namespaces).spawn() };
        match cloned.map_err(|source| LaunchError::Clone { namespaces: self.namespaces, source })? {
            Cloned::Child => {
                drop(ours);
                child.run(theirs.as_fd())
            }
            Cloned::Parent { pid, pidfd } => {
                drop(theirs);
                let Err(error) = self.accompany(maps.as_ref(), pid, &ours) else {
                    return Ok(Launched { pid, pidfd });
                };
                // Its end of the socket ends the child, wherever it is.
                drop(ours);
                let exit = pidfd::wait(&pidfd).ok();
                Err(if let LaunchError::Ended { .. } = error { LaunchError::Ended { exit } } else { error })
            }
        }
    }

    /// The parent's part.
    fn accompany(&self, maps: Option<&IdMaps>, pid: u32, socket: &OwnedFd) -> Result<(), LaunchError> {
        let groups = match maps {
            None => Groups::Keep,
            Some(maps) => match (maps.write(pid).map_err(LaunchError::Maps)?, maps.root()) {
                (_, None) => Groups::Keep,
                (Setgroups::Allowed, Some(_)) => Groups::RootWithoutOthers,
                (Setgroups::Denied, Some(_)) => Groups::Root,
            },
        };
        let failed = |errno: rustix::io::Errno| LaunchError::Socket(errno.into());
        match socket::send(socket.as_fd(), &[groups as u8], &[]) {
            // It was killed: what it left is read below.
            Err(rustix::io::Errno::PIPE) => {}
            sent => sent.map_err(failed)?,
        }
        let mut ready = false;
        loop {
            let mut packet = [0; child::PACKET];
            let length = socket::receive(socket.as_fd(), &mut packet, drop).map_err(failed)?;
            match (length, Step::from_code(packet[0])) {
                // The end: the exec has closed the socket, or the child has died before.
                (0, _) if ready => return Ok(()),
                (0, _) => return Err(LaunchError::Ended { exit: None }),
                (1, _) => ready = true,
                (_, Some(step)) => {
                    let [_, errno @ ..] = packet;
                    let source = io::Error::from_raw_os_error(i32::from_le_bytes(errno));
                    return Err(LaunchError::Child { step, program: self.args[0].clone(), source });
                }
                (_, None) => return Err(LaunchError::Socket(io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// The paths at which the program may be, in the order in which they are tried.
    fn candidates(&self) -> Result<Vec<CString>, LaunchError> {
        let program = &self.args[0];
        if program.as_bytes().contains(&b'/') {
            return Ok(vec![c_string(program)?]);
        }
        if program.is_empty() {
            return Ok(Vec::new());
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        // An empty folder is the working directory.
        std::env::split_paths(&path)
            .map(|folder| c_string(Path::new(".").join(folder).join(program).as_ref()))
            .collect()
    }
}

fn environment() -> Result<Vec<CString>, LaunchError> {
    std::env::vars_os()
        .map(|(mut entry, value)| {
            entry.push("=");
            entry.push(value);
            c_string(&entry)
        })
        .collect()
}

fn c_string(text: &OsStr) -> Result<CString, LaunchError> {
    CString::new(text.to_owned().into_vec()).map_err(|_| LaunchError::Nul(text.to_owned()))
}
