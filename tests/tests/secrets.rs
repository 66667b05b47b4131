//! Secrets: files in a container's memory, of which nothing is anywhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use tinyd_tests::{Env, Output, in_both_modes, kill, require, roots};

/// What the secrets of these tests hold: it is nowhere by chance.
const CONTENT: &str = "s3cr3t-5f1d7a-not-by-chance";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn keep(env: &Env, name: &str, content: &[u8]) {
    assert_eq!(
        env.cmd(["secret", "create", name]).stdin(content).output().ok().stdout(),
        format!("{name}\n")
    );
}

/// One line, with these parts, and no container.
#[track_caller]
fn refused(env: &Env, words: &[&str], code: i32, parts: &[&str]) {
    let before = env.containers();
    let output = env.tinyd(words.iter().copied()).fails(code);
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    parts.iter().for_each(|part| assert!(output.stderr().contains(part), "{part:?}: {output}"));
    assert_eq!(env.containers(), before, "{words:?}");
}

/// W39.
#[test]
fn a_secret_is_a_file_in_memory_for_the_commands_user_alone() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        keep(env, "db", CONTENT.as_bytes());
        // Bytes of any kind arrive as they are.
        let bytes: Vec<u8> = (0..=255).chain([0, 10, 13]).collect();
        let file = env.file("key", &bytes);
        env.tinyd(["secret", "create", "--label", "stage=test", "key", file.to_str().unwrap()]).ok();
        let run = |options: &[&str], script: &str| -> Output {
            mode.run(options.iter().copied().chain([&*image, "sh", "-c", script]))
        };
        let seen = run(
            &["--secret", "db", "--secret", "key,target=tls.key"],
            "cat /run/secrets/db; stat -c ' %a %u:%g %n' /run/secrets /run/secrets/*; ls /run/secrets",
        );
        let expected = "s3cr3t-5f1d7a-not-by-chance 755 0:0 /run/secrets\n 400 0:0 /run/secrets/db\n 400 0:0 \
                        /run/secrets/tls.key\ndb\ntls.key\n";
        assert_eq!(seen.ok().stdout(), expected);
        let seen = run(&["--secret", "key"], "cat /run/secrets/key").ok();
        assert_eq!(seen.stdout_bytes(), bytes);
        // It is in memory, and nobody writes there, root neither.
        let mounted = run(&["--secret", "db"], "grep ' /run/secrets ' /proc/self/mountinfo").ok().stdout();
        assert!(mounted.contains(" ro,nosuid,nodev,noexec") && mounted.contains(" - tmpfs "), "{mounted}");
        for script in [
            "echo x > /run/secrets/db",
            "rm /run/secrets/db",
            "touch /run/secrets/new",
            "chmod 644 /run/secrets/db",
        ] {
            assert!(run(&["--secret", "db"], script).fails(1).stderr().contains("Read-only"), "{script}");
        }
        // Whoever the command is reads it, and nobody else but root.
        let seen =
            run(&["--secret", "db", "-u", "33:44"], "stat -c %u:%g /run/secrets/db; cat /run/secrets/db");
        assert_eq!(seen.ok().text(), format!("33:44\n{CONTENT}"));
        let seen = run(&["--secret", "db,uid=5,gid=6", "-u", "33:44"], "cat /run/secrets/db").fails(1);
        assert!(seen.stderr().contains("Permission denied"), "{seen}");
        let seen = run(
            &["--read-only", "--secret", "db,target=/etc/hosts.key,uid=5,gid=44,mode=0440", "-u", "33:44"],
            "cat /etc/hosts.key; stat -c ' %a %u:%g' /etc/hosts.key; ls /run/secrets",
        );
        assert_eq!(seen.stdout(), format!("{CONTENT} 440 5:44\n"), "{seen}");
        // A container without any has no such place.
        run(&[], "! test -e /run/secrets").ok();
        env.assert_checked();
    });
}

#[test]
fn a_secret_is_read_in_its_folder_and_elsewhere() {
    require!(root);
    in_both_modes(|mode| {
        keep(&mode.env, "db", CONTENT.as_bytes());
        let options = ["--secret", "db", "--secret", "db,target=/etc/deep/key", "--secret", "db,target=/top"];
        let script = "cat /run/secrets/db /etc/deep/key /top; ls /run/secrets; \
                      for f in /run/secrets/db /etc/deep/key /top; do echo x > $f && echo written; done";
        let seen = mode.run(options.into_iter().chain([&*image(), "sh", "-c", script]));
        assert!(seen.stdout().starts_with(&format!("{}db\n", CONTENT.repeat(3))), "{seen}");
        assert!(!seen.stdout().contains("written"), "{seen}");
        assert_eq!(seen.stderr().matches("Read-only").count(), 3, "{seen}");
    });
}

