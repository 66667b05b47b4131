//! Sockets of the engine that a container could talk to (D1, CVE-2020-15257).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use tinyd_tests::attack::counts;
use tinyd_tests::{in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

#[test]
fn d1_no_abstract_socket_of_ours_is_seen_from_the_hosts_network() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["--net", "host", "host", "sleep", "300"]);
        let listed = container.exec(&[], &["cat", "/proc/net/unix"]).ok().stdout();
        assert!(
            listed.lines().count() > 1,
            "the host's sockets are not seen, and so nothing is shown: {listed}"
        );
        let abstracts = listed.lines().filter_map(|line| line.split('@').nth(1));
        let own: Vec<&str> = abstracts
            .filter(|name| {
                name.contains("tinyd") || name.contains(&container.id) || name.contains(mode.env.tag())
            })
            .collect();
        assert!(own.is_empty(), "{own:?}");
    });
}

#[test]
fn d1_the_monitors_socket_is_roots_alone() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let folder = mode.env.run_root().join("containers").join(&container.id);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        let mut sockets = 0;
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let meta = entry.metadata().unwrap();
            if meta.file_type().is_socket() {
                sockets += 1;
                assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, 0), "{:?}", entry.path());
            }
        }
        assert_eq!(sockets, 1);
    });
}

/// Somebody who has got as far as the socket all the same is not answered: another user, and root of a container.
#[test]
fn d1_whoever_is_not_root_here_is_not_answered() {
    require!(root);
    require!(command "setpriv");
    in_both_modes(|mode| {
        let victim = mode.start(["host", "sleep", "300"]);
        let folder = mode.env.run_root().join("containers").join(&victim.id);
        let socket = folder.join("monitor.sock");
        let own = mode.env.other([ATTACK, "connect", socket.to_str().unwrap()]).output().ok();
        assert_eq!(counts(&own.stdout())["kept"], 1, "root itself is not answered: {own}");
        let binds = [format!("{ATTACK}:/attack:ro"), format!("{}:/victim", folder.display())];
        if mode.mapped {
            let words =
                ["-v", &binds[0], "-v", &binds[1], "host", "/attack", "connect", "/victim/monitor.sock"];
            let output = mode.run(words).ok();
            assert_eq!(counts(&output.stdout())["kept"], 0, "{output}");
        }
        for path in [mode.env.run_root(), mode.env.run_root().join("containers"), folder] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
        let cmd = mode.env.other([ATTACK, "connect", socket.to_str().unwrap()]).under(user);
        let said = counts(&cmd.output().ok().stdout());
        assert_eq!((said["connected"], said["kept"]), (1, 0), "{said:?}");
    });
}
