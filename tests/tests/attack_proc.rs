//! `/proc`, `/sys` and `/dev` that are not what they seem while a container is put together (A3, A4, A5, A6).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, makedev, mknodat};
use serde_json::json;
use tinyd_tests::attack::{Attacker, Decoy, Rounds, SECRET};
use tinyd_tests::bundle::Bundle;
use tinyd_tests::{Mode, in_both_modes, require, roots};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// What a container that could write it would run on the host, as root.
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// An image of the test's own, to be changed.
fn image(mode: &Mode, name: &str) -> PathBuf {
    let folder = mode.env.files().join(name);
    mode.env.other(["cp".into(), "-a".into(), roots::busybox(), folder.clone()]).output().ok();
    folder
}

/// A3, CVE-2019-19921 and CVE-2023-27561.
#[test]
fn a3_links_in_place_of_proc_and_sys_are_refused() {
    require!(root);
    in_both_modes(|mode| {
        let decoy = Decoy::folder(&mode.env);
        let outside = decoy.path().to_str().unwrap();
        for (number, name) in ["proc", "sys"].into_iter().enumerate() {
            let image = image(mode, &format!("image{number}"));
            fs::remove_dir(image.join(name)).unwrap();
            fs::create_dir(image.join("elsewhere")).unwrap();
            for target in ["/elsewhere", "elsewhere", "/dev", "/tmp/missing", outside] {
                let _ = fs::remove_file(image.join(name));
                symlink(target, image.join(name)).unwrap();
                let output = mode.run([image.to_str().unwrap(), "echo", "up"]).fails(125);
                assert_eq!(output.stdout(), "", "{name} -> {target}: {output}");
                assert_eq!(output.stderr().lines().count(), 1, "{name} -> {target}: {output}");
                decoy.assert_unchanged();
            }
            // The same in what a container has written itself, before its next start.
            fs::remove_file(image.join(name)).unwrap();
            fs::create_dir(image.join(name)).unwrap();
            let words = ["--userns", mode.userns(), image.to_str().unwrap(), "echo", "up"];
            let bundle = Bundle::create(&mode.env, &words);
            let upper = mode.env.root().join("containers").join(&bundle.id).join("upper");
            symlink("/elsewhere", upper.join(name)).unwrap();
            let output = mode.env.tinyd(["start", "-a", &bundle.id]).fails(125);
            assert_eq!(output.stdout(), "", "{output}");
        }
    });
}

/// CVE-2026-41579, CVE-2026-47766: an image whose `/dev` leads out of it.
#[test]
fn a7_an_image_whose_dev_is_a_link_has_nothing_made_outside() {
    require!(root);
    in_both_modes(|mode| {
        let folder = Decoy::folder(&mode.env).path().to_owned();
        for name in ["ptmx", "null"] {
            fs::write(folder.join(name), SECRET).unwrap();
        }
        let decoy = Decoy::of(&folder);
        let image = image(mode, "image");
        fs::remove_dir(image.join("dev")).unwrap();
        let outside = folder.to_str().unwrap();
        let up = format!("{}{outside}", "../".repeat(20));
        for target in [outside, &up, "/proc/1/root/tmp", "dev", "/"] {
            let _ = fs::remove_file(image.join("dev"));
            symlink(target, image.join("dev")).unwrap();
            let image = image.to_str().unwrap();
            let ran = mode.run([image, "cat", "/dev/ptmx"]);
            let bundle = Bundle::create(&mode.env, &["--userns", mode.userns(), image, "cat", "/dev/ptmx"]);
            let started = mode.env.tinyd(["start", "-a", &bundle.id]);
            let waits = Bundle::create(&mode.env, &["--userns", mode.userns(), image, "sleep", "300"]);
            let joined = match mode.env.tinyd(["start", &waits.id]).code() {
                Some(0) => mode.env.tinyd(["exec", "-t", &waits.id, "cat", "/dev/ptmx"]),
                _ => continue,
            };
            for output in [ran, started, joined] {
                assert!(!output.stdout().contains(SECRET), "{target}: {output}");
            }
            mode.env.tinyd(["rm", "-f", &waits.id]).ok();
            decoy.assert_unchanged();
        }
        decoy.assert_unchanged();
    });
}

