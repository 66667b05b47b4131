//! `cargo xtask build`: both programs for release, static where that can be linked.
//!
//! The linking of the client is the largest single cost in the start of a container, and a monitor shares its text with
//! the others only when it is static. A static program needs an own `--target`, for procedural macros must stay dynamic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tinyd_tests::paths;

use crate::shell;
use crate::workspace::cargo;

/// The programs, each with a command that proves that it runs.
const PROGRAMS: [(&str, &str); 2] = [("tinyd", "version"), ("tinyd-runtime", "--version")];

/// Static, and linked for one address: a program that can lie anywhere writes some ten thousand pointers into its data
/// before its first step, and so gets 90 pages of its own at each start (ADR 19).
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

/// Builds, and leaves the programs in `release` of the build folder.
pub(crate) fn run() -> Result<()> {
    let made = match build_static() {
        Ok(kind) => kind,
        Err(reason) => {
            shell::run(cargo().args(["build", "--release", "--package", "tinyd", "--bins"]))?;
            format!("dynamic ({reason:#})")
        }
    };
    let release = paths::target().join("release");
    prove(&release)?;
    for (program, _) in PROGRAMS {
        let path = release.join(program);
        let size = fs::metadata(&path).with_context(|| format!("{} was not built", path.display()))?.len();
        println!("{}: {made}, {} KiB", path.display(), size / 1024);
    }
    Ok(())
}

/// Gives the kind that was made, or why none could be.
fn build_static() -> Result<String> {
    let (triple, kind) = static_target()?;
    let folder = paths::target().join("static");
    let mut command = cargo();
    command.args(["build", "--release", "--package", "tinyd", "--bins", "--target", &triple]);
    command.env("CARGO_TARGET_DIR", &folder);
    command.env("RUSTFLAGS", FLAGS);
    shell::run(&mut command)?;
    let made = folder.join(&triple).join("release");
    prove(&made)?;
    let release = paths::target().join("release");
    fs::create_dir_all(&release).with_context(|| format!("cannot make {}", release.display()))?;
    for (program, _) in PROGRAMS {
        replace(&made.join(program), &release.join(program))?;
    }
    Ok(kind)
}

/// The musl target of this machine where rustup has it (its programs start faster), else the machine's own.
fn static_target() -> Result<(String, String)> {
    let text = shell::read(Command::new("rustc").arg("-vV"))?;
    let host = host(&text).context("rustc -vV names no host")?.to_owned();
    let musl = host.replace("-gnu", "-musl");
    let folder = shell::read(Command::new("rustc").args(["--print", "target-libdir", "--target", &musl]));
    let has_musl = folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir());
    Ok(if has_musl { (musl, "static musl".into()) } else { (host, "static gnu".into()) })
}

fn host(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("host: "))
}

fn prove(folder: &Path) -> Result<()> {
    for (program, argument) in PROGRAMS {
        shell::read(Command::new(folder.join(program)).arg(argument))
            .context("a program that was built does not run")?;
    }
    Ok(())
}

/// Puts a program in the place of one that may be running: it cannot be written to, but its name can be taken over.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let fresh = PathBuf::from(format!("{}.new", to.display()));
    fs::copy(from, &fresh)
        .with_context(|| format!("cannot copy {} to {}", from.display(), fresh.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot put {} in place", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_from_rustc() {
        assert_eq!(host("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n"), Some("x86_64-unknown-linux-gnu"));
        assert!(static_target().is_ok());
    }

    #[test]
    fn a_program_is_replaced_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("program");
        fs::copy("/bin/sleep", &place).unwrap();
        let mut child = Command::new(&place).arg("300").spawn().unwrap();
        let replaced = replace(Path::new("/bin/true"), &place);
        child.kill().unwrap();
        child.wait().unwrap();
        replaced.unwrap();
        assert!(shell::works(&mut Command::new(&place)));
    }
}
