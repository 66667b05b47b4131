//! Roots and volumes that are traps, in bundles of other engines: places that lead elsewhere, at rest and in a race (A3 to A10).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{CWD, FileType, makedev, mknodat};
use serde_json::{Value, json};
use tinyd_tests::attack::{Attacker, Decoy, Rounds, SECRET};
use tinyd_tests::oci::{Oci, bind};
use tinyd_tests::proc::mounts;
use tinyd_tests::{Env, Mode, in_both_modes, require, roots};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

fn with_root(config: &mut Value, root: &Path) {
    config["root"] = json!({ "path": root, "readonly": false });
}

/// Takes the mounts at these places out of a bundle.
fn without(config: &mut Value, places: &[&str]) {
    let is_there = |mount: &Value| places.iter().any(|place| mount["destination"] == *place);
    config["mounts"].as_array_mut().unwrap().retain(|mount| !is_there(mount));
}

#[track_caller]
fn link_in_place_of(image: &Path, name: &str, target: &str) {
    let place = image.join(name);
    tinyd_tests::remove::remove_tree(&place).unwrap();
    let _ = fs::remove_file(&place);
    symlink(target, &place).unwrap();
}

/// CVE-2019-19921, CVE-2023-27561.
#[test]
fn a3_links_in_place_of_proc_and_sys_are_refused() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let decoy = Decoy::folder(&mode.env);
        let outside = decoy.path().to_str().unwrap();
        let image = roots::copy_of_busybox(&mode.env);
        fs::create_dir(image.join("elsewhere")).unwrap();
        for name in ["proc", "sys"] {
            for (number, target) in
                ["/elsewhere", "elsewhere", "/dev", "/tmp/missing", outside].iter().enumerate()
            {
                link_in_place_of(&image, name, target);
                let name = format!("{name}{number}");
                for said in oci.in_each_way(&name, &["echo", "up"], &[], |config| with_root(config, &image)) {
                    said.refused(&["mount /proc in the container", "mount /sys in the container"]);
                }
                decoy.assert_unchanged();
            }
            fs::remove_file(image.join(name)).unwrap();
            fs::create_dir(image.join(name)).unwrap();
        }
    });
}

/// What a container says of its masks, and of a setting that no container may change.
const LOOK: &str = "for file in /proc/keys /proc/timer_list /proc/interrupts; do stat -c '%n is %F %t:%T' $file; done; \
    grep ' - devpts ' /proc/self/mountinfo | cut -d' ' -f5 | sort | sed 's/^/terminal at /'; \
    echo \"cores go to $(cat /proc/sys/kernel/core_pattern)\"; (echo '|/x' > /proc/sys/kernel/core_pattern) 2>&1; exit 0";

/// CVE-2025-31133 and CVE-2025-52565: a `/dev` in a volume, whose null device and console are links every other moment.
#[test]
fn a4_a5_masks_and_console_are_made_of_the_containers_own_devices() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let before = fs::read_to_string(CORE_PATTERN).unwrap();
        let volume = mode.env.files().join("dev");
        fs::create_dir(&volume).unwrap();
        let everybody = rustix::fs::Mode::from_raw_mode(0o666);
        mknodat(CWD, volume.join("null"), FileType::CharacterDevice, everybody, makedev(1, 3)).unwrap();
        fs::write(volume.join("console"), "").unwrap();
        let volume = volume.to_str().unwrap();
        let options = ["-v", &format!("{volume}:/volume")];
        let rest = ["/volume", CORE_PATTERN, "null", "console"];
        let attacker = Attacker::start(mode, ATTACK, &options, "swap", &rest);
        let victims = [true, false].map(|terminal| {
            let name = if terminal { "on-a-terminal" } else { "detached" };
            let bundle = oci.bundle(name, &["sh", "-c", LOOK], |config| {
                config["process"]["terminal"] = json!(terminal);
                bind(config, volume, "/dev");
            });
            Mutex::new(bundle)
        });
        let looked = std::sync::atomic::AtomicUsize::new(0);
        Rounds::FEW.run(|number| {
            let bundle = victims[number % 2].lock().unwrap();
            let output = if number % 2 == 0 {
                let words = ["run".into(), "-b".into(), bundle.clone().into_os_string(), "v".into()];
                oci.cmd(words).pty(24, 80).wait().1
            } else {
                oci.by_start(&bundle).stdout
            };
            // Refused, before anything ran.
            if output.starts_with("tinyd-runtime: ") || output.is_empty() {
                return;
            }
            for line in output.lines().filter(|line| line.starts_with("/proc/")) {
                assert!(line.trim_end().ends_with(" is character special file 1:3"), "{output}");
            }
            for line in output.lines().filter(|line| line.starts_with("terminal at ")) {
                let place = line.trim_end().trim_start_matches("terminal at ");
                assert!(["/dev/pts", "/dev/console"].contains(&place), "{output}");
            }
            assert!(output.contains(&format!("cores go to {}", before.trim_end())), "{output}");
            assert!(output.contains("core_pattern: Read-only file system"), "{output}");
            looked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(attacker.stop()["swaps"] > 1000, "the attack was too slow to be one");
        assert!(looked.into_inner() > 0, "no container was looked at");
        assert_eq!(fs::read_to_string(CORE_PATTERN).unwrap(), before);
    });
}

