//! Limits, compression, and work that does not grow with the data.

use super::*;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

const MIB: u64 = 1 << 20;

fn fill(path: &Path, mib: usize) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    let block = noise(1 << 20);
    (0..mib).try_for_each(|_| file.write_all(&block))?;
    file.sync_all()
}

#[test]
fn root_what_is_written_past_the_limit_is_refused() {
    for ground in Ground::both() {
        let driver = &ground.driver;
        let volume = ground.limited("data", 16 * MIB);
        let other = ground.volume("other");
        let path = driver.mount(&volume, "user").unwrap();
        fill(&path.join("fits"), 8).unwrap();
        let error = fill(&path.join("more"), 12).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::DQUOT.raw_os_error()), "{error}");
        let usage = driver.usage(&volume).unwrap();
        assert_eq!(usage.limit, Some(16 * MIB));
        assert!((8 * MIB..=16 * MIB).contains(&usage.used), "{usage:?}");
        // Others are free, and so is it with a larger one.
        fill(&driver.mount(&other, "user").unwrap().join("free"), 20).unwrap();
        let usage = driver.usage(&other).unwrap();
        assert!(usage.limit.is_none() && (20 * MIB..24 * MIB).contains(&usage.used), "{usage:?}");
        driver.set_limit(&volume, Some(64 * MIB)).unwrap();
        fill(&path.join("more"), 12).unwrap();
        driver.set_limit(&volume, None).unwrap();
        fill(&path.join("much"), 50).unwrap();
        let usage = driver.usage(&volume).unwrap();
        assert!(usage.limit.is_none() && usage.used > 70 * MIB, "{usage:?}");
        assert!(driver.set_limit(&volume, Some(0)).unwrap_err().to_string().contains("less than 1 MiB"));
    }
}

#[test]
fn root_what_a_clone_or_a_rollback_shares_counts_for_each() {
    let Some(ground) = Ground::of_a_file() else { return };
    let driver = &ground.driver;
    let volume = ground.limited("data", 32 * MIB);
    fill(&driver.mount(&volume, "user").unwrap().join("file"), 20).unwrap();
    let wanted = VolumeSpec { size_bytes: Some(32 * MIB), ..VolumeSpec::named("clone") };
    let clone = driver.clone_volume(&volume, &wanted).unwrap();
    driver.snapshot(&volume, "full").unwrap();
    driver.unmount(&volume, "user").unwrap();
    driver.rollback(&volume, "full").unwrap();
    for volume in [&clone, &volume] {
        let used = driver.usage(volume).unwrap().used;
        assert!((20 * MIB..24 * MIB).contains(&used), "{}: {used}", volume.name);
        let path = driver.mount(volume, "user").unwrap();
        let error = fill(&path.join("more"), 20).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::DQUOT.raw_os_error()), "{error}");
    }
}

#[test]
fn root_without_a_limit_the_hosts_btrfs_is_not_counted() {
    let Some(ground) = Ground::of_the_host() else { return };
    let volume = ground.volume("data");
    let error = ground.driver.usage(&volume).unwrap_err().to_string();
    assert!(error.contains("quotas are off"), "{error}");
    ground.driver.set_limit(&volume, None).unwrap();
    assert!(ground.driver.usage(&volume).is_err());
    // What was there before is counted with the first limit.
    fill(&ground.driver.mount(&volume, "user").unwrap().join("file"), 8).unwrap();
    ground.driver.set_limit(&volume, Some(64 * MIB)).unwrap();
    let used = ground.driver.usage(&volume).unwrap().used;
    assert!((8 * MIB..12 * MIB).contains(&used), "{used}");
}

#[test]
fn root_compressible_data_takes_less_with_compression() {
    for ground in Ground::both() {
        let mut takes = BTreeMap::new();
        for how in ["zstd", "lzo", "zlib", "no"] {
            let mut wanted = VolumeSpec { size_bytes: Some(200 * MIB), ..VolumeSpec::named(how) };
            wanted.options = BTreeMap::from([("compress".to_owned(), how.to_owned())]);
            let volume = ground.driver.create(&wanted).unwrap();
            let path = ground.driver.mount(&volume, "user").unwrap();
            let text = b"all work and no play makes the disk a dull place\n"
                .repeat(42_800 * if how == "zstd" { 50 } else { 10 });
            // In a folder, which inherits it.
            fs::create_dir(path.join("folder")).unwrap();
            fs::write(path.join("folder/text"), &text).unwrap();
            takes.insert(how, ground.driver.usage(&volume).unwrap().used * 100 / text.len() as u64);
            assert_eq!(fs::read(path.join("folder/text")).unwrap(), text);
        }
        assert!(takes["zstd"] < 10 && takes["lzo"] < 10 && takes["zlib"] < 10, "{takes:?}");
        assert!((100..110).contains(&takes["no"]), "{takes:?}");
    }
}

#[test]
fn root_snapshots_clones_and_rollbacks_copy_no_data() {
    let Some(ground) = Ground::with(Options { size_bytes: Some(1600 * MIB), ..Options::default() }) else {
        return;
    };
    let driver = &ground.driver;
    let volume = ground.volume("data");
    let path = driver.mount(&volume, "user").unwrap();
    fill(&path.join("file"), 1024).unwrap();
    let pool = ground.path().join("place").join(file::NAME);
    // With copies, four GiB would not fit.
    driver.snapshot(&volume, "then").unwrap();
    let clone = driver.clone_volume(&volume, &VolumeSpec::named("clone")).unwrap();
    driver.unmount(&volume, "user").unwrap();
    driver.rollback(&volume, "then").unwrap();
    assert!(
        driver.usage(&volume).unwrap().used > 1024 * MIB && driver.usage(&clone).unwrap().used > 1024 * MIB
    );
    let takes = || pool.metadata().unwrap().blocks() * 512;
    assert!((1024 * MIB..1200 * MIB).contains(&takes()), "{}", takes());
    // What is removed is given back to the host's disk, when the last one that shares it goes.
    driver.remove(&clone).unwrap();
    assert!(takes() > 1024 * MIB, "{}", takes());
    driver.remove(&volume).unwrap();
    for _ in 0..20 {
        // On a machine with other work, the next call goes on with it.
        if takes() > 100 * MIB {
            driver.remove(&ground.volume("next")).unwrap();
        }
    }
    assert!(takes() < 100 * MIB, "{}", takes());
}
