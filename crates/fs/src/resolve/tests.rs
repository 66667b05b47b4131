//! Each test is run with both ways of looking paths up: they give the same answers.

use super::*;
use rustix::fs::{RenameFlags, fstat, renameat_with};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32};

const BOTH: [Resolver; 2] = [Resolver::Kernel, Resolver::Walk];

fn root() -> (tempfile::TempDir, File) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("root/there")).unwrap();
    let root = File::open(folder.path().join("root")).unwrap();
    (folder, root)
}

fn inode(fd: &OwnedFd) -> u64 {
    fstat(fd).unwrap().st_ino
}

#[test]
fn links_that_point_outside_end_inside() {
    for by in BOTH {
        let (folder, root) = root();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        symlink("../../../outside", folder.path().join("root/relative")).unwrap();
        symlink(folder.path().join("outside"), folder.path().join("root/absolute")).unwrap();
        assert_eq!(by.open(root.as_fd(), c"/relative").unwrap_err(), Errno::NOENT);
        assert_eq!(by.open(root.as_fd(), c"/absolute").unwrap_err(), Errno::NOENT);
        assert_eq!(by.ensure_dir(root.as_fd(), c"/relative").unwrap_err(), Errno::LOOP);
        // A file is made where a link says, and that is inside.
        by.ensure_file(root.as_fd(), c"/relative").unwrap();
        assert!(folder.path().join("root/outside").is_file());
        by.ensure_file(root.as_fd(), c"/absolute").unwrap();
        let namesake =
            folder.path().join("root").join(folder.path().join("outside").strip_prefix("/").unwrap());
        assert!(namesake.is_file());
        assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }
}

#[test]
fn links_to_nothing_are_followed_as_far_as_the_kernel_would() {
    for by in BOTH {
        let (folder, root) = root();
        let at = |name: &str| folder.path().join("root").join(name);
        symlink("../deep/er/../file", at("there/a")).unwrap();
        symlink("/there/a", at("b")).unwrap();
        by.ensure_file(root.as_fd(), c"/b").unwrap();
        assert!(at("deep/file").is_file() && at("deep/er").is_dir());
        symlink("again", at("again")).unwrap();
        symlink("other", at("one")).unwrap();
        symlink("one", at("other")).unwrap();
        for name in [c"again", c"/one", c"/there/../other"] {
            assert_eq!(by.ensure_file(root.as_fd(), name).unwrap_err(), Errno::LOOP, "{name:?}");
        }
        symlink("there/folder/", at("folder")).unwrap();
        assert_eq!(by.ensure_file(root.as_fd(), c"/folder").unwrap_err(), Errno::INVAL);
    }
}

#[test]
fn what_is_missing_is_made_through_links_inside() {
    for by in BOTH {
        let (folder, root) = root();
        symlink("/there", folder.path().join("root/link")).unwrap();
        by.ensure_dir(root.as_fd(), c"/link/./a//b/").unwrap();
        assert!(folder.path().join("root/there/a/b").is_dir());
        by.ensure_file(root.as_fd(), c"/link/new/file").unwrap();
        assert!(folder.path().join("root/there/new/file").is_file());
        by.ensure_file(root.as_fd(), c"top").unwrap();
        assert!(folder.path().join("root/top").is_file());
        assert_eq!(by.ensure_dir(root.as_fd(), c"/top/x").unwrap_err(), Errno::NOTDIR);
        by.ensure_dir(root.as_fd(), c"/new/../../../beside").unwrap();
        assert!(folder.path().join("root/beside").is_dir());
    }
}

#[test]
fn beneath_takes_no_link_and_crosses_no_mount() {
    for by in BOTH {
        let (folder, root) = root();
        symlink("there", folder.path().join("root/link")).unwrap();
        assert_eq!(by.open_beneath(root.as_fd(), c"link", OFlags::PATH).unwrap_err(), Errno::LOOP);
        assert_eq!(by.open_beneath(root.as_fd(), c"../x", OFlags::PATH).unwrap_err(), Errno::XDEV);
        assert_eq!(by.open_beneath(root.as_fd(), c"/there", OFlags::PATH).unwrap_err(), Errno::XDEV);
        by.open_beneath(root.as_fd(), c"there/../there", OFlags::PATH).unwrap();
        let slash = File::open("/").unwrap();
        assert_eq!(by.open_beneath(slash.as_fd(), c"proc/self", OFlags::PATH).unwrap_err(), Errno::XDEV);
        assert_eq!(by.open_beneath(slash.as_fd(), c"proc", OFlags::PATH).unwrap_err(), Errno::XDEV);
    }
}

