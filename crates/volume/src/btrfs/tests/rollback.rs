//! Snapshots, rollback, clones.

use super::*;

fn write(ground: &Ground, volume: &VolumeState, text: &str) {
    let path = ground.driver.mount(volume, "writer").unwrap();
    fs::write(path.join("file"), text).unwrap();
    ground.driver.unmount(volume, "writer").unwrap();
}

fn read(ground: &Ground, volume: &VolumeState) -> String {
    let path = ground.driver.mount(volume, "reader").unwrap();
    let text = fs::read_to_string(path.join("file")).unwrap();
    ground.driver.unmount(volume, "reader").unwrap();
    text
}

#[test]
fn root_a_volume_goes_back_to_what_it_was() {
    for ground in Ground::both() {
        let driver = &ground.driver;
        let volume = ground.limited("data", 64 << 20);
        for text in ["one", "two", "three"] {
            write(&ground, &volume, text);
            let taken = driver.snapshot(&volume, text).unwrap();
            assert_eq!(taken.name, text);
            assert!(taken.created.elapsed().unwrap().as_secs() < 60);
        }
        // By age, not by name.
        let names = |driver: &BtrfsDriver| -> Vec<_> {
            Snapshots::snapshots(driver, &volume).unwrap().into_iter().map(|snapshot| snapshot.name).collect()
        };
        assert_eq!(names(driver), ["one", "two", "three"]);
        driver.rollback(&volume, "one").unwrap();
        assert_eq!(read(&ground, &volume), "one");
        // The other way too, and the snapshot itself never changes.
        write(&ground, &volume, "changed");
        driver.rollback(&volume, "three").unwrap();
        assert_eq!(read(&ground, &volume), "three");
        driver.rollback(&volume, "one").unwrap();
        assert_eq!(read(&ground, &volume), "one");
        assert_eq!(driver.usage(&volume).unwrap().limit, Some(64 << 20));
        driver.remove_snapshot(&volume, "two").unwrap();
        driver.remove_snapshot(&volume, "two").unwrap();
        assert_eq!(names(driver), ["one", "three"]);
        driver.remove(&volume).unwrap();
        assert!(ground.driver.list().unwrap().is_empty());
    }
}

#[test]
fn root_a_snapshot_is_seen_by_one_user_and_written_by_none() {
    for ground in Ground::both() {
        let (driver, before) = (&ground.driver, ground.mounts());
        let volume = ground.volume("data");
        write(&ground, &volume, "old");
        driver.snapshot(&volume, "then").unwrap();
        write(&ground, &volume, "new");
        let path = driver.mount_snapshot(&volume, "then", "looker").unwrap();
        assert_eq!(driver.mount_snapshot(&volume, "then", "looker").unwrap(), path);
        assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "old");
        assert_eq!(
            fs::write(path.join("file"), "x").unwrap_err().raw_os_error(),
            Some(Errno::ROFS.raw_os_error())
        );
        assert_eq!(driver.users(&volume).unwrap(), ["looker"]);
        assert_eq!(read(&ground, &volume), "new");
        driver.unmount(&volume, "looker").unwrap();
        assert_eq!(ground.mounts(), before);
        assert!(driver.users(&volume).unwrap().is_empty());
    }
}

#[test]
fn root_what_is_no_snapshot_is_named_and_nothing_changes() {
    let Some(ground) = Ground::of_a_file() else { return };
    let driver = &ground.driver;
    let volume = ground.volume("data");
    write(&ground, &volume, "kept");
    driver.snapshot(&volume, "there").unwrap();
    let error = driver.snapshot(&volume, "there").unwrap_err().to_string();
    assert!(error.contains("\"there\" is taken"), "{error}");
    assert!(driver.snapshot(&volume, "../data").is_err());
    for name in ["nothing", "../data", ""] {
        let error = driver.rollback(&volume, name).unwrap_err();
        assert!(matches!(error, Error::NoSnapshot { .. }) && error.to_string().contains("data"), "{error}");
        assert!(driver.mount_snapshot(&volume, name, "user").is_err());
        driver.remove_snapshot(&volume, name).unwrap();
    }
    assert_eq!(read(&ground, &volume), "kept");
    // Whoever uses it would go on with files that are gone.
    driver.mount(&volume, "user").unwrap();
    let error = driver.rollback(&volume, "there").unwrap_err().to_string();
    assert!(error.contains("while user has it mounted"), "{error}");
    driver.unmount(&volume, "user").unwrap();
    driver.rollback(&volume, "there").unwrap();
}

