//! What the tests need of the distribution, installed where it is missing.

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use std::fs;
use std::path::Path;
use std::process::Command;
use tinyd_tests::{packages, paths};

use crate::shell;

const LOCK: &str = "package-lock.json";
const REQUIREMENTS: &str = "requirements.txt";

/// A file that proves that a package is there, and the package.
const NEEDED: [(&[&str], &str); 34] = [
    (&["/var/lib/dpkg/info/busybox-static.list"], "busybox-static"),
    (&["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"], "iproute2"),
    (&["/usr/sbin/nft"], "nftables"),
    (&["/usr/lib/cni/bridge"], "containernetworking-plugins"),
    (&["/usr/sbin/iptables-save", "/sbin/iptables-save"], "iptables"),
    (&["/usr/bin/strace"], "strace"),
    (&["/usr/sbin/runc", "/usr/bin/runc"], "runc"),
    // The engines that use our runtime.
    (&["/usr/bin/podman"], "podman"),
    (&["/usr/libexec/podman/conmon", "/usr/bin/conmon"], "conmon"),
    (&["/usr/bin/containerd"], "containerd"),
    (&["/usr/sbin/dockerd"], "docker.io"),
    (&["/usr/bin/setsid"], "util-linux"),
    (&["/usr/bin/mmdebstrap"], "mmdebstrap"),
    (&["/usr/bin/cc"], "gcc"),
    // Volumes of plugins and servers. Some bring services that start with the machine, which no test uses.
    (&["/usr/bin/rclone"], "rclone"),
    (&["/usr/bin/fusermount3"], "fuse3"),
    (&["/usr/bin/sshfs"], "sshfs"),
    (&["/usr/sbin/sshd"], "openssh-server"),
    (&["/usr/bin/s3fs"], "s3fs"),
    (&["/usr/bin/swift-proxy-server"], "swift-proxy"),
    (&["/usr/bin/swift-account-server"], "swift-account"),
    (&["/usr/bin/swift-container-server"], "swift-container"),
    (&["/usr/bin/swift-object-server"], "swift-object"),
    (&["/usr/sbin/mount.nfs", "/sbin/mount.nfs"], "nfs-common"),
    (&["/usr/sbin/mount.cifs", "/sbin/mount.cifs"], "cifs-utils"),
    (&["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"], "e2fsprogs"),
    (&["/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs"], "btrfs-progs"),
    // Shells that complete command lines, and what reads manual pages.
    (&["/usr/bin/zsh", "/bin/zsh"], "zsh"),
    (&["/usr/bin/fish"], "fish"),
    (&["/usr/bin/mandoc"], "mandoc"),
    // The web page is looked at in a real browser.
    (&["/usr/bin/chromium"], "chromium"),
    (&["/usr/bin/node", "/usr/local/bin/node"], "nodejs"),
    (&["/usr/bin/npm", "/usr/local/bin/npm"], "npm"),
    // And the daemon is asked by a client in another language.
    (&["/var/lib/dpkg/info/python3-venv.list"], "python3-venv"),
];

/// Installs what is missing, by one call each of apt, npm and pip; as another user than root it only says what is.
pub(crate) fn run() -> Result<()> {
    let missing = missing(|file| Path::new(file).exists());
    if !geteuid().is_root() {
        if !missing.is_empty() {
            println!("not installed (not root): {}", missing.join(" "));
        }
        return Ok(());
    }
    if !missing.is_empty() {
        println!("installing {}", missing.join(" "));
        packages::install(&missing).context("the packages that the tests need cannot be installed")?;
    }
    browser_packages().context("the packages of the browser tests cannot be installed")?;
    python_packages().context("the packages of the client in Python cannot be installed")
}

/// Those that `tests/browser/package-lock.json` names, into the build folder, unless they are there.
fn browser_packages() -> Result<()> {
    let (from, to) = (paths::workspace().join("tests/browser"), paths::browser());
    let wanted = fs::read(from.join(LOCK))?;
    if to.join("node_modules").is_dir() && fs::read(to.join(LOCK)).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    fs::copy(from.join("package.json"), to.join("package.json"))?;
    fs::write(to.join(LOCK), &wanted)?;
    let done = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&to)
        .status()
        .context("run npm")?;
    if !done.success() {
        let _ = fs::remove_file(to.join(LOCK));
        bail!("npm ci in {}: {done}", to.display());
    }
    Ok(())
}

/// Those that `tests/python/requirements.txt` names, into an environment of the build folder, unless they are there.
fn python_packages() -> Result<()> {
    let wanted = paths::workspace().join("tests/python").join(REQUIREMENTS);
    let python = paths::python();
    let folder = python.ancestors().nth(2).context("the interpreter lies in an environment")?;
    let installed = folder.join(REQUIREMENTS);
    if python.is_file()
        && fs::read(&installed).is_ok_and(|there| fs::read(&wanted).is_ok_and(|text| text == there))
    {
        return Ok(());
    }
    shell::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "-r",
    ]);
    shell::run(pip.arg(&wanted))?;
    // Last: it says that all of them are there.
    fs::copy(&wanted, &installed).map(drop).with_context(|| format!("cannot write {}", installed.display()))
}

fn missing(exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let absent = NEEDED.iter().filter(|(files, _)| !files.iter().any(|file| exists(file)));
    absent.map(|(_, package)| *package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing(|_| false).len(), NEEDED.len());
        assert_eq!(missing(|file| file != "/usr/sbin/nft"), ["nftables"]);
    }
}
