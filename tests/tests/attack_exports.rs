//! Files and folders of a volume that turn into links while it is exported (B6, CVE-2023-0778).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use tinyd_tests::attack::{Attacker, Decoy, Rounds, SECRET};
use tinyd_tests::{in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// What the container's own files hold.
const OWN: &str = "the container's own";

/// Files, and folders, that are attacked at once.
const PLACES: usize = 8;

fn nothing_of_the_host_is_exported(rounds: Rounds) {
    in_both_modes(|mode| {
        let decoy = Decoy::folder(&mode.env);
        mode.env.tinyd(["volume", "create", "data"]).ok();
        let volume = mode.env.root().join("volumes/local/data");
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for number in 0..PLACES {
            let (file, folder) = (format!("f{number}"), format!("d{number}"));
            fs::write(volume.join(&file), OWN).unwrap();
            fs::create_dir(volume.join(&folder)).unwrap();
            fs::write(volume.join(&folder).join("secret"), OWN).unwrap();
            files.push(file);
            folders.push(folder);
        }
        for (names, target) in [(files, decoy.path().join("secret")), (folders, decoy.path().to_owned())] {
            // That of the attacker before.
            let _ = fs::remove_file(mode.env.files().join("signals-of-swap/stop"));
            let mut rest = vec!["/volume", target.to_str().unwrap()];
            rest.extend(names.iter().map(String::as_str));
            // Whoever is root in the container owns what he attacks with.
            let attacker = Attacker::start(mode, ATTACK, &["-v", "data:/volume"], "swap", &rest);
            let (whole, with_own) = (AtomicUsize::new(0), AtomicUsize::new(0));
            rounds.in_batches_of(2).run(|_| {
                let output = mode.env.tinyd(["volume", "export", "data"]);
                let archive = output.stdout_bytes();
                let has = |text: &str| archive.windows(text.len()).any(|part| part == text.as_bytes());
                assert!(!has(SECRET), "the host's file is in the archive");
                whole.fetch_add(usize::from(output.code() == Some(0)), Ordering::Relaxed);
                with_own.fetch_add(usize::from(has(OWN)), Ordering::Relaxed);
            });
            decoy.assert_unchanged();
            let swaps = attacker.stop()["swaps"];
            println!("{swaps} swaps, {whole:?} whole archives, {with_own:?} with files of the volume");
            assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
            assert!(whole.into_inner() > 0 && with_own.into_inner() > 0);
        }
    });
}

#[test]
fn b6_links_exchanged_by_a_container_put_nothing_of_the_host_into_an_export() {
    require!(root);
    nothing_of_the_host_is_exported(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_b6_links_exchanged_by_a_container_put_nothing_of_the_host_into_an_export() {
    require!(root);
    nothing_of_the_host_is_exported(Rounds::MANY);
}
