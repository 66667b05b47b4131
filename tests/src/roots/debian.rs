//! A Debian root of the machine's own release, from the machine's own package sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages;

pub(super) fn make(folder: &Path, include: &[&str]) -> io::Result<()> {
    packages::ensure(&["/usr/bin/mmdebstrap"], "mmdebstrap")?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
    // Documentation is a third of the files, and nothing here survives a power loss anyway.
    command.args(["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]);
    command.args(["--dpkgopt=force-unsafe-io", "--aptopt=Acquire::Languages \"none\""]);
    if !include.is_empty() {
        command.arg(format!("--include={}", include.join(",")));
    }
    command.arg(release()?).arg(folder).args(sources()?);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("mmdebstrap failed ({}):\n{said}", output.status)));
    }
    Ok(())
}

/// The code name of the running release.
fn release() -> io::Result<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    code_name(&text)
        .ok_or_else(|| io::Error::other("/etc/os-release has no VERSION_CODENAME: this is no Debian"))
}

fn code_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// The files that say where packages come from; mmdebstrap reads both forms.
fn sources() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let plain = PathBuf::from("/etc/apt/sources.list");
    // Newer releases leave it behind as a comment only.
    if fs::read_to_string(&plain)
        .is_ok_and(|text| text.lines().any(|line| line.trim_start().starts_with("deb ")))
    {
        found.push(plain);
    }
    let distribution = |name: &str| name == "debian.sources" || name == "ubuntu.sources";
    for entry in fs::read_dir("/etc/apt/sources.list.d")?.flatten() {
        // Not those of third parties: their keys are not in the new root.
        if entry.file_name().to_str().is_some_and(distribution) {
            found.push(entry.path());
        }
    }
    if found.is_empty() { Err(io::Error::other("/etc/apt names no package source")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_name_is_read_with_and_without_quotes() {
        assert_eq!(code_name("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(), Some("bookworm"));
        assert_eq!(code_name("VERSION_CODENAME=\"noble\"\n").as_deref(), Some("noble"));
        assert_eq!(code_name("ID=arch\n"), None);
    }
}
