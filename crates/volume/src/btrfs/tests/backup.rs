//! Snapshots that travel.

use super::*;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;

/// Everything that a copy must have: for each path its mode, owner, content or target, attributes and times.
fn everything(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            let content = match data.file_type() {
                kind if kind.is_dir() => {
                    folders.push(path.clone());
                    Vec::new()
                }
                kind if kind.is_symlink() => fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec(),
                kind if kind.is_file() => fs::read(&path).unwrap(),
                _ => data.rdev().to_ne_bytes().to_vec(),
            };
            let mut attribute = [0; 64];
            let length = rustix::fs::lgetxattr(&path, "user.note", &mut attribute[..]).unwrap_or(0);
            let content = content.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
            let line = format!(
                "{:o} {}:{} {} {} {content:x} {:?}",
                data.mode(),
                data.uid(),
                data.gid(),
                data.len() * u64::from(!data.is_dir()),
                data.mtime(),
                &attribute[..length]
            );
            found.insert(path.strip_prefix(root).unwrap().to_owned(), line);
        }
    }
    found
}

fn fill(path: &Path) {
    fs::create_dir(path.join("folder")).unwrap();
    fs::write(path.join("folder/noise"), noise(3 << 20)).unwrap();
    fs::write(path.join("script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(path.join("script"), fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::chown(path.join("folder"), Some(1234), Some(5678)).unwrap();
    std::os::unix::fs::symlink("folder/noise", path.join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    rustix::fs::lsetxattr(path.join("script"), "user.note", b"kept", rustix::fs::XattrFlags::empty())
        .unwrap();
}

#[test]
fn root_what_is_received_is_what_was_sent() {
    let (Some(here), Some(there)) = (Ground::of_a_file(), Ground::of_the_host()) else { return };
    for (from, to) in [(&here, &there), (&there, &here)] {
        let volume = from.volume("origin");
        let path = from.driver.mount(&volume, "user").unwrap();
        fill(&path);
        from.driver.snapshot(&volume, "first").unwrap();
        let first = everything(&path);
        fs::write(path.join("script"), "changed").unwrap();
        fs::remove_file(path.join("pipe")).unwrap();
        from.driver.snapshot(&volume, "second").unwrap();
        let second = everything(&path);

        let copy = to.volume("copy");
        let mounts = to.mounts();
        let mut sizes = Vec::new();
        for (name, since) in [("first", None), ("second", Some("first"))] {
            let stream = tempfile::tempfile().unwrap();
            from.driver.send(&volume, name, since, stream.as_fd()).unwrap();
            sizes.push(stream.metadata().unwrap().len());
            rustix::fs::seek(&stream, rustix::fs::SeekFrom::Start(0)).unwrap();
            assert_eq!(to.driver.receive(&copy, stream.as_fd()).unwrap().name, name);
        }
        assert!(sizes[0] > 3 << 20 && sizes[1] < 100_000, "only what changed: {sizes:?}");
        assert_eq!(to.mounts(), mounts);
        for (name, expected) in [("first", &first), ("second", &second)] {
            to.driver.rollback(&copy, name).unwrap();
            let path = to.driver.mount(&copy, "user").unwrap();
            assert_eq!(&everything(&path), expected, "{name}");
            to.driver.unmount(&copy, "user").unwrap();
        }
    }
}

#[test]
fn root_a_stream_goes_through_a_pipe() {
    let Some(ground) = Ground::of_a_file() else { return };
    let (volume, copy) = (ground.volume("origin"), ground.volume("copy"));
    let path = ground.driver.mount(&volume, "user").unwrap();
    fill(&path);
    ground.driver.snapshot(&volume, "then").unwrap();
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            ground.driver.send(&volume, "then", None, write.as_fd()).unwrap();
            drop(write);
        });
        ground.driver.receive(&copy, read.as_fd()).unwrap();
        sender.join().unwrap();
    });
    let received = ground.driver.mount_snapshot(&copy, "then", "user").unwrap();
    assert_eq!(everything(&received), everything(&path));
}

#[test]
fn root_a_stream_that_is_none_or_half_leaves_nothing() {
    for ground in Ground::both() {
        let driver = &ground.driver;
        let (volume, copy) = (ground.volume("origin"), ground.volume("copy"));
        fill(&driver.mount(&volume, "user").unwrap());
        driver.snapshot(&volume, "then").unwrap();
        let stream = tempfile::NamedTempFile::new().unwrap();
        driver.send(&volume, "then", None, stream.as_file().as_fd()).unwrap();
        let whole = fs::read(stream.path()).unwrap();
        let receive = |bytes: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), bytes).unwrap();
            driver.receive(&copy, file.reopen().unwrap().as_fd())
        };
        assert!(receive(b"").is_err() && receive(b"no stream at all").is_err());
        assert!(receive(&whole[..whole.len() / 2]).is_err());
        assert!(Snapshots::snapshots(driver, &copy).unwrap().is_empty());
        assert_eq!(fs::read_dir(ground.inside("copy").join("snapshots")).unwrap().count(), 0);
        // One that was killed is in the way of nobody.
        let unfinished = ground.inside("copy").join("snapshots/then");
        btrfs(&["subvolume", "create", &unfinished.display().to_string()]);
        assert!(Snapshots::snapshots(driver, &copy).unwrap().is_empty());
        assert!(matches!(driver.rollback(&copy, "then"), Err(Error::NoSnapshot { .. })));
        assert_eq!(receive(&whole).unwrap().name, "then");
        let error = receive(&whole).unwrap_err().to_string();
        assert!(error.contains("taken"), "{error}");
        assert_eq!(Snapshots::snapshots(driver, &copy).unwrap().len(), 1);
    }
}
