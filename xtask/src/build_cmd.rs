//! `cargo xtask build`: both programs for release, static where that can be linked.
//!
//! The linking of the client is the largest single cost in the start of a container, and a monitor shares its text with
//! the others only when it is static. A static program needs an own `--target`, for procedural macros must stay dynamic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tinyd_tests::paths;

use crate::shell;
use crate::workspace::cargo;

/// A program, and how it is built.
struct Program {
    name: &'static str,
    package: &'static str,
    profile: &'static str,
    /// Whether it is linked with musl where rustup has that: it starts in half the time (ADR 41). It must have no C of its own,
    /// for which a compiler would be needed.
    musl: bool,
}

const PROGRAMS: [Program; 2] = [
    Program { name: "tinyd", package: "tinyd", profile: "release", musl: false },
    Program { name: "tinyd-runtime", package: "tinyd-program", profile: "small", musl: true },
];

/// The most bytes that the small program may have where it is linked for size: as many lie in memory for each container (ADR 41).
const MOST: u64 = 1_500_000;

/// Static, and linked for one address: a program that can lie anywhere writes some ten thousand pointers into its data
/// before its first step, and so gets 90 pages of its own at each start (ADR 19).
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

/// The kind that is linked for size.
const MUSL: &str = "static musl";

/// Builds, and leaves the programs in `release` of the build folder.
pub(crate) fn run() -> Result<()> {
    fetch_musl()?;
    for program in &PROGRAMS {
        let made = match build_static(program) {
            Ok(kind) => kind.to_owned(),
            Err(reason) => {
                build_dynamic(program)?;
                format!("dynamic ({reason:#})")
            }
        };
        let path = paths::target().join("release").join(program.name);
        prove(&path)?;
        let size = fs::metadata(&path).with_context(|| format!("{} was not built", path.display()))?.len();
        ensure!(made != MUSL || size <= MOST, "{} has {size} bytes, more than {MOST}", path.display());
        println!("{}: {made}, {} KiB", path.display(), size / 1024);
    }
    Ok(())
}

/// Gives the kind that was made, or why none could be.
fn build_static(program: &Program) -> Result<&'static str> {
    let host = host()?;
    let musl = host.replace("-gnu", "-musl");
    let (triple, kind, flags) = match program.musl && has_target(&musl) {
        true => (musl, MUSL, format!("{FLAGS} {}", for_size(&host))),
        false => (host, "static gnu", FLAGS.to_owned()),
    };
    let folder = paths::target().join("static");
    let mut command = build(program);
    command.args(["--target", &triple]).env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", flags);
    shell::run(&mut command)?;
    let made = folder.join(&triple).join(program.profile).join(program.name);
    prove(&made)?;
    put_in_place(program, &made)?;
    Ok(kind)
}

fn build_dynamic(program: &Program) -> Result<()> {
    shell::run(&mut build(program))?;
    put_in_place(program, &paths::target().join(program.profile).join(program.name))
}

fn build(program: &Program) -> Command {
    let mut command = cargo();
    command.args(["build", "--profile", program.profile, "--package", program.package, "--bins"]);
    command
}

/// What is alike in several functions is made one; and a program whose panics abort and whose C library unwinds nothing needs no
/// tables for unwinding, a sixth of its size. What starts it refers to them; the linker that Rust brings does without.
fn for_size(host: &str) -> String {
    let alike = "-C llvm-args=-enable-machine-outliner=always -C llvm-args=-machine-outliner-reruns=2";
    let linker = shell::read(Command::new("rustc").args(["--print", "sysroot"]))
        .map(|root| Path::new(root.trim()).join("lib/rustlib").join(host).join("bin/gcc-ld"));
    let script = paths::workspace().join("xtask/src/without-unwinding.ld");
    match linker {
        Ok(linker) if linker.join("ld.lld").exists() => format!(
            "{alike} -C force-unwind-tables=no -C link-arg=-B{} -C link-arg=-fuse-ld=lld \
             -C link-arg=-Wl,--icf=all,--no-eh-frame-hdr,-O2,-T,{}",
            linker.display(),
            script.display()
        ),
        _ => alike.to_owned(),
    }
}

fn put_in_place(program: &Program, made: &Path) -> Result<()> {
    let release = paths::target().join("release");
    fs::create_dir_all(&release).with_context(|| format!("cannot make {}", release.display()))?;
    let place = release.join(program.name);
    if made == place { Ok(()) } else { replace(made, &place) }
}

/// This machine's own target.
fn host() -> Result<String> {
    let text = shell::read(Command::new("rustc").arg("-vV"))?;
    Ok(host_in(&text).context("rustc -vV names no host")?.to_owned())
}

/// Whether rustup has installed it.
fn has_target(triple: &str) -> bool {
    let folder = shell::read(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Installs the small program's target, where rustup is and can; otherwise it is built for the machine's own.
fn fetch_musl() -> Result<()> {
    let musl = host()?.replace("-gnu", "-musl");
    if !has_target(&musl) && !shell::works(Command::new("rustup").args(["target", "add", &musl])) {
        println!("{musl} cannot be installed: tinyd-runtime is built for the machine's own C library");
    }
    Ok(())
}

fn host_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("host: "))
}

/// That it runs by itself: whether the other program lies beside it yet is none of its matter.
fn prove(path: &Path) -> Result<()> {
    shell::read(Command::new(path).arg("--version"))
        .with_context(|| format!("{}, which was built, does not run", path.display()))?;
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
        assert_eq!(
            host_in("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n"),
            Some("x86_64-unknown-linux-gnu")
        );
        assert!(has_target(&host().unwrap()));
        assert!(!has_target("pdp11-unknown-unix"));
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