/// CVE-2025-52881: what is written to a file of `/proc` lands in that file, or nowhere.
#[test]
fn a6_settings_are_written_to_the_containers_own_proc_alone() {
    require!(root);
    require!(program);
    let name = "/proc/sys/kernel/shm_rmid_forced";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let before = (fs::read_to_string(name).unwrap(), fs::read_to_string(CORE_PATTERN).unwrap());
        let volume = mode.env.files().join("volume");
        for folder in ["sys/kernel", "kernel"] {
            fs::create_dir_all(volume.join(folder)).unwrap();
        }
        fs::write(volume.join("decoy"), SECRET).unwrap();
        for folder in ["", "sys/kernel", "kernel"] {
            let up = "../".repeat(Path::new(folder).components().count());
            symlink(format!("{up}decoy"), volume.join(folder).join("shm_rmid_forced")).unwrap();
        }
        let decoy = Decoy::of(&volume);
        for (number, target) in ["/proc/sys/kernel", "/proc/sys", "/proc"].into_iter().enumerate() {
            let said = oci.in_each_way(&format!("s{number}"), &["true"], &[], |config| {
                config["linux"]["sysctl"] = json!({ "kernel.shm_rmid_forced": "1" });
                bind(config, volume.to_str().unwrap(), target);
            });
            for said in said {
                // Over all of /proc the file is still the one that was there first.
                assert_eq!(said.ran, target == "/proc", "{target}: {said:?}");
            }
            decoy.assert_unchanged();
        }
        let after = (fs::read_to_string(name).unwrap(), fs::read_to_string(CORE_PATTERN).unwrap());
        assert_eq!(after, before, "a setting of the host's has changed");
    });
}

/// CVE-2026-41579, CVE-2026-47766: an image whose `/dev`, or what is to be mounted on, leads out of it.
#[test]
fn a7_an_image_whose_dev_is_a_link_has_nothing_made_outside() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let folder = Decoy::folder(&mode.env).path().to_owned();
        fs::write(folder.join("ptmx"), SECRET).unwrap();
        fs::write(folder.join("null"), SECRET).unwrap();
        let decoy = Decoy::of(&folder);
        let image = roots::copy_of_busybox(&mode.env);
        let outside = folder.to_str().unwrap();
        let up = format!("{}{outside}", "../".repeat(20));
        let links = [outside, &up, "/proc/1/root/tmp", "/proc/self/fd/3", "dev", "/"];
        for (number, target) in links.iter().enumerate() {
            link_in_place_of(&image, "dev", target);
            for (kind, gone) in
                [("all", &[][..]), ("none", &["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"][..])]
            {
                let name = format!("dev-{number}-{kind}");
                let said = oci.in_each_way(&name, &["cat", "/dev/ptmx"], &[], |config| {
                    with_root(config, &image);
                    without(config, gone);
                });
                for said in said {
                    assert!(!said.stdout.contains(SECRET), "{target}: {said:?}");
                }
                decoy.assert_unchanged();
            }
        }
        // Devices of the bundle's own, whose place leads there, and links where a mount is to be.
        link_in_place_of(&image, "dev", outside);
        link_in_place_of(&image, "out", outside);
        let said = oci.in_each_way("device", &["true"], &[], |config| {
            with_root(config, &image);
            without(config, &["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]);
            let node = json!({ "path": "/out/sub/null", "type": "c", "major": 1, "minor": 3 });
            config["linux"]["devices"] = json!([node]);
            bind(config, "/etc", "/out/bound");
            bind(config, "/etc/hostname", "/out/secret");
            bind(config, "/etc", &format!("/../../..{outside}/up"));
        });
        for said in said {
            // A link to nothing is made for a file, and refused for a folder.
            said.refused(&["mount /out/bound in the container"]);
        }
        decoy.assert_unchanged();
    });
}

