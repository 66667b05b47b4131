//! The guest's kernel: a package of the distribution that is unpacked and not installed.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use tinyd_tests::remove::remove_tree;

use super::apt::{self, Apt};

/// Where kernels are looked for beside the machine's release: its backports, and those of a newer one. A kernel is
/// unpacked alone, so its release need not be the machine's.
const NEWER: &str = "trixie-backports";

/// The start and the end of the names of the full flavour (that for clouds has no 9p).
const PREFIX: &str = "linux-image-";
const SUFFIX: &str = "-amd64";

/// How many kernels are tried before nothing is had.
const MOST_TRIED: usize = 4;

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
    let offered = match lookup(wanted, folder) {
        Ok(names) => names,
        // Without a network what was fetched before serves.
        Err(err) => match newest_first(&cached(&kernels), wanted) {
            names if names.is_empty() => return Err(err),
            names => {
                println!("no newer kernel can be looked for: {err:#}");
                names
            }
        },
    };
    first_that_comes(&offered, |name| {
        let place = kernels.join(name);
        if !place.is_dir() {
            fetch(name, folder, &place)?;
        }
        in_folder(&place)
    })
}

/// An archive that is being renewed names packages before it has all of their parts: then the next older kernel serves.
fn first_that_comes<T>(names: &[String], get: impl Fn(&str) -> Result<T>) -> Result<T> {
    let mut first_failure = None;
    for name in names.iter().take(MOST_TRIED) {
        match get(name) {
            Ok(got) => return Ok(got),
            Err(err) => {
                println!("{name} cannot be had: {err:#}");
                first_failure.get_or_insert(err);
            }
        }
    }
    Err(first_failure.unwrap_or_else(|| anyhow!("no kernel is known")))
}

/// The names of the kernels that are offered, the newest first.
fn lookup(wanted: Option<&str>, folder: &Path) -> Result<Vec<String>> {
    let apt = apt(folder)?;
    let names = newest_first(&apt.search(&format!("^{PREFIX}[0-9].*{SUFFIX}$"))?, wanted);
    if names.is_empty() {
        bail!("apt knows no package {PREFIX}{}…{SUFFIX}", wanted.unwrap_or_default());
    }
    Ok(names)
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

/// Those of these packages that are of the full flavour and of the version that was asked for, the newest first.
fn newest_first(names: &[String], wanted: Option<&str>) -> Vec<String> {
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
    let mut found: Vec<String> = found.cloned().collect();
    found.sort_by(|a, b| compare(b, a));
    found
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
        let found = |wanted| newest_first(&names(), wanted);
        assert_eq!(found(None)[0], "linux-image-6.12.86+deb12-amd64");
        assert_eq!(found(Some("6.1")), ["linux-image-6.1.0-48-amd64", "linux-image-6.1.0-9-amd64"]);
        assert_eq!(found(Some("6.12.9")), ["linux-image-6.12.9+deb12-amd64"]);
        assert!(found(Some("5.10")).is_empty());
    }

    #[test]
    fn an_older_one_serves_where_the_newest_cannot_be_had() {
        let names = ["c", "b", "a", "0", "never"].map(str::to_owned);
        let had = |wanted: &'static str| {
            first_that_comes(&names, |name| if name == wanted { Ok(name.len()) } else { bail!("no {name}") })
        };
        assert_eq!(had("a").unwrap(), 1);
        assert_eq!(had("never").unwrap_err().to_string(), "no c");
        assert!(first_that_comes(&[], |_| Ok(())).is_err());
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
