//! Hooks of all six kinds: when they run, where, what they are told, and what becomes of a container whose hook fails.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, in_both_modes, proc, require, roots, wait_until};

const MOMENTS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that writes down what it is told, and where it is.
fn note(env: &Env, moment: &str) -> Value {
    let file = env.files().join(moment);
    let script = format!(
        "{{ cat; echo; for one in uts mnt pid; do readlink /proc/self/ns/$one; done; echo $A; }} > {} 2>&1; \
         echo {moment} >> {}",
        file.display(),
        env.files().join("order").display()
    );
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=given", "PATH=/bin:/usr/bin"] }])
}

#[test]
fn each_runs_at_its_moment_in_its_place_and_is_told_the_state() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let files = env.files();
    let bundle = oci.bundle("h", &["sh", "-c", "echo command >> /files/order; sleep 1000"], |config| {
        config["annotations"] = json!({ "k": "v" });
        let mount =
            json!({ "destination": "/files", "type": "bind", "source": files, "options": ["bind", "rw"] });
        config["mounts"].as_array_mut().unwrap().push(mount);
        for moment in MOMENTS {
            config["hooks"][moment] = note(&env, moment);
        }
        // In the container there are other paths.
        let text = config["hooks"]["startContainer"].to_string().replace(files.to_str().unwrap(), "/files");
        config["hooks"]["startContainer"] = serde_json::from_str(&text).unwrap();
    });
    let order = || fs::read_to_string(env.files().join("order")).unwrap_or_default();
    oci.create(&bundle).ok();
    assert_eq!(order(), "prestart\ncreateRuntime\ncreateContainer\n");
    let pid = oci.state("h")["pid"].as_i64().unwrap();
    oci.run(["start", "h"]).ok();
    wait_until("the command has spoken", || order().contains("command"));
    assert!(
        order().ends_with("createContainer\nstartContainer\ncommand\npoststart\n")
            || order().ends_with("createContainer\nstartContainer\npoststart\ncommand\n"),
        "{}",
        order()
    );
    let inside = |kind| proc::namespace(i32::try_from(pid).unwrap(), kind).unwrap();
    let namespaces =
        ["uts", "mnt", "pid"].map(|kind| (kind, inside(kind), proc::own_namespace(kind).unwrap()));
    oci.run(["kill", "h", "KILL"]).ok();
    wait_until("it has stopped", || oci.status("h") == "stopped");
    assert!(!order().contains("poststop"));
    oci.run(["delete", "h"]).ok();
    assert!(order().ends_with("poststop\n"));

    for (moment, status, in_container) in [
        ("prestart", "created", false),
        ("createRuntime", "created", false),
        ("createContainer", "created", true),
        ("startContainer", "created", true),
        ("poststart", "running", false),
        ("poststop", "stopped", false),
    ] {
        let text = fs::read_to_string(env.files().join(moment)).unwrap();
        let mut lines = text.lines();
        let state: Value =
            serde_json::from_str(lines.next().unwrap()).unwrap_or_else(|_| panic!("{moment}: {text}"));
        assert_eq!(
            (&state["status"], &state["id"], &state["bundle"]),
            (&json!(status), &json!("h"), &json!(bundle))
        );
        assert_eq!(state["annotations"], json!({ "k": "v" }));
        let number = match (status, in_container) {
            ("stopped", _) => 0,
            // As it is seen there.
            (_, true) => 1,
            _ => pid,
        };
        assert_eq!(state["pid"], json!(number), "{moment}");
        for (kind, own, host) in namespaces {
            let expected = if in_container { own } else { host };
            let link = lines.next().unwrap();
            assert!(link.contains(&format!("[{expected}]")), "{moment}: {link} is not {kind} {expected}");
        }
        assert_eq!(lines.next(), Some("given"), "{moment}");
    }
}

/// As Docker's networks are connected.
#[test]
fn a_setting_of_a_link_that_a_hook_brings_is_made() {
    require!(root);
    require!(program);
    require!(command "ip");
    require!(command "nsenter");
    for moment in ["prestart", "createRuntime"] {
        let env = Env::new();
        let oci = Oci::of(&env);
        let output = oci.look("one", "cat /proc/sys/net/ipv4/conf/eth7/rp_filter; echo 0 > /proc/sys/net/ipv4/ip_forward", |config| {
            config["linux"]["sysctl"] = json!({ "net.ipv4.conf.eth7.rp_filter": "2" });
            config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
            let script = "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); \
                          nsenter -t $pid -n ip link add eth7 type veth peer name eth8";
            config["hooks"][moment] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/sbin:/usr/bin:/bin"] }]);
        });
        assert_eq!(output.stdout(), "2\n", "{output}");
        assert!(output.stderr().contains("Read-only file system"), "{output}");
    }
}

