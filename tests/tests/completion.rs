//! Completion, typed into real shells.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use tinyd_tests::{Env, require, roots};

/// The program's folder, under its own name in front of the PATH of a shell.
fn path(env: &Env) -> String {
    let program = PathBuf::from(&env.cmd(["version"]).words()[0]);
    format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap())
}

/// What there is to be completed.
fn things(env: &Env) {
    let image = roots::busybox().to_str().unwrap().to_owned();
    env.tinyd(["create", "--name", "quagga", &image, "true"]).ok();
    env.tinyd(["volume", "create", "quartz"]).ok();
}

/// The script of a shell, in a file.
fn script(env: &Env, shell: &str) -> PathBuf {
    env.file(&format!("completion.{shell}"), env.tinyd(["completion", shell]).ok().stdout())
}

/// Types into a shell that reads `script`: each line, a tab, and the rest of the command; what is then run prints its words.
fn typed(env: &Env, shell: &[&str], ready: &str, script: &Path) {
    let command = env.other(shell.iter().copied()).env("PATH", path(env)).env("PS1", "ready> ");
    let command = command.env("TINYD_ROOT", env.root()).env("TINYD_RUN_ROOT", env.run_root());
    let mut terminal = command.env("HOME", env.files()).pty(30, 200);
    terminal.expect("ready> ");
    terminal.send(format!("{ready}; source {}\r", script.display()).as_bytes());
    terminal.expect("ready> ");
    // The command that is completed is only shown: the terminal has what the shell made of the line.
    for (line, whole) in [
        ("tinyd rm quag\t", &["rm quagga"][..]),
        ("tinyd volume inspect quar\t", &["volume inspect quartz"][..]),
        ("tinyd network disc\t", &["network disconnect"][..]),
        ("tinyd run --detach-\t", &["run --detach-keys"][..]),
        ("tinyd kill --signal=WIN\t", &["kill --signal=WINCH"][..]),
        ("tinyd cp quag\t/e", &["cp ", "g", "g", "a", ":", "e"]),
    ] {
        terminal.send(line.as_bytes());
        for part in whole {
            terminal.expect(part);
        }
        // Ctrl-U: away with it.
        terminal.send(b"\x15");
    }
    terminal.send(b"exit\r");
    terminal.wait();
}

#[test]
fn bash_completes_what_there_is() {
    require!(root);
    let env = Env::new();
    things(&env);
    typed(&env, &["bash", "--norc", "--noprofile", "-i"], "true", &script(&env, "bash"));
}

#[test]
fn zsh_completes_what_there_is() {
    require!(root);
    require!(command "zsh");
    let env = Env::new();
    things(&env);
    let ready = "autoload -U compinit && compinit -u -D";
    typed(&env, &["zsh", "-f", "-i"], ready, &script(&env, "zsh"));
}

#[test]
fn fish_completes_what_there_is() {
    require!(root);
    require!(command "fish");
    let env = Env::new();
    things(&env);
    let script = script(&env, "fish");
    let offered = |line: &str| {
        let words = format!("source {}; complete -C '{line}'", script.display());
        let command = env.other(["fish", "--no-config", "-c", &words]).env("PATH", path(&env));
        let command = command.env("TINYD_ROOT", env.root()).env("TINYD_RUN_ROOT", env.run_root());
        command.env("HOME", env.files()).output().ok().stdout()
    };
    let image = roots::busybox();
    assert_eq!(offered("tinyd rm quag"), format!("quagga\t{} (created)\n", image.display()));
    assert!(offered("tinyd volume inspect ").starts_with("quartz\t"));
    assert!(offered("tinyd run --detach-").starts_with("--detach-keys\t"));
    assert!(offered("tinyd kill --signal=WIN").starts_with("--signal=WINCH"));
    // Files where they are meant, with what is offered of our own.
    fs::create_dir(env.files().join("quarry")).unwrap();
    let source = offered(&format!("tinyd cp {}/qua", env.files().display()));
    assert!(source.contains("/quarry/"), "{source}");
}
