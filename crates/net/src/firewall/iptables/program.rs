//! The programs, and how they are run.

use super::family::Family;
use rustix::fs::MemfdFlags;
use std::env;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where they are looked for first: the `PATH` of a user who became root need not have them.
const PLACES: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];

/// How they find what they need themselves (modprobe), and in which language they speak.
pub(super) const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"), ("LC_ALL", "C")];

/// What they are told when they change something: to keep what is there, and to wait for who else changes something. The one
/// that speaks to nf_tables needs no waiting, and takes the word.
pub(super) const CHANGE: [&str; 3] = ["--noflush", "-w", "5"];

/// Which of the programs called iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The one that `iptables` is on this host.
    Usual,
    /// The one that makes rules of nf_tables.
    Nft,
    /// The one that makes rules of ip_tables, which kernels had before.
    Legacy,
}

impl Variant {
    fn program(self, family: Family, verb: &str) -> String {
        let variant = match self {
            Self::Usual => "",
            Self::Nft => "-nft",
            Self::Legacy => "-legacy",
        };
        format!("{}{variant}-{verb}", family.program())
    }
}

/// The programs that list rules and change them, for each family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    save: [PathBuf; 2],
    restore: [PathBuf; 2],
}

impl Programs {
    /// Those of this host.
    ///
    /// # Errors
    /// `NotFound` where one of them is not installed, with what installs it.
    pub fn find(variant: Variant) -> io::Result<Self> {
        let find = |verb: &str| -> io::Result<[PathBuf; 2]> {
            let [four, six] = Family::BOTH.map(|family| locate(&variant.program(family, verb)));
            Ok([four?, six?])
        };
        Ok(Self { save: find("save")?, restore: find("restore")? })
    }

    /// Some that do nothing but fail.
    #[cfg(test)]
    pub(super) fn failing() -> Self {
        let both = || ["/bin/false", "/bin/false"].map(PathBuf::from);
        Self { save: both(), restore: both() }
    }

    pub(super) fn save(&self, family: Family) -> &Path {
        &self.save[family.index()]
    }

    pub(super) fn restore(&self, family: Family) -> &Path {
        &self.restore[family.index()]
    }
}

/// Something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("iptables: {0} is not installed: install the package iptables of your distribution")]
    NotInstalled(String),
    #[error("iptables: cannot {what}: {} cannot be run", program.display())]
    Run {
        what: String,
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("iptables: cannot {what}: {} ended with {status}: {said}", program.display())]
    Refused { what: String, program: PathBuf, status: ExitStatus, said: String },
    #[error("iptables: cannot lock {}", path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// In words.
    #[error("iptables: cannot {0}")]
    Wrong(String, io::ErrorKind),
}

impl From<NotDone> for io::Error {
    fn from(error: NotDone) -> Self {
        let kind = match &error {
            NotDone::NotInstalled(_) => io::ErrorKind::NotFound,
            NotDone::Run { source, .. } | NotDone::Lock { source, .. } => source.kind(),
            NotDone::Refused { .. } => io::ErrorKind::Other,
            NotDone::Wrong(_, kind) => *kind,
        };
        Self::new(kind, error)
    }
}

fn locate(name: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = PLACES.iter().map(PathBuf::from).chain(env::split_paths(&path));
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| NotDone::NotInstalled(name.to_owned()).into())
}

/// Runs one to its end, in another network namespace where one is given; gives what it printed, where that does not go
/// elsewhere.
pub(super) fn run(
    netns: Option<BorrowedFd<'_>>,
    what: &str,
    program: &Path,
    arguments: &[&str],
    stdin: &[u8],
    stdout: Option<File>,
) -> Result<Vec<u8>, NotDone> {
    let failed = |source| NotDone::Run { what: what.to_owned(), program: program.to_owned(), source };
    let work = move || -> io::Result<_> {
        // A file and no pipe: a program that ends before it has read everything ends us not.
        let mut input = File::from(rustix::fs::memfd_create("rules", MemfdFlags::CLOEXEC)?);
        input.write_all(stdin)?;
        input.rewind()?;
        let stdout = stdout.map_or_else(Stdio::piped, Stdio::from);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::from(input))
            .stdout(stdout)
            .output()
    };
    let output = match netns {
        None => work(),
        Some(netns) => within(netns, work),
    };
    let output = output.map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join("; ");
    Err(NotDone::Refused { what: what.to_owned(), program: program.to_owned(), status: output.status, said })
}

/// Does it in a thread that has entered the namespace: its children are there too.
fn within<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let enter = || {
        let sort = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(netns.as_fd(), Some(sort))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, enter)?;
        thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_what_is_not_installed_is_named_with_what_installs_it() {
        let error = locate("iptables-of-nobody-save").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let text = error.to_string();
        assert!(
            text.contains("iptables-of-nobody-save is not installed: install the package iptables"),
            "{text}"
        );
        assert_eq!(Variant::Legacy.program(Family::V6, "restore"), "ip6tables-legacy-restore");
        assert_eq!(Variant::Usual.program(Family::V4, "save"), "iptables-save");
    }

    #[test]
    fn pure_a_program_that_fails_is_quoted_and_one_that_reads_nothing_is_no_trouble() {
        let shell = Path::new("/bin/sh");
        let long = vec![b'x'; 1 << 20];
        let said = run(None, "say it", shell, &["-c", "echo $LC_ALL$HOME"], &long, None).unwrap();
        assert_eq!(said, b"C\n", "it has the environment that it is given alone");
        let error =
            run(None, "say it", shell, &["-c", "echo one >&2; echo >&2; echo two >&2; exit 4"], b"", None);
        let error = io::Error::from(error.unwrap_err());
        let text = error.to_string();
        assert!(text.contains("cannot say it: /bin/sh ended with exit status: 4: one; two"), "{text}");
        let error =
            run(None, "say it", Path::new("/no/such"), &[], b"", None).map_err(io::Error::from).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such cannot be run"), "{error}");
    }
}
