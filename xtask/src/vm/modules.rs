//! Which kernel modules the guest loads, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{ledger, shell};

/// The modules that are wanted for themselves.
pub(super) const WANTED: &str = include_str!("modules.txt");

/// The files of the wanted modules of a kernel and of those they depend on, in the order in which they are to be loaded.
pub(super) fn in_order(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    collect(&folder.join("kernel"), &mut files)?;
    let mut order = Order { files: &files, seen: BTreeSet::new(), done: Vec::new() };
    for name in ledger::ids(WANTED) {
        order.visit(&name, &dependencies)?;
    }
    Ok(order.done)
}

fn dependencies(file: &Path) -> Result<Vec<String>> {
    let text = shell::read(Command::new("modinfo").args(["-F", "depends"]).arg(file))?;
    Ok(text.trim().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

struct Order<'a> {
    files: &'a BTreeMap<String, PathBuf>,
    seen: BTreeSet<String>,
    done: Vec<PathBuf>,
}

impl Order<'_> {
    /// Puts a module behind all that it depends on. One without a file is part of the kernel.
    fn visit(&mut self, name: &str, dependencies: &impl Fn(&Path) -> Result<Vec<String>>) -> Result<()> {
        let name = plain(name);
        let Some(file) = self.files.get(&name) else { return Ok(()) };
        if self.seen.insert(name) {
            for needed in dependencies(file)? {
                self.visit(&needed, dependencies)?;
            }
            self.done.push(file.clone());
        }
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(plain(name), path);
        }
    }
    Ok(())
}

/// A file may be called with hyphens what its module is called with underscores.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let names = ["a", "b_c", "d"];
        let files: BTreeMap<_, _> =
            names.iter().map(|name| ((*name).to_owned(), PathBuf::from(name))).collect();
        let needs = |file: &Path| {
            let of = if file == Path::new("a") { &["b-c", "d"][..] } else { &["d", "built_in"] };
            Ok(if file == Path::new("d") { Vec::new() } else { of.iter().map(|s| (*s).to_owned()).collect() })
        };
        let mut order = Order { files: &files, seen: BTreeSet::new(), done: Vec::new() };
        order.visit("a", &needs).unwrap();
        order.visit("b_c", &needs).unwrap();
        assert_eq!(order.done, ["d", "b_c", "a"].map(PathBuf::from));
    }

    #[test]
    fn the_list_is_read() {
        let names = ledger::ids(WANTED);
        assert!(
            names.contains(&"overlay".to_owned()) && names.iter().all(|name| !name.contains(' ')),
            "{names:?}"
        );
    }
}
