//! The disk below: its options, its faults, its end.

use super::*;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};

#[test]
fn root_options_of_the_disk_are_those_of_the_mount() {
    let small = Options { size_bytes: Some(128 << 20), ..Options::default() };
    let cases = [
        (Options { ssd: Some(true), ..small.clone() }, vec!["ssd", "discard=async"], vec!["nossd"]),
        (
            Options { ssd: Some(false), discard: false, ..small.clone() },
            vec![],
            vec!["ssd", "discard", "discard=async"],
        ),
        (Options { reserve: true, ..small }, vec![], vec!["discard", "discard=async"]),
    ];
    for (options, there, absent) in cases {
        let Some(ground) = Ground::with(options.clone()) else { return };
        ground.driver.mount(&ground.volume("data"), "user").unwrap();
        let lines = ground.mounts();
        let words: Vec<_> = lines[0].split_once(" - btrfs ").unwrap().1.split([' ', ',']).collect();
        assert!(there.iter().all(|word| words.contains(word)), "{options:?}: {words:?}");
        assert!(!absent.iter().any(|word| words.contains(word)), "{options:?}: {words:?}");
        let takes = ground.path().join("place").join(file::NAME).metadata().unwrap().blocks() * 512;
        assert_eq!(takes >= 128 << 20, options.reserve, "{takes}");
    }
}

#[test]
fn root_a_byte_that_changed_on_the_disk_is_found() {
    let Some(ground) = Ground::of_a_file() else { return };
    let driver = &ground.driver;
    let volume = ground.volume("data");
    let path = driver.mount(&volume, "user").unwrap();
    let mark = b"this stands on the disk as it was written";
    fs::write(path.join("file"), mark.repeat(2_000)).unwrap();
    driver.unmount(&volume, "user").unwrap();
    let clean = driver.verify().unwrap();
    assert!(clean.bytes > 80_000 && (clean.checksum_errors, clean.uncorrectable) == (0, 0), "{clean:?}");

    let pool = ground.path().join("place").join(file::NAME);
    let bytes = fs::read(&pool).unwrap();
    let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&pool).unwrap();
    file.write_at(&[bytes[at] ^ 1], at as u64).unwrap();
    file.sync_all().unwrap();

    let found = driver.verify().unwrap();
    assert_eq!((found.checksum_errors, found.uncorrectable, found.corrected), (1, 1, 0), "{found:?}");
    let path = driver.mount(&volume, "user").unwrap();
    let error = fs::read(path.join("file")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()), "{error}");
}

#[test]
fn root_a_pool_that_is_full_says_of_which_volume() {
    let Some(ground) = Ground::with(Options { size_bytes: Some(128 << 20), ..Options::default() }) else {
        return;
    };
    let driver = &ground.driver;
    let volume = ground.volume("big");
    let path = driver.mount(&volume, "user").unwrap();
    let block = noise(1 << 20);
    let mut file = fs::File::create(path.join("data")).unwrap();
    while file.write_all(&block).and_then(|()| file.sync_all()).is_ok() {}
    drop(file);
    // The text of a link lies with the names, which have a part of the disk of their own.
    let text = "x".repeat(3_900);
    let full = (0..100_000)
        .find_map(|number| std::os::unix::fs::symlink(&text, path.join(format!("link-{number}"))).err());
    assert_eq!(full.unwrap().raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    let full =
        (0..1_000).find_map(|number| driver.create(&VolumeSpec::named(format!("late-{number}"))).err());
    let full = full.expect("a pool without an end");
    let source = std::error::Error::source(&full).unwrap().to_string();
    assert!(
        full.to_string().contains("volume \"late-") && source.contains("No space left"),
        "{full}: {source}"
    );
    // And it can be helped.
    driver.unmount(&volume, "user").unwrap();
    driver.remove(&volume).unwrap();
    ground.volume("again");
}

#[test]
fn root_a_disk_that_is_full_makes_no_pool_and_a_reserved_one_cannot_run_out() {
    let Some(ground) =
        Ground::with(Options { size_bytes: Some(200 << 20), reserve: true, ..Options::default() })
    else {
        return;
    };
    let place = ground.path().join("place");
    fs::create_dir(&place).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &place, "tmpfs", flags, Some(c"size=240m")).unwrap();
    let larger =
        ground.driver.clone().with_options(Options { size_bytes: Some(1 << 30), ..Options::default() });
    let error = larger.create(&VolumeSpec::named("data")).unwrap_err().to_string();
    assert!(error.contains("more than the 240 MiB that are free"), "{error}");
    let volume = ground.volume("data");
    fs::write(place.join("rest"), noise(39 << 20)).unwrap();
    let path = ground.driver.mount(&volume, "user").unwrap();
    fs::write(path.join("file"), noise(60 << 20)).unwrap();
    assert_eq!(ground.driver.verify().unwrap().checksum_errors, 0);
    assert_eq!(fs::read(path.join("file")).unwrap(), noise(60 << 20));
    // One that grows would be promised what is not there.
    let growing = ground.driver.clone().with_options(Options::default());
    let error = growing.create(&VolumeSpec::named("late")).unwrap_err().to_string();
    assert!(error.contains("\"late\" cannot be made") && error.contains("make room"), "{error}");
}

#[test]
fn root_a_pool_whose_making_was_killed_is_made_anew() {
    let Some(ground) = Ground::of_a_file() else { return };
    fs::create_dir(ground.path().join("place")).unwrap();
    fs::write(ground.path().join("place/.pool.btrfs.new"), "half").unwrap();
    ground.volume("data");
    assert!(!ground.path().join("place/.pool.btrfs.new").exists());
    assert_eq!(ground.path().join("place").join(file::NAME).metadata().unwrap().len(), POOL);
}

#[test]
fn root_when_the_disk_fills_up_what_was_written_before_is_kept() {
    let Some(ground) = Ground::with(Options { size_bytes: Some(200 << 20), ..Options::default() }) else {
        return;
    };
    let place = ground.path().join("place");
    fs::create_dir(&place).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &place, "tmpfs", flags, Some(c"size=240m")).unwrap();
    let volume = ground.volume("data");
    let path = ground.driver.mount(&volume, "user").unwrap();
    let before = noise(20 << 20);
    let mut file = fs::File::create(path.join("before")).unwrap();
    file.write_all(&before).and_then(|()| file.sync_all()).unwrap();
    // The disk is filled by others.
    let mut rest = fs::File::create(place.join("rest")).unwrap();
    while rest.write_all(&before[..1 << 20]).is_ok() {}
    let mut late = fs::File::create(path.join("late")).unwrap();
    let written = late.write_all(&noise(60 << 20)).and_then(|()| late.sync_all());
    assert!(written.is_err(), "there was room for it");
    drop((late, file, rest));
    ground.driver.unmount(&volume, "user").unwrap();

    fs::remove_file(place.join("rest")).unwrap();
    let path = ground.driver.mount(&volume, "user").unwrap();
    assert_eq!(fs::read(path.join("before")).unwrap(), before);
    fs::write(path.join("after"), "written").unwrap();
    ground.driver.unmount(&volume, "user").unwrap();
    assert_eq!(ground.driver.verify().unwrap().checksum_errors, 0);
}
