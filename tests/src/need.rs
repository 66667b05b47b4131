//! What a test needs of the machine. What is missing is a visible skip on a laptop and a failure in CI.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use rustix::process::geteuid;

use crate::proc::cgroups;

/// Something a test cannot do without.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Need<'a> {
    /// To be root.
    Root,
    /// The built program.
    Program,
    /// A cgroup controller that is mounted, by its name.
    Controller(&'a str),
    /// A command that can be found in `PATH`, or a file when it is a path.
    Command(&'a str),
    /// User namespaces, and a kernel that shows layers of an overlay with their ids mapped (README: Linux 5.19).
    UserNamespaces,
}

/// Why a need is not met.
pub type Missing = String;

/// Looks whether a need is met.
///
/// # Errors
/// The reason why not.
pub fn check_need(need: Need<'_>) -> Result<(), Missing> {
    let (met, reason) = match need {
        Need::Root => (geteuid().is_root(), "not root".to_owned()),
        Need::Program => {
            let path = crate::paths::tinyd();
            (path.is_file(), format!("{} is not built: cargo xtask build", path.display()))
        }
        Need::Controller(name) => {
            (cgroups::hierarchy_of(name).is_some(), format!("no cgroup controller {name} is mounted"))
        }
        Need::Command(name) => (is_command(name), format!("{name} is not installed")),
        Need::UserNamespaces => {
            let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
            if kernel_is_before(5, 19) {
                (false, format!("kernel {} cannot map the ids of an overlay's layers", release()))
            } else {
                (most.trim().parse().unwrap_or(0) > 0, "user namespaces are switched off".to_owned())
            }
        }
    };
    if met { Ok(()) } else { Err(reason) }
}

/// Whether the kernel is older than this release.
pub fn kernel_is_before(major: u32, minor: u32) -> bool {
    version(&release()) < (major, minor)
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Major and minor number of a kernel's release.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn is_command(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Says that a test is skipped; `place` is where it stands. In CI that is a failure.
///
/// The line goes past the capture of the test runner, and into the file `TINYD_SKIPS` when that is set: `cargo xtask test`
/// shows it at the end.
#[track_caller]
pub fn skip(place: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{place} would be skipped in CI: {reason}");
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("SKIPPED {place} {name} ({reason})\n");
    // One write each: tests run side by side.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("TINYD_SKIPS")
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Ends the test here, visibly, when the machine lacks something: `require!(root)`, `require!(program)`,
/// `require!(userns)`, `require!(controller "memory")`, `require!(command "strace")`. In CI it fails instead.
#[macro_export]
macro_rules! require {
    (root) => { $crate::require!(@ $crate::Need::Root) };
    (program) => { $crate::require!(@ $crate::Need::Program) };
    (userns) => { $crate::require!(@ $crate::Need::UserNamespaces) };
    (controller $name:expr) => { $crate::require!(@ $crate::Need::Controller($name)) };
    (command $name:expr) => { $crate::require!(@ $crate::Need::Command($name)) };
    (@ $need:expr) => {
        if let Err(reason) = $crate::check_need($need) {
            $crate::skip(module_path!(), &reason);
            return;
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_named() {
        assert!(check_need(Need::Command("sh")).is_ok());
        assert!(check_need(Need::Command("/bin/sh")).is_ok());
        let reason = check_need(Need::Command("no-such-command")).unwrap_err();
        assert!(reason.contains("no-such-command"), "{reason}");
        assert!(check_need(Need::Controller("no-such-controller")).is_err());
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(version("5.15.0-48-generic") < (5, 19) && version("5.9") < (5, 19));
        assert!(version("5.19-rc1") >= (5, 19) && version("7.3.4+deb13-amd64") >= (5, 19));
    }
}
