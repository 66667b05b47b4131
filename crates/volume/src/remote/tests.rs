//! Real servers, and servers that are gone.

mod servers;
mod shared;
mod swift;

use super::*;
use crate::patience::until_so;
use crate::testing::{self, needs_root};
use crate::{Users, mounted};
use servers::{BlackHole, Ssh, Wire, secret, silent};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use swift::Swift;

fn wanted(options: &[(&str, &str)]) -> VolumeSpec {
    let options = options.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned()));
    VolumeSpec { options: options.collect(), ..VolumeSpec::named("far") }
}

/// A volume of an SSH server, seen through a port.
fn ssh_volume(ssh: &Ssh, port: u16) -> VolumeSpec {
    let known = ssh.know(port);
    wanted(&[
        ("type", "sshfs"),
        ("device", &format!("root@127.0.0.1:{}", ssh.path("data").display())),
        ("o", &format!("port={port}")),
        ("credentials", ssh.path("user").to_str().unwrap()),
        ("known_hosts", known.to_str().unwrap()),
    ])
}

/// Nothing of a volume is left on this host: no mount, no process.
#[track_caller]
fn assert_nothing_is_left(run: &Path) {
    let data = run.join("far/data");
    assert_eq!(mounted::at(&data).unwrap(), None);
    let until = Instant::now() + Duration::from_secs(30);
    assert!(until_so(until, || Ok(!marked::exist(&data))).unwrap(), "a process is left");
    assert_eq!(Users::list(&run.join("far/users")).unwrap(), Vec::<String>::new());
}

/// Mounts what cannot be mounted, and gives what is told and after how long.
fn refused(options: &[(&str, &str)]) -> (String, Duration) {
    let run = tempfile::tempdir().unwrap();
    let driver = RemoteDriver::new(run.path().to_owned());
    let volume = driver.create(&wanted(options)).unwrap();
    let begun = Instant::now();
    let error = driver.mount(&volume, "one").unwrap_err().to_string();
    let taken = begun.elapsed();
    println!("{taken:?}: {error}");
    assert_nothing_is_left(run.path());
    driver.remove(&volume).unwrap();
    assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
    assert!(error.contains("\"far\"") && !error.contains('\n'), "{error}");
    (error, taken)
}

#[test]
fn root_volumes_of_an_ssh_server_keep_the_drivers_contract() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let make = || -> Box<dyn VolumeDriver> { Box::new(RemoteDriver::new(run.path().join("run"))) };
    testing::conformance(&make, &ssh_volume(&ssh, ssh.port));
    assert_nothing_is_left(&run.path().join("run"));
    assert_eq!(fs::read_dir(run.path().join("run")).unwrap().count(), 0);
}

#[test]
fn root_what_is_written_arrives_at_the_ssh_server_and_users_share_it() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let driver = RemoteDriver::new(run.path().to_owned());
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    fs::write(path.join("greeting"), "hello").unwrap();
    assert_eq!(fs::read_to_string(ssh.path("data/greeting")).unwrap(), "hello");
    fs::write(ssh.path("data/answer"), "yes").unwrap();
    assert_eq!(driver.mount(&volume, "two").unwrap(), path);
    assert_eq!(fs::read_to_string(path.join("answer")).unwrap(), "yes");
    let mount = mounted::at(&path).unwrap().unwrap();
    assert!(mount.has("nosuid") && mount.has("nodev"), "{mount:?}");
    driver.unmount(&volume, "one").unwrap();
    assert!(path.join("greeting").exists());
    // One who has something open keeps what he has, and holds up nobody.
    let open = fs::File::open(path.join("greeting")).unwrap();
    driver.unmount(&volume, "two").unwrap();
    drop(open);
    driver.remove(&volume).unwrap();
    assert_nothing_is_left(run.path());
    assert!(ssh.path("data/greeting").exists());
}

