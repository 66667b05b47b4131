//! `version`: which engine this is, and what it stands on.

use crate::bundle::OCI_VERSION;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::info;
use std::process::{Command, Stdio};
use tinyd_engine::VersionInfo;

impl Core {
    pub(crate) fn version(&self) -> Result<VersionInfo> {
        let path = self.runtime()?;
        let output = Command::new(&path)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|source| Error::file("run", &path, source))?;
        Ok(VersionInfo {
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            runtime: number(&String::from_utf8_lossy(&output.stdout)),
            runtime_path: path.display().to_string(),
            oci: OCI_VERSION.to_owned(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cgroup: info::version(self.cgroups()?).to_owned(),
            arch: arch(std::env::consts::ARCH).to_owned(),
        })
    }
}

/// The version in what a program says of itself: `tinyd-runtime version 0.1.0`.
fn number(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    let word =
        first.split_ascii_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    word.unwrap_or("unknown").to_owned()
}

/// A machine in Docker's words.
fn arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_versions_and_machines() {
        assert_eq!(number("tinyd-runtime version 0.1.0\nspec: 1.2.0\n"), "0.1.0");
        assert_eq!(number("tinyd-runtime 1.2.3-rc1"), "1.2.3-rc1");
        assert_eq!(number(""), "unknown");
        assert_eq!((arch("x86_64"), arch("riscv64")), ("amd64", "riscv64"));
    }
}