/// The steps of a rollback, done by hand as far as a killed one came.
#[test]
fn root_a_rollback_that_was_killed_is_the_old_state_or_the_new_one() {
    for ground in Ground::both() {
        let volume = ground.volume("data");
        write(&ground, &volume, "old");
        ground.driver.snapshot(&volume, "then").unwrap();
        write(&ground, &volume, "new");
        for step in 0..3 {
            let folder = ground.inside("data");
            let at = |name: &str| folder.join(name).display().to_string();
            if step > 0 {
                btrfs(&["subvolume", "snapshot", &at("snapshots/then"), &at("next")]);
            }
            if step > 1 {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let (next, data) = (at("next"), at("data"));
                rustix::fs::renameat_with(rustix::fs::CWD, next, rustix::fs::CWD, data, flags).unwrap();
            }
            assert_eq!(read(&ground, &volume), if step < 2 { "new" } else { "old" }, "step {step}");
            assert!(!folder.join("next").exists(), "the next call repairs: step {step}");
            // And whatever was left, it goes on from there.
            ground.driver.rollback(&volume, "then").unwrap();
            assert_eq!(read(&ground, &volume), "old");
            write(&ground, &volume, "new");
        }
    }
}

#[test]
fn root_a_create_or_a_remove_that_was_killed_leaves_no_volume() {
    for ground in Ground::both() {
        let volume = ground.volume("data");
        write(&ground, &volume, "old");
        ground.driver.snapshot(&volume, "then").unwrap();
        // A remove that came as far as the data.
        let folder = ground.inside("data");
        let at = |name: &str| folder.join(name).display().to_string();
        btrfs(&["subvolume", "delete", &at("data")]);
        assert!(ground.driver.list().unwrap().is_empty());
        assert!(!ground.driver.inspect(&volume).unwrap().available);
        // A create that did not come so far.
        btrfs(&["subvolume", "create", &at("next")]);
        assert!(ground.driver.list().unwrap().is_empty());
        let volume = ground.volume("data");
        let path = ground.driver.mount(&volume, "user").unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "the new one is empty");
        assert!(Snapshots::snapshots(&ground.driver, &volume).unwrap().is_empty());
        assert!(!folder.join("next").exists());
    }
}

#[test]
fn root_a_clone_and_its_origin_know_nothing_of_each_other() {
    for ground in Ground::both() {
        let driver = &ground.driver;
        let mut wanted = VolumeSpec { size_bytes: Some(32 << 20), ..VolumeSpec::named("origin") };
        wanted.options = BTreeMap::from([("compress".to_owned(), "zstd".to_owned())]);
        let origin = driver.create(&wanted).unwrap();
        write(&ground, &origin, "first");
        // While it is used.
        driver.mount(&origin, "busy").unwrap();
        let clone = driver.clone_volume(&origin, &VolumeSpec::named("clone")).unwrap();
        assert_eq!((&*clone.name, &clone.options), ("clone", &origin.options));
        assert_eq!(read(&ground, &clone), "first");
        assert_eq!(driver.usage(&clone).unwrap().limit, None, "the limit is that of the wish");
        write(&ground, &clone, "of the clone");
        write(&ground, &origin, "of the origin");
        assert_eq!(
            (read(&ground, &clone), read(&ground, &origin)),
            ("of the clone".into(), "of the origin".into())
        );
        let error = driver.clone_volume(&origin, &VolumeSpec::named("clone")).unwrap_err().to_string();
        assert!(error.contains("taken"), "{error}");
        driver.unmount(&origin, "busy").unwrap();
        driver.remove(&origin).unwrap();
        assert_eq!(read(&ground, &clone), "of the clone");
        assert!(driver.clone_volume(&origin, &VolumeSpec::named("late")).is_err());
        assert_eq!(driver.list().unwrap(), [clone]);
    }
}

#[test]
fn root_a_volume_with_another_subvolume_in_it_is_kept_whole_or_not_at_all() {
    for ground in Ground::both() {
        let driver = &ground.driver;
        let volume = ground.volume("data");
        driver.snapshot(&volume, "before").unwrap();
        let path = driver.mount(&volume, "user").unwrap();
        fs::create_dir(path.join("deep")).unwrap();
        let inner = path.join("deep/own");
        btrfs(&["subvolume", "create", &inner.display().to_string()]);
        fs::write(inner.join("file"), "precious").unwrap();
        driver.unmount(&volume, "user").unwrap();
        let refused = [
            driver.snapshot(&volume, "then").map(drop),
            driver.rollback(&volume, "before"),
            driver.clone_volume(&volume, &VolumeSpec::named("clone")).map(drop),
        ];
        for refused in refused {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("\"deep/own\"") && error.contains("delete it first"), "{error}");
        }
        let names: Vec<_> = driver.list().unwrap().into_iter().map(|volume| volume.name).collect();
        assert_eq!(names, ["data"], "nothing is half done");
        assert_eq!(Snapshots::snapshots(driver, &volume).unwrap().len(), 1);
        let path = driver.mount(&volume, "user").unwrap();
        assert_eq!(fs::read_to_string(path.join("deep/own/file")).unwrap(), "precious");
        btrfs(&["subvolume", "delete", &path.join("deep/own").display().to_string()]);
        driver.unmount(&volume, "user").unwrap();
        driver.snapshot(&volume, "then").unwrap();
        driver.rollback(&volume, "before").unwrap();
        driver.remove(&volume).unwrap();
    }
}