#[test]
fn root_many_who_come_and_go_at_once_have_one_mount() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let volume = RemoteDriver::new(run.path().to_owned()).create(&ssh_volume(&ssh, ssh.port)).unwrap();
    thread_each(["one", "two", "three", "four"], |user| {
        let driver = RemoteDriver::new(run.path().to_owned());
        for _ in 0..3 {
            let path = driver.mount(&volume, user).unwrap();
            fs::write(path.join(user), user).unwrap();
            driver.unmount(&volume, user).unwrap();
        }
    });
    assert_nothing_is_left(run.path());
    assert_eq!(fs::read_dir(ssh.path("data")).unwrap().count(), 4);
    RemoteDriver::new(run.path().to_owned()).remove(&volume).unwrap();
}

#[test]
fn root_secrets_are_seen_by_nobody() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let driver = RemoteDriver::new(run.path().to_owned());
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    let key = fs::read_to_string(ssh.path("user")).unwrap();
    let part = key.lines().nth(1).unwrap();
    let kept = format!("{volume:?} {:?}", driver.inspect(&volume).unwrap());
    let mut shown = vec![kept, fs::read_to_string("/proc/self/mountinfo").unwrap()];
    let mut servers = 0;
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file| {
            fs::read(process.path().join(file)).map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        let (Ok(line), Ok(environment)) = (read("cmdline"), read("environ")) else { continue };
        servers += usize::from(environment.contains(&format!("{}={}", marked::NAME, path.display())));
        shown.extend([line, environment]);
    }
    assert!(servers >= 2, "sshfs and its ssh were looked at");
    assert!(shown.iter().all(|text| !text.contains(part)), "the key is shown");
    driver.unmount(&volume, "one").unwrap();
    driver.remove(&volume).unwrap();
    // Who made it readable for others since is told so before anything is started.
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    let others = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(ssh.path("user"), others).unwrap();
    assert!(driver.mount(&volume, "one").unwrap_err().to_string().contains("chmod 600"));
    assert!(driver.create(&ssh_volume(&ssh, ssh.port)).unwrap_err().to_string().contains("chmod 600"));
    driver.remove(&volume).unwrap();
}

#[test]
fn root_a_file_may_hold_a_password_which_nobody_is_asked_for() {
    if needs_root() {
        return;
    }
    let ssh = Ssh::start();
    let folder = tempfile::tempdir().unwrap();
    let file = secret(folder.path(), &format!("{}\n", servers::PASSWORD));
    let mut spec = ssh_volume(&ssh, ssh.port);
    spec.options.insert("credentials".to_owned(), file.display().to_string());
    let driver = RemoteDriver::new(folder.path().join("run"));
    let volume = driver.create(&spec).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    fs::write(path.join("greeting"), "hello").unwrap();
    assert!(ssh.path("data/greeting").exists());
    driver.unmount(&volume, "one").unwrap();
    secret(folder.path(), "verborgen\n");
    let begun = Instant::now();
    let error = driver.mount(&volume, "one").unwrap_err().to_string();
    println!("refused after {:?}", begun.elapsed());
    assert!(error.contains("far") && !error.contains("verborgen"), "{error}");
    assert_nothing_is_left(&folder.path().join("run"));
    driver.remove(&volume).unwrap();
}

#[test]
fn root_what_somebody_left_who_was_killed_is_put_right() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    // A link on the way, as /var/run is one: mounts are known by their real places.
    let (real, link) = (run.path().join("real"), run.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let driver = RemoteDriver::new(link);
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    assert_eq!(volume.path, real.join("far/data"));
    let sleeps = ["600".to_owned()];
    let mut stale =
        helper::Helper::start(Path::new("/bin/sleep"), &sleeps, Stdio::null(), &volume.path).unwrap();
    Users::lock(&real.join("far/users")).unwrap().add("ghost").unwrap();
    driver.mount(&volume, "one").unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    assert!(until_so(until, || Ok(stale.ended().unwrap().is_some())).unwrap());
    assert_eq!(driver.users(&volume).unwrap(), ["ghost", "one"]);
    driver.unmount(&volume, "ghost").unwrap();
    assert!(mounted::at(&volume.path).unwrap().is_some());
    // The folder for what is mounted may be gone, with a restart of the machine.
    driver.unmount(&volume, "one").unwrap();
    assert_nothing_is_left(&real);
    fs::rename(real.join("far"), run.path().join("gone")).unwrap();
    assert!(!driver.inspect(&volume).unwrap().available);
    driver.unmount(&volume, "one").unwrap();
    driver.mount(&volume, "two").unwrap();
    assert!(driver.inspect(&volume).unwrap().available);
    driver.remove(&volume).unwrap();
    assert_nothing_is_left(&real);
}

