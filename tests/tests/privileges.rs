//! Capabilities that are added and dropped, and containers without walls.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use tinyd_tests::{Env, Mode, in_both_modes, proc, require};

const DEFAULT: u64 = 0x0000_0000_8004_05fb;
const CHOWN: u64 = 1;
const NET_ADMIN: u64 = 1 << 12;

/// The sets of a process inside, as the host sees them: inheritable, permitted, effective, bounding, ambient.
fn sets(pid: i32) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .map(|field| u64::from_str_radix(&proc::status(pid, field).unwrap(), 16).unwrap())
}

fn of_options(mode: &Mode, options: &[&str]) -> u64 {
    let container = mode.start(options.iter().copied().chain(["host", "sleep", "300"]));
    let [inheritable, permitted, effective, bounding, ambient] = sets(container.pid);
    // What is inherited would survive where it should not (CVE-2022-24769).
    assert_eq!([inheritable, ambient], [0; 2], "{options:?}");
    assert_eq!([permitted, effective], [bounding; 2], "{options:?}");
    let inside = container.exec(&[], &["grep", "-E", "^Cap(Bnd|Inh|Amb)", "/proc/self/status"]).ok().text();
    let expected = format!("CapInh:\t{:016x}\nCapBnd:\t{bounding:016x}\nCapAmb:\t{:016x}", 0, 0);
    assert_eq!(inside, expected, "{options:?}");
    bounding
}

#[test]
fn capabilities_are_added_and_dropped_for_the_command_and_for_later_ones() {
    require!(root);
    let own = u64::from_str_radix(&proc::status(proc::own_pid(), "CapBnd").unwrap(), 16).unwrap();
    in_both_modes(|mode| {
        assert_eq!(of_options(mode, &["--cap-add", "net_admin"]), DEFAULT | NET_ADMIN);
        assert_eq!(of_options(mode, &["--cap-drop", "CAP_CHOWN"]), DEFAULT & !CHOWN);
        assert_eq!(of_options(mode, &["--cap-drop", "ALL", "--cap-add", "CHOWN"]), CHOWN);
        assert_eq!(of_options(mode, &["--cap-add", "ALL", "--cap-drop", "CHOWN"]), own & !CHOWN);
        assert_eq!(of_options(mode, &["--cap-drop", "all"]), 0);
    });
}

#[test]
fn a_capability_opens_what_it_is_for_and_the_filter_lets_it() {
    require!(root);
    in_both_modes(|mode| {
        let set_name = ["host", "hostname", "other"];
        let without = mode.run(["--rm"].into_iter().chain(set_name));
        assert_ne!(without.code(), Some(0), "{without}");
        mode.run(["--rm", "--cap-add", "SYS_ADMIN"].into_iter().chain(set_name)).ok();
    });
}

#[test]
fn unknown_capabilities_are_refused() {
    require!(root);
    let env = Env::new();
    for option in ["--cap-add", "--cap-drop"] {
        let output = env.tinyd(["run", "--rm", option, "NONSENSE", "host", "true"]).fails(125);
        assert!(
            output.stderr().contains("NONSENSE") && output.stderr().contains("capabilities(7)"),
            "{output}"
        );
    }
    assert!(env.containers().is_empty());
}

#[test]
fn a_privileged_container_has_no_walls_and_the_others_keep_theirs() {
    require!(root);
    let env = Env::new();
    let own = u64::from_str_radix(&proc::status(proc::own_pid(), "CapBnd").unwrap(), 16).unwrap();
    let id = env.tinyd(["run", "-d", "--privileged", "host", "sleep", "300"]).ok().text();
    let inspected = env.tinyd(["inspect", &id]).ok().json();
    let pid = inspected[0]["State"]["Pid"].as_i64().unwrap() as i32;
    assert_eq!(sets(pid), [0, own, own, own, 0]);
    assert_eq!(proc::status(pid, "Seccomp").unwrap(), "0");
    assert_eq!(proc::namespace(pid, "user").unwrap(), proc::own_namespace("user").unwrap());
    assert_eq!(inspected[0]["HostConfig"]["Privileged"], true);
    assert_eq!(inspected[0]["HostConfig"]["MaskedPaths"], serde_json::json!([]));
    let exec = |script: &str| env.tinyd(["exec", &id, "sh", "-c", script]);
    exec("mount -t tmpfs none /mnt && umount /mnt").ok();
    exec("exec 3</proc/sys/kernel/core_pattern && test -w /proc/sys/kernel/hostname").ok();
    // Every device file of this machine, apart from terminals and what each has of its own.
    for entry in fs::read_dir("/dev").unwrap().map(Result::unwrap) {
        use std::os::unix::fs::FileTypeExt;
        let kind = entry.file_type().unwrap();
        let name = entry.file_name().into_string().unwrap();
        if (kind.is_char_device() || kind.is_block_device()) && !["console", "ptmx"].contains(&name.as_str())
        {
            assert!(fs::metadata(format!("/proc/{pid}/root/dev/{name}")).is_ok(), "{name}");
        }
    }
    // With the machine's own folder of devices there are no nodes to make.
    env.tinyd(["run", "--rm", "--privileged", "-v", "/dev:/dev", "host", "test", "-c", "/dev/null"]).ok();
    let other = env.tinyd(["run", "--rm", "host", "grep", "Seccomp:", "/proc/self/status"]).ok().text();
    assert_eq!(other, "Seccomp:\t2");
}
