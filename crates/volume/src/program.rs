//! The programs of the host that btrfs needs: what formats, and what reads a stream.

use crate::{Error, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where distributions put what only root uses, which a user's PATH may lack.
const PLACES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Formats files and block devices.
pub(crate) const MKFS_BTRFS: &str = "mkfs.btrfs";
/// Receives.
pub(crate) const BTRFS: &str = "btrfs";

/// The file that a program has as its input: this one and no other, whatever its name has come to lead to when the program
/// begins, which may outlive who started it.
pub(crate) const INPUT: &str = "/proc/self/fd/0";

/// The package that has them, by the same name with Debian, Fedora, Arch, Alpine; openSUSE calls it btrfsprogs.
const PACKAGE: &str = "btrfs-progs";

/// Where a program is.
///
/// # Errors
/// [`Error::NoProgram`].
pub(crate) fn find(program: &'static str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(PLACES.split(':')).filter(|folder| folder.starts_with('/'));
    let found = folders.find_map(|folder| {
        let file = Path::new(folder).join(program);
        file.is_file().then_some(file)
    });
    found.ok_or(Error::NoProgram { program, package: PACKAGE })
}

/// Runs it to its end.
///
/// # Errors
/// [`Error::NoProgram`], [`Error::Program`] with what it had to say.
pub(crate) fn run(
    program: &'static str,
    operands: &[&std::ffi::OsStr],
    input: Option<OwnedFd>,
) -> Result<()> {
    let file = find(program)?;
    let mut command = Command::new(&file);
    // A message in another language is one that nobody finds an answer to.
    command.args(operands).env("LC_ALL", "C").stdout(Stdio::null()).stderr(Stdio::piped());
    command.stdin(input.map_or_else(Stdio::null, Stdio::from));
    let output = command.output().map_err(|error| Error::path("run", &file, error))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            let said = if said.is_empty() { output.status.to_string() } else { said };
            Err(Error::Program { program, said })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_program_that_is_missing_is_named_with_its_package() {
        let error = find("mkfs.no-such-file-system").unwrap_err().to_string();
        assert!(error.contains("mkfs.no-such-file-system") && error.contains("btrfs-progs"), "{error}");
    }

    #[test]
    fn pure_what_a_program_had_to_say_is_told() {
        let error = run("sh", &["-c".as_ref(), "echo one >&2; echo two >&2; exit 3".as_ref()], None);
        assert_eq!(error.unwrap_err().to_string(), "sh failed: one; two");
        let error = run("sh", &["-c".as_ref(), "exit 3".as_ref()], None).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        run("true", &[], None).unwrap();
    }
}