#[test]
fn root_a_server_that_says_no_is_quoted() {
    if needs_root() {
        return;
    }
    let ssh = Ssh::start();
    let port = format!("port={}", ssh.port);
    let key = ssh.path("user");
    let device = "root@127.0.0.1:/no/such/folder";
    let base = [("type", "sshfs"), ("o", &*port), ("credentials", key.to_str().unwrap())];
    let known = ssh.path("known");
    let with = |more: &[(&'static str, &str)]| {
        let options: Vec<_> = base.iter().chain(more).map(|(word, value)| (*word, *value)).collect();
        refused(&options).0
    };
    let said = with(&[("device", device), ("known_hosts", known.to_str().unwrap())]);
    assert!(said.contains(device) && said.contains("No such file"), "{said}");
    let nobody = ssh.path("nobody");
    fs::write(&nobody, "").unwrap();
    let said = with(&[("device", "root@127.0.0.1:"), ("known_hosts", nobody.to_str().unwrap())]);
    assert!(said.contains("Host key verification failed"), "{said}");
    fs::write(ssh.path("authorized"), "").unwrap();
    let said = with(&[("device", "root@127.0.0.1:"), ("known_hosts", known.to_str().unwrap())]);
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn root_a_server_that_does_not_answer_is_an_error_in_time_and_leaves_nothing() {
    if needs_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (keys, hole) = (secret(place.path(), "KEY:geheim\n"), BlackHole::new());
    let config = place.path().join("rclone.conf");
    let (quiet, keys) = (silent(), keys.to_str().unwrap());
    thread_each([quiet, hole.port], |port| {
        let config = config.with_extension(port.to_string());
        let text = format!("[far]\ntype = webdav\nurl = http://127.0.0.1:{port}\nvendor = other\n");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (o, url) = (format!("port={port}"), format!("http://127.0.0.1:{port}"));
        let ways: [&[(&str, &str)]; 3] = [
            &[("type", "sshfs"), ("device", "root@127.0.0.1:/far"), ("o", &o)],
            &[
                ("type", "s3"),
                ("device", "bucket"),
                ("url", &url),
                ("credentials", keys),
                ("o", "use_path_request_style"),
            ],
            &[("type", "rclone"), ("device", "far:"), ("credentials", config.to_str().unwrap())],
        ];
        thread_each(ways, |options| {
            let (error, taken) = refused(options);
            let device = options.iter().find(|(word, _)| *word == "device").unwrap().1;
            assert!(error.contains(device) && !error.contains("geheim"), "{error}");
            // Ten seconds on a machine that has time; the server would never answer.
            assert!(taken < Duration::from_secs(60), "{taken:?}: {error}");
        });
    });
}

/// Does something for each, all at the same time.
fn thread_each<T: Send>(each: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for one in each {
            scope.spawn(|| work(one));
        }
    });
}

