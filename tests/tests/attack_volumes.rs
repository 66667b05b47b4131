//! A volume that another container has too, and that changes while a container starts: whatever is mounted of it lies in it
//! (B7), and whatever is mounted on it stays in the container (B4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tinyd_tests::attack::{Attacker, Decoy, Rounds};
use tinyd_tests::{Mode, in_both_modes, require};

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
