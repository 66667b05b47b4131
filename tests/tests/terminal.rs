//! A terminal: its size, its name, its keys, and that the user's own one is given back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, Pty, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A terminal with a command of the image on it.
fn run(env: &Env, options: &[&str], script: &str) -> Pty {
    let image = image();
    let words = ["run", "--rm"].iter().chain(options).copied();
    env.pty(words.chain([image.as_str(), "sh", "-c", script]), 37, 113)
}

/// Has the shell of a terminal run a command, and waits until keys go to it and no longer to the shell.
fn foreground(terminal: &mut Pty, command: &str) {
    terminal.send(format!("sh -c 'echo keys for $0; exec {command}' it\n"));
    terminal.expect("keys for it\r\n");
}

#[test]
fn the_size_is_right_at_the_first_line() {
    require!(root);
    let env = Env::new();
    for spelling in ["-it", "-ti", "--it"] {
        let (status, text) = run(&env, &[spelling], "stty size; exit 3").wait();
        assert_eq!((status.code(), text.as_str()), (Some(3), "37 113\r\n"), "{spelling}");
    }
    let (_, text) = run(&env, &["--interactive", "--tty"], "stty size").wait();
    assert_eq!(text, "37 113\r\n");
}

#[test]
fn all_three_streams_are_one_terminal_that_has_a_name() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = Env::new();
        let script =
            "tty; tty <&1; tty <&2; [ -c $(tty) ] && echo device; echo x > /dev/tty; stat -c %u $(tty)";
        let (status, text) = run(&env, &["-it", "--userns", userns], script).wait();
        let name = text.lines().next().unwrap_or_default().to_owned();
        assert!(["/dev/pts/0", "/dev/console"].contains(&name.as_str()), "{text}");
        assert_eq!(text, format!("{name}\r\n{name}\r\n{name}\r\ndevice\r\nx\r\n0\r\n"), "--userns {userns}");
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_new_size_reaches_the_command() {
    require!(root);
    let env = Env::new();
    let script = "trap 'stty size; exit 0' WINCH; echo up; while :; do sleep 0.05; done";
    let mut terminal = run(&env, &["-it"], script);
    terminal.expect("up");
    terminal.resize(50, 200);
    terminal.expect("50 200");
    assert_eq!(terminal.wait().0.code(), Some(0));
}

#[test]
fn the_interrupt_key_reaches_the_command_and_not_the_client() {
    require!(root);
    let env = Env::new();
    let script = "trap 'echo got; exit 12' INT; echo up; while :; do sleep 0.05; done";
    let mut terminal = run(&env, &["-it"], script);
    terminal.expect("up");
    terminal.send(b"\x03");
    terminal.expect("got");
    assert_eq!(terminal.wait().0.code(), Some(12));
}

#[test]
fn an_interactive_shell_is_used_as_anywhere() {
    require!(root);
    let env = Env::new();
    let image = image();
    let mut terminal = env.pty(["run", "-it", "--rm", &image, "sh"], 24, 80);
    terminal.send("echo $((40+2)); ps -o pid,args | head -2\n");
    terminal.expect("42\r\n");
    terminal.expect("    1 sh\r\n");
    // The end of the input ends `cat`, not the shell; the interrupt key ends `sleep`.
    foreground(&mut terminal, "cat");
    terminal.send("line\n");
    terminal.expect("line\r\nline\r\n");
    terminal.send(b"\x04");
    terminal.expect("# ");
    foreground(&mut terminal, "sleep 300");
    terminal.send(b"\x03");
    terminal.expect("# ");
    terminal.send("echo code=$?\n");
    terminal.expect("code=130");
    terminal.send("exit 5\n");
    assert_eq!(terminal.wait().0.code(), Some(5));
    env.assert_clean();
}

/// The seeds' lines: `run -ti /bin/sh`, `run -ti ls -l`, `run -ti bash`.
#[test]
fn the_seeds_lines_work_without_an_image() {
    require!(root);
    let env = Env::new();
    let mut shell = env.pty(["run", "-ti", "--rm", "/bin/sh"], 24, 80);
    shell.send("echo first=$$ $(cat /proc/1/comm); ps -ef | awk '$2 == 1 {print \"ps\", $2, $8}'\nexit\n");
    shell.expect("first=1 sh\r\n");
    shell.expect("ps 1 /bin/sh\r\n");
    assert_eq!(shell.wait().0.code(), Some(0));
    let (status, text) = env.pty(["run", "-ti", "--rm", "/bin/ls"], 24, 80).wait();
    assert!(status.success() && text.contains("usr"), "{text}");
    let (status, text) = env.pty(["run", "-ti", "--rm", "ls", "-l"], 24, 80).wait();
    assert!(status.success() && text.starts_with("total ") && text.contains("bin -> usr/bin"), "{text}");
    let mut bash = env.pty(["run", "-ti", "--rm", "bash"], 24, 80);
    bash.send("echo first=$$ ${BASH_VERSION:+bash}\nexit 3\n");
    bash.expect("first=1 bash");
    assert_eq!(bash.wait().0.code(), Some(3));
}

#[test]
fn a_shell_is_entered_by_exec() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sleep", "300"]).ok();
    let mut terminal = env.pty(["exec", "-it", "c1", "sh"], 33, 99);
    terminal.send("stty size; tty; hostname; ps -o pid,args | grep '[s]leep'\n");
    terminal.expect("33 99\r\n");
    terminal.expect("/dev/pts/");
    terminal.expect("1 sleep 300");
    terminal.resize(44, 88);
    terminal.send("stty size\n");
    terminal.expect("44 88\r\n");
    foreground(&mut terminal, "sleep 300");
    terminal.send(b"\x03");
    terminal.expect("# ");
    terminal.send("exit 9\n");
    assert_eq!(terminal.wait().0.code(), Some(9));
    assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING");
}

/// The terminal is asked before and after by a program that looks at it: stty.
#[test]
fn the_users_terminal_is_given_back_as_it_was() {
    require!(root);
    let env = Env::new();
    let image = image();
    let program = env.cmd(["run", "--rm", "-it", &image]).words().to_vec();
    for (command, code) in
        [("'exit 7'", 7), ("'kill -9 1; sleep 0.1; exit 8'", 8), ("'stty raw -echo; exit 9'", 9)]
    {
        let words: Vec<_> = program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let script = format!("stty -g; {} sh -c {command}; echo code=$?; stty -g; echo end", words.join(" "));
        let mut terminal = env.other(["sh", "-c", &script]).pty(24, 80);
        let text = terminal.expect("end\r\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("code={code}"), "{text}");
        assert_eq!(lines[0], lines[2], "{command} changed the terminal");
        terminal.wait();
    }
}

#[test]
fn a_terminal_is_wanted_where_there_is_none() {
    require!(root);
    let env = Env::new();
    let output = env.tinyd(["run", "--rm", "-it", &image(), "true"]).fails(125);
    assert!(output.stderr().contains("not a TTY") || output.stderr().contains("no terminal"), "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    env.assert_clean();
}

#[test]
fn a_banner_is_printed_where_it_is_wanted() {
    require!(root);
    let env = Env::new();
    let (_, text) = run(&env, &["-it", "--banner"], "echo inside").wait();
    assert_eq!(text, "=====sh=====\r\ninside\r\n");
}

#[test]
fn much_output_passes_through_a_terminal_whole() {
    require!(root);
    let env = Env::new();
    let (_, text) =
        run(&env, &["-it"], "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done").wait();
    let expected: String = (0..5000).map(|number| format!("line {number}\r\n")).collect();
    assert_eq!(text.len(), expected.len());
    assert!(text == expected);
}
