//! The guest's disks: images with an ext4 that holds a folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tinyd_tests::{packages, remove::remove_tree, roots};

use crate::shell;

/// How large an image looks; only what is written to takes space.
const BYTES: u64 = 4 << 30;
/// Raised when the making of the system changes.
const EDITION: u32 = 4;

/// What the guest's kernel has servers and file systems for, and the machines of developers have not.
const SERVERS: [&str; 7] =
    ["btrfs-progs", "e2fsprogs", "xfsprogs", "quota", "nfs-kernel-server", "cifs-utils", "samba"];

/// What makes a system whose first process is systemd.
const SYSTEMD: [&str; 2] = ["systemd", "dbus"];
/// The unit that such a system is booted for, and the folder of units.
pub(super) const UNIT: &str = "tinyd-tests.service";
const UNITS: &str = "etc/systemd/system";
const UNIT_TEXT: &str = include_str!("tinyd-tests.service");

/// The guest's system: the Debian root of the tests, of this machine's own release, so that what was linked here runs
/// there. A run never writes to the image.
pub(super) fn system(folder: &Path, systemd: bool) -> Result<PathBuf> {
    let (name, packages) = if systemd { ("systemd", &SYSTEMD[..]) } else { ("system", &SERVERS[..]) };
    let place = folder.join(format!("{name}-{EDITION}.ext4"));
    if place.is_file() {
        return Ok(place);
    }
    println!("making the guest's system");
    packages::ensure(&["/usr/bin/mmdebstrap"], "mmdebstrap").context("mmdebstrap cannot be installed")?;
    let root = roots::debian_with(packages);
    let tree = folder.join("system.unfinished");
    remove_tree(&tree).context("an unfinished system cannot be removed")?;
    shell::run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&root).arg(&tree))?;
    for name in ["vm", "share"] {
        fs::create_dir_all(tree.join(name)).with_context(|| format!("/{name} cannot be made"))?;
    }
    if systemd {
        let unit = tree.join(UNITS).join(UNIT);
        fs::write(&unit, UNIT_TEXT).with_context(|| format!("{} cannot be written", unit.display()))?;
        // Without one it is a system's first boot, at which somebody is asked for the language.
        fs::write(tree.join("etc/machine-id"), "74696e79640000000000000000000001\n")
            .context("no machine id can be written")?;
    }
    image(&tree, &place)?;
    remove_tree(&tree).context("the system's folder cannot be removed")?;
    Ok(place)
}

/// Makes an image of a folder; an interrupted making leaves nothing under its name.
pub(super) fn image(tree: &Path, place: &Path) -> Result<()> {
    let unfinished = place.with_extension("new");
    let file =
        File::create(&unfinished).with_context(|| format!("{} cannot be made", unfinished.display()))?;
    file.set_len(BYTES).with_context(|| format!("{} cannot be made large", unfinished.display()))?;
    let mut command = Command::new("/sbin/mkfs.ext4");
    command.args(["-q", "-F", "-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1", "-d"]);
    shell::run(command.arg(tree).arg(&unfinished))?;
    fs::rename(&unfinished, place).with_context(|| format!("{} cannot be made", place.display()))
}
