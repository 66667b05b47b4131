//! `run` in the foreground and detached: its exit code, what a failed one leaves, where it comes to life.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, eventually, proc, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

#[test]
fn the_exit_code_is_the_commands_own() {
    require!(root);
    let env = Env::new();
    let image = image();
    for code in [0, 1, 7, 125, 126, 127, 255] {
        let output = env.tinyd(["run", "--rm", &image, "sh", "-c", &format!("exit {code}")]).fails(code);
        assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()));
    }
}

#[test]
fn a_command_killed_by_a_signal_ends_with_128_and_its_number() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (signal, code) in
        [("TERM", 143), ("KILL", 137), ("INT", 130), ("HUP", 129), ("ABRT", 134), ("USR1", 138)]
    {
        let name = format!("c-{signal}");
        // A signal without a handler does not reach the first process of a pid namespace from inside; from outside only
        // KILL does. So a child is killed and its end passed on as a shell does.
        let script = format!("sh -c 'kill -{signal} $$'; exit $?");
        let output = env.tinyd(["run", "--name", &name, &image, "sh", "-c", &script]);
        assert_eq!(output.code(), Some(code), "{output}");
        let state = env.tinyd(["inspect", "-f", "{{.State.ExitCode}}", &name]).ok();
        assert_eq!(state.text(), code.to_string());
    }
    let mut running = env.cmd(["run", "--name", "c1", &image, "sh", "-c", "echo up; sleep 300"]).spawn();
    running.expect("up");
    env.tinyd(["kill", "c1"]).ok();
    running.wait().fails(137);
}

#[test]
fn a_command_that_cannot_be_run_leaves_nothing() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (command, code) in [("no-such-command", 127), ("/bin/nope", 127), ("/etc/passwd", 126), ("/etc", 126)]
    {
        for options in [&["run"][..], &["run", "--rm"], &["run", "-d"]] {
            let words = options.iter().copied().chain(["--name", "c1", &image, command]);
            let output = env.tinyd(words).fails(code);
            assert_eq!(output.stdout(), "", "{output}");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
            assert!(output.stderr().contains(command), "{output}");
            assert_eq!(env.tinyd(["ps", "-aq"]).ok().text(), "");
            env.assert_clean();
        }
    }
    env.tinyd(["run", "--rm", "--name", "c1", &image, "true"]).ok();
}

#[test]
fn a_created_container_that_cannot_start_is_kept_with_its_reason() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (name, command, code) in [("a", "no-such-command", 127), ("b", "/etc/passwd", 126)] {
        let id = env.tinyd(["create", "--name", name, &image, command]).ok().text();
        let output = env.tinyd(["start", name]).fails(code);
        assert_eq!(output.stdout(), "");
        env.tinyd(["start", "-a", name]).fails(code);
        let state = env.tinyd(["inspect", name]).ok().json()[0]["State"].take();
        assert_eq!(state["ExitCode"], code);
        assert_eq!(state["Running"], false);
        assert_eq!(state["Pid"], 0);
        assert!(state["Error"].as_str().unwrap().contains(command), "{state}");
        assert!(env.root().join("containers").join(&id).is_dir());
        env.tinyd(["rm", name]).ok();
    }
}

#[test]
fn detached_it_returns_at_once_and_goes_on() {
    require!(root);
    let env = Env::new();
    let image = image();
    let output = env.tinyd(["run", "-d", "--name", "c1", &image, "/bin/sleep", "3000"]).ok();
    let id = output.text();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{output}");
    assert_eq!(output.stdout(), format!("{id}\n"));
    assert_eq!(output.stderr(), "");
    let listed = env.tinyd(["ps", "--no-trunc", "--format", "{{.ID}} {{.Status}} {{.Names}}"]).ok();
    assert_eq!(listed.text(), format!("{id} RUNNING c1"));
    let pid = env.tinyd(["inspect", "-f", "{{.State.Pid}}", "c1"]).ok().text().parse().unwrap();
    assert!(proc::is_alive(pid));
}

/// The seeds' form: the image follows `-i`, every word after the options is the command, and it is detached.
#[test]
fn with_the_image_after_i_it_is_detached_and_prints_the_bare_id() {
    require!(root);
    let env = Env::new();
    let image = image();
    let words =
        ["run", "-i", &image, "--cpu", "10000", "--mem", "500m", "--name", "c1", "/bin/sleep", "3000"];
    let id = env.tinyd(words).ok().text();
    assert_eq!(id.len(), 32, "a pipe gets the bare id");
    let seen = env.tinyd(["inspect", "c1"]).ok().json()[0].take();
    assert_eq!((seen["Id"].as_str(), seen["State"]["Running"].as_bool()), (Some(id.as_str()), Some(true)));
    assert_eq!((seen["Path"].as_str(), &seen["Args"][0]), (Some("/bin/sleep"), &"3000".into()));
    assert_eq!(seen["HostConfig"]["CpuQuota"], 10_000);
    assert_eq!(seen["HostConfig"]["Memory"], 524_288_000);
}