#[test]
fn a_root_is_found_at_its_path_by_hooks_that_add_to_it() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = roots::copy_of_busybox(&env);
    let (added, place) = (env.file("added", "by a hook\n"), root.join("added"));
    fs::write(&place, "").unwrap();
    let bind = format!("mount --bind {} {}", added.display(), place.display());
    let bundle = oci.bundle("a", &["cat", "/added"], |config| {
        config["root"]["path"] = json!(root);
        config["hooks"]["createContainer"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", bind] }]);
    });
    let words = ["run".into(), "-b".into(), bundle.into_os_string(), "a".into()];
    assert_eq!(oci.run(words).ok().stdout(), "by a hook\n");
    assert_eq!(fs::read_to_string(place).unwrap(), "");
}

#[test]
fn one_that_fails_ends_the_container_and_is_named() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let failing = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo why it failed >&2; exit 4"] }]);
    for moment in MOMENTS {
        let bundle = oci.bundle(moment, &["sleep", "1000"], |config| {
            config["hooks"][moment] = failing.clone();
            let mut after = config["hooks"]["poststop"].as_array().cloned().unwrap_or_default();
            after.extend(note(&env, "after").as_array().unwrap().iter().cloned());
            config["hooks"]["poststop"] = json!(after);
        });
        let told = |output: &tinyd_tests::Output| {
            let said = output.stderr();
            assert!(said.contains(&format!("hook {moment} /bin/sh failed")), "{output}");
            assert!(said.contains("exit status: 4") && said.contains("why it failed"), "{output}");
        };
        let stopped_after = || fs::remove_file(env.files().join("after")).is_ok();
        match moment {
            "prestart" | "createRuntime" | "createContainer" => {
                told(&oci.create(&bundle).fails(1));
                assert!(stopped_after(), "{moment}");
                assert_eq!(fs::read_dir(oci.root()).unwrap().count(), 0);
            }
            "startContainer" | "poststart" => {
                oci.create(&bundle).ok();
                let pid = oci.pid(moment);
                told(&oci.run(["start", moment]).fails(1));
                assert!(stopped_after() && !proc::is_alive(pid), "{moment}");
                assert_eq!(fs::read_dir(oci.root()).unwrap().count(), 0);
            }
            _ => {
                oci.launch(&bundle);
                // Those behind it are not held up.
                told(&oci.run(["delete", "-f", moment]).ok());
                assert!(stopped_after());
            }
        }
        oci.run(["state", moment]).fails(1);
    }
}

#[test]
fn hooks_write_to_a_root_that_will_be_read_only() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = roots::copy_of_busybox(&env);
    let script = |moment: &str| format!("echo {moment} >> {}/said", root.display());
    let bundle = oci.bundle("one", &["sh", "-c", "cat /said; echo command >> /said"], |config| {
        config["root"] = json!({ "path": root, "readonly": true });
        for moment in ["prestart", "createRuntime", "createContainer"] {
            config["hooks"][moment] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script(moment)] }]);
        }
    });
    let output = oci.run_bundle(&bundle);
    assert_eq!(output.stdout(), "prestart\ncreateRuntime\ncreateContainer\n", "{output}");
    assert!(output.code() == Some(1) && output.stderr().contains("Read-only file system"), "{output}");
}

#[test]
fn a_start_container_hook_without_an_environment_has_the_commands() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["cat", "/x/said"], |config| {
        config["process"]["env"] = json!(["PATH=/bin", "A=of the command"]);
        config["root"]["path"] = json!(roots::copy_of_busybox(&env));
        let hook = |env: Value| json!({ "path": "/bin/sh", "args": ["sh", "-c", "echo \"[$A]\" >> /x/said"], "env": env });
        config["hooks"]["startContainer"] = json!([hook(Value::Null), hook(json!([])), hook(json!(["A=own"]))]);
        config["mounts"].as_array_mut().unwrap().push(json!({ "destination": "/x", "type": "tmpfs", "source": "x" }));
    });
    assert_eq!(oci.run_bundle(&bundle).ok().stdout(), "[of the command]\n[]\n[own]\n");
}

