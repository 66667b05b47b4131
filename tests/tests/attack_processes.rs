//! A process that joins a container is the host's until its exec: nobody inside may look through it, or hold it (A20,
//! CVE-2016-9962).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use tinyd_tests::attack::{Attacker, Rounds};
use tinyd_tests::{in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

fn a_joining_process_is_out_of_reach(rounds: Rounds) {
    in_both_modes(|mode| {
        let attacker = Attacker::start(mode, ATTACK, &[], "look", &[]);
        rounds.run(|_| {
            attacker.container.exec(&[], &["true"]).ok();
        });
        let found = attacker.stop();
        println!("{found:?}");
        assert!(found["seen"] > 0, "no process was met on its way, and so nothing attacked: {found:?}");
        for way in ["fd", "root", "cwd", "mem", "trace"] {
            assert_eq!(found[way], 0, "{way}: {found:?}");
        }
    });
}

#[test]
fn a20_a_process_that_joins_is_out_of_reach_until_it_is_the_command() {
    require!(root);
    a_joining_process_is_out_of_reach(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_a20_a_process_that_joins_is_out_of_reach_until_it_is_the_command() {
    require!(root);
    a_joining_process_is_out_of_reach(Rounds::MANY);
}