/// W39.
#[test]
fn what_a_secret_holds_is_in_its_own_file_and_nowhere_else() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        keep(env, "db", CONTENT.as_bytes());
        let folder = env.root().join("secrets");
        let data: Vec<_> =
            fs::read_dir(folder.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = &data[..] else { panic!("{data:?}") };
        assert_eq!(fs::read_to_string(file).unwrap(), CONTENT);
        let mode_of = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode_of(&folder), mode_of(&folder.join("data")), mode_of(file)), (0o700, 0o700, 0o600));
        assert_eq!(file.metadata().unwrap().uid(), 0);
        let nowhere = |when: &str| {
            for tree in [env.root(), env.run_root()] {
                for path in files_with(&tree, CONTENT.as_bytes()) {
                    assert_eq!(path, file.as_path(), "{when}");
                }
            }
        };
        // The command reads it, and its environment and arguments have nothing of it.
        let script = "cat /run/secrets/db /key | md5sum; sleep 300";
        let options = ["--name", "c", "--secret", "db", "--secret", "db,target=/key"];
        let container = mode.start(options.into_iter().chain([&*image, "sh", "-c", script]));
        let inside = "cat /run/secrets/db; tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/cmdline";
        let seen = container.exec(&[], &["sh", "-c", inside]).ok().stdout();
        assert_eq!(seen.matches(CONTENT).count(), 1, "{seen}");
        let told = |verb: &[&str]| {
            let output = env.tinyd(verb.iter().copied()).ok();
            assert!(!format!("{}{}", output.stdout(), output.stderr()).contains(CONTENT), "{output}");
            output
        };
        let silent = |when: &str| {
            nowhere(when);
            let inspected = told(&["inspect", "c"]).json();
            let secrets = &inspected[0]["Config"]["Secrets"];
            assert_eq!(
                (&secrets[0]["Name"], &secrets[0]["Target"]),
                (&"db".into(), &"/run/secrets/db".into())
            );
            assert_eq!((&secrets[1]["Target"], &secrets[1]["Mode"]), (&"/key".into(), &0o400.into()));
            for verb in [
                &["ps", "-a", "--no-trunc", "--format", "json"][..],
                &["logs", "c"],
                &["secret", "ls", "--format", "json"],
                &["secret", "inspect", "db"],
                &["system", "info"],
            ] {
                told(verb);
            }
        };
        silent("while it runs");
        for process in container.pids().into_iter().chain([kill::monitor_of(env, "c")]) {
            for what in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{process}/{what}")).unwrap();
                assert!(!has(&text, CONTENT.as_bytes()), "{process}/{what}");
            }
        }
        env.tinyd(["stop", "-t", "0", "c"]).ok();
        silent("when it has stopped");
        env.tinyd(["start", "c"]).ok();
        assert_eq!(container.exec(&[], &["cat", "/run/secrets/db", "/key"]).ok().text(), CONTENT.repeat(2));
        silent("when it was started again");
        let monitor = kill::monitor_of(env, "c");
        kill::kill(monitor);
        // Whoever looks next gives it another one.
        told(&["ps"]);
        kill::await_new_monitor(env, "c", monitor);
        assert_eq!(container.exec(&[], &["cat", "/run/secrets/db"]).ok().text(), CONTENT);
        silent("when its monitor was killed");
        env.tinyd(["kill", "c"]).ok();
        told(&["wait", "c"]);
        silent("when it was killed");
        // What a command writes into the container's own files is its own affair, and seen by this search.
        env.tinyd(["rm", "-f", "c"]).ok();
        nowhere("when it is gone");
        env.tinyd(["secret", "rm", "db"]).ok();
        assert!(!file.exists() && files_with(&env.root(), CONTENT.as_bytes()).is_empty());
        env.assert_checked();
    });
}

