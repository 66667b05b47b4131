//! What the command is given: its words as they were written, however long, and an environment of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use tinyd_tests::{Cmd, Env, Output, proc, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Does the same by `run` and by `exec` into a container of its own.
fn by_run_and_exec(test: impl Fn(&Env, &dyn Fn(&[&str], &[&str]) -> Cmd)) {
    let env = Env::new();
    let image = image();
    test(&env, &|options, words| {
        let line = ["run", "--rm"].iter().chain(options).copied().chain([image.as_str()]);
        env.cmd(line.chain(words.iter().copied()))
    });
    env.tinyd(["run", "-d", "--name", "c1", &image, "sleep", "300"]).ok();
    test(&env, &|options, words| {
        env.cmd(["exec"].iter().chain(options).chain(&["c1"]).chain(words).copied())
    });
}

/// The variables that `env` printed.
fn variables(output: &Output) -> BTreeMap<String, String> {
    let text = output.stdout();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn words_arrive_as_they_were_given() {
    require!(root);
    let words = [
        "a  b",
        "",
        " ",
        "'",
        "\"",
        "`id`",
        "\\",
        "\\n",
        "$HOME",
        "*",
        "a\nb\n",
        "\t",
        "\r",
        "ä€😀",
        "-it",
        "--",
        "-i",
        "--rm",
        "{}",
        "%s",
        "!",
        "#",
        "~",
        "a;b|c&d",
        "\u{1}\u{7f}",
    ];
    by_run_and_exec(|_, cmd| {
        let script = ["sh", "-c", "for word; do printf '<%s>' \"$word\"; done", "sh"];
        let output = cmd(&[], &[&script[..], &words].concat()).output().ok();
        assert_eq!(output.stdout(), words.map(|word| format!("<{word}>")).concat());
    });
}

#[test]
fn the_kernel_sees_the_same_words() {
    require!(root);
    let env = Env::new();
    let words = ["sh", "-c", "sleep 300; :", "", "a  b", "\"quoted\""];
    let id = env.tinyd(["run", "-d", &image()].iter().copied().chain(words)).ok().text();
    let pid = env.tinyd(["inspect", "-f", "{{.State.Pid}}", &id]).ok().text().parse().unwrap();
    assert_eq!(proc::arguments(pid), words);
    let listed = env.tinyd(["ps", "--no-trunc", "--format", "{{.Command}}"]).ok();
    assert_eq!(listed.text(), words.join(" "));
}

/// The seeds sent the command through a pipe of 64 KiB; one word may be twice that, and all together two megabytes.
#[test]
fn long_lines_of_words_pass() {
    require!(root);
    let long = |count: usize| "x".repeat(count);
    by_run_and_exec(|_, cmd| {
        for count in [4_095, 4_096, 5_000, 65_535, 65_536, 70_000, 102_400, 131_071] {
            let output = cmd(&[], &["sh", "-c", "echo ${#1}", "sh", &long(count)]).output().ok();
            assert_eq!(output.text(), count.to_string());
        }
        let words: Vec<String> = (0..10).map(|number| format!("{number}{}", long(102_400))).collect();
        let script = [
            "sh",
            "-c",
            "echo $#; for word; do echo ${#word}; done | sort | uniq -c; echo \"$10\" | cut -c1-3",
            "sh",
        ];
        let all: Vec<&str> = script.into_iter().chain(words.iter().map(String::as_str)).collect();
        let output = cmd(&[], &all).output().ok();
        assert_eq!(
            output.stdout().split_whitespace().collect::<Vec<_>>()[..3],
            ["10", "10", "102401"],
            "{output}"
        );
        let thousands = vec!["word"; 50_000];
        let all = [&["sh", "-c", "echo $#", "sh"][..], &thousands].concat();
        assert_eq!(cmd(&[], &all).output().ok().text(), "50000");
    });
}

#[test]
fn the_environment_is_clean() {
    require!(root);
    by_run_and_exec(|_, cmd| {
        let output =
            cmd(&[], &["env"]).env("TINYD_SECRET", "leaked").env("LD_PRELOAD_X", "leaked").output().ok();
        let seen = variables(&output);
        assert_eq!(seen["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        assert_eq!(seen["HOME"], "/root");
        let others: Vec<_> =
            seen.keys().filter(|name| !["PATH", "HOME", "HOSTNAME"].contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(!output.stdout().contains("leaked"));
    });
}

#[test]
fn no_process_of_the_container_holds_the_hosts_environment() {
    require!(root);
    let env = Env::new();
    let words = ["run", "-d", "--name", "c1", &image(), "sleep", "300"];
    env.cmd(words).env("TINYD_SECRET", "leaked").output().ok();
    let pid = env.tinyd(["inspect", "-f", "{{.State.Pid}}", "c1"]).ok().text();
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let text = String::from_utf8_lossy(&environ).into_owned();
    assert!(text.contains("PATH=") && !text.contains("TINYD_SECRET") && !text.contains("leaked"), "{text}");
    assert!(!env.tinyd(["inspect", "c1"]).ok().stdout().contains("leaked"));
    let inside =
        env.cmd(["exec", "c1", "sh", "-c", "cat /proc/[0-9]*/environ"]).env("TINYD_SECRET", "leaked");
    assert!(!inside.output().ok().stdout().contains("leaked"));
}

#[test]
fn variables_are_set_and_taken_from_the_client() {
    require!(root);
    by_run_and_exec(|env, cmd| {
        let file =
            env.file("env", "# a note\n\nFROM_FILE=file  \"quoted\"\nBOTH=file\nHERE\nEMPTY=\nNOT_HERE\n");
        let options =
            ["-e", "A=1", "-e", "A=2  x", "-e", "EQ=a=b", "-e", "NONE=", "-e", "HERE2", "-e", "NOT_HERE2"];
        let options = [&options[..], &["-e", "BOTH=option", "--env-file", file.to_str().unwrap()]].concat();
        let cmd = cmd(&options, &["env"]).env("HERE", "from here").env("HERE2", "2");
        let seen = variables(&cmd.output().ok());
        for (name, value) in [
            ("A", "2  x"),
            ("EQ", "a=b"),
            ("NONE", ""),
            ("EMPTY", ""),
            ("HERE", "from here"),
            ("HERE2", "2"),
            ("FROM_FILE", "file  \"quoted\""),
            ("BOTH", "option"),
        ] {
            assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!seen.contains_key("NOT_HERE") && !seen.contains_key("NOT_HERE2"), "{seen:?}");
    });
}

#[test]
fn a_variable_of_several_lines_arrives_and_each_comes_once() {
    require!(root);
    by_run_and_exec(|_, cmd| {
        let output = cmd(
            &["-e", "A=x\ny", "-e", "B=old", "-e", "B=new"],
            &["sh", "-c", "echo \"$A\"; env | grep -c ^B="],
        );
        assert_eq!(output.output().ok().stdout(), "x\ny\n1\n");
    });
}

#[test]
fn home_is_the_users_own_and_a_given_one_stays() {
    require!(root);
    by_run_and_exec(|_, cmd| {
        for (options, home) in [
            (&["-u", "app"][..], "/home/app"),
            (&["-u", "1000"], "/home/app"),
            (&["-u", "0"], "/root"),
            (&["-u", "4321"], "/"),
            (&["-u", "app", "-e", "HOME=/srv"], "/srv"),
            (&["-e", "PATH=/bin", "-e", "HOME=/x"], "/x"),
        ] {
            let output = cmd(options, &["sh", "-c", "echo $HOME"]).output().ok();
            assert_eq!(output.text(), home, "{options:?}");
        }
        let path = cmd(&["-e", "PATH=/bin"], &["sh", "-c", "echo $PATH"]).output().ok();
        assert_eq!(path.text(), "/bin");
        cmd(&["-e", "PATH=/nowhere"], &["sh", "-c", "true"]).output().fails(127);
    });
}

#[test]
fn a_terminal_has_a_kind() {
    require!(root);
    let env = Env::new();
    let (_, text) = env.pty(["run", "--rm", "-it", &image(), "sh", "-c", "echo term=$TERM"], 24, 80).wait();
    assert_eq!(text, "term=xterm\r\n");
}