#[test]
fn on_a_terminal_the_seeds_sentence_names_the_container() {
    require!(root);
    let env = Env::new();
    let terminal = env.pty(["run", "-i", &image(), "--name", "c1", "/bin/sleep", "3000"], 24, 80);
    let (status, text) = terminal.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    let id = env.containers().first().unwrap().clone();
    assert_eq!(text, format!("Create ContainerId {} Successfully\r\n", &id[..8]));
    assert_eq!(env.tinyd(["ps", "--format", "{{.Names}} {{.Status}}"]).ok().text(), "c1 RUNNING");
}

#[test]
fn the_working_folder_is_made_when_it_is_missing() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = Env::new();
        let image = image();
        let run = |words: &[&str]| {
            let fixed = ["run", "--rm", "--userns", userns];
            env.tinyd(fixed.iter().chain(words).copied())
        };
        assert_eq!(run(&["-w", "/new/folder", &image, "pwd"]).ok().text(), "/new/folder");
        let owner = run(&["-w", "/new/folder", &image, "stat", "-c", "%u:%g %a", "/new/folder"]).ok();
        assert_eq!(owner.text(), "0:0 755", "--userns {userns}");
        assert_eq!(run(&[&image, "pwd"]).ok().text(), "/");
        assert_eq!(run(&["-w", "/usr", &image, "pwd"]).ok().text(), "/usr");
        run(&["-w", "usr", &image, "pwd"]).fails(125);
        let file = run(&["-w", "/etc/passwd", &image, "pwd"]);
        assert!(matches!(file.code(), Some(125..=127)), "{file}");
        assert!(!roots::busybox().join("new").exists(), "the image was written to");
    }
}

#[test]
fn a_name_in_path_is_found_and_options_of_the_command_are_not_eaten() {
    require!(root);
    let env = Env::new();
    let image = image();
    let listed = env.tinyd(["run", "--rm", &image, "ls", "-l", "-d", "/etc"]).ok();
    assert!(listed.text().starts_with("drwx") && listed.text().ends_with("/etc"), "{listed}");
    let echoed =
        env.tinyd(["run", "--rm", "-m", "100m", &image, "echo", "-m", "1", "--name", "x", "-it", "--rm"]);
    assert_eq!(echoed.ok().text(), "-m 1 --name x -it --rm");
    let after = env.tinyd(["run", "--rm", &image, "--", "echo", "-n", "x"]);
    assert_eq!(after.stdout(), "", "no option of ours stands after the image: {after}");
    let before = env.tinyd(["run", "--rm", "--", &image, "echo", "-n", "x"]).ok();
    assert_eq!(before.stdout(), "x");
    // The seed's own spelling: no image at all, a program of this machine.
    assert_eq!(env.tinyd(["run", "--rm", "/bin/sh", "-c", "echo $PPID"]).ok().text(), "0");
}

#[test]
fn the_entry_point_stands_before_the_command() {
    require!(root);
    let env = Env::new();
    let image = image();
    let words = ["run", "--rm", "--entrypoint", "/bin/echo", &image, "a", "b  c"];
    assert_eq!(env.tinyd(words).ok().stdout(), "a b  c\n");
    assert_eq!(env.tinyd(["run", "--rm", "--entrypoint", "/bin/pwd", &image]).ok().stdout(), "/\n");
}

#[test]
fn the_host_name_is_the_containers_own() {
    require!(root);
    let env = Env::new();
    let image = image();
    let given = env.tinyd([
        "run",
        "--rm",
        "--hostname",
        "web-1.example",
        &image,
        "sh",
        "-c",
        "hostname; cat /etc/hostname; grep -c web-1.example /etc/hosts",
    ]);
    assert_eq!(given.ok().stdout(), "web-1.example\nweb-1.example\n1\n");
    let id = env.tinyd(["create", "--name", "c1", &image, "hostname"]).ok().text();
    assert_eq!(env.tinyd(["start", "-a", "c1"]).ok().text(), id[..12]);
}

#[test]
fn what_was_created_is_started_in_the_foreground_with_its_code() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["create", "--name", "c1", &image, "sh", "-c", "echo out; echo err >&2; exit 7"]).ok();
    let output = env.tinyd(["start", "-a", "c1"]).fails(7);
    assert_eq!((output.stdout(), output.stderr()), ("out\n".into(), "err\n".into()));
    env.tinyd(["create", "--name", "c2", "--interactive", &image, "cat"]).ok();
    let fed = env.cmd(["start", "-ai", "c2"]).stdin("from here").output().ok();
    assert_eq!(fed.stdout(), "from here");
    env.tinyd(["start", "-a", "c1", "c2"]).fails(125);
}

#[test]
fn killing_the_client_neither_ends_the_container_nor_loses_its_exit() {
    require!(root);
    let env = Env::new();
    let image = image();
    let script = "echo up; until [ -e /root/go ]; do sleep 0.02; done; echo later; exit 5";
    let mut running = env.cmd(["run", "--name", "c1", &image, "sh", "-c", script]).spawn();
    running.expect("up");
    running.signal(rustix::process::Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING");
    env.tinyd(["exec", "c1", "touch", "/root/go"]).ok();
    assert_eq!(env.tinyd(["wait", "c1"]).ok().text(), "5");
    let logged = eventually(std::time::Duration::from_secs(5), || {
        (env.tinyd(["logs", "c1"]).ok().stdout() == "up\nlater\n").then_some(())
    });
    assert!(logged.is_some(), "{}", env.tinyd(["logs", "c1"]));
}