#[test]
fn secrets_are_kept_listed_and_forgotten_unless_somebody_uses_them() {
    require!(root);
    let (env, image) = (Env::new(), image());
    keep(&env, "a", b"1");
    keep(&env, "b.c_d-e", b"2");
    assert_eq!(env.tinyd(["secret", "ls", "-q"]).ok().stdout(), "a\nb.c_d-e\n");
    // A secret is never written over.
    for words in [&["secret", "create", "a"][..], &["secret", "create", "a", "-"]] {
        let output = env.cmd(words.iter().copied()).stdin("other").output().fails(1);
        assert!(output.stderr().contains("there is a secret \"a\" already"), "{output}");
    }
    let seen = env.tinyd(["run", "--rm", "--secret", "a", &image, "cat", "/run/secrets/a"]).ok();
    assert_eq!(seen.stdout(), "1");
    env.tinyd(["create", "--name", "user", "--secret", "a", &image, "true"]).ok();
    refused(&env, &["secret", "rm", "a"], 1, &["\"a\"", "is used by user"]);
    assert_eq!(
        env.tinyd(["secret", "ls", "--format", "{{.Name}} {{.Containers}}"]).ok().stdout(),
        "a 1\nb.c_d-e 0\n"
    );
    let inspected = env.tinyd(["secret", "inspect", "a"]).ok().json();
    assert_eq!(
        (&inspected[0]["Spec"]["Name"], inspected[0]["Containers"].as_object().unwrap().len()),
        (&"a".into(), 1)
    );
    env.tinyd(["rm", "user"]).ok();
    let output = env.tinyd(["secret", "rm", "a", "none", "b.c_d-e"]).fails(1);
    assert_eq!(output.stdout(), "a\nb.c_d-e\n");
    assert!(output.stderr().contains("there is no secret \"none\""), "{output}");
    assert_eq!(env.tinyd(["secret", "ls", "-q"]).ok().stdout(), "");
    // What it may hold.
    let create = |content: Vec<u8>| env.cmd(["secret", "create", "size"]).stdin(content).output();
    assert!(create(Vec::new()).fails(1).stderr().contains("would hold nothing"));
    assert!(create(vec![b'x'; 512_001]).fails(1).stderr().contains("more than the 512000 bytes"));
    create(vec![b'x'; 512_000]).ok();
    let seen = env.tinyd(["run", "--rm", "--secret", "size", &image, "wc", "-c", "/run/secrets/size"]).ok();
    assert!(seen.stdout().starts_with("512000 "), "{seen}");
    env.assert_checked();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    require!(root);
    let (env, image) = (Env::new(), image());
    keep(&env, "db", CONTENT.as_bytes());
    for (options, parts) in [
        (&["--secret", "none"][..], &["there is no secret \"none\""][..]),
        (&["--secret", "../db"], &["there is no secret", "../db"]),
        (&["--secret", "db,type=env"], &["type=env", "inspect", "/run/secrets/db"]),
        (&["--secret", "db,type=x"], &["type=x"]),
        (&["--secret", "db,mode=1777"], &["mode of a secret"]),
        (&["--secret", "db,uid=65536"], &["owner of a secret", "--userns host"]),
        (&["--secret", "db,target=a/b"], &["target of a secret"]),
        (&["--secret", "db,target=/run/secrets"], &["target of a secret"]),
        (&["--secret", "db,target=/proc/x"], &["/proc"]),
        (&["--secret", "db", "--secret", "db"], &["/run/secrets/db", "is given twice"]),
        (&["--secret", "db,target=/a", "--tmpfs", "/a"], &["/a", "is given twice"]),
        (
            &["--secret", "db", "-v", "data:/run/secrets/x"],
            &["/run/secrets/x", "where the container's secrets are"],
        ),
    ] {
        for verb in ["run", "create"] {
            let words: Vec<&str> =
                [verb].into_iter().chain(options.iter().copied()).chain([&*image, "true"]).collect();
            let parts: Vec<&str> = parts.to_vec();
            if options[1] == "../db" {
                // It is no name; that there is none of it is as good.
                let output = env.tinyd(words.iter().copied()).fails(125);
                assert!(output.stderr().contains("../db"), "{output}");
                continue;
            }
            refused(&env, &words, 125, &parts);
        }
    }
    for name in ["", ".x", "a/b", "../x", &"n".repeat(201)] {
        let output = env.cmd(["secret", "create", name]).stdin(CONTENT).output().fails(1);
        assert!(output.stderr().contains("secret name") && !output.stderr().contains(CONTENT), "{output}");
    }
    assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().stdout(), "");
    assert_eq!(env.tinyd(["secret", "ls", "-q"]).ok().stdout(), "db\n");
}

#[test]
fn one_that_somebody_took_away_by_hand_is_named_and_the_container_can_be_removed() {
    require!(root);
    let (env, image) = (Env::new(), image());
    keep(&env, "db", CONTENT.as_bytes());
    env.tinyd(["create", "--name", "c", "--secret", "db", &image, "true"]).ok();
    let data = fs::read_dir(env.root().join("secrets/data")).unwrap().next().unwrap().unwrap().path();
    let aside = env.files().join("aside");
    fs::rename(&data, &aside).unwrap();
    let output = env.tinyd(["start", "c"]).fails(125);
    assert!(
        output.stderr().contains("read what the secret holds") && output.stderr().lines().count() == 1,
        "{output}"
    );
    let output = env.tinyd(["system", "check"]).fails(1);
    assert!(format!("{output}").contains("tinyd secret rm db"), "{output}");
    fs::rename(&aside, &data).unwrap();
    env.tinyd(["start", "c"]).ok();
    env.tinyd(["rm", "-f", "c"]).ok();
    // What a killed command left of one is found, and goes with the next.
    let left = data.with_file_name("0".repeat(32));
    fs::write(&left, CONTENT).unwrap();
    env.tinyd(["system", "check"]).fails(1);
    keep(&env, "other", b"1");
    assert!(!left.exists() && data.exists());
    env.assert_checked();
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The files below a folder that hold this, whoever's they are.
fn files_with(folder: &Path, part: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    // What is being removed meanwhile is not there any more.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files_with(&path, part));
        } else if kind.is_file() && fs::read(&path).is_ok_and(|text| has(&text, part)) {
            found.push(path);
        }
    }
    found
}
