//! A further command in a running container: its words, its streams, its exit code, its user, folder and variables.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::proc::{self, cgroups};
use tinyd_tests::{Env, Need, Output, check_need, require, roots, wait_until};

/// The namespaces that a container has of its own.
const NAMESPACES: [&str; 7] = ["pid", "mnt", "uts", "ipc", "net", "cgroup", "user"];

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A test's surroundings with a container `c1` that runs; `options` stand before the image.
fn with_c1(options: &[&str]) -> Env {
    let env = Env::new();
    let image = image();
    let words = ["run", "-d", "--name", "c1"].iter().chain(options).copied();
    env.tinyd(words.chain([image.as_str(), "sleep", "300"])).ok();
    env
}

#[track_caller]
fn exec(env: &Env, words: &[&str]) -> Output {
    env.tinyd(["exec"].iter().chain(words).copied())
}

#[test]
fn both_streams_come_apart() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = with_c1(&["--userns", userns]);
        let output = exec(&env, &["c1", "sh", "-c", "echo a; echo b >&2"]).ok();
        assert_eq!((output.stdout(), output.stderr()), ("a\n".into(), "b\n".into()));
    }
}

#[test]
fn exit_codes_are_the_commands_own() {
    require!(root);
    let env = with_c1(&[]);
    for code in [0, 1, 7, 125, 126, 127, 255] {
        exec(&env, &["c1", "sh", "-c", &format!("exit {code}")]).fails(code);
    }
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        exec(&env, &["c1", "sh", "-c", &format!("kill -{signal} $$")]).fails(code);
    }
}

#[test]
fn what_cannot_be_run_is_told_by_the_shells_codes() {
    require!(root);
    let env = with_c1(&[]);
    for (words, code) in [
        (&["c1", "no-such-command"][..], 127),
        (&["c1", "/bin/no-such"], 127),
        (&["c1", "/etc/passwd"], 126),
        (&["c1", "/etc"], 126),
        (&["c1"], 125),
        (&[], 125),
        (&["-u", "nobody-such", "c1", "true"], 125),
        (&["-w", "relative", "c1", "true"], 125),
    ] {
        let output = exec(&env, words).fails(code);
        assert_eq!(output.stdout(), "", "{output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
        assert!(output.stderr().starts_with("tinyd: "), "{output}");
    }
    assert!(exec(&env, &["c1"]).stderr().contains("Missing container command"));
    assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING", "it goes on");
}

#[test]
fn a_command_without_output_ends_at_once() {
    require!(root);
    let env = with_c1(&[]);
    let output = exec(&env, &["c1", "true"]).ok();
    assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()));
    let closed = exec(&env, &["c1", "sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 6"]).fails(6);
    assert_eq!((closed.stdout(), closed.stderr()), (String::new(), String::new()));
}

