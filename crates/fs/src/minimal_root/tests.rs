//! Roots are made, run in and cleaned up on the real kernel.

use super::*;
use crate::mount::{DetachedMount, private_namespace};
use crate::mountinfo;
use rustix::fs::{FileType, makedev};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

fn needs_root() -> bool {
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        eprintln!("SKIPPED (needs root)");
    }
    skip
}

fn run(root: &Path, command: &[&str]) -> Output {
    Command::new("chroot").arg(root).args(command).output().unwrap()
}

#[test]
fn a_minimal_root_has_its_folders_and_devices() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    // Made, and made again, whatever the umask.
    for _ in 0..2 {
        create(&root).unwrap();
        for name in [
            "bin",
            "sbin",
            "lib",
            "lib64",
            "usr",
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "usr/lib64",
            "etc",
            "proc",
            "sys",
            "dev",
            "tmp",
            "var",
            "var/tmp",
        ] {
            assert!(root.join(name).symlink_metadata().unwrap().is_dir(), "{name}");
        }
        for (name, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("proc", 0o555), ("bin", 0o755)] {
            assert_eq!(fs::metadata(root.join(name)).unwrap().mode() & 0o7777, mode, "{name}");
        }
        for (name, major, minor) in [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        ] {
            let meta = root.join("dev").join(name).symlink_metadata().unwrap();
            assert!(meta.file_type().is_char_device(), "{name}");
            assert_eq!((meta.rdev(), meta.mode() & 0o7777), (makedev(major, minor), 0o666), "{name}");
        }
        fs::write(root.join("dev/null"), "swallowed").unwrap();
    }
}

#[test]
fn what_stands_in_the_way_of_a_root_is_not_replaced() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, decoy) = (folder.path().join("root"), folder.path().join("decoy"));
    fs::create_dir(&decoy).unwrap();
    fs::create_dir(&root).unwrap();
    // CVE-2026-41579: the root's /dev leads out of it, by a whole and by a relative path.
    for target in [decoy.clone(), PathBuf::from("../decoy")] {
        symlink(target, root.join("dev")).unwrap();
        assert!(create(&root).is_err());
        assert_eq!(fs::read_dir(&decoy).unwrap().count(), 0);
        fs::remove_file(root.join("dev")).unwrap();
    }
    fs::create_dir(root.join("dev")).unwrap();
    fs::write(root.join("dev/null"), "a file").unwrap();
    let error = create(&root).unwrap_err();
    assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::EXIST.raw_os_error()), "{error}");
    assert_eq!(fs::read_to_string(root.join("dev/null")).unwrap(), "a file");
    // A link inside the root is one of the root's own.
    fs::remove_file(root.join("dev/null")).unwrap();
    fs::remove_dir(root.join("bin")).unwrap();
    symlink("/usr/bin", root.join("bin")).unwrap();
    create(&root).unwrap();
    populate(&root, Path::new("/")).unwrap();
    assert!(root.join("usr/bin/sh").is_file());
}

