//! What the runtime specification says of the operations: what each does, when it is refused, and that a refusal changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, proc, require, wait_until};

/// Lets a container write to the test's folder, in the place that it has on the host.
fn share(env: &Env, config: &mut Value) {
    config["root"]["path"] = json!(tinyd_tests::roots::copy_of_busybox(env));
    let files = env.files();
    let mount =
        json!({ "destination": "/files", "type": "none", "source": files, "options": ["bind", "rw"] });
    config["mounts"].as_array_mut().unwrap().push(mount);
}

fn said(env: &Env) -> String {
    fs::read_to_string(env.files().join("heard")).unwrap_or_default()
}

#[test]
fn a_container_without_a_process_is_created_and_cannot_be_started() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle =
        oci.bundle("idle", &["true"], |config| drop(config.as_object_mut().unwrap().remove("process")));
    oci.create(&bundle).ok();
    let before = oci.state("idle");
    assert_eq!(before["status"], "created");
    let refused = oci.run(["start", "idle"]).fails(1);
    assert!(refused.stderr().contains("process: is missing"), "{refused}");
    assert_eq!(oci.state("idle"), before);
    oci.run(["kill", "idle", "KILL"]).ok();
    oci.run(["delete", "idle"]).ok();
}

#[test]
fn an_operation_needs_the_id_of_a_container_that_is_there() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for verb in ["create", "start", "state", "kill", "delete"] {
        let output = oci.cmd([verb]).current_dir(env.files()).output().fails(2);
        assert!(output.stderr().contains(verb), "{output}");
    }
    for words in
        [&["start", "nobody"][..], &["state", "nobody"], &["kill", "nobody", "KILL"], &["delete", "nobody"]]
    {
        let output = oci.run(words.iter().copied()).fails(1);
        assert!(output.stderr().contains("does not exist"), "{output}");
    }
    // Nobody has said where the bundle is, and here is none.
    oci.cmd(["create", "x"]).current_dir(env.files()).output().fails(1);
    assert!(!oci.root().join("x").exists());
}

#[test]
fn a_refusal_changes_nothing() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "echo called >> /files/heard; read word < /files/end";
    let bundle = oci.bundle("one", &["sh", "-c", script], |config| share(&env, config));
    env.other(["mkfifo".into(), env.files().join("end").into_os_string()]).output().ok();
    oci.create(&bundle).ok();
    let created = oci.state("one");
    oci.create(&bundle).fails(1);
    oci.run(["delete", "one"]).fails(1);
    assert_eq!((oci.state("one"), said(&env).as_str()), (created, ""));
    oci.run(["start", "one"]).ok();
    wait_until("it has spoken", || said(&env) == "called\n");
    let running = oci.state("one");
    oci.run(["start", "one"]).fails(1);
    oci.run(["delete", "one"]).fails(1);
    oci.create(&bundle).fails(1);
    assert_eq!(oci.state("one"), running);
    fs::write(env.files().join("end"), "word\n").unwrap();
    wait_until("it has stopped", || oci.status("one") == "stopped");
    let stopped = oci.state("one");
    oci.run(["start", "one"]).fails(1);
    oci.run(["kill", "one", "KILL"]).fails(1);
    assert_eq!((oci.state("one"), said(&env).as_str()), (stopped, "called\n"));
    oci.run(["delete", "one"]).ok();
    // The id can be used again.
    oci.create(&bundle).ok();
    assert_eq!(oci.status("one"), "created");
    oci.run(["delete", "--force", "one"]).ok();
}

#[test]
fn the_configuration_is_that_of_the_moment_of_create() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["sh", "-c", "echo first > /files/heard"], |config| share(&env, config));
    oci.create(&bundle).ok();
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("echo first", "echo other")).unwrap();
    oci.run(["start", "one"]).ok();
    wait_until("it has stopped", || oci.status("one") == "stopped");
    assert_eq!(said(&env), "first\n");
    fs::write(&path, "no configuration any more").unwrap();
    assert_eq!(oci.status("one"), "stopped");
    oci.run(["delete", "one"]).ok();
}

#[test]
fn a_state_has_all_that_the_specification_names() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let mut annotations = json!({ "a.b": "c", "empty": "" });
    for key in ["os", "os.version", "os.features", "architecture", "variant", "author", "created"] {
        annotations[format!("org.opencontainers.image.{key}")] = key.into();
    }
    for (name, annotations) in [("with", annotations), ("without", Value::Null)] {
        let bundle =
            oci.bundle(name, &["sleep", "1000"], |config| config["annotations"] = annotations.clone());
        oci.create(&bundle).ok();
        let state = oci.state(name);
        assert_eq!((&state["ociVersion"], &state["id"]), (&json!("1.3.0"), &json!(name)));
        assert_eq!((&state["status"], &state["bundle"]), (&json!("created"), &json!(bundle)));
        assert_eq!(state["annotations"], annotations);
        let pid = oci.pid(name);
        assert!(proc::is_alive(pid));
        oci.run(["start", name]).ok();
        let running = oci.state(name);
        assert_eq!((&running["status"], &running["pid"]), (&json!("running"), &state["pid"]));
        oci.run(["kill", name, "KILL"]).ok();
        assert_eq!(oci.status(name), "stopped");
        oci.run(["delete", name]).ok();
    }
}

