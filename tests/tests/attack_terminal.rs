//! Typing on the terminal of whoever runs a command in a container (A18, CVE-2017-5226).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use tinyd_tests::{Cmd, Mode, in_both_modes, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// Runs the command on a terminal, and then reads what was typed there meanwhile.
const SHELL: &str = r#""$@"; read -r -t 1 line; echo "the host got [$line]""#;

fn on_a_terminal(cmd: Cmd) -> String {
    let mut pty = cmd.under(["bash", "-c", SHELL, "bash"]).pty(24, 80);
    pty.expect("the host got [");
    let line = pty.expect("]");
    println!("{}", pty.transcript());
    line.trim_end_matches(']').to_owned()
}

#[test]
fn a18_no_command_types_on_the_terminal_of_its_caller() {
    require!(root);
    require!(command "bash");
    in_both_modes(|mode| {
        let typed = on_a_terminal(mode.env.other([ATTACK, "type", "pwned\n"]));
        assert_eq!(typed, "pwned", "this machine lets nobody type, and so the test proves nothing");
        let bind = format!("{ATTACK}:/attack:ro");
        let container = mode.start(["-v", &bind, "host", "sleep", "300"]);
        let id = container.id.as_str();
        let attack = ["/attack", "type", "pwned\n"];
        let run = ["run", "--rm", "--userns", mode.userns(), "-v", &bind];
        for words in [
            [&["exec", id][..], &attack].concat(),
            [&["exec", "-i", id][..], &attack].concat(),
            [&["exec", "-t", id][..], &attack].concat(),
            [&["exec", "-it", id][..], &attack].concat(),
            [&["exec", "-u", "1000", id][..], &attack].concat(),
            [&run[..], &["host"], &attack].concat(),
            [&run[..], &["-it", "host"], &attack].concat(),
        ] {
            assert_eq!(on_a_terminal(mode.env.cmd(words.iter().copied())), "", "{words:?}");
        }
    });
}

/// A command without a terminal has none at all, one with a terminal has its own.
#[test]
fn a18_a_command_has_a_session_of_its_own() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let script =
            "(: </dev/tty) 2>/dev/null && echo has a terminal; ps -o sid= -p $$ | tr -d ' '; echo $$";
        for words in [vec!["exec", &container.id], vec!["exec", "-i", &container.id]] {
            assert_own_session(mode, &words, script, false);
        }
        assert_own_session(mode, &["exec", "-t", &container.id], script, true);
    });
}

fn assert_own_session(mode: &Mode, words: &[&str], script: &str, terminal: bool) {
    let words = words.iter().copied().chain(["sh", "-c", script]);
    let said = mode.env.cmd(words).pty(24, 80).wait().1;
    let mut lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    assert_eq!(lines.first() == Some(&"has a terminal"), terminal, "{said}");
    if terminal {
        lines.remove(0);
    }
    assert_eq!(lines[0], lines[1], "the session is not its own: {said}");
}
