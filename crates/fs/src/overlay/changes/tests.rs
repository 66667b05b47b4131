//! What is said is compared with what was done through a mounted overlay.

use super::*;
use crate::mount::private_namespace;
use crate::overlay::{Overlay, Writable, needs_user_xattrs};
use rustix::mount::MountAttrFlags;
use std::fs;

struct Layers {
    folder: tempfile::TempDir,
    lowers: Vec<PathBuf>,
}

impl Layers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["upper", "work", "merged", "top", "bottom"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let lowers = ["top", "bottom"].map(|name| folder.path().join(name)).to_vec();
        Self { folder, lowers }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Does something in the merged tree.
    fn through(&self, work: impl FnOnce(&Path) + Send) {
        let (upper, work_folder) = (self.path("upper"), self.path("work"));
        let merged = self.path("merged");
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                private_namespace().unwrap();
                let overlay = Overlay {
                    lowers: &self.lowers,
                    writable: Writable { upper: &upper, work: &work_folder, volatile: false },
                    attributes: MountAttrFlags::empty(),
                    idmap: None,
                    user_xattrs: needs_user_xattrs(),
                };
                let mounted = overlay.mount(|_, call| call()).unwrap();
                mounted.mount.attach(open(&merged).unwrap().as_fd()).unwrap();
                work(&merged);
            });
            done.join().unwrap();
        });
    }

    fn changes(&self) -> Vec<String> {
        let letter = |kind| match kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        let changes = changes(&self.lowers, &self.path("upper")).unwrap();
        changes.iter().map(|change| format!("{} {}", letter(change.kind), change.path.display())).collect()
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED (needs root)");
    }
    root
}

#[test]
fn root_what_was_added_changed_and_removed_is_said() {
    if !is_root() {
        return;
    }
    let layers = Layers::new();
    for folder in ["bottom/etc/deep", "bottom/var/log", "bottom/gone/below", "top/both", "bottom/both"] {
        fs::create_dir_all(layers.path(folder)).unwrap();
    }
    for file in ["bottom/etc/passwd", "bottom/etc/hosts", "bottom/var/log/old", "bottom/gone/below/f"] {
        fs::write(layers.path(file), "text").unwrap();
    }
    fs::write(layers.path("top/both/a"), "").unwrap();
    fs::write(layers.path("bottom/both/b"), "").unwrap();
    fs::create_dir(layers.path("bottom/both/sub")).unwrap();
    fs::write(layers.path("bottom/both/sub/c"), "").unwrap();
    fs::write(layers.path("bottom/z-file"), "").unwrap();
    std::os::unix::fs::symlink("etc", layers.path("bottom/link")).unwrap();
    assert_eq!(layers.changes(), Vec::<String>::new());
    layers.through(|root| {
        fs::write(root.join("etc/passwd"), "other").unwrap();
        fs::create_dir_all(root.join("srv/new")).unwrap();
        fs::write(root.join("srv/new/file"), "").unwrap();
        crate::remove_tree(&root.join("gone")).unwrap();
        fs::remove_file(root.join("link")).unwrap();
        // Made anew: what was in it is hidden, not removed one by one.
        crate::remove_tree(&root.join("both")).unwrap();
        fs::create_dir(root.join("both")).unwrap();
        fs::write(root.join("both/b"), "mine").unwrap();
        fs::create_dir(root.join("both/sub")).unwrap();
        // A folder in the place of a file.
        fs::remove_file(root.join("z-file")).unwrap();
        fs::create_dir(root.join("z-file")).unwrap();
        fs::write(root.join("z-file/inside"), "").unwrap();
    });
    let expected = [
        "C both",
        "D both/a",
        "C both/b",
        "C both/sub",
        "D both/sub/c",
        "C etc",
        "C etc/passwd",
        "D gone",
        "D link",
        "A srv",
        "A srv/new",
        "A srv/new/file",
        "C z-file",
        "A z-file/inside",
    ];
    assert_eq!(layers.changes(), expected);
}

#[test]
fn root_what_a_middle_layer_hides_was_never_there() {
    if !is_root() {
        return;
    }
    let layers = Layers::new();
    fs::create_dir_all(layers.path("bottom/a/b")).unwrap();
    fs::write(layers.path("bottom/a/b/c"), "").unwrap();
    fs::write(layers.path("bottom/w"), "").unwrap();
    // A file over the folder, and the mark of a removal.
    fs::write(layers.path("top/a"), "").unwrap();
    let whiteout = rustix::fs::makedev(0, 0);
    let top = open(&layers.path("top")).unwrap();
    rustix::fs::mknodat(&top, "w", FileType::CharacterDevice, Mode::empty(), whiteout).unwrap();
    layers.through(|root| {
        fs::remove_file(root.join("a")).unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/c"), "").unwrap();
        fs::write(root.join("w"), "").unwrap();
    });
    assert_eq!(layers.changes(), ["C a", "A a/b", "A a/b/c", "A w"]);
}

/// A container must not be able to bring down whoever looks at it.
#[test]
fn root_any_depth_is_walked_and_nothing_is_held_open() {
    if !is_root() {
        return;
    }
    let layers = Layers::new();
    let depth = 3_000;
    let mut at = open(&layers.path("upper")).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", FOLDER, Mode::empty()).unwrap();
    }
    drop(at);
    let found = changes(&layers.lowers, &layers.path("upper")).unwrap();
    assert_eq!(found.len(), depth);
    assert!(found.iter().all(|change| change.kind == ChangeKind::Added));
    crate::remove_tree(&layers.path("upper")).unwrap();
}
