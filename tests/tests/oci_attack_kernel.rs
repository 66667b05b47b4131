//! What of the kernel a container of another engine's gets at: settings, control groups, algorithms, keys, what tells of the machine
//! (A12 to A15, A19, A21, A23).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;

use serde_json::{Value, json};
use tinyd_tests::attack::counts;
use tinyd_tests::bundle::Bundle;
use tinyd_tests::oci::{Oci, bind};
use tinyd_tests::{Env, in_both_modes, require, roots, skip};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// The built `attack`, and a root that it runs in.
fn with_attack(config: &mut Value) {
    config["root"]["path"] = json!(roots::debian());
    bind(config, ATTACK, "/mnt/attack");
}

/// The filter that our own engine writes into a bundle.
fn own_filter(env: &Env) -> Value {
    let bundle = Bundle::create(env, &["host", "true"]);
    let path = env.root().join("containers").join(&bundle.id).join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    env.tinyd(["rm", &bundle.id]).ok();
    config["linux"]["seccomp"].clone()
}

/// CVE-2022-0811: settings that are the host's, and names and values that hold a second one.
#[test]
fn a12_settings_of_the_host_and_two_in_one_are_refused() {
    require!(root);
    require!(program);
    let pattern = "/proc/sys/kernel/core_pattern";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let before = fs::read_to_string(pattern).unwrap();
        let bad = [
            ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x\n"),
            ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/x"),
            ("kernel.shm_rmid_forced=1+kernel.core_pattern", "|/x"),
            ("kernel.core_pattern", "|/x"),
            ("kernel/core_pattern", "|/x"),
            ("kernel.shm/../core_pattern", "|/x"),
            ("net/../kernel/core_pattern", "|/x"),
            ("net..kernel.core_pattern", "|/x"),
            ("net.ipv4.ip_forward\n", "1"),
            ("vm.overcommit_memory", "1"),
            ("fs.file-max", "1"),
            ("", "1"),
        ];
        for (number, (name, value)) in bad.into_iter().enumerate() {
            let said = oci.in_each_way(&format!("s{number}"), &["true"], &[], |config| {
                config["linux"]["sysctl"] = json!({ name: value });
            });
            said.iter().for_each(|said| said.refused(&["linux.sysctl"]));
        }
        // Those of namespaces that are the host's are the host's.
        for (name, kind) in
            [("net.ipv4.ip_forward", "network"), ("kernel.shmmax", "ipc"), ("kernel.domainname", "uts")]
        {
            let said = oci.in_each_way(&format!("of-{kind}"), &["true"], &[], |config| {
                config["hostname"] = Value::Null;
                config["linux"]["sysctl"] = json!({ name: "1" });
                config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != kind);
            });
            said.iter().for_each(|said| said.refused(&["linux.sysctl", "sysfs in a user namespace"]));
        }
        assert_eq!(fs::read_to_string(pattern).unwrap(), before);
        // The container's own are its own.
        let look =
            ["cat", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_unprivileged_port_start"];
        let said = oci.in_each_way("good", &look, &[], |config| {
            let own = json!({ "kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "0" });
            config["linux"]["sysctl"] = own;
        });
        said.iter().for_each(|said| assert_eq!(said.text(), "1\n0\n"));
    });
}

/// CVE-2023-25809, with a namespace of control groups and without.
#[test]
fn a13_control_groups_cannot_be_written() {
    require!(root);
    require!(program);
    let script = "cut -d' ' -f5,6 /proc/self/mountinfo | grep ^/sys/fs/cgroup | sed 's/^/mount /'; \
        for folder in $(cut -d' ' -f5 /proc/self/mountinfo | grep ^/sys/fs/cgroup); do \
        mkdir $folder/x 2>&1; touch $folder/x 2>&1; (echo 1 > $folder/cgroup.procs) 2>&1; done; exit 0";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        for (name, own) in [("own", true), ("hosts", false)] {
            let said = oci.in_each_way(name, &["sh", "-c", script], &[], |config| {
                config["linux"]["namespaces"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|one| own || one["type"] != "cgroup");
            });
            for said in said {
                let (mounts, answers): (Vec<&str>, Vec<&str>) =
                    said.text().lines().partition(|line| line.starts_with("mount "));
                assert!(!mounts.is_empty(), "{said:?}");
                let is_read_only =
                    |mount: &&str| mount.rsplit(' ').next().unwrap().split(',').any(|word| word == "ro");
                assert!(mounts.iter().all(is_read_only), "{said:?}");
                let refused = [
                    "Read-only file system",
                    "ermission denied",
                    "can't create",
                    "no such file",
                    "No such file",
                ];
                for answer in &answers {
                    assert!(refused.iter().any(|word| answer.contains(word)), "{answer}: {said:?}");
                }
                assert!(answers.iter().any(|answer| answer.contains("Read-only file system")), "{said:?}");
            }
        }
    });
}

