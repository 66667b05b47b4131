//! The guest's kernel: a package of the distribution that is unpacked and not installed.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tinyd_tests::remove::remove_tree;

use super::apt::{self, Apt};

/// Where kernels are looked for beside the machine's release: its backports, and those of a newer one. A kernel is
/// unpacked alone, so its release need not be the machine's.
const NEWER: &str = "trixie-backports";

/// The start and the end of the names of the full flavour (that for clouds has no 9p).
const PREFIX: &str = "linux-image-";
const SUFFIX: &str = "-amd64";

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What `uname -r` says when it runs.
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// The folder `lib/modules/<release>`.
    pub(super) modules: PathBuf,
}

/// Finds the kernel that was asked for, fetching it where it is not in the cache `folder` yet.
pub(super) fn find(wanted: Option<&str>, folder: &Path) -> Result<Kernel> {
    if let Some(path) = wanted.filter(|wanted| wanted.contains('/')) {
        return in_folder(Path::new(path));
    }
    let kernels = folder.join("kernels");
    let name = match lookup(wanted, folder) {
        Ok(name) => name,
        // Without a network what was fetched before serves.
        Err(err) => match newest(&cached(&kernels), wanted) {
            Some(name) => {
                println!("no newer kernel can be looked for: {err:#}");
                name
            }
            None => return Err(err),
        },
    };
    let place = kernels.join(&name);
    if !place.is_dir() {
        fetch(&name, folder, &place)?;
    }
    in_folder(&place)
}

fn lookup(wanted: Option<&str>, folder: &Path) -> Result<String> {
    let apt = apt(folder)?;
    let names = apt.search(&format!("^{PREFIX}[0-9].*{SUFFIX}$"))?;
    newest(&names, wanted).with_context(|| match wanted {
        Some(wanted) => format!("apt knows no package {PREFIX}{wanted}…{SUFFIX}"),
        None => format!("apt knows no package {PREFIX}…{SUFFIX}"),
    })
}

fn apt(folder: &Path) -> Result<Apt> {
    let own = format!("{}-backports", apt::code_name()?);
    Apt::new(folder.join("apt-kernels"), &[&own, NEWER])
}

fn fetch(name: &str, folder: &Path, place: &Path) -> Result<()> {
    println!("fetching {name}");
    let apt = apt(folder)?;
    let unfinished = folder.join("kernel.unfinished");
    remove_tree(&unfinished).context("an unfinished kernel cannot be removed")?;
    fs::create_dir_all(&unfinished).with_context(|| format!("{} cannot be made", unfinished.display()))?;
    // Newer packages are empty, and name those that hold the image and the modules.
    let version = name.trim_start_matches(PREFIX);
    let parts = apt.dependencies(name)?;
    let parts = parts.iter().map(String::as_str).filter(|part| part.ends_with(version) && *part != name);
    for part in std::iter::once(name).chain(parts) {
        apt.unpack(part, &unfinished)?;
    }
    let kernels = folder.join("kernels");
    fs::create_dir_all(&kernels).with_context(|| format!("{} cannot be made", kernels.display()))?;
    fs::rename(&unfinished, place).with_context(|| format!("{} cannot be made", place.display()))
}

/// The names of the kernels that were fetched before.
fn cached(kernels: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(kernels) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Finds image and modules where a package of either layout has them.
fn in_folder(folder: &Path) -> Result<Kernel> {
    for below in ["lib/modules", "usr/lib/modules"] {
        let Ok(entries) = fs::read_dir(folder.join(below)) else { continue };
        for modules in entries.flatten().map(|entry| entry.path()) {
            let release = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let images = [folder.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
            if let Some(image) = images.into_iter().find(|image| image.is_file()) {
                return Ok(Kernel { release, image, modules });
            }
        }
    }
    bail!("{} holds no unpacked kernel: boot/vmlinuz-X and lib/modules/X are missing", folder.display())
}

/// The newest of these packages that is of the full flavour and of the version that was asked for.
fn newest(names: &[String], wanted: Option<&str>) -> Option<String> {
    let version = |name: &str| {
        let version = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let is_full = version.split('-').all(|part| part.starts_with(|first: char| first.is_ascii_digit()));
        is_full.then(|| version.to_owned())
    };
    let is_wanted = |version: &str| {
        wanted.is_none_or(|wanted| {
            let rest = version.strip_prefix(wanted);
            // 6.1 means 6.1.0 and not 6.12.
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        })
    };
    let found = names.iter().filter(|name| version(name).is_some_and(|version| is_wanted(&version)));
    found.max_by(|a, b| compare(a, b)).cloned()
}

/// Compares names as people do: numbers in them by their value.
fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let versions = [
            "6.1.0-9-amd64",
            "6.1.0-48-amd64",
            "6.1.0-49-cloud-amd64",
            "6.12.9+deb12-amd64",
            "6.12.86+deb12-amd64",
            "6.12.90+deb12-amd64-unsigned",
            "6.12.99+deb12-rt-amd64",
        ];
        versions.iter().map(|version| format!("{PREFIX}{version}")).collect()
    }

    #[test]
    fn the_newest_of_the_full_flavour() {
        let found = |wanted| newest(&names(), wanted);
        assert_eq!(found(None).as_deref(), Some("linux-image-6.12.86+deb12-amd64"));
        assert_eq!(found(Some("6.1")).as_deref(), Some("linux-image-6.1.0-48-amd64"));
        assert_eq!(found(Some("6.12.9")).as_deref(), Some("linux-image-6.12.9+deb12-amd64"));
        assert_eq!(found(Some("5.10")), None);
    }

    #[test]
    fn both_layouts_of_a_package() {
        let dir = tempfile::tempdir().unwrap();
        assert!(in_folder(dir.path()).unwrap_err().to_string().contains("vmlinuz"));
        let modules = dir.path().join("usr/lib/modules/7.0-x");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("vmlinuz"), "").unwrap();
        assert_eq!(in_folder(dir.path()).unwrap().release, "7.0-x");
        fs::create_dir_all(dir.path().join("lib/modules/6.1-x")).unwrap();
        fs::create_dir(dir.path().join("boot")).unwrap();
        fs::write(dir.path().join("boot/vmlinuz-6.1-x"), "").unwrap();
        let kernel = in_folder(dir.path()).unwrap();
        assert_eq!((kernel.release.as_str(), kernel.image.ends_with("vmlinuz-6.1-x")), ("6.1-x", true));
    }
}