#[test]
fn a_poststart_hook_that_fails_stops_no_container_of_an_older_specification() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for (name, version, stays) in
        [("old", "1.0.2-dev", true), ("middle", "1.2.1", true), ("new", "1.3.0", false)]
    {
        let after = format!("after-{name}");
        let bundle = oci.bundle(name, &["sleep", "1000"], |config| {
            config["ociVersion"] = json!(version);
            config["hooks"]["poststart"] = json!([{ "path": "/bin/false" }, note(&env, &after)[0]]);
        });
        oci.create(&bundle).ok();
        let started = oci.run(["start", name]);
        assert_eq!(started.code(), Some(if stays { 0 } else { 1 }), "{started}");
        assert!(started.stderr().contains("hook poststart /bin/false failed"), "{started}");
        assert_eq!(env.files().join(&after).exists(), stays, "those behind it");
        if stays {
            assert_eq!(oci.status(name), "running");
        }
    }
}

#[test]
fn those_of_a_moment_run_in_their_order_with_their_own_words() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let said = env.files().join("lines");
    let bundle = oci.bundle("many", &["true"], |config| {
        let mount = json!({
            "destination": env.files(), "type": "bind", "source": env.files(), "options": ["bind", "rw"],
        });
        config["mounts"].as_array_mut().unwrap().push(mount);
        config["root"]["path"] = json!(roots::copy_of_busybox(&env));
        for moment in MOMENTS {
            let one = |number: u32| {
                let script = format!("echo {moment} {number} $0 $(env | grep -c .) >> {}", said.display());
                json!({ "path": "/bin/sh", "args": ["sh", "-c", script, "word"] })
            };
            config["hooks"][moment] = json!([one(1), one(2), one(3)]);
        }
    });
    oci.run_bundle(&bundle).ok();
    // The shell itself adds what it needs: no variable of the runtime's is among them.
    let text = fs::read_to_string(&said).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 18, "{text}");
    for (line, (moment, number)) in
        lines.iter().zip(MOMENTS.iter().flat_map(|moment| (1..=3).map(move |number| (moment, number))))
    {
        assert!(line.starts_with(&format!("{moment} {number} word ")), "{text}");
    }
}

#[test]
fn one_that_takes_too_long_is_killed() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("slow", &["true"], |config| {
        config["hooks"]["createRuntime"] =
            json!([{ "path": "/bin/sleep", "args": ["sleep", "500"], "timeout": 1 }]);
    });
    let begun = Instant::now();
    let output = oci.create(&bundle).fails(1);
    assert!(output.stderr().contains("longer than 1 seconds"), "{output}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// A first process that is not in its root yet is in the host's.
#[test]
fn nobody_joins_a_container_that_is_being_made() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let secret = mode.env.file("of-the-host", "of the host\n");
        let go = mode.env.files().join("go");
        let script = format!("until test -e {}; do sleep 0.02; done", go.display());
        let bundle = oci.bundle("h", &["sleep", "1000"], |config| {
            config["hooks"]["createRuntime"] = json!([{
                "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/sbin:/usr/bin:/bin"]
            }]);
        });
        let quiet = ["sh", "-c", "exec \"$@\" < /dev/null > /dev/null 2>&1", "sh"];
        let words = [OsString::from("create"), "-b".into(), bundle.into(), "h".into()];
        let creating = oci.cmd(words).under(quiet).spawn();
        let is_half_made = || oci.run(["list", "-q"]).stdout() == "h\n" && oci.state("h")["pid"] == 0;
        wait_until("it is being made", || is_half_made() && oci.status("h") == "creating");
        std::thread::sleep(Duration::from_millis(200));
        for command in [&["cat", secret.to_str().unwrap()][..], &["ls", "/"]] {
            let output = oci.run(["exec", "h"].iter().chain(command)).fails(255);
            assert!(
                output.stderr().contains("not made to its end") && output.stdout().is_empty(),
                "{output}"
            );
        }
        assert_eq!(oci.status("h"), "creating");
        fs::write(&go, "").unwrap();
        creating.wait().ok();
        assert_eq!(oci.status("h"), "created");
        oci.run(["exec", "h", "cat", secret.to_str().unwrap()]).fails(1);
        oci.run(["start", "h"]).ok();
        oci.run(["delete", "--force", "h"]).ok();
    });
}