#[test]
fn root_a_server_that_goes_away_in_the_middle_holds_up_only_who_writes() {
    if needs_root() {
        return;
    }
    let ssh = Ssh::start();
    thread_each([true, false], |is_silent| {
        let (run, wire) = (tempfile::tempdir().unwrap(), Wire::to(ssh.port));
        let driver =
            RemoteDriver { patience: Duration::from_secs(3), ..RemoteDriver::new(run.path().to_owned()) };
        let volume = driver.create(&ssh_volume(&ssh, wire.port)).unwrap();
        let path = driver.mount(&volume, "one").unwrap();
        let (told, heard) = mpsc::channel();
        let file = path.join(format!("big-{is_silent}"));
        let writer = std::thread::spawn(move || {
            let mut file = fs::File::create(file).unwrap();
            loop {
                match file.write_all(&[7; 64 << 10]) {
                    Ok(()) => drop(told.send(())),
                    Err(error) => return error,
                }
            }
        });
        for _ in 0..20 {
            heard.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        if is_silent {
            wire.goes_silent()
        } else {
            wire.is_cut()
        }
        // Wait until it has no room for more, or has failed.
        while heard.recv_timeout(Duration::from_secs(1)).is_ok() {}
        let begun = Instant::now();
        assert!(driver.inspect(&volume).unwrap().available);
        assert_eq!(driver.users(&volume).unwrap(), ["one"]);
        if is_silent {
            let error = driver.mount(&volume, "two").unwrap_err().to_string();
            assert!(error.contains("does not answer any more"), "{error}");
        }
        driver.unmount(&volume, "one").unwrap();
        driver.remove(&volume).unwrap();
        println!("gone after {:?}", begun.elapsed());
        assert_nothing_is_left(run.path());
        writer.join().unwrap();
    });
}

#[test]
fn root_a_mount_whose_program_died_is_made_anew_for_the_next() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let driver = RemoteDriver::new(run.path().to_owned());
    let volume = driver.create(&ssh_volume(&ssh, ssh.port)).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    marked::end(&path, rustix::process::Signal::KILL);
    while marked::exist(&path) {
        std::thread::sleep(crate::patience::LOOK);
    }
    assert!(path.join("x").metadata().is_err());
    assert_eq!(driver.mount(&volume, "two").unwrap(), path);
    fs::write(path.join("x"), "again").unwrap();
    // Whoever was killed left a program that nothing is mounted by, too.
    marked::end(&path, rustix::process::Signal::KILL);
    driver.unmount(&volume, "one").unwrap();
    driver.unmount(&volume, "two").unwrap();
    driver.remove(&volume).unwrap();
    assert_nothing_is_left(run.path());
    assert_eq!(fs::read_to_string(ssh.path("data/x")).unwrap(), "again");
}

#[test]
fn root_what_rclone_can_reach_is_a_volume_with_and_without_a_cache() {
    if needs_root() {
        return;
    }
    let (ssh, run) = (Ssh::start(), tempfile::tempdir().unwrap());
    let (key, data) = (ssh.path("user"), ssh.path("data"));
    let text = format!(
        "[far]\ntype = sftp\nhost = 127.0.0.1\nport = {}\nuser = root\nkey_file = {}\nshell_type = none\n",
        ssh.port,
        key.display()
    );
    let config = secret(run.path(), &text);
    let cache = run.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let device = format!("far:{}", data.display());
    // Six seconds on their way, for longer than an end waits for what is not closed yet.
    let base = [
        ("type", "rclone"),
        ("device", &*device),
        ("credentials", config.to_str().unwrap()),
        ("o", "bwlimit=2M"),
    ];
    let cached = ("cache", cache.to_str().unwrap());
    let with_cache = [base.as_slice(), &[cached]].concat();
    let big = vec![5; 12 << 20];
    fs::write(run.path().join("big"), &big).unwrap();
    for options in [base.as_slice(), &with_cache] {
        let driver = RemoteDriver::new(run.path().join("run"));
        let volume = driver.create(&wanted(options)).unwrap();
        let path = driver.mount(&volume, "one").unwrap();
        // By a process of its own: what another test's child closes of ours before its exec ends the file, for rclone.
        let copied = Command::new("cp").arg(run.path().join("big")).arg(path.join("big")).status();
        assert!(copied.unwrap().success());
        driver.unmount(&volume, "one").unwrap();
        // What is closed is at the server; with a cache that is not before nothing of it is here any more.
        let is_over = || Ok(!options.contains(&cached) || !marked::exist(&path));
        assert!(until_so(Instant::now() + Duration::from_secs(60), is_over).unwrap());
        assert!(fs::read(data.join("big")).unwrap() == big);
        fs::remove_file(data.join("big")).unwrap();
        driver.remove(&volume).unwrap();
        assert_nothing_is_left(&run.path().join("run"));
    }
}

