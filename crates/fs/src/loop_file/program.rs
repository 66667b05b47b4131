//! The program of e2fsprogs that formats.

use crate::{Error, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where distributions put what only root uses, which a user's PATH may lack.
const PLACES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The package, by the same name with all distributions.
const PACKAGE: &str = "e2fsprogs";

pub(super) const MKFS: &str = "mkfs.ext4";

/// Where a program is.
pub(super) fn find(program: &'static str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(PLACES.split(':')).filter(|folder| folder.starts_with('/'));
    let found = folders.find_map(|folder| {
        let file = Path::new(folder).join(program);
        file.is_file().then_some(file)
    });
    found.ok_or(Error::NoProgram { program, package: PACKAGE })
}

/// The file that a program has as its input: this one and no other, whatever its name has come to lead to when the program
/// begins, which may outlive who started it.
pub(super) const INPUT: &str = "/proc/self/fd/0";

/// Runs it to its end.
pub(super) fn run(program: &'static str, operands: &[&str], input: OwnedFd) -> Result<()> {
    let file = find(program)?;
    let mut command = Command::new(&file);
    // A message in another language is one that nobody finds an answer to.
    command.args(operands).env("LC_ALL", "C").stdin(input).stdout(Stdio::null());
    let output = command.stderr(Stdio::piped()).output().map_err(Error::path("run", &file))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            let said = if said.is_empty() { output.status.to_string() } else { said };
            Err(Error::ProgramFailed { program, said })
        }
    }
}
