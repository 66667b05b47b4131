//! Folders that are links every other moment.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Exchanges `folder/NAME` for each of `names`, or `d0`, `d1`, … where none are given, with links to `target`, as fast as
/// the kernel can, until `stop` is there.
pub(crate) fn run(stop: &Path, folder: &Path, target: &Path, names: &[&str]) {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if names.is_empty() {
        names =
            (0..).map(|number| format!("d{number}")).take_while(|name| folder.join(name).exists()).collect();
    }
    let mut pairs = Vec::new();
    for name in names {
        let (place, link) = (folder.join(&name), folder.join(format!("{name}-link")));
        if let Err(error) = symlink(target, &link) {
            println!("no link: {error}");
            return;
        }
        pairs.push((place, link));
    }
    println!("ready");
    let mut swaps = 0u64;
    while !stop.exists() {
        for (place, link) in &pairs {
            if renameat_with(CWD, place, CWD, link, RenameFlags::EXCHANGE).is_ok() {
                swaps += 1;
            }
        }
    }
    // The folders go back to their places, for whoever looks afterwards.
    for (place, link) in &pairs {
        if fs::symlink_metadata(place).is_ok_and(|meta| meta.is_symlink()) {
            let _ = renameat_with(CWD, place, CWD, link, RenameFlags::EXCHANGE);
        }
    }
    println!("swaps={swaps}");
}
