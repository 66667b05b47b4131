//! Archives from strangers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::place;
use tinyd_fs::archive::{Existing, Limits, Pack, Unpack, pack, unpack};
use tinyd_fs::copy::Owner;

/// What stands where a header has its format.
const MAGIC: &[u8] = b"ustar";
const BLOCK: usize = 512;

/// Unpacks the input, as it is and with the checksums of its headers mended, beside a folder that must stay as it is. What
/// was unpacked is packed, and unpacked again.
pub fn archive(data: &[u8]) {
    let place = place::of("archive");
    let mended = mended(data);
    for (data, existing) in [
        (data, Existing::Replace),
        (&mended, Existing::ReplaceFolders),
        (&mended, Existing::Replace),
        (&mended, Existing::Refuse),
    ] {
        hold(&place, data, existing);
        tinyd_fs::remove_tree(&place).expect("the folder is there");
    }
}

fn hold(place: &Path, data: &[u8], existing: Existing) {
    let (root, decoy, again) = (place.join("root"), place.join("decoy"), place.join("again"));
    for folder in [&root, &decoy, &again] {
        fs::create_dir_all(folder).expect("a folder on tmpfs");
    }
    fs::write(decoy.join("file"), "the host's").expect("a file on tmpfs");
    let before = tree(&decoy);
    // Also without being root.
    let (uid, gid) =
        (fs::metadata(&root).expect("it is there").uid(), fs::metadata(&root).expect("it is there").gid());
    let map = |_: Owner| Owner { uid, gid };
    let limits = Limits { bytes: 1 << 20, entries: 200 };
    let options = Unpack { map: Some(&map), existing, limits, ..Unpack::default() };
    let result = unpack(data, File::open(&root).expect("it is there").as_fd(), &options);
    assert_eq!(tree(&decoy), before, "something outside the root was changed");
    assert_eq!(fs::read_dir(place).expect("it is there").count(), 3, "something outside the root was made");
    if result.is_err() {
        return;
    }
    let mut bytes = Vec::new();
    let root_fd = File::open(&root).expect("it is there");
    if let Err(error) = pack(root_fd.as_fd(), &[], &mut bytes, &Pack::default()) {
        // Modes may forbid it to whoever is not root.
        assert!(
            error.io().is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied),
            "{error:?}"
        );
        return;
    }
    let options = Unpack { map: Some(&map), ..Unpack::default() };
    unpack(&bytes[..], File::open(&again).expect("it is there").as_fd(), &options)
        .expect("what was packed can be unpacked");
    assert_eq!(tree(&root), tree(&again), "it is another tree after a second time");
}

/// Type and mode, size, and modification time of each entry.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        if meta.is_dir() {
            let Ok(entries) = fs::read_dir(&path) else { continue };
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        }
        let size = if meta.is_dir() { 0 } else { meta.size() };
        let path = path.strip_prefix(root).expect("it is below").to_owned();
        found.insert(path, (meta.mode(), size, meta.mtime()));
    }
    found
}

/// Without it, whatever is changed in a header would be found by its checksum, and nothing else be tried.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for block in data.chunks_exact_mut(BLOCK).filter(|block| block[257..].starts_with(MAGIC)) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    data
}
