//! An apt of our own: the machine's package sources and the backports beside them, with lists in a folder of ours.
//!
//! The machine's own configuration stays as it is, so that nothing else on it is ever upgraded to a backport.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tinyd_tests::remove::remove_tree;

use crate::shell;

/// How old lists may be: packages of old versions vanish from the archive.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The folder, and the sources in it.
#[derive(Debug)]
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Sets it up in `folder` with the sources of the machine and those of `suites`, and reads the lists.
    pub(super) fn new(folder: PathBuf, suites: &[&str]) -> Result<Apt> {
        let apt = Apt { folder };
        let stamp = apt.folder.join("lists-are-read");
        if is_fresh(&stamp) {
            return Ok(apt);
        }
        remove_tree(&apt.folder).context("old package lists cannot be removed")?;
        for name in ["sources", "lists/partial", "cache/archives/partial"] {
            make_dir(&apt.folder.join(name))?;
        }
        for (number, source) in machine_sources()?.iter().enumerate() {
            let text =
                fs::read_to_string(source).with_context(|| format!("{} cannot be read", source.display()))?;
            let kind = source.extension().and_then(|kind| kind.to_str()).unwrap_or("list");
            let write = |name: &str, text: &str| {
                let path = apt.folder.join("sources").join(format!("{name}.{kind}"));
                fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
            };
            write(&format!("machine-{number}"), &text)?;
            for suite in suites {
                write(&format!("{suite}-{number}"), &of_suite(&text, &code_name()?, suite, kind))?;
            }
        }
        shell::run(apt.command("apt-get").args(["update", "-qq"])).context("package lists cannot be read")?;
        fs::write(&stamp, "").with_context(|| format!("{} cannot be written", stamp.display()))?;
        Ok(apt)
    }

    /// Installs packages, from `suite` where it has them.
    pub(super) fn install(&self, suite: &str, packages: &[&str]) -> Result<()> {
        let mut command = self.command("apt-get");
        command.args(["install", "-y", "-qq", "--no-install-recommends", "-t", suite]).args(packages);
        shell::read(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
    }

    /// The names of the packages whose name matches a regular expression.
    pub(super) fn search(&self, expression: &str) -> Result<Vec<String>> {
        let text = shell::read(self.command("apt-cache").args(["search", "--names-only", expression]))?;
        Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// The names of the packages that this one cannot do without.
    pub(super) fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let text = shell::read(self.command("apt-cache").args(["depends", "--important", package]))?;
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads a package and unpacks it into `place`, without installing it.
    pub(super) fn unpack(&self, package: &str, place: &Path) -> Result<()> {
        let folder = self.folder.join("download");
        remove_tree(&folder).context("an old download cannot be removed")?;
        make_dir(&folder)?;
        let mut download = self.command("apt-get");
        shell::read(download.args(["download", "-qq", package]).current_dir(&folder))
            .with_context(|| format!("the package {package} cannot be downloaded"))?;
        let files = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let Some(file) = files.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some())
        else {
            bail!("apt-get download {package} left no file in {}", folder.display());
        };
        shell::run(Command::new("dpkg").arg("-x").arg(&file).arg(place))?;
        remove_tree(&folder).context("a download cannot be removed")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, place) in
            [("Dir::Etc::SourceParts", "sources"), ("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")]
        {
            command.arg("-o").arg(format!("{option}={}", self.folder.join(place).display()));
        }
        // The folder is inside the build folder, which apt's own user need not be able to enter.
        command.args(["-o", "Dir::Etc::SourceList=/dev/null", "-o", "APT::Sandbox::User=root"]);
        // An archive that answers badly now and then is asked again (apt waits longer each time).
        command.args(["-o", "Acquire::Retries=5"]);
        command
    }
}

/// The code name of the machine's release, whose backports are meant.
pub(super) fn code_name() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("/etc/os-release cannot be read")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name
        .context("/etc/os-release has no VERSION_CODENAME: this is no Debian")?
        .trim_matches('"')
        .to_owned())
}

fn is_fresh(stamp: &Path) -> bool {
    let made = fs::metadata(stamp).and_then(|meta| meta.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < FRESH))
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))
}

/// The distribution's own files of sources, not those of third parties.
fn machine_sources() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> =
        ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"].map(PathBuf::from).into();
    found.retain(|path| path.is_file());
    if found.is_empty() {
        bail!("neither /etc/apt/sources.list.d/debian.sources nor /etc/apt/sources.list is there");
    }
    Ok(found)
}

/// The sources of `release` in a text, turned into those of another suite of the same archive.
fn of_suite(text: &str, release: &str, suite: &str, kind: &str) -> String {
    if kind != "sources" {
        let lines = text.lines().filter(|line| line.starts_with("deb "));
        let of_release = lines.filter(|line| line.split_whitespace().any(|word| word == release));
        return of_release
            .map(|line| line.replacen(&format!(" {release} "), &format!(" {suite} "), 1) + "\n")
            .collect();
    }
    let stanzas = text.split("\n\n").filter(|stanza| {
        let mut suites = stanza.lines().filter_map(|line| line.strip_prefix("Suites:"));
        suites.any(|names| names.split_whitespace().any(|name| name == release))
    });
    let mut made = String::new();
    for stanza in stanzas {
        for line in stanza.lines() {
            made.push_str(&if line.starts_with("Suites:") {
                format!("Suites: {suite}")
            } else {
                line.to_owned()
            });
            made.push('\n');
        }
        made.push('\n');
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_of_the_release_becomes_one_of_another_suite() {
        let text = "Types: deb\nURIs: file:/a\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
            Types: deb\nURIs: file:/b\nSuites: bookworm-security\nComponents: main\n";
        assert_eq!(
            of_suite(text, "bookworm", "bookworm-backports", "sources"),
            "Types: deb\nURIs: file:/a\nSuites: bookworm-backports\nComponents: main\n\n"
        );
    }

    #[test]
    fn so_does_a_line_of_the_old_form() {
        let text = "# deb file:/c bookworm main\ndeb [trusted=yes] file:/a bookworm main\ndeb file:/b bookworm-security main\n";
        assert_eq!(
            of_suite(text, "bookworm", "trixie-backports", "list"),
            "deb [trusted=yes] file:/a trixie-backports main\n"
        );
    }

    #[test]
    fn lists_that_were_never_read_are_not_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = dir.path().join("stamp");
        assert!(!is_fresh(&stamp));
        fs::write(&stamp, "").unwrap();
        assert!(is_fresh(&stamp));
    }
}