/// What a container on a terminal says of itself: the kind of each masked file, where a terminal is mounted, and what the
/// host would do with a core.
const LOOK: &str = "for file in /proc/keys /proc/timer_list /proc/interrupts; do stat -c '%n is %F %t:%T' $file; done; \
    grep ' - devpts ' /proc/self/mountinfo | cut -d' ' -f5 | sort | sed 's/^/terminal at /'; \
    echo \"cores go to $(cat /proc/sys/kernel/core_pattern)\"; (echo '|/x' > /proc/sys/kernel/core_pattern) 2>&1; exit 0";

/// A `/dev` in a volume, which another container has too: its null device and console are links every other moment.
fn devices_are_the_containers_own(rounds: Rounds) {
    in_both_modes(|mode| {
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
        let victims = [0, 1].map(|_| {
            let words = ["-t", "--userns", mode.userns(), "host", "sh", "-c", LOOK];
            let bundle = Bundle::create(&mode.env, &words);
            bundle.bind(volume, "/dev");
            std::sync::Mutex::new(bundle)
        });
        rounds.run(|number| {
            let victim = victims[number % 2].lock().unwrap();
            // A victim that reads what should be a setting from its terminal would wait for ever.
            let start = mode.env.cmd(["start", "-a", &victim.id]).limit(Duration::from_secs(60));
            let output = start.pty(24, 80).wait().1;
            // The words that the program uses for a refusal begin with its name.
            if output.starts_with("tinyd: ") {
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
        });
        assert!(attacker.stop()["swaps"] > 1000, "the attack was too slow to be one");
        assert_eq!(fs::read_to_string(CORE_PATTERN).unwrap(), before);
    });
}

/// CVE-2025-31133 and CVE-2025-52565.
#[test]
fn a4_a5_masks_and_console_are_made_of_the_containers_own_devices() {
    require!(root);
    devices_are_the_containers_own(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a4_a5_masks_and_console_are_made_of_the_containers_own_devices() {
    require!(root);
    devices_are_the_containers_own(Rounds::MANY);
}

/// A bind over `/dev` by option is either taken, with masks that hide, or refused; the null device is never the bind's.
#[test]
fn a4_a_null_device_of_the_users_own_masks_nothing() {
    require!(root);
    in_both_modes(|mode| {
        let fake = mode.env.file("fake", SECRET);
        for target in ["/dev/null", "/dev"] {
            let source = if target == "/dev" { fake.parent().unwrap() } else { &fake };
            let bind = format!("{}:{target}", source.display());
            let output = mode.run(["-v", &bind, "host", "cat", "/proc/keys", "/proc/interrupts"]);
            assert!(!output.stdout().contains(SECRET), "{output}");
            assert_eq!(output.stdout(), "", "{output}");
        }
    });
}

/// A6, CVE-2025-52881: what is written to a file of `/proc` lands in that file, or nowhere.
#[test]
fn a6_settings_are_written_to_the_containers_own_proc_alone() {
    require!(root);
    let name = "/proc/sys/kernel/shm_rmid_forced";
    in_both_modes(|mode| {
        let before = (fs::read_to_string(name).unwrap(), fs::read_to_string(CORE_PATTERN).unwrap());
        let volume = mode.env.files().join("volume");
        for folder in ["sys/kernel", "kernel"] {
            fs::create_dir_all(volume.join(folder)).unwrap();
        }
        fs::write(volume.join("decoy"), SECRET).unwrap();
        for folder in ["", "sys/kernel", "kernel"] {
            let up = "../".repeat(Path::new(folder).components().count());
            symlink(format!("{up}decoy"), volume.join(folder).join("shm_rmid_forced")).unwrap();
            symlink("decoy", volume.join(folder).join("core_pattern")).unwrap();
        }
        let decoy = Decoy::of(&volume);
        for target in ["/proc/sys/kernel", "/proc/sys", "/proc"] {
            let words = ["--userns", mode.userns(), "host", "true"];
            let bundle = Bundle::create(&mode.env, &words);
            bundle.edit(|config| config["linux"]["sysctl"] = json!({ "kernel.shm_rmid_forced": "1" }));
            bundle.bind(volume.to_str().unwrap(), target);
            let output = mode.env.tinyd(["start", "-a", &bundle.id]);
            assert!(matches!(output.code(), Some(0 | 125)), "{target}: {output}");
            // Over all of /proc the file is still the one that was there first.
            let refused = target != "/proc";
            assert_eq!(output.code() == Some(125), refused, "{target}: {output}");
            decoy.assert_unchanged();
        }
        let after = (fs::read_to_string(name).unwrap(), fs::read_to_string(CORE_PATTERN).unwrap());
        assert_eq!(after, before, "a setting of the host's has changed");
    });
}