/// CVE-2022-0492.
#[test]
fn a14_nobody_gets_at_a_release_agent() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let filter = own_filter(&mode.env);
        for user in [0, 1000] {
            let change = |config: &mut Value| {
                with_attack(config);
                config["linux"]["seccomp"] = filter.clone();
                config["process"]["user"] = json!({ "uid": user, "gid": user });
            };
            for said in oci.in_each_way(&format!("n{user}"), &["/mnt/attack", "namespaces"], &[], change) {
                let answers = counts(said.text());
                // EPERM.
                assert!(answers.len() == 4 && answers.values().all(|errno| *errno == 1), "{said:?}");
            }
        }
        // Without a filter a namespace of users can be made, and nothing is gained by that.
        let script = "find /sys/fs/cgroup -name release_agent; mkdir -p /mnt/x; \
            for kind in cgroup cgroup2; do mount -t $kind -o none,name=x none /mnt/x && echo mounted; done; \
            unshare -UrCm sh -c 'mount -t cgroup -o memory none /mnt && echo /x > /mnt/release_agent && echo written'; \
            mount -o remount,rw /sys/fs/cgroup && echo remounted; \
            unshare -UrCm mount -o remount,rw /sys/fs/cgroup && echo remounted; exit 0";
        let said = oci.in_each_way("m", &["sh", "-c", script], &[], |config| {
            config["mounts"].as_array_mut().unwrap().push(json!({ "destination": "/mnt", "type": "tmpfs" }));
        });
        for said in said {
            assert_eq!(said.text(), "", "{said:?}");
        }
    });
}

/// CVE-2026-31431: a bundle's filter holds for every way into the kernel that it can hold for; i386's socketcall, whose arguments lie in
/// memory, is closed by a filter that does not name i386.
#[test]
fn a15_no_socket_of_the_kernels_algorithms() {
    require!(root);
    require!(program);
    const KILLED: &str = "159";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let filter = own_filter(&mode.env);
        let with_filter = |config: &mut Value| {
            with_attack(config);
            config["linux"]["seccomp"] = filter.clone();
        };
        for said in oci.in_each_way("f", &["/mnt/attack", "algorithms"], &[], with_filter) {
            let answers = counts(said.text());
            assert_eq!(answers["native"], 1, "{said:?}");
            assert!([1, 38].contains(&answers["x32"]), "{said:?}");
        }
        if mode.env.other([ATTACK, "algorithms-of-i386"]).output().code() != Some(0) {
            return skip("oci_attack_kernel", "this kernel has no IA32 emulation");
        }
        for said in oci.in_each_way("i", &["/mnt/attack", "algorithms-of-i386"], &[], with_filter) {
            assert_eq!(counts(said.text())["i386"], 1, "{said:?}");
        }
        let script = "/mnt/attack algorithms-of-i386; echo code=$?";
        let said = oci.in_each_way("k", &["sh", "-c", script], &[], |config| {
            with_filter(config);
            config["linux"]["seccomp"]["architectures"] = json!(["SCMP_ARCH_X86_64"]);
        });
        for said in said {
            assert!(said.text().ends_with(&format!("code={KILLED}\n")), "{said:?}");
            assert!(!said.stdout.contains("i386=") && !said.stdout.contains("socketcall="), "{said:?}");
        }
    });
}

