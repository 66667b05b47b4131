//! A volume that another container has too, and that changes while a container starts: whatever is mounted of it lies in it
//! (B7), and whatever is mounted on it stays in the container (B4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tinyd_tests::attack::{Attacker, Decoy, Rounds};
use tinyd_tests::proc::mounts;
use tinyd_tests::{Mode, in_both_modes, require, roots};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// The folder of a new volume `data`, in which there is `d0/t` with a file of its own.
fn volume(mode: &Mode) -> PathBuf {
    mode.env.tinyd(["volume", "create", "data"]).ok();
    let folder =
        PathBuf::from(mode.env.tinyd(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok().text());
    fs::create_dir_all(folder.join("d0/t")).unwrap();
    fs::write(folder.join("d0/t/mark"), "inside").unwrap();
    folder
}

/// A part of a volume on the way to which a folder is a link every other moment.
fn a_part_lies_in_its_volume(rounds: Rounds, up: &str) {
    in_both_modes(|mode| {
        volume(mode);
        let decoy = Decoy::folder(&mode.env);
        fs::create_dir(decoy.path().join("t")).unwrap();
        fs::write(decoy.path().join("t/mark"), "outside").unwrap();
        let decoy = Decoy::of(decoy.path());
        let target = format!("{up}{}", decoy.path().display());
        let attacker = Attacker::start(mode, ATTACK, &["-v", "data:/volume"], "swap", &["/volume", &target]);
        let (inside, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        rounds.run(|_| {
            let mount = "type=volume,src=data,dst=/x,volume-subpath=d0/t";
            let script = "cat /x/mark; echo x > /x/written; rm /x/written";
            let output = mode.run(["--mount", mount, "host", "sh", "-c", script]);
            match output.code() {
                Some(125) => refused.fetch_add(1, Ordering::Relaxed),
                _ => {
                    assert_eq!(output.stdout(), "inside", "{output}");
                    inside.fetch_add(1, Ordering::Relaxed)
                }
            };
            decoy.assert_unchanged();
        });
        let swaps = attacker.stop()["swaps"];
        println!("{swaps} swaps, {inside:?} mounted, {refused:?} refused");
        assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
        // Both were met: it was a race.
        assert!(inside.into_inner() > 0 && refused.into_inner() > 0);
    });
}

#[test]
fn b7_a_part_of_a_volume_that_becomes_a_link_leads_nowhere() {
    require!(root);
    a_part_lies_in_its_volume(Rounds::FEW, &"../".repeat(20));
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_b7_a_part_of_a_volume_that_becomes_a_link_leads_nowhere() {
    require!(root);
    for up in [String::new(), "../".repeat(20)] {
        a_part_lies_in_its_volume(Rounds::MANY, &up);
    }
}

/// Containers with mounts on a volume in which another one swaps the places themselves: a folder and a file, which are links out
/// of it every other moment. (A8 and A9 swap what lies above the places.)
fn mounts_stay_inside(rounds: Rounds) {
    in_both_modes(|mode| {
        let folder = volume(mode);
        fs::write(folder.join("file"), "").unwrap();
        let decoy = Decoy::folder(&mode.env);
        let source = mode.env.files().join("source-of-the-victims");
        fs::create_dir(&source).unwrap();
        let (bind, file) =
            (format!("{}:/volume/d0", source.display()), mode.env.file("one", "file of the victims"));
        let file = format!("{}:/volume/file", file.display());
        let (marker, tag) = ("/source-of-the-victims ", mode.env.tag());
        let of_host = || {
            let all = mounts::of_self().unwrap();
            all.into_iter().map(|mount| mount.line).filter(|line| line.contains(tag)).collect::<Vec<_>>()
        };
        let before = of_host();
        let decoys = decoy.path().to_str().unwrap();
        let options = ["-v", "data:/volume"];
        let attacker = Attacker::start(mode, ATTACK, &options, "swap", &["/volume", decoys, "d0", "file"]);
        let (started, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        rounds.run(|_| {
            let script = format!("grep -c '{marker}' /proc/self/mountinfo; :");
            let words = ["-v", "data:/volume", "-v", &bind, "-v", &file, "host", "sh", "-c", &script];
            let output = mode.run(words);
            match output.code() {
                Some(125) => refused.fetch_add(1, Ordering::Relaxed),
                // Whatever the places were at that moment, the mount is there, and in the container alone.
                _ => {
                    assert_eq!(output.text(), "1", "a mount went somewhere else: {output}");
                    started.fetch_add(1, Ordering::Relaxed)
                }
            };
            decoy.assert_unchanged();
            assert_eq!(of_host(), before, "mounts of the host");
        });
        let swaps = attacker.stop()["swaps"];
        println!("{swaps} swaps, {started:?} started, {refused:?} refused");
        assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
        assert!(started.into_inner() > 0);
    });
}

#[test]
fn b4_what_is_mounted_on_a_volume_is_mounted_nowhere_else() {
    require!(root);
    mounts_stay_inside(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_b4_what_is_mounted_on_a_volume_is_mounted_nowhere_else() {
    require!(root);
    mounts_stay_inside(Rounds::MANY);
}

/// What a defence of the above must not break: links of an image that lead to places inside, by paths that begin at its root
/// (moby #52653).
#[test]
fn b4_absolute_links_of_an_image_still_lead_to_places_inside() {
    require!(root);
    in_both_modes(|mode| {
        let image = roots::copy_of_busybox(&mode.env);
        fs::create_dir_all(image.join("var")).unwrap();
        fs::create_dir_all(image.join("run/app")).unwrap();
        for (to, name) in [("/run", "var/run"), ("/var/run", "var/again"), ("../run", "var/up")] {
            std::os::unix::fs::symlink(to, image.join(name)).unwrap();
        }
        let source = mode.env.files().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("mark"), "mounted").unwrap();
        let (folder, file) = (source.display(), source.join("mark"));
        for way in ["var/run", "var/again", "var/up"] {
            let binds = [
                format!("{folder}:/{way}/app"),
                format!("{folder}:/{way}/new/deep"),
                format!("{}:/{way}/file", file.display()),
            ];
            let mut words: Vec<&str> = binds.iter().flat_map(|bind| ["-v", bind]).collect();
            let script = "cat /run/app/mark /run/new/deep/mark /run/file /var/run/app/mark";
            words.extend(["-v", "data:/var/run/data", image.to_str().unwrap(), "sh", "-c", script]);
            let output = mode.run(words).ok();
            assert_eq!(output.stdout(), "mounted".repeat(4), "{way}: {output}");
        }
        assert!(!image.join("run/new").exists() && !Path::new("/run/app").exists());
    });
}

/// Without a race: links of all kinds, in the way and at its end, and words that climb.
#[test]
fn b7_no_link_and_no_word_leads_a_part_out_of_its_volume() {
    require!(root);
    in_both_modes(|mode| {
        let folder = volume(mode);
        let decoy = Decoy::folder(&mode.env);
        let outside = decoy.path().to_str().unwrap();
        let up = format!("{}{outside}", "../".repeat(20));
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
        link(outside, "absolute");
        link(&up, "relative");
        link("absolute", "chain");
        link("d0/../../../../..", "climbs");
        link("/proc/self/root", "magic");
        fs::create_dir(folder.join("sub")).unwrap();
        let climbing = format!("sub/../..{}", &up[2..]);
        for subpath in [
            "absolute",
            "absolute/sub",
            "relative",
            "relative/sub",
            "chain",
            "climbs",
            "magic",
            "sub/../..",
            &climbing,
            &up,
            outside,
            "..",
        ] {
            let mount = format!("type=volume,src=data,dst=/x,volume-subpath={subpath}");
            // It only looks: where the defence failed, these would be folders of the machine.
            let script = "cat /x/secret; ls /x";
            let output = mode.run(["--mount", &mount, "host", "sh", "-c", script]).fails(125);
            assert_eq!(output.stdout(), "", "{subpath}: {output}");
            decoy.assert_unchanged();
        }
    });
}