#[test]
fn a_signal_reaches_the_process_and_the_image_may_say_which() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = tinyd_tests::roots::copy_of_busybox(&env);
    let script = "for s in INT TERM USR1 QUIT; do trap \"echo $s >> /files/heard\" $s; done; \
                  echo up >> /files/heard; while :; do sleep 0.05; done";
    let cases: [(&str, &[&str], Option<&str>, &str); 5] = [
        ("name", &["INT"], None, "INT"),
        ("number", &["10"], None, "USR1"),
        ("none", &[], None, "TERM"),
        ("of-image", &[], Some("SIGQUIT"), "QUIT"),
        ("both", &["SIGUSR1"], Some("SIGQUIT"), "USR1"),
    ];
    for (name, words, image, heard) in cases {
        let bundle = oci.bundle(name, &["sh", "-c", script], |config| {
            config["root"]["path"] = json!(root);
            let files = env.files();
            let mount =
                json!({ "destination": "/files", "type": "none", "source": files, "options": ["bind"] });
            config["mounts"].as_array_mut().unwrap().push(mount);
            if let Some(signal) = image {
                config["annotations"] = json!({ "org.opencontainers.image.stopSignal": signal });
            }
        });
        fs::write(env.files().join("heard"), "").unwrap();
        oci.launch(&bundle);
        wait_until("it is up", || said(&env) == "up\n");
        oci.run(["kill", name].iter().chain(words).copied()).ok();
        wait_until("it has heard", || said(&env) == format!("up\n{heard}\n"));
        assert_eq!(oci.status(name), "running");
        // What is killed can be deleted at once.
        oci.run(["kill", name, "KILL"]).ok();
        oci.run(["delete", name]).ok();
    }
    // Also one that was never started.
    let bundle = oci.bundle("created", &["sleep", "1000"], |_| {});
    oci.create(&bundle).ok();
    oci.run(["kill", "created", "KILL"]).ok();
    assert_eq!(oci.status("created"), "stopped");
    oci.run(["delete", "created"]).ok();
}

#[test]
fn what_the_container_has_not_made_stays() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let other = format!("{}-other", env.tag());
    let group = [Path::new("/sys/fs/cgroup/pids"), Path::new("/sys/fs/cgroup")]
        .into_iter()
        .find(|folder| folder.join("cgroup.procs").exists())
        .unwrap()
        .join(&other);
    fs::create_dir(&group).unwrap();
    let kept = env.file("kept", "content\n");
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| share(&env, config));
    oci.create(&bundle).ok();
    let moved = fs::write(group.join("cgroup.procs"), oci.pid("one").to_string());
    oci.run(["start", "one"]).ok();
    oci.run(["kill", "one", "KILL"]).ok();
    oci.run(["delete", "one"]).ok();
    let stays = group.exists();
    fs::remove_dir(&group).unwrap();
    moved.unwrap();
    assert!(stays);
    assert_eq!(fs::read_to_string(kept).unwrap(), "content\n");
    assert!(bundle.join("config.json").exists());
}

#[test]
fn a_version_that_is_none_or_another_is_refused_and_what_nobody_knows_is_not() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for (at, version) in ["invalid", "", "2.0.0", "1.0"].into_iter().enumerate() {
        let bundle =
            oci.bundle(&format!("bad{at}"), &["true"], |config| config["ociVersion"] = version.into());
        assert!(oci.create(&bundle).fails(1).stderr().contains("ociVersion"), "{version}");
    }
    for (at, version) in ["1.0.0", "1.0.2-dev", "1.3.0"].into_iter().enumerate() {
        let bundle = oci.bundle(&format!("good{at}"), &["echo", "ran"], |config| {
            config["ociVersion"] = version.into();
            config["annotations"] = json!({ "org.of.tomorrow": "" });
            config["tomorrow"] = json!({ "of": ["tomorrow"] });
            config["process"]["tomorrow"] = 5.into();
            config["linux"]["tomorrow"] = json!([]);
            for other in ["windows", "solaris", "vm", "zos", "freebsd"] {
                config[other] = Value::Null;
            }
        });
        assert_eq!(oci.run_bundle(&bundle).ok().stdout(), "ran\n");
    }
    let bundle = oci.bundle("text", &["true"], |_| {});
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    let twice = text.replacen('{', "{\"hostname\":\"other\",", 1);
    let binary = [text.replace("tinyd", "").as_bytes(), b"\xff"].concat();
    for (content, part) in [(twice.as_bytes(), "\"hostname\" stands twice"), (&binary, "config.json")] {
        fs::write(&path, content).unwrap();
        let output = oci.create(&bundle).fails(1);
        assert!(output.stderr().contains(part), "{output}");
    }
    let bundle = oci.bundle("nameless", &["true"], |config| config["annotations"] = json!({ "": "x" }));
    assert!(oci.create(&bundle).fails(1).stderr().contains("annotations: one has no name"));
}