#[test]
fn within_takes_links_that_stay_and_none_that_leave() {
    for by in BOTH {
        let (folder, root) = root();
        let top = folder.path().join("root");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        let links = [
            ("stays", "a/../there"),
            ("a/up", "../there"),
            ("leaves", "../outside"),
            ("returns", "../root/there"),
            ("a/far", "../../root/there"),
            ("root-link", "/"),
        ];
        links.iter().for_each(|(name, to)| symlink(to, top.join(name)).unwrap());
        symlink(top.join("there"), top.join("absolute")).unwrap();
        let there = std::fs::metadata(top.join("there")).unwrap().ino();
        for path in [c"there", c"stays", c"a/up", c"a/b/../up", c"a/b/../../there/."] {
            assert_eq!(inode(&by.open_within(root.as_fd(), path, OFlags::PATH).unwrap()), there, "{path:?}");
        }
        for path in [c"..", c"a/../..", c"leaves", c"returns", c"a/far", c"absolute", c"root-link", c"/there"]
        {
            assert_eq!(
                by.open_within(root.as_fd(), path, OFlags::PATH).unwrap_err(),
                Errno::XDEV,
                "{path:?}"
            );
        }
        assert_eq!(by.open_within(root.as_fd(), c"a/none", OFlags::PATH).unwrap_err(), Errno::NOENT);
        let slash = File::open("/").unwrap();
        by.open_within(slash.as_fd(), c"proc/version", OFlags::PATH).unwrap();
        assert_eq!(by.open_within(slash.as_fd(), c"proc/self/root", OFlags::PATH).unwrap_err(), Errno::LOOP);
    }
}

#[test]
fn a_link_in_place_of_proc_is_refused() {
    for by in BOTH {
        let (folder, root) = root();
        symlink("there", folder.path().join("root/proc")).unwrap();
        assert_eq!(by.ensure_plain_dir(root.as_fd(), c"proc").unwrap_err(), Errno::LOOP);
        by.ensure_plain_dir(root.as_fd(), c"sys").unwrap();
        by.ensure_plain_dir(root.as_fd(), c"sys").unwrap();
    }
}

#[test]
fn overlong_names_are_refused() {
    for by in BOTH {
        let (_folder, root) = root();
        let name = std::ffi::CString::new("x".repeat(300)).unwrap();
        assert_eq!(by.ensure_dir(root.as_fd(), &name).unwrap_err(), Errno::NAMETOOLONG);
        let path = std::ffi::CString::new("x/".repeat(3000)).unwrap();
        assert_eq!(by.ensure_dir(root.as_fd(), &path).unwrap_err(), Errno::NAMETOOLONG);
    }
}