#[test]
fn a_shell_runs_in_a_root_that_is_otherwise_empty() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    create(&root).unwrap();
    assert!(!run(&root, &["/bin/sh", "-c", "true"]).status.success(), "it is empty");
    let copied = populate(&root, Path::new("/")).unwrap();
    let output = run(&root, &["/bin/sh", "-c", "true"]);
    assert!(output.status.success(), "{copied:?} {output:?}");
    assert_eq!(run(&root, &["/bin/sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&root, &["/bin/sh", "-c", "echo $((6 * 7))"]).stdout, b"42\n");

    assert!(copied.contains(&PathBuf::from("/bin/sh")));
    for path in &copied {
        let meta = root.join(path.strip_prefix("/").unwrap()).symlink_metadata().unwrap();
        assert!(meta.is_file(), "{path:?}");
        assert_eq!(meta.mode() & 0o7022, 0, "{path:?}: nobody's but the user's own rights");
    }
    // Each of them is needed: without the last library it does not run.
    let library = copied.iter().find(|path| path.to_str().unwrap().contains("libc")).unwrap();
    fs::remove_file(root.join(library.strip_prefix("/").unwrap())).unwrap();
    assert!(!run(&root, &["/bin/sh", "-c", "true"]).status.success());
    // What is copied again is whole again.
    populate(&root, Path::new("/")).unwrap();
    assert!(run(&root, &["/bin/sh", "-c", "true"]).status.success());
}

/// Builds with the compiler that Rust links by.
fn cc(args: &[&str], source: &str, output: &Path) {
    let file = output.with_extension("c");
    fs::write(&file, source).unwrap();
    let built = Command::new("cc").arg("-o").arg(output).arg(&file).args(args).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::remove_file(file).unwrap();
}

#[test]
fn libraries_are_found_by_every_path_that_the_dynamic_linker_takes() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (host, root) = (folder.path().join("host"), folder.path().join("root"));
    create(&host).unwrap();
    populate(&host, Path::new("/")).unwrap();
    for name in ["opt/app/bin", "opt/app/lib", "opt/old", "opt/configured", "etc/ld.so.conf.d"] {
        fs::create_dir_all(host.join(name)).unwrap();
    }
    // The program is reached through a link, and has a path that begins where it really lies; its library has one of the
    // older kind, and needs another that only a configuration names.
    let at = |name: &str| host.join(name);
    let (one, two, three) =
        (at("opt/app/lib/libone.so"), at("opt/old/libtwo.so"), at("opt/configured/libthree.so"));
    let folders = |path: &Path| format!("-L{}", path.parent().unwrap().display());
    cc(&["-shared", "-fPIC", "-nostdlib"], "int three(void) { return 3; }", &three);
    let needs_three = ["-shared", "-fPIC", "-nostdlib", &folders(&three), "-lthree"];
    cc(&needs_three, "int three(void); int two(void) { return three() + 2; }", &two);
    let needs_two = [
        "-shared",
        "-fPIC",
        "-nostdlib",
        &folders(&two),
        "-ltwo",
        "-Wl,--disable-new-dtags",
        "-Wl,-rpath,/opt/old",
        "-Wl,--allow-shlib-undefined",
    ];
    cc(&needs_two, "int two(void); int one(void) { return two() + 1; }", &one);
    let needs_one = [
        &folders(&one),
        "-lone",
        "-Wl,--enable-new-dtags",
        "-Wl,-rpath,$ORIGIN/../lib",
        "-Wl,--allow-shlib-undefined",
    ];
    cc(&needs_one, "int one(void); int main(void) { return one(); }", &at("opt/app/bin/program"));
    symlink("../opt/app/bin/program", at("bin/program")).unwrap();
    fs::write(at("etc/ld.so.conf"), "include ld.so.conf.d/*.conf\n").unwrap();

    create(&root).unwrap();
    let program = [Path::new("/bin/program")];
    let error = populate_with(&root, &host, &program).unwrap_err().to_string();
    assert!(
        error.starts_with("the library libthree.so, which /opt/old/libtwo.so needs, is not in "),
        "{error}"
    );
    fs::write(at("etc/ld.so.conf.d/x.conf"), "/opt/configured\n").unwrap();
    let copied = populate_with(&root, &host, &program).unwrap();
    let output = run(&root, &["/bin/program"]);
    assert_eq!(output.status.code(), Some(6), "{copied:?} {output:?}");

    // With a cache as ldconfig makes it, no link is needed.
    let made = Command::new("ldconfig").arg("-r").arg(&host).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED the rest (needs ldconfig)");
        return;
    }
    fs::remove_file(at("etc/ld.so.conf.d/x.conf")).unwrap();
    let root = folder.path().join("with-cache");
    create(&root).unwrap();
    let copied = populate_with(&root, &host, &program).unwrap();
    assert!(copied.contains(&PathBuf::from("/etc/ld.so.cache")), "{copied:?}");
    assert_eq!(run(&root, &["/bin/program"]).status.code(), Some(6), "{copied:?}");
}

#[test]
fn a_host_that_lies_gives_an_error_and_nothing_of_what_is_outside() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (host, root) = (folder.path().join("host"), folder.path().join("root"));
    create(&host).unwrap();
    create(&root).unwrap();
    let shell = host.join("bin/sh");
    let refused = |why: &str| {
        let error = populate(&root, &host).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {source}").contains(why), "{error}: {source}");
        assert!(!root.join("bin/sh").exists());
    };
    refused("No such file");
    // The machine's own shell, outside of this host.
    symlink("../../../../../../../../bin/dash", &shell).unwrap();
    refused("No such file");
    fs::remove_file(&shell).unwrap();
    rustix::fs::mknodat(CWD, &shell, FileType::Fifo, Mode::RWXU, 0).unwrap();
    refused("not supported");
    fs::remove_file(&shell).unwrap();
    fs::write(&shell, "#!/bin/dash\n").unwrap();
    refused("it is no ELF file");
    fs::write(&shell, &fs::read("/bin/sh").unwrap()[..300]).unwrap();
    refused("lies outside of the file");
    // Whole, but its interpreter is nowhere.
    fs::copy("/bin/sh", &shell).unwrap();
    refused("No such file");
}

