//! From create to remove.

use super::*;
use crate::testing;
use std::os::unix::fs::PermissionsExt;

#[test]
fn root_it_keeps_the_drivers_contract_and_leaves_nothing() {
    for ground in Ground::both() {
        let before = ground.mounts();
        let wanted = VolumeSpec { size_bytes: Some(64 << 20), ..VolumeSpec::named("data") };
        testing::conformance(&|| Box::new(ground.driver.clone()), &wanted);
        assert_eq!(ground.mounts(), before);
        assert!(ground.driver.list().unwrap().is_empty());
        let is_file = ground.driver.places.is_file().unwrap();
        let devices = ground.devices_at_rest(usize::from(!is_file));
        assert_eq!(devices.len(), usize::from(!is_file), "{devices:?}");
        let run = fs::read_dir(ground.path().join("run/users")).unwrap();
        assert_eq!(run.count(), 0, "users of volumes that are gone");
    }
}

#[test]
fn root_volumes_are_listed_as_they_were_made() {
    for ground in Ground::both() {
        assert!(ground.driver.list().unwrap().is_empty());
        let mut wanted = VolumeSpec::named("two");
        wanted.options = BTreeMap::from([("compress".to_owned(), "no".to_owned())]);
        let two = ground.driver.create(&wanted).unwrap();
        let one = ground.volume("one");
        assert_eq!(ground.driver.list().unwrap(), [one.clone(), two.clone()]);
        assert_eq!(two.options["compress"], "no");
        let error = ground.driver.create(&wanted).unwrap_err().to_string();
        assert!(error.contains("\"two\" is taken"), "{error}");
        let path = ground.driver.mount(&two, "user").unwrap();
        assert_eq!(path, two.path);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        ground.driver.unmount(&two, "user").unwrap();
        ground.driver.remove(&one).unwrap();
        assert_eq!(ground.driver.list().unwrap(), [two]);
        let error = ground.driver.mount(&one, "user").unwrap_err();
        assert!(error.to_string().contains("\"one\""), "{error}");
        assert!(!ground.path().join("run/users/one").exists());
    }
}

#[test]
fn root_a_file_is_mounted_as_long_as_somebody_uses_it() {
    let Some(ground) = Ground::of_a_file() else { return };
    let (one, two) = (ground.volume("one"), ground.volume("two"));
    ground.assert_at_rest();
    for (volume, user) in [(&one, "a"), (&one, "b"), (&two, "a")] {
        ground.driver.mount(volume, user).unwrap();
    }
    assert_eq!(ground.driver.users(&one).unwrap(), ["a", "b"]);
    assert_eq!((ground.mounts().len(), ground.devices().len()), (2, 1));
    // Each user sees the volume, not the pool, and no other namespace is told of what is mounted below.
    let lines = ground.mounts();
    assert!(lines.iter().all(|line| line.contains("/volumes/") && !line.contains("shared:")), "{lines:?}");
    // What containers leave in a volume may be set-uid: nobody else of the host comes there.
    let way = ground.path().join("run/mounts").metadata().unwrap();
    assert_eq!(way.permissions().mode() & 0o7777, 0o700);
    ground.driver.unmount(&one, "a").unwrap();
    assert_eq!(ground.mounts().len(), 2);
    ground.driver.unmount(&one, "b").unwrap();
    ground.driver.unmount(&two, "a").unwrap();
    ground.assert_at_rest();
    assert!(!ground.path().join("run/mounts/one").exists());
}

#[test]
fn root_a_user_that_was_noted_and_killed_is_mounted_by_the_next_call() {
    let Some(ground) = Ground::of_a_file() else { return };
    let volume = ground.volume("data");
    Users::lock(&ground.driver.users_folder("data")).unwrap().add("user").unwrap();
    let path = ground.driver.mount(&volume, "user").unwrap();
    assert!(mounts::is_mounted(&path).unwrap());
    // Unmounted, and killed before the user was taken from the list.
    mounts::detach(&path).unwrap();
    ground.driver.unmount(&volume, "user").unwrap();
    assert!(ground.driver.users(&volume).unwrap().is_empty());
}

#[test]
fn root_bad_wishes_are_refused_and_nothing_is_made() {
    let Some(ground) = Ground::of_a_file() else { return };
    let refuse = |change: &dyn Fn(&mut VolumeSpec)| {
        let mut wanted = VolumeSpec::named("data");
        change(&mut wanted);
        let error = ground.driver.create(&wanted).expect_err("it was made").to_string();
        assert!(!ground.path().join("place").exists(), "{error}");
        error
    };
    let option = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    assert!(refuse(&|spec| spec.name.clear()).contains("volume name"));
    assert!(refuse(&|spec| spec.name = "../up".to_owned()).contains("volume name"));
    assert!(refuse(&|spec| spec.source = Some("/srv".into())).contains("/srv"));
    assert!(refuse(&|spec| spec.size_bytes = Some(1000)).contains("less than 1 MiB"));
    assert!(refuse(&|spec| spec.size_bytes = Some(1 << 40)).contains("more than the 320 MiB"));
    assert!(refuse(&|spec| spec.options = option("compress", "rar")).contains("zstd, lzo, zlib, no"));
    assert!(refuse(&|spec| spec.options = option("size", "1")).contains("\"size\""));
}

#[test]
fn root_subvolumes_that_a_container_made_go_with_its_volume() {
    for ground in Ground::both() {
        let volume = ground.volume("data");
        let path = ground.driver.mount(&volume, "user").unwrap();
        fs::create_dir_all(path.join("a/b")).unwrap();
        let below = |rest: &str| path.join(rest).display().to_string();
        for name in ["own", "a/b/deep", "a/b/deep/deeper", "a/b/deep/deeper/deepest"] {
            btrfs(&["subvolume", "create", &below(name)]);
        }
        btrfs(&["property", "set", "-ts", &below("a/b/deep"), "ro", "true"]);
        let bytes = std::ffi::OsStr::from_bytes(b"\xFF");
        assert!(
            Command::new("btrfs")
                .args(["subvolume", "create"])
                .arg(path.join(bytes))
                .status()
                .unwrap()
                .success()
        );
        ground.driver.unmount(&volume, "user").unwrap();
        ground.driver.remove(&volume).unwrap();
        assert!(!ground.driver.inspect(&volume).unwrap().available);
        let root = ground.inside("").parent().unwrap().display().to_string();
        assert_eq!(btrfs(&["subvolume", "list", &root]), "");
    }
}

#[test]
fn root_many_at_once_share_one_device() {
    let Some(ground) = Ground::of_a_file() else { return };
    std::thread::scope(|scope| {
        for number in 0..4 {
            let driver = ground.driver.clone();
            scope.spawn(move || {
                let volume = driver.create(&VolumeSpec::named(format!("v{number}"))).unwrap();
                for round in 0..3 {
                    let path = driver.mount(&volume, "user").unwrap();
                    fs::write(path.join("file"), round.to_string()).unwrap();
                    driver.unmount(&volume, "user").unwrap();
                }
                let path = driver.mount(&volume, "user").unwrap();
                assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "2");
                driver.unmount(&volume, "user").unwrap();
            });
        }
        for _ in 0..20 {
            assert!(ground.devices().len() <= 1);
        }
    });
    assert_eq!(ground.driver.list().unwrap().len(), 4);
    ground.assert_at_rest();
}