#[test]
fn both_ways_give_the_same_answers() {
    let (folder, root) = root();
    let at = |name: &str| folder.path().join("root").join(name);
    std::fs::create_dir_all(at("a/b/c")).unwrap();
    std::fs::write(at("a/b/file"), "x").unwrap();
    for (target, name) in [
        ("/a/b", "absolute"),
        ("../../../a", "up"),
        ("b/../b/c/..", "a/winding"),
        ("loop", "loop"),
        ("/absolute/file", "a/chain"),
        ("file", "a/b/near"),
        ("gone", "dangling"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let reference = OFlags::PATH;
    let (read, folder_only) = (OFlags::RDONLY | OFlags::NONBLOCK, OFlags::PATH | OFlags::DIRECTORY);
    let itself = OFlags::PATH | OFlags::NOFOLLOW;
    let flags = [reference, read, folder_only, itself, read | OFlags::NOFOLLOW, itself | OFlags::DIRECTORY];
    let paths = [
        c"",
        c"/",
        c".",
        c"..",
        c"//",
        c"/..//.",
        c"a",
        c"/a/",
        c"a/.",
        c"a/b/..",
        c"a/b/c/../../..",
        c"absolute",
        c"absolute/",
        c"absolute/..",
        c"up",
        c"up/b/file",
        c"a/winding",
        c"a/winding/",
        c"a/winding/../near",
        c"loop",
        c"loop/x",
        c"a/chain",
        c"a/chain/",
        c"a/chain/..",
        c"a/b/near",
        c"a/b/file/",
        c"a/b/file/.",
        c"a/b/file/..",
        c"dangling",
        c"dangling/x",
        c"gone",
        c"gone/..",
        c"a/b/near/x",
        c"../../a/b/c",
    ];
    let mut compared = 0;
    for path in paths {
        for flags in flags {
            let answer = |by: Resolver| by.open_with(root.as_fd(), path, flags).map(|fd| inode(&fd));
            assert_eq!(answer(Resolver::Walk), answer(Resolver::Kernel), "{path:?} {flags:?}");
            let answer = |by: Resolver| by.open_plain(root.as_fd(), path, flags).map(|fd| inode(&fd));
            assert_eq!(answer(Resolver::Walk), answer(Resolver::Kernel), "plain {path:?} {flags:?}");
            compared += 2;
        }
    }
    assert!(compared > 400);
    assert_eq!(Resolver::detect().open(root.as_fd(), c"absolute").map(|fd| inode(&fd)), {
        Ok(std::fs::metadata(at("a/b")).unwrap().ino())
    });
}

#[test]
fn magic_links_are_refused_and_the_plain_ones_of_proc_are_not() {
    let proc = File::open("/proc").unwrap();
    for by in BOTH {
        for magic in [c"self/root", c"self/cwd", c"self/fd/0", c"self/exe", c"self/ns/net", c"self/root/etc"]
        {
            assert_eq!(by.open(proc.as_fd(), magic).unwrap_err(), Errno::LOOP, "{magic:?} {by:?}");
        }
        let expected = File::open("/proc/self/status").unwrap().metadata().unwrap().ino();
        assert_eq!(inode(&by.open(proc.as_fd(), c"self/status").unwrap()), expected);
        by.open(proc.as_fd(), c"mounts").unwrap();
    }
}

#[test]
fn flags_that_make_files_are_refused() {
    let (folder, root) = root();
    for by in BOTH {
        for flags in [OFlags::CREATE | OFlags::WRONLY, OFlags::TMPFILE | OFlags::WRONLY] {
            assert_eq!(by.open_with(root.as_fd(), c"new", flags).unwrap_err(), Errno::INVAL);
        }
    }
    assert!(!folder.path().join("root/new").exists());
}

#[test]
fn a_path_that_would_take_for_ever_is_given_up() {
    let (folder, root) = root();
    std::fs::create_dir_all(folder.path().join("root").join("d/".repeat(900))).unwrap();
    // Down to the depths, then up and down there: each `..` means walking to the depths again.
    let depths = "d/".repeat(899);
    let winding = format!("{depths}{}", "d/../".repeat((4000 - depths.len()) / 5));
    let path = std::ffi::CString::new(winding).unwrap();
    assert_eq!(Resolver::Walk.open(root.as_fd(), &path).unwrap_err(), Errno::LOOP);
    // The kernel gives up as well where anything on the machine is renamed meanwhile (openat2(2), EAGAIN), as other tests do, and
    // it is walked instead.
    let by_kernel = (0..1000).map(|_| Resolver::Kernel.open(root.as_fd(), &path));
    let settled = by_kernel.map(Result::err).find(|error| *error != Some(Errno::LOOP));
    assert_eq!(settled, Some(None));
}

#[test]
fn who_renames_elsewhere_without_end_keeps_nobody_from_an_answer() {
    let (folder, root) = root();
    let elsewhere = [folder.path().join("one"), folder.path().join("two")];
    std::fs::write(&elsewhere[0], "").unwrap();
    std::fs::write(folder.path().join("root/target"), "").unwrap();
    let path = std::ffi::CString::new(format!("{}target", "../".repeat(1000))).unwrap();
    let done = AtomicBool::new(false);
    let gave_up = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::fs::rename(&elsewhere[0], &elsewhere[1]).unwrap();
                std::fs::rename(&elsewhere[1], &elsewhere[0]).unwrap();
            }
        });
        let found: Vec<_> = (0..1000).map(|_| Resolver::Kernel.open(root.as_fd(), &path)).collect();
        done.store(true, Ordering::Relaxed);
        found.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    });
    assert_eq!(gave_up, []);
}