/// The root itself: a link in its place could lead anywhere.
#[test]
fn a7_a_root_that_is_a_link_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let image = roots::busybox();
    for (number, target) in ["/", "/proc/1/root", image.to_str().unwrap()].into_iter().enumerate() {
        for ending in ["", "/", "/."] {
            let link = env.files().join(format!("root{number}"));
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            let path = format!("{}{ending}", link.display());
            let name = format!("link{number}-{}", ending.len());
            for said in oci.in_each_way(&name, &["cat", "/etc/hostname"], &[], |config| {
                config["root"]["path"] = json!(path)
            }) {
                said.refused(&["root.path"]);
            }
        }
    }
}

/// Places that are attacked at once: a victim mounts on all of them.
const PLACES: usize = 30;

fn volume(mode: &Mode, made: bool) -> PathBuf {
    let volume = mode.env.files().join("volume");
    for number in 0..PLACES {
        let place = volume.join(format!("d{number}"));
        fs::create_dir_all(if made { place.join("t") } else { place }).unwrap();
    }
    volume
}

fn mounts_stay_in_their_root(made: bool, rounds: Rounds) {
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let decoy = Decoy::folder(&mode.env);
        if made {
            fs::create_dir(decoy.path().join("t")).unwrap();
        }
        let decoy = Decoy::of(decoy.path());
        let volume = volume(mode, made);
        let source = mode.env.files().join("source-of-the-victims");
        fs::create_dir(&source).unwrap();
        let is_own = |line: &str| line.contains(mode.env.tag());
        let of_host = || mounts::of_self().unwrap().iter().filter(|mount| is_own(&mount.line)).count();
        let before = of_host();
        let options = ["-v", &format!("{}:/volume", volume.display())];
        let attacker =
            Attacker::start(mode, ATTACK, &options, "swap", &["/volume", decoy.path().to_str().unwrap()]);
        let words = ["grep", "-c", "/source-of-the-victims ", "/proc/self/mountinfo"];
        let bundles = ["first", "second"].map(|name| {
            let bundle = oci.bundle(name, &words, |config| {
                bind(config, volume.to_str().unwrap(), "/mnt/volume");
                for number in 0..PLACES {
                    bind(config, source.to_str().unwrap(), &format!("/mnt/volume/d{number}/t"));
                }
            });
            Mutex::new(bundle)
        });
        let started = std::sync::atomic::AtomicUsize::new(0);
        rounds.in_batches_of(PLACES).run(|number| {
            let bundle = bundles[number % 2].lock().unwrap();
            let said = if number % 2 == 0 { oci.by_run(&bundle) } else { oci.by_start(&bundle) };
            decoy.assert_unchanged();
            if said.ran {
                assert_eq!(said.stdout.trim(), PLACES.to_string(), "a mount went somewhere else: {said:?}");
                started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            assert_eq!(of_host(), before, "mounts on the host");
        });
        let swaps = attacker.stop()["swaps"];
        println!("{swaps} swaps, {started:?} victims started");
        assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
    });
}

/// CVE-2021-30465.
#[test]
fn a8_a_place_that_becomes_a_link_is_not_mounted_on_outside() {
    require!(root);
    require!(program);
    mounts_stay_in_their_root(true, Rounds::FEW);
}

/// CVE-2024-45310.
#[test]
fn a9_places_that_are_made_on_the_way_are_not_made_outside() {
    require!(root);
    require!(program);
    mounts_stay_in_their_root(false, Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a8_a9_places_that_become_links_are_not_mounted_on_outside() {
    require!(root);
    require!(program);
    mounts_stay_in_their_root(true, Rounds::MANY);
    mounts_stay_in_their_root(false, Rounds::MANY);
}

/// CVE-2026-55686.
#[test]
fn a10_a_working_folder_through_a_link_is_not_made_outside() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let decoy = Decoy::folder(&mode.env);
        let target = decoy.path().to_str().unwrap();
        let volume = mode.env.files().join("volume");
        fs::create_dir(&volume).unwrap();
        let up = format!("{}{target}", "../".repeat(20));
        for (name, to) in [("absolute", target), ("relative", up.trim_end_matches('/'))] {
            symlink(to, volume.join(name)).unwrap();
        }
        let mut number = 0;
        for name in ["absolute", "relative"] {
            for below in ["", "/sub", "/new/er/still"] {
                let folder = format!("/mnt/volume/{name}{below}");
                for user in [0, 1000] {
                    number += 1;
                    let look = ["sh", "-c", "pwd -P; ls"];
                    let said = oci.in_each_way(&format!("w{number}"), &look, &["--cwd", &folder], |config| {
                        bind(config, volume.to_str().unwrap(), "/mnt/volume");
                        config["process"]["cwd"] = json!(folder);
                        config["process"]["user"] = json!({ "uid": user, "gid": user });
                    });
                    for said in said {
                        assert!(!said.stdout.contains("secret"), "{folder}: {said:?}");
                    }
                    decoy.assert_unchanged();
                }
            }
        }
    });
}
