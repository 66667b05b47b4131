//! The program's own file, which every container's first process runs for a moment (A1, CVE-2019-5736).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::PathBuf;

use tinyd_tests::attack::{Attacker, Decoy, Rounds};
use tinyd_tests::{Env, Mode, in_both_modes, paths, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// The built programs as copies that an attack may spoil.
fn copied(mode: &Mode) -> (Mode, PathBuf) {
    let env = Env::with_program_in(|files| {
        let folder = files.join("bin");
        fs::create_dir(&folder).unwrap();
        for name in ["tinyd", "tinyd-runtime"] {
            fs::copy(paths::tinyd().with_file_name(name), folder.join(name)).unwrap();
        }
        folder.join("tinyd")
    });
    let folder = env.files().join("bin");
    (Mode { env, mapped: mode.mapped }, folder)
}

fn the_program_stays(rounds: Rounds) {
    in_both_modes(|mode| {
        let (mode, folder) = copied(mode);
        let decoy = Decoy::of(&folder);
        let attacker = Attacker::start(&mode, ATTACK, &[], "overwrite", &[]);
        // Every other command is the program itself, as which the container then runs, and may be looked at.
        let words: [&[&str]; 2] = [&["/proc/self/exe", "--version"], &["true"]];
        rounds.run(|number| {
            let output = attacker.container.exec(&[], words[number % 2]).ok();
            assert!(number % 2 == 1 || output.stdout().starts_with("tinyd-runtime "), "{output}");
        });
        let found = attacker.stop();
        assert!(found["seen"] > 0, "no process was reached, and so nothing attacked: {found:?}");
        assert_eq!((found["chmod"], found["write"]), (0, 0), "{found:?}");
        decoy.assert_unchanged();
    });
}

#[test]
fn a1_the_program_cannot_be_changed_by_who_is_started_from_it() {
    require!(root);
    the_program_stays(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a1_the_program_cannot_be_changed_by_who_is_started_from_it() {
    require!(root);
    the_program_stays(Rounds::MANY);
}

/// A script whose interpreter is the program: the container's first process then is a copy of the runtime.
#[test]
fn a1_a_script_for_the_program_itself_as_first_process() {
    require!(root);
    in_both_modes(|mode| {
        let (mode, folder) = copied(mode);
        let decoy = Decoy::of(&folder);
        let script = mode.env.file("script", "#!/proc/self/exe\n");
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let bind = format!("{}:/script:ro", script.display());
        // The program takes the script's path for a verb that it does not have.
        let output = mode.run(["-v", &bind, "host", "/script"]).fails(2);
        assert!(output.stderr().contains("there is no verb \"/script\""), "{output}");
        decoy.assert_unchanged();
    });
}
