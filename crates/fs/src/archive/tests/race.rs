use super::build::{archive, file};
use super::*;
use crate::listing::list;
use rustix::fs::{FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

/// Attempts; `TINYD_TEST_ROUNDS` asks for more.
fn rounds() -> usize {
    std::env::var("TINYD_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Exchanges pairs of names as fast as it goes while `work` runs.
fn exchanging(folder: &Path, pairs: &[(&'static str, &'static str)], work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let folder = File::open(folder).unwrap();
    std::thread::scope(|scope| {
        for (a, b) in pairs {
            let (folder, done) = (&folder, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let _ = renameat_with(folder, *a, folder, *b, RenameFlags::EXCHANGE);
                }
            });
        }
        // Also where an assertion fails, the others end.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _done = Done(&done);
        work();
    });
}

/// Whoever is in a container whose files are copied out (CVE-2018-15664, CVE-2023-0778).
#[test]
fn root_links_exchanged_meanwhile_put_nothing_of_the_host_into_an_archive() {
    if !is_root() {
        return;
    }
    let (folder, from, _) = two();
    let secret = folder.path().join("secret");
    fs::create_dir_all(secret.join("below")).unwrap();
    fs::write(secret.join("below/file"), "SECRET").unwrap();
    fs::create_dir_all(from.join("x/below")).unwrap();
    fs::write(from.join("x/below/file"), "mine").unwrap();
    symlink(&secret, from.join("y")).unwrap();
    fs::write(from.join("f"), "mine").unwrap();
    symlink(secret.join("below/file"), from.join("l")).unwrap();
    mknodat(File::open(&from).unwrap(), "p", FileType::Fifo, Mode::RWXU, 0).unwrap();
    let (mut whole, mut given_up) = (0, 0);
    exchanging(&from, &[("x", "y"), ("f", "l"), ("f", "p")], || {
        let source = File::open(&from).unwrap();
        for round in 0..rounds() {
            let mut bytes = Vec::new();
            let what: &[&Path] =
                if round % 2 == 0 { &[] } else { &[Path::new("x/below/file"), Path::new("f")] };
            match pack(source.as_fd(), what, &mut bytes, &Pack::default()) {
                Ok(_) => whole += 1,
                Err(_) => given_up += 1,
            }
            assert!(!bytes.windows(6).any(|window| window == b"SECRET"), "the host's file is in the archive");
        }
    });
    eprintln!("{whole} archives, {given_up} given up");
    assert!(whole > 0);
}

/// Whoever is in a container that files are copied into.
#[test]
fn root_links_exchanged_meanwhile_let_nothing_be_written_outside() {
    if !is_root() {
        return;
    }
    let (folder, _, to) = two();
    let decoy = folder.path().join("decoy");
    fs::create_dir_all(decoy.join("below")).unwrap();
    fs::write(decoy.join("below/file"), "the host's").unwrap();
    let before = list(&decoy);
    fs::create_dir_all(to.join("x/below")).unwrap();
    symlink(&decoy, to.join("y")).unwrap();
    symlink("../decoy", to.join("z")).unwrap();
    let with_folders = archive(&[
        super::build::folder("x").bytes(),
        super::build::folder("x/below").bytes(),
        file("x/below/file", "mine").bytes(),
        super::build::hard_link("x/below/link", "x/below/file").bytes(),
        super::build::symlink("x/below/symlink", "file").bytes(),
        super::build::folder("x/below/folder").bytes(),
    ]);
    // Here nothing says that `x` is to be a folder: what it is at that moment is followed, below the root.
    let without = archive(&[
        file("x/below/file", "mine").bytes(),
        super::build::symlink("x/below/symlink", "file").bytes(),
        super::build::hard_link("x/file", "x/below/file").bytes(),
    ]);
    let (mut whole, mut given_up) = (0, 0);
    exchanging(&to, &[("x", "y"), ("x", "z")], || {
        for round in 0..rounds() {
            let bytes = if round % 2 == 0 { &with_folders } else { &without };
            match unpacked(bytes, &to, &faithful()) {
                Ok(_) => whole += 1,
                Err(_) => given_up += 1,
            }
        }
    });
    eprintln!("{whole} unpacked, {given_up} given up");
    assert!(whole > 0);
    assert_eq!(list(&decoy), before, "the host's files were changed");
}
