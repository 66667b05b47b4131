//! The label or profile that a security module of the kernel gives the command when it is executed.

use super::cstrings::c_path;
use super::spec::invalid;
use crate::Failure;
use crate::config::Process;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What is written of the next exec, and where.
pub(crate) struct Label {
    /// Below `/proc`.
    file: &'static CStr,
    text: CString,
    opened: Option<OwnedFd>,
}

impl Label {
    /// *Child-side.* Opens the file while the host's `/proc` is there; only the process that opens it may write it.
    pub(crate) fn open(&mut self) -> Result<(), Errno> {
        let proc = crate::init::proc_of_host()?;
        self.opened = Some(openat(proc, self.file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?);
        Ok(())
    }

    /// *Child-side.* Has the next exec take it on.
    pub(crate) fn write(&mut self) -> Result<(), Errno> {
        let file = self.opened.take().ok_or(Errno::BADF)?;
        rustix::io::write(&file, self.text.to_bytes()).map(drop)
    }
}

pub(super) fn of(process: &Process) -> Result<Option<Label>, Failure> {
    let apparmor = process.apparmor_profile.as_deref().filter(|profile| !profile.is_empty());
    let selinux = process.selinux_label.as_deref().filter(|label| !label.is_empty());
    match (apparmor, selinux) {
        // That is what everything is where there is no AppArmor.
        (Some("unconfined"), None) if !has_apparmor() => Ok(None),
        (Some(_), _) if !has_apparmor() => {
            Err(invalid("process.apparmorProfile", "AppArmor is not enabled on this host"))
        }
        (_, Some(_)) if !has_selinux() => {
            Err(invalid("process.selinuxLabel", "SELinux is not enabled on this host"))
        }
        (Some(_), Some(_)) => Err(invalid("process.selinuxLabel", "stands beside an AppArmor profile")),
        (Some(profile), None) => {
            let file = match Path::new("/proc/self/attr/apparmor/exec").exists() {
                true => c"self/attr/apparmor/exec",
                false => c"self/attr/exec",
            };
            let text = c_path("process.apparmorProfile", Path::new(&format!("exec {profile}")))?;
            Ok(Some(Label { file, text, opened: None }))
        }
        (None, Some(label)) => {
            let text = c_path("process.selinuxLabel", Path::new(label))?;
            Ok(Some(Label { file: c"self/attr/exec", text, opened: None }))
        }
        (None, None) => Ok(None),
    }
}

fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether SELinux labels what this process mounts and executes.
pub(super) fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
