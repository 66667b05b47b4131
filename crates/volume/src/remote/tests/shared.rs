//! A volume that several have, or want, at a time.

use super::servers::{Ssh, silent};
use super::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn pure_who_waits_for_others_that_wait_for_the_server_waits_no_longer_than_they() {
    let run = tempfile::tempdir().unwrap();
    let driver =
        RemoteDriver { patience: Duration::from_millis(300), ..RemoteDriver::new(run.path().to_owned()) };
    let port = format!("port={}", silent());
    let options = [("type", "sshfs"), ("device", "root@127.0.0.1:/far"), ("o", &*port)];
    let options = options.map(|(word, value)| (word.to_owned(), value.to_owned()));
    let volume = VolumeState {
        driver: NAME.to_owned(),
        name: "far".to_owned(),
        path: run.path().join("far/data"),
        made: Vec::new(),
        options: options.into(),
    };
    // Somebody is at it, for longer than anybody waits.
    let held = Users::lock(&run.path().join("far/users")).unwrap();
    let error = driver.mount(&volume, "late").unwrap_err().to_string();
    for part in ["\"far\"", "root@127.0.0.1:/far", "did not answer within 0.3 s", "others"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    drop(held);
    assert_eq!(driver.users(&volume).unwrap(), Vec::<String>::new());
}

#[test]
fn root_an_error_of_a_mount_that_others_have_is_told_and_takes_it_from_nobody() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let driver = RemoteDriver::new(run.path().to_owned());
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    fs::write(path.join("kept"), "x").unwrap();
    let held = fs::File::open(&path).unwrap();
    // The server has lost, for a moment, what it gives.
    fs::rename(ssh.path("data"), ssh.path("away")).unwrap();
    let error = driver.mount(&volume, "two").unwrap_err().to_string();
    assert!(error.contains("No such file") && error.contains("others"), "{error}");
    assert!(marked::exist(&path) && mounted::at(&path).unwrap().is_some());
    fs::rename(ssh.path("away"), ssh.path("data")).unwrap();
    assert_eq!(driver.mount(&volume, "two").unwrap(), path);
    // It is held, so that no other one has its number.
    assert_eq!(path.metadata().unwrap().dev(), held.metadata().unwrap().dev(), "it is mounted anew");
    drop(held);
    assert_eq!(driver.users(&volume).unwrap(), ["one", "two"]);
    for user in ["one", "two"] {
        driver.unmount(&volume, user).unwrap();
    }
    driver.remove(&volume).unwrap();
    assert_nothing_is_left(run.path());
}

#[test]
fn pure_what_may_wait_for_a_server_is_unmounted_by_a_program_or_by_the_driver() {
    let run = tempfile::tempdir().unwrap();
    let driver = RemoteDriver::new(run.path().to_owned());
    let state = |more: &[(&str, &str)]| VolumeState {
        driver: NAME.to_owned(),
        name: "far".to_owned(),
        path: run.path().join("far/data"),
        made: Vec::new(),
        options: wanted(more).options,
    };
    for kind in ["nfs", "cifs", "sshfs"] {
        let unmounting = driver.unmounting(&state(&[("type", kind)])).unwrap();
        assert!(unmounting.program.is_some_and(|program| program.ends_with("umount")), "{kind}");
    }
    assert_eq!(driver.unmounting(&state(&[("type", "rclone"), ("cache", "/c")])), None);
}
