//! The process of a configuration, as the kernel shows it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, require, wait_until};

const CAPS: &str = "grep -E '^Cap' /proc/self/status | tr -d '\\t' | sed 's/:0*/:/'";

#[test]
fn each_set_of_capabilities_is_what_was_asked_for() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let (chown, kill, raw) = ("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW");
    let sets = json!({
        "bounding": [chown, kill, raw], "permitted": [chown, kill], "effective": [chown, kill],
        "inheritable": [chown, kill], "ambient": [kill],
    });
    let with = |user: u32, sets: &Value| {
        let sets = sets.clone();
        move |config: &mut Value| {
            config["process"]["user"] = json!({ "uid": user, "gid": user });
            config["process"]["capabilities"] = sets;
            config["process"]["noNewPrivileges"] = false.into();
        }
    };
    // An exec by another user than root keeps what is ambient, and root's begins with all of the bounding set.
    let output = oci.look("user", CAPS, with(1000, &sets)).ok();
    assert_eq!(output.stdout(), "CapInh:21\nCapPrm:20\nCapEff:20\nCapBnd:2021\nCapAmb:20\n");
    let output = oci.look("root", CAPS, with(0, &sets)).ok();
    assert_eq!(output.stdout(), "CapInh:21\nCapPrm:2021\nCapEff:2021\nCapBnd:2021\nCapAmb:20\n");
    let output = oci.look("none", CAPS, with(0, &Value::Null)).ok();
    assert_eq!(output.stdout(), "CapInh:\nCapPrm:\nCapEff:\nCapBnd:\nCapAmb:\n");
    assert_eq!(output.stderr(), "");
}

#[test]
fn a_capability_that_cannot_be_given_is_warned_about() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let output = oci.look("one", CAPS, |config| {
        config["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_OF_TOMORROW"], "permitted": ["CAP_CHOWN"],
            "effective": ["CAP_CHOWN", "CAP_KILL"], "inheritable": ["CAP_NET_RAW"], "ambient": ["CAP_SETUID"],
        });
    });
    assert!(output.stdout().contains("CapInh:\n") && output.stdout().contains("CapBnd:1\n"), "{output}");
    let told = output.ok().stderr();
    for part in [
        "bounding: \"CAP_OF_TOMORROW\"",
        "effective: CAP_KILL",
        "inheritable: CAP_NET_RAW",
        "ambient: CAP_SETUID",
    ] {
        assert!(told.contains(&format!("warning: process.capabilities.{part}")), "{part}: {told}");
    }
    // An engine's file has it alone: standard error is the command's as well.
    let log = env.files().join("log.json");
    let bundle = oci.bundle("logged", &["true"], |config| {
        config["process"]["capabilities"] = json!({ "bounding": ["CAP_OF_TOMORROW"] });
    });
    let options = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "run",
        "-b",
        bundle.to_str().unwrap(),
        "logged",
    ];
    assert_eq!(oci.cmd(options).output().ok().stderr(), "");
    let line: Value = serde_json::from_str(std::fs::read_to_string(&log).unwrap().trim()).unwrap();
    assert!(
        line["level"] == "warning" && line["msg"].as_str().unwrap().contains("CAP_OF_TOMORROW"),
        "{line}"
    );
    // Before 1.1 the specification had it otherwise.
    for (version, code) in [("1.0.2-dev", 1), ("1.1.0", 0)] {
        let output = oci.look(version, "true", |config| {
            config["ociVersion"] = json!(version);
            config["process"]["capabilities"] = json!({ "permitted": ["CAP_OF_TOMORROW"] });
        });
        assert!(output.fails(code).stderr().contains("\"CAP_OF_TOMORROW\" is no capability"));
    }
}

#[test]
fn limits_are_both_of_their_numbers() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "grep -E 'open files|core file|processes' /proc/self/limits | tr -s ' ' | cut -d' ' -f2-5";
    let output = oci.look("one", script, |config| {
        config["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 50, "hard": 60 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 4096 },
            { "type": "RLIMIT_NPROC", "soft": 500, "hard": 500 },
        ]);
    });
    let said = output.ok().stdout();
    for line in ["core file size 0", "processes 500 500", "open files 50 60"] {
        assert!(said.contains(line), "{said}");
    }
    for (name, limits, part) in [
        ("unknown", json!([{ "type": "RLIMIT_TEST", "soft": 1, "hard": 1 }]), "RLIMIT_TEST"),
        (
            "twice",
            json!([{ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }, { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }]),
            "RLIMIT_CORE is named twice",
        ),
        ("crossed", json!([{ "type": "RLIMIT_CORE", "soft": 2, "hard": 1 }]), "RLIMIT_CORE"),
    ] {
        let bundle = oci.bundle(name, &["true"], |config| config["process"]["rlimits"] = limits);
        assert!(oci.create(&bundle).fails(1).stderr().contains(part), "{name}");
    }
}

#[test]
fn what_is_not_said_is_the_callers() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let look = ["sh", "-c", "umask; cat /proc/self/oom_score_adj"];
    let unsaid = oci.bundle("unsaid", &look, |_| {});
    let said = oci.bundle("told", &look, |config| {
        config["process"]["user"]["umask"] = json!(0o77);
        config["process"]["oomScoreAdj"] = json!(432);
    });
    for (bundle, expected) in [(&unsaid, "0027\n321\n"), (&said, "0077\n432\n")] {
        let script = "umask 027; echo 321 > /proc/self/oom_score_adj; exec \"$@\"";
        let words = ["run".into(), "-b".into(), bundle.clone().into_os_string(), "one".into()];
        let output = oci.cmd(words).under(["sh", "-c", script, "sh"]).output();
        assert_eq!(output.ok().stdout(), expected);
    }
    let sleeps = oci.bundle("sleeps", &["sleep", "1000"], |_| {});
    oci.launch(&sleeps);
    let output =
        oci.cmd(["exec", "sleeps", "sh", "-c", "umask"]).under(["sh", "-c", "umask 037; exec \"$@\"", "sh"]);
    assert_eq!(output.output().ok().stdout(), "0037\n");
    oci.run(["delete", "--force", "sleeps"]).ok();
}

