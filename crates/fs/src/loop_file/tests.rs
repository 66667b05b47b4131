use super::*;
use rustix::io::Errno;
use std::fs;

/// The loop devices that have this file.
fn devices_of(path: &Path) -> usize {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    let behind = devices.filter_map(|entry| fs::read_to_string(entry.path().join("loop/backing_file")).ok());
    behind.filter(|file| Path::new(file.trim_end()) == path).count()
}

#[test]
fn root_what_is_written_is_limited_and_kept_and_nothing_is_left_mounted() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    check().unwrap();
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let (file, folder) = (place.join("file"), place.join("folder"));
    fs::create_dir(&folder).unwrap();
    make(&file, LEAST, true).unwrap();
    let again = make(&file, LEAST, true).unwrap_err();
    assert_eq!(again.io().and_then(std::io::Error::raw_os_error), Some(Errno::EXIST.raw_os_error()));
    // Sparse: formatted, it takes little of the disk.
    let taken = || std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
    assert!(taken() < LEAST / 2, "{}", taken());
    let written = visit(&file, &folder, || {
        fs::write(folder.join("kept"), "kept").unwrap();
        // In use, it has one device however often it is mounted.
        let second = mount(&file, MountAttrFlags::empty()).unwrap();
        assert_eq!(devices_of(&file), 1);
        let kept = rustix::fs::openat(&second, "kept", OFlags::RDONLY, Mode::empty());
        assert!(kept.is_ok(), "it is the same file system");
        fs::write(folder.join("large"), vec![1; LEAST as usize])
    });
    let full = written.unwrap().unwrap_err();
    assert_eq!(full.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    // Nobody else sees it.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let kept = visit(&file, &folder, || fs::read_to_string(folder.join("kept")).unwrap());
    assert_eq!(kept.unwrap(), "kept");
    let since = std::time::Instant::now();
    while devices_of(&file) > 0 {
        assert!(since.elapsed().as_secs() < 10, "the device is still there");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn pure_a_program_that_is_missing_is_named_with_its_package() {
    let error = program::find("mkfs.no-such-file-system").unwrap_err().to_string();
    assert!(error.contains("mkfs.no-such-file-system") && error.contains("e2fsprogs"), "{error}");
}
