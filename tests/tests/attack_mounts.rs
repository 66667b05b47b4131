//! Places to mount on that turn into links meanwhile, in a volume that another container has too (A8, CVE-2021-30465; A9,
//! CVE-2024-45310).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tinyd_tests::attack::{Attacker, Decoy, Rounds};
use tinyd_tests::proc::mounts;
use tinyd_tests::{Mode, in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// Places that are attacked at once: a victim mounts on all of them.
const PLACES: usize = 30;

/// A volume with `d0`, `d1`, …, in each of which there is a folder `t` when `made` says so.
fn volume(mode: &Mode, made: bool) -> String {
    let volume = mode.env.files().join("volume");
    for number in 0..PLACES {
        let place = volume.join(format!("d{number}"));
        fs::create_dir_all(if made { place.join("t") } else { place }).unwrap();
    }
    volume.to_str().unwrap().to_owned()
}

/// One victim, which must not start or have all its mounts in its own root. Gives how many it has; `None` when it was
/// refused.
fn victim(mode: &Mode, volume: &str, source: &str) -> Option<String> {
    let mut words = vec!["-v".to_owned(), format!("{volume}:/volume")];
    for number in 0..PLACES {
        words.extend(["-v".to_owned(), format!("{source}:/volume/d{number}/t")]);
    }
    let marker = Path::new(source).file_name().unwrap().to_str().unwrap().to_owned();
    words.extend(["host", "grep", "-c", &format!("/{marker} ")].map(str::to_owned));
    words.push("/proc/self/mountinfo".to_owned());
    let output = mode.run(words);
    if output.code() == Some(125) { None } else { Some(output.text()) }
}

fn mounts_stay_in_their_root(made: bool, rounds: Rounds) {
    in_both_modes(|mode| {
        let decoy = Decoy::folder(&mode.env);
        if made {
            fs::create_dir(decoy.path().join("t")).unwrap();
        }
        let decoy = Decoy::of(decoy.path());
        let volume = volume(mode, made);
        let source = mode.env.files().join("source-of-the-victims");
        fs::create_dir(&source).unwrap();
        let of_host = mounts::of_self().unwrap().iter().filter(|mount| is_own(mode, &mount.line)).count();
        let options = ["-v", &format!("{volume}:/volume")];
        let target = decoy.path().to_str().unwrap();
        let attacker = Attacker::start(mode, ATTACK, &options, "swap", &["/volume", target]);
        let started = AtomicUsize::new(0);
        rounds.in_batches_of(PLACES).run(|_| {
            let mounts = victim(mode, &volume, source.to_str().unwrap());
            decoy.assert_unchanged();
            if let Some(count) = mounts {
                assert_eq!(count, PLACES.to_string(), "a mount went somewhere else");
                started.fetch_add(1, Ordering::Relaxed);
            }
            let now = mounts::of_self().unwrap();
            let own: Vec<_> = now.iter().filter(|mount| is_own(mode, &mount.line)).collect();
            assert_eq!(own.len(), of_host, "mounts on the host: {own:?}");
        });
        let swaps = attacker.stop()["swaps"];
        println!("{swaps} swaps, {started:?} victims started");
        assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
    });
}

fn is_own(mode: &Mode, line: &str) -> bool {
    line.contains(mode.env.tag())
}

#[test]
fn a8_a_place_that_becomes_a_link_is_not_mounted_on_outside() {
    require!(root);
    mounts_stay_in_their_root(true, Rounds::FEW);
}

#[test]
fn a9_places_that_are_made_on_the_way_are_not_made_outside() {
    require!(root);
    mounts_stay_in_their_root(false, Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a8_a_place_that_becomes_a_link_is_not_mounted_on_outside() {
    require!(root);
    mounts_stay_in_their_root(true, Rounds::MANY);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a9_places_that_are_made_on_the_way_are_not_made_outside() {
    require!(root);
    mounts_stay_in_their_root(false, Rounds::MANY);
}

/// A10, CVE-2026-55686: the folder is made in the container's root, or nowhere, and belongs to nobody else afterwards.
#[test]
fn a10_a_working_folder_through_a_link_is_not_made_outside() {
    require!(root);
    in_both_modes(|mode| {
        let decoy = Decoy::folder(&mode.env);
        let target = decoy.path().to_str().unwrap();
        let volume = mode.env.files().join("volume");
        fs::create_dir(&volume).unwrap();
        let up = format!("{}{target}", "../".repeat(20));
        for (name, to) in [("absolute", target), ("relative", up.trim_end_matches('/'))] {
            std::os::unix::fs::symlink(to, volume.join(name)).unwrap();
        }
        let bind = format!("{}:/volume", volume.display());
        let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.gid())).unwrap();
        let before = owner(decoy.path());
        for name in ["absolute", "relative"] {
            for below in ["", "/sub", "/new", "/new/er/still"] {
                let folder = format!("/volume/{name}{below}");
                for user in ["0", "1000:1000"] {
                    let words = ["-v", &bind, "-w", &folder, "-u", user, "host", "sh", "-c", "pwd -P; ls"];
                    let output = mode.run(words);
                    assert!(matches!(output.code(), Some(0 | 125)), "{folder}: {output}");
                    assert!(!output.stdout().contains("secret"), "{folder}: {output}");
                    decoy.assert_unchanged();
                }
            }
        }
        assert_eq!(owner(decoy.path()), before);
    });
}