#[test]
fn a_process_has_its_words_its_variables_its_place_and_its_groups() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "tr '\\0' ' ' < /proc/$$/cmdline; echo; pwd; echo $A-$B; id -u; id -G; grep NoNewPrivs /proc/self/status";
    let bundle = oci.bundle("one", &["sh", "-c", script, "its name", "a  b"], |config| {
        config["process"]["cwd"] = "/usr".into();
        config["process"]["env"] = json!(["PATH=/bin:/usr/bin", "A=1 2", "B=x=y"]);
        config["process"]["user"] = json!({ "uid": 7, "gid": 8, "additionalGids": [9, 10] });
        config["process"]["noNewPrivileges"] = false.into();
    });
    let said = oci.run_bundle(&bundle).ok().stdout();
    assert!(said.starts_with("sh -c ") && said.contains(" its name a  b "), "{said}");
    assert!(said.ends_with("/usr\n1 2-x=y\n7\n8 9 10\nNoNewPrivs:\t0\n"), "{said}");
    for (name, change, part) in [
        ("args", (|config: &mut Value| config["process"]["args"] = json!([])) as fn(&mut Value), "command"),
        ("cwd", |config| config["process"]["cwd"] = "usr".into(), "process.cwd"),
        ("program", |config| config["process"]["args"] = json!(["no-such-program"]), "not found in $PATH"),
        ("env", |config| config["process"]["env"] = json!(["=x"]), "process.env"),
    ] {
        let bundle = oci.bundle(name, &["true"], change);
        assert!(oci.create(&bundle).fails(1).stderr().contains(part), "{name}");
    }
}

#[test]
fn a_terminal_is_the_console_too_and_its_size_is_nothing_without_one() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "tty; stty size < /dev/console; stat -c %t:%T /dev/console /dev/pts/0 | uniq | wc -l; \
                  test -L /dev/ptmx -o -c /dev/ptmx && echo ptmx";
    let bundle = oci.bundle("tty", &["sh", "-c", script], |config| {
        config["process"]["terminal"] = json!(true);
    });
    let words = ["run".into(), "-b".into(), bundle.into_os_string(), "tty".into()];
    let (status, said) = oci.cmd(words).pty(24, 80).wait();
    assert!(status.success(), "{said}");
    assert!(said.contains("/dev/pts/0") && said.contains("24 80") && said.contains("ptmx"), "{said}");
    let plain = oci.look("plain", "test -t 0; echo $?; test -e /dev/console; echo $?", |config| {
        config["process"]["consoleSize"] = json!({ "height": 30, "width": 100 });
    });
    assert_eq!(plain.ok().stdout(), "1\n1\n");
}

/// As Docker and Podman give it where the user mounts the host's /dev: with no mount of their own below it.
#[test]
fn a_terminal_is_had_where_dev_is_the_hosts() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("dev", &["sh", "-c", "test -t 0 && tty"], |config| {
        config["process"]["terminal"] = json!(true);
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(json!({ "destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind", "rprivate"] }));
    });
    let words = [OsString::from("run"), "-b".into(), bundle.into(), "dev".into()];
    let (status, said) = oci.cmd(words).pty(24, 80).wait();
    assert!(status.success() && said.contains("/dev/pts/"), "{said}");
}

#[test]
fn of_a_variable_that_stands_twice_the_last_one_counts() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("env", &["sh", "-c", "echo $A; sleep 1000"], |config| {
        config["process"]["env"] = json!(["A=first", "PATH=/bin", "A=second"]);
    });
    let (created, file) = oci.create_to_file(&bundle);
    created.ok();
    oci.run(["start", "env"]).ok();
    wait_until("it has spoken", || std::fs::read_to_string(&file).is_ok_and(|text| text == "second\n"));
    let output =
        oci.cmd(["exec", "--env", "A=third", "env", "sh", "-c", "echo $A; env | grep -c ^A="]).output().ok();
    assert_eq!(output.stdout(), "third\n1\n");
    oci.run(["delete", "--force", "env"]).ok();
}

/// Each command has one with the container's name; where none was to have one, they have their caller's.
#[test]
fn the_session_keyring_is_its_own_or_the_callers() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for (word, option, count) in [("own", None, 2), ("callers", Some("--no-new-keyring"), 0)] {
        let name = format!("{}-{word}", env.tag());
        let bundle = oci.bundle(&name, &["sleep", "1000"], |_| ());
        let bundle = bundle.to_str().unwrap();
        let words = ["create", "-b", bundle].into_iter().chain(option).chain([&*name]);
        oci.leave(words).ok();
        oci.run(["start", &name]).ok();
        oci.leave(["exec", "-d", &name, "sleep", "1000"]).ok();
        let keyrings = || {
            let keys = std::fs::read_to_string("/proc/keys").unwrap();
            keys.lines().filter(|line| line.contains(&format!("_ses.{name}"))).count()
        };
        assert_eq!(keyrings(), count, "{word}");
        oci.run(["delete", "--force", &name]).ok();
        wait_until("the keyring goes with its commands", || keyrings() == 0);
    }
}
