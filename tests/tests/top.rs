//! `top`: the processes of a container, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::tracer;
use tinyd_tests::{Env, in_both_modes, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

#[test]
fn the_processes_of_a_container_and_no_others_are_listed() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start([&image(), "sh", "-c", "sleep 31235001 & sleep 31235002; true"]);
        let env = &mode.env;
        let top = |options: &[&str]| {
            let words = ["top", container.id.as_str()].iter().chain(options).copied().collect::<Vec<_>>();
            env.tinyd(words).ok().stdout()
        };
        // Not only forked: until then both have the shell's words.
        wait_until("all run", || {
            let commands = top(&["-o", "args"]);
            ["sleep 31235001", "sleep 31235002"]
                .iter()
                .all(|one| commands.lines().any(|line| line.trim() == *one))
        });
        let text = top(&[]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        // Root inside, whoever that is outside; the numbers are those of the host.
        assert_eq!((lines[1][0], lines[1][1].parse()), ("0", Ok(container.pid)));
        assert_eq!(lines[1][7..10], ["sh", "-c", "sleep"]);
        assert_eq!(lines[2][2], lines[1][1], "its parent is the first");
        assert!(lines[2..].iter().any(|line| line[7..] == ["sleep", "31235001"]), "{text}");
        assert!(lines[2..].iter().all(|line| line[5] == "?" && line[6] == "00:00:00"), "{text}");
        let chosen = top(&["-o", "cpid,user,comm,stat"]);
        let inner: Vec<&str> = chosen.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(inner, ["1", "root", "sh", "S"]);
        assert_eq!(chosen.lines().count(), 4);
        let bad = env.tinyd(["top", &container.id, "-o", "pid,nosuch"]);
        assert_eq!(bad.code(), Some(2), "{bad}");
        assert!(bad.stderr().contains("there is no column \"nosuch\"; there are uid user"), "{bad}");
        let json = env.tinyd(["top", "--format", "json", &container.id]).ok().stdout();
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!((first["pid"].as_i64(), first["cpid"].as_i64()), (Some(container.pid.into()), Some(1)));
        let owner = first["huid"].as_u64().unwrap();
        assert_eq!(owner != 0, mode.mapped, "{first}");
        // A further command is one of them, also while all stand still.
        env.tinyd(["exec", "-d", "-u", "1000", &container.id, "sleep", "31235003"]).ok();
        wait_until("it runs", || top(&["-o", "user,args"]).contains("1000   sleep 31235003"));
        env.tinyd(["pause", &container.id]).ok();
        assert_eq!(top(&[]).lines().count(), 5);
        env.tinyd(["unpause", &container.id]).ok();
    });
}

#[test]
fn what_does_not_run_has_none_and_a_terminal_has_its_name() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "c1", &image(), "true"]).ok();
    let refused = env.tinyd(["top", "c1"]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("it does not run"), "{refused}");
    env.tinyd(["run", "-dit", "--name", "c2", "--image", &image(), "sh"]).ok();
    assert!(env.tinyd(["top", "c2", "-o", "tty,comm"]).ok().stdout().contains("pts/0"));
}

/// Programs and libraries of the image that would say that somebody ran or loaded them.
#[test]
fn b8_nothing_of_the_image_is_executed() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = roots::copy_of_busybox(&env);
    let trap = "#!/bin/sh\necho executed > /trap\n";
    for name in ["bin/ps", "bin/top", "bin/nsenter", "bin/cat"] {
        let path = image.join(name);
        // (A link of busybox: what it leads to stays.)
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, trap).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    env.tinyd(["run", "-d", "--name", "c1", image.to_str().unwrap(), "sleep", "1000"]).ok();
    let traced = tracer::trace(&env.cmd(["top", "c1"]), None, false);
    assert!(traced.output.stdout().contains("sleep 1000"), "{}", traced.output);
    let calls: Vec<_> = traced.points.iter().filter_map(|point| tracer::name(point.number)).collect();
    assert!(calls.contains(&"openat"), "{calls:?}");
    for entering in
        ["execve", "execveat", "setns", "unshare", "chroot", "pivot_root", "fork", "vfork", "ptrace"]
    {
        // The first one is its own.
        let own = usize::from(entering == "execve");
        let made = calls.iter().filter(|call| **call == entering).count();
        assert!(made <= own, "{entering} was called {made} times");
    }
    assert_eq!(env.tinyd(["exec", "c1", "test", "-e", "/trap"]).code(), Some(1));
}

/// Perl sets both the name and the arguments of a process.
#[test]
fn b8_names_of_processes_are_shown_and_not_obeyed() {
    require!(root);
    let env = Env::new();
    let script = r#"
        my @names = ("a)\n\x1b[2J R 1 1", "\x1b]0;owned\x07", "line\nfeed\ttab", "\x9b31m", ") S 0 (", "");
        for my $name (@names) { if (!fork) { $0 = $name; sleep 1000 while 1; } }
        if (!fork) { exec "perl", "-e", "sleep 1000", ("x" x 100000) x 10; }
        sleep 1000 while 1;
    "#;
    env.tinyd(["run", "-d", "--name", "c1", "host", "perl", "-e", script]).ok();
    let top = |options: &[&str]| {
        env.tinyd(["top"].iter().chain(options).copied().collect::<Vec<_>>()).ok().stdout_bytes().to_vec()
    };
    wait_until("all run", || String::from_utf8_lossy(&top(&["c1"])).contains("-e sleep 1000 xxx"));
    wait_until("all have their names", || {
        String::from_utf8_lossy(&top(&["c1", "-o", "comm"])).contains("line\\nfeed")
    });
    let by_template = ["--format", "{{.pid}} {{.comm}} {{.args}}", "c1"];
    for (options, lines) in
        [(&["c1"][..], 9), (&["c1", "aux"], 9), (&["c1", "-o", "comm,args"], 9), (&by_template, 8)]
    {
        let bytes = top(options);
        let text = String::from_utf8(bytes).expect("what is no text is replaced");
        assert_eq!(text.lines().count(), lines, "{text}");
        let obeyed = text.chars().find(|letter| letter.is_control() && *letter != '\n');
        assert_eq!(obeyed, None, "{text:?}");
        assert!(text.contains("\\u{1b}"), "{text:?}");
        assert!(text.lines().all(|line| line.len() < 20_000), "a line has {} bytes", text.len());
    }
    let json = String::from_utf8(top(&["--format", "json", "c1"])).unwrap();
    for line in json.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}
