//! The child's side: system calls on what was prepared, and nothing else.

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::Step;
use crate::{Namespaces, isolate, process, socket};

/// The length of a report: a step's code and an errno.
pub(super) const PACKET: usize = 5;

/// How the shell says that a program is not to be run.
const CANNOT_RUN: i32 = 127;

/// What becomes of the child's ids; the one byte that tells it to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groups {
    /// They stay.
    Keep = 0,
    /// It becomes root. It keeps supplementary groups, which it cannot give up.
    Root = 1,
    /// It becomes root and has no supplementary groups.
    RootWithoutOthers = 2,
}

/// All that the child needs.
pub(super) struct Child {
    namespaces: Namespaces,
    host_name: Option<CString>,
    candidates: Vec<CString>,
    args: Array,
    env: Array,
}

/// Strings, and the array of pointers that execve(2) takes.
struct Array {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

impl Array {
    fn new(strings: Vec<CString>) -> Self {
        // The bytes of a CString are on the heap: moving it moves no byte.
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Self { pointers, _strings: strings }
    }
}

impl Child {
    pub(super) fn new(
        namespaces: Namespaces,
        candidates: &[CString],
        args: Vec<CString>,
        env: Vec<CString>,
        host_name: Option<CString>,
    ) -> Self {
        Self {
            namespaces,
            host_name,
            candidates: candidates.to_vec(),
            args: Array::new(args),
            env: Array::new(env),
        }
    }

    /// *Child-side.* Becomes the command, or says why not and ends.
    pub(super) fn run(&self, socket: BorrowedFd<'_>) -> ! {
        let mut go = [0];
        // Without the word the parent has failed or died, and nobody waits for a report.
        if socket::receive(socket, &mut go, drop) == Ok(1) {
            let (step, errno) = match self.prepare(go[0]) {
                // The word that it got so far; an end after it is the exec's.
                Ok(()) => match socket::send(socket, &[0], &[]) {
                    Ok(()) => (Step::Exec, self.exec()),
                    Err(_) => process::exit_now(CANNOT_RUN),
                },
                Err(failed) => failed,
            };
            let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
            let _ = socket::send(socket, &[step as u8, a, b, c, d], &[]);
        }
        process::exit_now(CANNOT_RUN)
    }

    fn prepare(&self, groups: u8) -> Result<(), (Step, Errno)> {
        let at = |step| move |errno| (step, errno);
        process::reset_signals();
        if groups != Groups::Keep as u8 {
            become_root(groups == Groups::RootWithoutOthers as u8).map_err(at(Step::Root))?;
        }
        if self.namespaces.contains(Namespaces::MOUNT) {
            isolate::private_mounts().map_err(at(Step::PrivateMounts))?;
            if self.namespaces.contains(Namespaces::PID) {
                isolate::mount_proc(c"/proc").map_err(at(Step::Proc))?;
            }
        }
        if let Some(name) = &self.host_name {
            isolate::set_host_name(name.to_bytes()).map_err(at(Step::HostName))?;
        }
        process::cloexec_from(3).map_err(at(Step::Descriptors))
    }

    /// As execvp(3) searches: a file that may not be executed does not end the search, but is what is told of in the end.
    fn exec(&self) -> Errno {
        let mut told = Errno::NOENT;
        for candidate in &self.candidates {
            // SAFETY: both arrays point to strings that live in `self`, and end with a null pointer.
            let errno =
                unsafe { process::exec(candidate, self.args.pointers.as_ptr(), self.env.pointers.as_ptr()) };
            match errno {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => told = errno,
                errno => return errno,
            }
        }
        told
    }
}

/// The ids that a new user namespace starts with are the caller's, which need not be mapped.
fn become_root(drop_groups: bool) -> Result<(), Errno> {
    if drop_groups {
        rustix::thread::set_thread_groups(&[])?;
    }
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}