#[test]
fn a19_the_callers_keys_are_out_of_reach() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let name = format!("key-of-{}", mode.env.tag());
        let with_key = [ATTACK, "with-key", &name];
        let own = mode.env.other([ATTACK, "key", &name]).under(with_key).output().ok();
        assert_eq!(own.text(), "key=the-hosts-own-key", "who has the key cannot read it: {own}");
        let script = format!("/mnt/attack key {name}; cat /proc/keys");
        let bundle = oci.bundle("r", &["sh", "-c", &script], with_attack);
        let run = ["run".into(), "-b".into(), bundle.into_os_string(), "r".into()];
        let run = oci.cmd(run).under(with_key).output().ok();
        // One that is created with the key there, and started.
        let bundle = oci.bundle(
            "c",
            &["sh", "-c", &format!("{{ {script}; }} > /mnt/said; exec sleep 1000")],
            with_attack,
        );
        let create = [OsString::from("create"), "-b".into(), bundle.into(), "c".into()];
        oci.leave_with(with_key, create).ok();
        oci.cmd(["start", "c"]).under(with_key).output().ok();
        tinyd_tests::wait_until("it has looked", || {
            oci.run(["exec", "c", "cat", "/mnt/said"]).stdout().contains("no key")
        });
        let started = oci.run(["exec", "c", "cat", "/mnt/said"]).ok();
        let exec = oci.cmd(["exec", "c", "sh", "-c", &script]).under(with_key).output().ok();
        for output in [run, started, exec] {
            assert!(
                output.stdout().starts_with("no key: ") && output.stdout().lines().count() == 1,
                "{output}"
            );
        }
    });
}

/// PLATYPUS and its like: power, interrupts, temperatures. What of it this machine has shows nothing.
#[test]
fn a21_nothing_tells_of_power_interrupts_or_temperatures() {
    require!(root);
    require!(program);
    let script = "cat /proc/interrupts; ls /sys/devices/virtual/powercap /sys/class/powercap/*/ 2>/dev/null; \
        for cpu in /sys/devices/system/cpu/cpu*/thermal_throttle; do ls $cpu 2>/dev/null; done; stat -c %t:%T /proc/interrupts";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        for said in oci.in_each_way("t", &["sh", "-c", script], &[], |_| {}) {
            assert_eq!(said.text(), "1:3\n", "{said:?}");
        }
        // A path of a bundle that this kernel has not is no reason to refuse it; one that leads elsewhere hides nothing of the host's.
        let said = oci.in_each_way("more", &["sh", "-c", LOOK], &[], |config| {
            let paths = config["linux"]["maskedPaths"].as_array_mut().unwrap();
            let more = [
                "/sys/no/such",
                "/proc/no/such",
                "/no/such",
                "/proc/interrupts",
                "/proc/sys/kernel/version",
                "/proc/sys/net",
            ];
            paths.extend(more.map(Value::from));
        });
        said.iter().for_each(|said| assert_eq!(said.text(), "", "{said:?}"));
    });
    // As `spec` writes it for whoever begins with that.
    let env = Env::new();
    let oci = Oci::of(&env);
    oci.bundle("s", &["true"], |config| {
        let masked = config["linux"]["maskedPaths"].as_array().unwrap();
        for path in ["/proc/interrupts", "/sys/devices/virtual/powercap", "/proc/kcore", "/sys/firmware"] {
            assert!(masked.contains(&json!(path)), "{path}");
        }
    });
}

/// What is hidden twice, or below what is hidden or cannot be written, is hidden.
const LOOK: &str = "cat /proc/interrupts /proc/sys/kernel/version; ls /proc/sys/net; (echo 1 > /proc/sys/kernel/shmmni) 2>/dev/null; exit 0";

/// The flag that leaves the host's root, and its unmasked /proc, within reach.
#[test]
fn a23_no_pivot_is_refused_with_a_reason() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for verb in ["create", "run"] {
        let bundle = oci.bundle(verb, &["true"], |_| {});
        for flag in ["--no-pivot", "-no-pivot", "--no-pivot=true"] {
            let words = [OsString::from(verb), flag.into(), "-b".into(), bundle.clone().into(), "x".into()];
            let refused = oci.run(words).fails(1);
            assert!(refused.stderr().contains("--no-pivot leaves the host's root within reach"), "{refused}");
            assert!(
                refused.stderr().contains("bound onto itself") && refused.stderr().lines().count() == 1,
                "{refused}"
            );
            oci.run(["state", "x"]).fails(1);
        }
        let words = [
            OsString::from(verb),
            "--no-pivot=false".into(),
            "-b".into(),
            bundle.clone().into(),
            verb.into(),
        ];
        oci.leave(words).ok();
    }
    oci.run(["exec", "--no-pivot", "create", "true"]).fails(2);
}
