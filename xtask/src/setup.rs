//! What the tests need of the distribution, installed where it is missing.

use anyhow::{Context, Result};
use rustix::process::geteuid;
use tinyd_tests::packages;

/// A file that proves that a package is there, and the package.
const NEEDED: [(&[&str], &str); 23] = [
    (&["/var/lib/dpkg/info/busybox-static.list"], "busybox-static"),
    (&["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"], "iproute2"),
    (&["/usr/sbin/nft"], "nftables"),
    (&["/usr/lib/cni/bridge"], "containernetworking-plugins"),
    (&["/usr/sbin/iptables-save", "/sbin/iptables-save"], "iptables"),
    (&["/usr/bin/strace"], "strace"),
    (&["/usr/sbin/runc", "/usr/bin/runc"], "runc"),
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
    (&["/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs"], "btrfs-progs"),
    (&["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"], "e2fsprogs"),
];

/// Installs what is missing, by one call of apt; as another user than root it only says what is.
pub(crate) fn run() -> Result<()> {
    let missing = missing(|file| std::path::Path::new(file).exists());
    if missing.is_empty() {
        return Ok(());
    }
    if !geteuid().is_root() {
        println!("not installed (not root): {}", missing.join(" "));
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    packages::install(&missing).context("the packages that the tests need cannot be installed")
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