/// Looks while a thread of its own changes the tree: for 300 rounds at least, until there were as many changes and a round has
/// found the path and another has not. On a slow machine there are fewer changes, as many as there is time for. `look` gives
/// whether it found it.
fn while_it_changes(wanted: u32, change: impl Fn() + Sync, mut look: impl FnMut() -> bool) {
    /// Ends the thread also where an assertion fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (done, changes) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                change();
                changes.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _stop = Stop(&done);
        let start = std::time::Instant::now();
        let (mut found, mut missed) = (0, 0);
        while found + missed < 300 || changes.load(Ordering::Relaxed) < wanted || found == 0 || missed == 0 {
            *(if look() { &mut found } else { &mut missed }) += 1;
            if start.elapsed().as_secs() >= 40 {
                assert!(found > 0 && missed > 0, "no race took place: {found} found, {missed} missed");
                eprintln!("a slow machine: {} changes of {wanted}", changes.load(Ordering::Relaxed));
                break;
            }
        }
    });
}

fn pause() {
    std::thread::sleep(std::time::Duration::from_micros(20));
}

fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn a_folder_that_becomes_a_link_in_a_race_leads_nowhere_else() {
    let (folder, root) = root();
    let (inside, decoy) = (folder.path().join("root/a"), folder.path().join("decoy"));
    for place in [&inside, &decoy] {
        std::fs::create_dir_all(place.join("b")).unwrap();
        std::fs::write(place.join("b/file"), "x").unwrap();
    }
    let link = folder.path().join("root/link");
    symlink(&decoy, &link).unwrap();
    let secrets = ["", "b", "b/file"].map(|name| std::fs::metadata(decoy.join(name)).unwrap().ino());
    let read = OFlags::RDONLY | OFlags::NONBLOCK;
    // The last component is looked at and then opened, which is the narrowest gap of all: it gets most of the looks.
    let looks = [c"a", c"a/b", c"a", c"a/b/file", c"a", c"a/b/../b/file", c"a", c"a/."]
        .into_iter()
        .flat_map(|path| [(path, read), (path, read), (path, OFlags::PATH)]);
    for by in BOTH {
        let mut looks = looks.clone().cycle();
        while_it_changes(
            20_000,
            || exchange(&inside, &link),
            || {
                let (path, flags) = looks.next().unwrap();
                match by.open_with(root.as_fd(), path, flags) {
                    Ok(fd) => assert!(!secrets.contains(&inode(&fd)), "{by:?} opened the decoy"),
                    Err(Errno::NOENT | Errno::AGAIN) => return false,
                    Err(errno) => panic!("{path:?} {errno}"),
                }
                true
            },
        );
    }
}

#[test]
fn a_folder_that_is_moved_out_in_a_race_leads_nowhere_else() {
    let (folder, root) = root();
    // `b` moves between `root/a` and `outside`; whoever asks for `..` while it is there comes out beside the decoy.
    let (home, away) = (folder.path().join("root/a/b"), folder.path().join("outside/b"));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir_all(away.parent().unwrap()).unwrap();
    std::fs::write(folder.path().join("outside/file"), "secret").unwrap();
    std::fs::write(folder.path().join("root/a/file"), "x").unwrap();
    let decoy = std::fs::metadata(folder.path().join("outside/file")).unwrap().ino();
    for by in BOTH {
        while_it_changes(
            3000,
            || {
                std::fs::rename(&home, &away).unwrap();
                // openat2 gives up on `..` where anything at all is renamed without a pause.
                pause();
                std::fs::rename(&away, &home).unwrap();
                pause();
            },
            || {
                match by.open(root.as_fd(), c"a/b/../b/../b/../b/../b/../b/../file") {
                    Ok(fd) => assert_ne!(inode(&fd), decoy, "{by:?} opened the decoy"),
                    Err(Errno::NOENT | Errno::AGAIN | Errno::XDEV) => return false,
                    Err(errno) => panic!("{errno}"),
                }
                true
            },
        );
    }
}
