//! The guest's first file system: busybox, the modules, and a script that mounts the rest.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tinyd_tests::remove::remove_tree;

use super::kernel::Kernel;
use super::modules;
use crate::shell;

const INIT: &str = include_str!("init.sh");
/// What the script expects to be there.
const FOLDERS: [&str; 6] = ["bin", "dev", "modules", "proc", "sys", "system"];

/// Gives the archive for this kernel; it is made when there is none of the present script and list in `folder`.
pub(super) fn make(kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (INIT, modules::WANTED, &kernel.modules).hash(&mut hasher);
    let place = folder.join(format!("initramfs-{}-{:016x}", kernel.release, hasher.finish()));
    if !place.is_file() {
        let tree = folder.join("initramfs.unfinished");
        remove_tree(&tree).context("an unfinished initramfs cannot be removed")?;
        fill(kernel, &tree).with_context(|| format!("{} cannot be filled", tree.display()))?;
        let archive = folder.join("initramfs.new");
        // Not compressed: unpacking costs an emulated processor more than reading.
        let script = "find . | cpio --quiet --create --format=newc --owner=0:0 >\"$1\"";
        shell::run(Command::new("sh").args(["-ec", script, "sh"]).arg(&archive).current_dir(&tree))?;
        remove_tree(&tree).context("the initramfs's folder cannot be removed")?;
        fs::rename(&archive, &place).with_context(|| format!("{} cannot be made", place.display()))?;
    }
    Ok(place)
}

fn fill(kernel: &Kernel, tree: &Path) -> Result<()> {
    for name in FOLDERS {
        fs::create_dir_all(tree.join(name))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox"))?;
    fs::write(tree.join("init"), INIT)?;
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    for (number, file) in modules::in_order(&kernel.modules)?.iter().enumerate() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.trim_end_matches(".xz").trim_end_matches(".zst");
        // The number makes the shell's order of names the order of loading.
        let place = tree.join("modules").join(format!("{number:03}-{plain}"));
        let unpack = match name.rsplit_once('.') {
            Some((_, "xz")) => "xz",
            Some((_, "zst")) => "zstd",
            _ => "cat",
        };
        let script = format!("{unpack} {} <\"$1\" >\"$2\"", if unpack == "cat" { "" } else { "-dc" });
        shell::run(Command::new("sh").args(["-ec", &script, "sh"]).arg(file).arg(&place))?;
    }
    Ok(())
}