/// Runs in a thread with a mount namespace of its own.
fn in_own_namespace(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            work();
        });
    });
}

fn below(root: &Path) -> Vec<PathBuf> {
    let all = mountinfo::read_thread().unwrap().into_iter().map(|mount| mount.mount_point);
    all.filter(|point| point.starts_with(root) && point != root).collect()
}

#[test]
fn nothing_is_mounted_below_a_root_that_was_cleaned_up() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ro ot");
    let beside = folder.path().join("ro ot-beside");
    create(&root).unwrap();
    fs::create_dir(&beside).unwrap();
    in_own_namespace(|| {
        let tmpfs = |path: &Path| {
            let fd = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
            let mount = DetachedMount::new(c"tmpfs", [], MountAttrFlags::empty()).unwrap();
            mount.attach(fd.as_fd()).unwrap();
        };
        tmpfs(&beside);
        mount_file_systems(&root).unwrap();
        assert_eq!(below(&root).len(), 4);
        let kinds: Vec<_> = mountinfo::read_thread().unwrap();
        for (name, kind) in [("proc", "proc"), ("sys", "sysfs"), ("dev", "tmpfs"), ("tmp", "tmpfs")] {
            let mount = kinds.iter().find(|mount| mount.mount_point == root.join(name)).unwrap();
            assert_eq!(mount.fs_type, kind, "{name}");
        }
        assert!(root.join("proc/self/status").exists());
        fs::write(root.join("dev/null"), "swallowed").unwrap();
        assert!(fs::write(root.join("sys/kernel/mm/transparent_hugepage/enabled"), "never").is_err());
        // One over another, one in another, and one that hides what is below it.
        tmpfs(&root.join("tmp"));
        fs::create_dir(root.join("tmp/inner")).unwrap();
        tmpfs(&root.join("tmp/inner"));
        fs::create_dir(root.join("etc/hidden")).unwrap();
        tmpfs(&root.join("etc/hidden"));
        tmpfs(&root.join("etc"));
        // In use.
        let _open = fs::File::open(root.join("tmp/inner")).unwrap();
        assert_eq!(below(&root).len(), 8);
        clean_up(&root).unwrap();
        assert_eq!(below(&root), Vec::<PathBuf>::new());
        assert_eq!(below(folder.path()), [beside], "what is beside it stays");
        clean_up(&root).unwrap();
        clean_up(&root.join("gone")).unwrap();
    });
    crate::remove_tree(&root).unwrap();
    let error = clean_up(Path::new("/")).unwrap_err();
    assert_eq!(error.to_string(), "unmount everything below /");
}

#[test]
fn a_folder_that_becomes_a_link_does_not_have_another_root_cleaned_up() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, decoy) = (folder.path().join("root"), folder.path().join("decoy"));
    for place in [&root, &decoy] {
        fs::create_dir_all(place.join("a/mount")).unwrap();
    }
    symlink(decoy.join("a"), root.join("link")).unwrap();
    let open = |place: &Path| {
        openat(CWD, place.join("a/mount"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    };
    let attach = |folder: &OwnedFd| {
        let mount = DetachedMount::new(c"tmpfs", [], MountAttrFlags::empty()).unwrap();
        mount.attach(folder.as_fd()).unwrap();
    };
    in_own_namespace(|| {
        let inside = open(&root);
        attach(&open(&decoy));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(CWD, root.join("a"), CWD, root.join("link"), flags).unwrap();
                }
            });
            for _ in 0..300 {
                attach(&inside);
                // Where the path is the link's at that moment, the mount cannot be reached.
                let _ = clean_up(&root);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        clean_up(&root).unwrap();
        assert_eq!(below(&root), Vec::<PathBuf>::new());
        assert_eq!(below(&decoy), [decoy.join("a/mount")]);
    });
}