#[test]
fn root_what_is_written_arrives_in_a_store_that_speaks_s3() {
    if needs_root() {
        return;
    }
    let (swift, run) = (Swift::start(), tempfile::tempdir().unwrap());
    swift.rclone(&["mkdir", "store:bucket"]);
    let (url, keys) = (format!("http://127.0.0.1:{}", swift.port), swift.keys(run.path()));
    let base = [
        ("type", "s3"),
        ("url", &*url),
        ("credentials", keys.to_str().unwrap()),
        ("o", "use_path_request_style,endpoint=us-east-1"),
    ];
    let options = [base.as_slice(), &[("device", "bucket")]].concat();
    let make = || -> Box<dyn VolumeDriver> { Box::new(RemoteDriver::new(run.path().join("run"))) };
    testing::conformance(&make, &wanted(&options));
    let driver = make();
    let volume = driver.create(&wanted(&options)).unwrap();
    let path = driver.mount(&volume, "one").unwrap();
    fs::create_dir(path.join("deep")).unwrap();
    fs::write(path.join("deep/greeting"), "hello").unwrap();
    assert_eq!(swift.rclone(&["cat", "store:bucket/deep/greeting"]), "hello");
    let mount = mounted::at(&path).unwrap().unwrap();
    assert!(mount.has("nosuid") && mount.has("nodev"), "{mount:?}");
    driver.unmount(&volume, "one").unwrap();
    driver.remove(&volume).unwrap();
    assert_nothing_is_left(&run.path().join("run"));
    assert_eq!(swift.rclone(&["cat", "store:bucket/deep/greeting"]), "hello");

    let (error, _) = refused(&[base.as_slice(), &[("device", "no-bucket")]].concat());
    assert!(error.contains("no-bucket") && error.contains(&url) && error.contains("not found"), "{error}");
    fs::write(&keys, "AWSAccessKeyId=us:me\nAWSSecretKey=verborgen\n").unwrap();
    let (error, _) = refused(&options);
    assert!(error.contains("bucket") && !error.contains("verborgen"), "{error}");
}

#[test]
fn root_what_this_kernel_has_not_is_said() {
    if needs_root() {
        return;
    }
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    for (kind, device, list) in [("nfs4", "127.0.0.1:/x", ""), ("cifs", "//127.0.0.1/x", "guest")] {
        if known.split_whitespace().any(|word| word == kind || word == "nfs" && kind == "nfs4") {
            continue;
        }
        let (error, _) = refused(&[("type", kind), ("device", device), ("o", list)]);
        assert!(error.contains("load its module") && error.contains(device), "{error}");
    }
}

#[test]
fn pure_what_cannot_be_is_refused_before_anything_is_made() {
    let run = tempfile::tempdir().unwrap();
    let driver = RemoteDriver::new(run.path().join("run"));
    let nfs = wanted(&[("type", "nfs"), ("device", "h:/a")]);
    let refused = |spec: &VolumeSpec, part: &str| {
        let error = driver.create(spec).expect_err(part).to_string();
        assert!(error.contains(part) && !run.path().join("run").exists(), "{error}");
    };
    refused(&VolumeSpec { size_bytes: Some(5), ..nfs.clone() }, "size");
    refused(&VolumeSpec { source: Some("/srv".into()), ..nfs.clone() }, "/srv");
    refused(&VolumeSpec { name: String::new(), ..nfs.clone() }, "volume name");
    refused(&VolumeSpec { options: BTreeMap::new(), ..nfs }, "type");
    refused(
        &wanted(&[("type", "sshfs"), ("device", "h:/a"), ("credentials", "/no/such/key")]),
        "/no/such/key",
    );
    refused(&wanted(&[("type", "sshfs"), ("device", "h:/a"), ("known_hosts", "/etc")]), "known_hosts");
    let error =
        Error::NoHelper { volume: "v".into(), kind: "nfs", program: "mount.nfs", package: "nfs-common" };
    assert!(error.to_string().contains("nfs-common"));
}