#[test]
fn ten_megabytes_arrive_byte_for_byte() {
    require!(root);
    let env = with_c1(&[]);
    let bytes: Vec<u8> = (0..10_000_000_u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    env.file("in", &bytes);
    let image = image();
    let bind = format!("{}:/in:ro", env.files().display());
    env.tinyd(["run", "-d", "--name", "c2", "-v", &bind, &image, "sleep", "300"]).ok();
    let inside = exec(&env, &["c2", "sha256sum", "/in/in"]).ok();
    let outside = env.other(["sha256sum", env.files().join("in").to_str().unwrap()]).output().ok();
    assert_eq!(inside.text().split(' ').next(), outside.text().split(' ').next());
    let output = exec(&env, &["c2", "cat", "/in/in"]).ok();
    assert!(output.stdout_bytes() == bytes, "{} bytes came", output.stdout_bytes().len());
    let both = exec(&env, &["c2", "sh", "-c", "cat /in/in & cat /in/in >&2; wait"]).ok();
    assert!(both.stdout_bytes() == bytes, "stdout has {} bytes", both.stdout_bytes().len());
    assert_eq!(both.stderr().len(), String::from_utf8_lossy(&bytes).len());
}

#[test]
fn five_megabytes_of_input_and_its_end() {
    require!(root);
    let env = with_c1(&[]);
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let output = env.cmd(["exec", "-i", "c1", "cat"]).stdin(bytes.clone()).output().ok();
    assert!(output.stdout_bytes() == bytes, "{} bytes came back", output.stdout_bytes().len());
    let unread = env.cmd(["exec", "-i", "c1", "true"]).stdin(bytes).output().ok();
    assert_eq!(unread.stdout(), "");
    let ignored = env.cmd(["exec", "c1", "sh", "-c", "cat; echo end"]).stdin("not for it").output().ok();
    assert_eq!(ignored.stdout(), "end\n", "without -i the input is not connected");
}

#[test]
fn a_container_that_does_not_run_is_refused() {
    require!(root);
    let env = with_c1(&[]);
    env.tinyd(["kill", "c1"]).ok();
    let output = exec(&env, &["c1", "true"]).fails(125);
    assert!(output.stderr().contains("it does not run"), "{output}");
    env.tinyd(["create", "--name", "c2", &image(), "true"]).ok();
    exec(&env, &["c2", "true"]).fails(125);
}

#[test]
fn it_runs_in_all_the_namespaces_and_groups_of_the_container() {
    require!(root);
    let maps = check_need(Need::UserNamespaces).is_ok();
    for userns in ["auto", "host"] {
        let env = with_c1(&["--userns", userns]);
        let seen = env.tinyd(["inspect", "c1"]).ok().json()[0].take();
        let first = i32::try_from(seen["State"]["Pid"].as_i64().unwrap()).unwrap();
        let id = seen["Id"].as_str().unwrap();
        let mut running = env.cmd(["exec", "c1", "sh", "-c", "echo up; exec sleep 4242"]).spawn();
        running.expect("up");
        let group = cgroups::of_container(id, "pids").unwrap();
        let is_it = |pid: &i32| proc::arguments(*pid) == ["sleep", "4242"];
        let mut found = None;
        wait_until("the command runs in the container's group", || {
            let members = cgroups::walk(&group).into_iter().flat_map(|group| cgroups::members(&group));
            found = members.into_iter().find(is_it);
            found.is_some()
        });
        let pid = found.unwrap();
        for kind in NAMESPACES {
            let inside = proc::namespace(pid, kind).unwrap();
            assert_eq!(inside, proc::namespace(first, kind).unwrap(), "{kind}, --userns {userns}");
            let is_own = inside != proc::own_namespace(kind).unwrap();
            assert_eq!(is_own, kind != "user" || (userns == "auto" && maps), "{kind}, --userns {userns}");
        }
        for field in ["CapEff", "CapBnd", "CapPrm", "Seccomp", "NoNewPrivs"] {
            assert_eq!(proc::status(pid, field), proc::status(first, field), "{field}, --userns {userns}");
        }
        let open = proc::descriptors_once(pid, &[0, 1, 2]);
        assert!(open.iter().all(|(number, _)| *number <= 2), "{open:?}");
        env.tinyd(["kill", "c1"]).ok();
        assert_eq!(running.wait().code(), Some(137), "it died with the container");
    }
}

#[test]
fn the_user_the_folder_and_the_variables_are_chosen() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = with_c1(&["--userns", userns, "-e", "A=container", "-e", "B=kept"]);
        for (user, ids) in
            [("1000", "1000:1000"), ("app", "1000:1000"), ("app:tty", "1000:5"), ("7:8", "7:8")]
        {
            let output = exec(&env, &["-u", user, "c1", "sh", "-c", "echo $(id -u):$(id -g)"]).ok();
            assert_eq!(output.text(), ids, "{user}, --userns {userns}");
        }
        assert_eq!(exec(&env, &["-w", "/usr", "c1", "pwd"]).ok().text(), "/usr");
        let script = "echo \"$A|$B|$C|$HOME|${TINYD_SECRET-none}\"";
        let words = ["exec", "-e", "A=here", "-e", "C", "-e", "D=", "-u", "app", "c1", "sh", "-c", script];
        let output = env.cmd(words).env("C", "from outside").env("TINYD_SECRET", "x").output().ok();
        assert_eq!(output.text(), "here|kept|from outside|/home/app|none", "--userns {userns}");
        assert_eq!(exec(&env, &["c1", "sh", "-c", "echo $HOME"]).ok().text(), "/root");
    }
}

#[test]
fn users_that_only_look_like_numbers_are_refused() {
    require!(root);
    let env = with_c1(&[]);
    for user in
        ["4294967296", "2147483648", "-1", "0x0", "00", "1000:", ":", ":0", "65536:99999999999", "", "+0"]
    {
        let output = exec(&env, &[&format!("--user={user}"), "c1", "id", "-u"]).fails(125);
        assert_eq!(output.stdout(), "", "{user}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
}

#[test]
fn a_detached_command_goes_on_alone() {
    require!(root);
    let env = with_c1(&[]);
    let output = exec(&env, &["-d", "c1", "sh", "-c", "echo lost; sleep 0.2; echo done > /root/marker"]).ok();
    assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()));
    wait_until("it has written its marker", || {
        exec(&env, &["c1", "cat", "/root/marker"]).stdout() == "done\n"
    });
    assert_eq!(env.tinyd(["logs", "c1"]).ok().stdout(), "", "the log is the first command's");
    exec(&env, &["-d", "c1", "no-such-command"]).fails(127);
}

#[test]
fn words_arrive_as_they_were_given() {
    require!(root);
    let env = with_c1(&[]);
    let words = ["a  b", "", "'", "\"", "\\", "$HOME", "*", "a\nb\n", "\t", "ä€", "-it", "--", "-x", "{}"];
    let script = "for a; do printf '<%s>' \"$a\"; done";
    let output = exec(&env, &[&["c1", "sh", "-c", script, "sh"][..], &words].concat()).ok();
    assert_eq!(output.stdout(), words.map(|word| format!("<{word}>")).concat());
}

#[test]
fn a_signal_to_the_client_reaches_the_command() {
    require!(root);
    let env = with_c1(&[]);
    let script = "trap 'echo got; exit 9' INT; echo up; while :; do sleep 0.05; done";
    let mut running = env.cmd(["exec", "c1", "sh", "-c", script]).spawn();
    running.expect("up");
    running.signal(rustix::process::Signal::INT);
    let output = running.wait().fails(9);
    assert_eq!(output.stdout(), "up\ngot\n");
}

#[test]
fn it_is_found_by_id_and_by_the_beginning_of_one() {
    require!(root);
    let env = with_c1(&[]);
    let id = env.containers().first().unwrap().clone();
    for word in ["c1", &id, &id[..12], &id[..4]] {
        assert_eq!(exec(&env, &[word, "echo", "hi"]).ok().stdout(), "hi\n", "{word}");
    }
}
