use super::*;
use crate::mount::{MountApi, private_namespace};
use crate::{minimal_root, mountinfo};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn needs_root() -> bool {
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        eprintln!("SKIPPED (needs root)");
    }
    skip
}

/// Runs in a thread with a mount namespace, a root and a working folder of its own.
fn in_own_namespace(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            work();
        });
    });
}

#[test]
fn without_further_words_it_is_pivot_root() {
    let config = RootConfig::default();
    assert_eq!(config.method, Method::PivotRoot);
    assert_eq!((config.root.as_path(), config.put_old), (Path::new("/"), PutOld::Nowhere));
}

#[test]
fn the_old_root_is_out_of_reach_by_every_form() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let decoy = folder.path().join("decoy");
    fs::write(&decoy, "secret").unwrap();
    for api in [MountApi::Descriptors, MountApi::Classic] {
        for put_old in [PutOld::Nowhere, PutOld::Through(c".old".into()), PutOld::Kept(c".old".into())] {
            let root = folder.path().join("root");
            minimal_root::create(&root).unwrap();
            in_own_namespace(|| {
                minimal_root::mount_file_systems(&root).unwrap();
                assert!(decoy.exists());
                let config =
                    RootConfig { root: root.clone(), put_old: put_old.clone(), ..RootConfig::default() };
                config.enter_by(api).unwrap();
                if let PutOld::Kept(name) = &put_old {
                    let inside = Path::new("/.old").join(decoy.strip_prefix("/").unwrap());
                    assert_eq!(fs::read_to_string(inside).unwrap(), "secret", "until it is left");
                    leave_old(name).unwrap();
                    fs::remove_dir("/.old").unwrap();
                }
                assert!(!decoy.exists() && !Path::new("/.old").exists());
                assert!(fs::metadata("/../../bin").unwrap().is_dir());
                let points: Vec<_> =
                    mountinfo::read_thread().unwrap().into_iter().map(|mount| mount.mount_point).collect();
                let expected = ["/", "/proc", "/sys", "/dev", "/tmp"];
                assert_eq!(points, expected.map(std::path::PathBuf::from), "{put_old:?} {api:?}");
            });
            crate::remove_tree(&root).unwrap();
        }
    }
    assert_eq!(fs::read_to_string(&decoy).unwrap(), "secret", "this process is where it was");
}

#[test]
fn the_whole_machine_can_be_its_own_root() {
    if needs_root() {
        return;
    }
    in_own_namespace(|| {
        RootConfig::default().enter().unwrap();
        assert!(Path::new("/proc/self/status").exists());
        let roots = mountinfo::read_thread().unwrap();
        assert_eq!(roots.iter().filter(|mount| mount.mount_point == Path::new("/")).count(), 1);
    });
}

#[test]
fn an_old_root_goes_nowhere_but_into_a_plain_folder() {
    if needs_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    symlink("/", root.join("link")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    in_own_namespace(|| {
        let there = std::env::current_dir().unwrap();
        for (name, errno) in [
            (c"link", Errno::LOOP),
            (c"file", Errno::NOTDIR),
            (c"a/b", Errno::INVAL),
            (c"..", Errno::INVAL),
            (c".", Errno::INVAL),
            (c"", Errno::INVAL),
        ] {
            let put_old = PutOld::Through(name.into());
            let config = RootConfig { root: root.clone(), put_old, ..RootConfig::default() };
            let error = config.enter().unwrap_err();
            assert_eq!(error.io().unwrap().raw_os_error(), Some(errno.raw_os_error()), "{name:?}");
            assert_eq!(std::env::current_dir().unwrap(), there);
        }
        // No mount: nothing is left of what was made for it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let plain = folder.path().join("plain");
        fs::create_dir(&plain).unwrap();
        let plain_fd = rustix::fs::openat(CWD, &plain, flags, Mode::empty()).unwrap();
        let result = into_root_through(std::os::fd::AsFd::as_fd(&plain_fd), c"old");
        assert!(matches!(result, Err(Errno::INVAL | Errno::BUSY)), "{result:?}");
        assert_eq!(fs::read_dir(&plain).unwrap().count(), 0);
    });
}
