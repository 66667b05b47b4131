//! The program's own file, out of reach: whoever gets hold of it through `/proc/<pid>/exe` of a process that is still this
//! program can change neither its content nor its mode (CVE-2019-5736).
//!
//! It is executed from a mount of it that is read-only and that no path leads to. Whoever starts it makes that mount, where
//! it can; otherwise the program makes it, and executes itself once more.

use crate::defence;
use crate::oci::{self, activation};
use crate::plan::CStrings;
use crate::startup;
use rustix::fs::{CWD, StatVfsMountFlags};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use tinyd_fs::mount::{Changes, DetachedMount};
use tinyd_ns::process;

/// The option that asks for all this: the container has no user namespace, so that its root is the host's.
pub(crate) const PROTECT: &str = "--protect";

/// What an engine tells this program by its environment: all that is left of that.
const KEPT: [&str; 5] =
    [oci::SERVICE_MANAGER, oci::SYSTEM_BUS, activation::COUNT, activation::WHOSE, activation::NAMES];

const OWN: &CStr = c"/proc/self/exe";
const NAME: &CStr = c"tinyd-runtime";

/// A mount of a program from which it can be executed, but not changed.
pub(crate) fn protected(program: &Path) -> io::Result<DetachedMount> {
    let path = CString::new(program.as_os_str().as_encoded_bytes())?;
    make(&path)
}

fn make(path: &CStr) -> io::Result<DetachedMount> {
    let mount = DetachedMount::clone_of(CWD, path, false)?;
    mount.change(&Changes::read_only(false))?;
    Ok(mount)
}

/// Sees to it that this program is one that cannot be changed: it is already, or becomes it and starts anew, or that failed.
pub(crate) fn become_protected() -> io::Result<()> {
    if rustix::fs::statvfs(OWN)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        // What was executed by the number of a descriptor is called like that number.
        rustix::thread::set_name(NAME)?;
        return Ok(());
    }
    let program = make(OWN)?;
    let args = startup::words().map(|word| CString::new(word.into_encoded_bytes()));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let args = CStrings::new(args, 0);
    let env =
        KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).chain(defence::passed_on());
    let env = env.map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let env = CStrings::new(env.collect::<Result<Vec<_>, _>>()?, 0);
    // SAFETY: both arrays are ended by a null pointer and own their strings.
    Err(unsafe { process::exec_fd(program.as_fd(), args.as_ptr(), env.as_ptr()) }.into())
}
