//! The options of a bundle's mounts: every word of the specification, as the kernel shows it afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::bundle::{run, run_with_mount};
use tinyd_tests::{Mode, in_both_modes, require};

fn mount(kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": "/x", "type": kind, "source": source, "options": options })
}

/// The options of the mount at `/x` and of those below it, as its processes see them, each as `point options optional fields`.
#[track_caller]
fn seen(mode: &Mode, mount: Value) -> Vec<String> {
    let script = "grep ' /x' /proc/self/mountinfo | cut -d' ' -f5- | sed 's/ - .*//'";
    run_with_mount(mode, mount, script).ok().stdout().lines().map(str::to_owned).collect()
}

#[test]
fn every_attribute_is_set_and_cleared() {
    require!(root);
    in_both_modes(|mode| {
        for (words, shown) in [
            (&["ro"][..], "ro,relatime"),
            (&["ro", "rw"], "rw,relatime"),
            (&["nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime"),
            (&["nosuid", "suid", "nodev", "dev", "noexec", "exec"], "rw,relatime"),
            (&["noatime"], "rw,noatime"),
            (&["noatime", "relatime"], "rw,relatime"),
            (&["strictatime"], "rw"),
            (&["nodiratime", "strictatime"], "rw,nodiratime"),
            (&["nosymfollow"], "rw,relatime,nosymfollow"),
            (&["silent", "loud", "defaults", "iversion", "nofail", "x-a.b=c"], "rw,relatime"),
        ] {
            assert_eq!(seen(mode, mount("tmpfs", "memory", words)), [format!("/x {shown}")], "{words:?}");
        }
        let source = "grep ' /x ' /proc/self/mountinfo | sed 's/.* - //'";
        let output =
            run_with_mount(mode, mount("tmpfs", "memory", &["sync", "size=64k", "mode=700"]), source);
        let said = output.ok().text();
        assert!(said.starts_with("tmpfs memory rw,sync,size=64k,mode=700"), "{said}");
        let output =
            run_with_mount(mode, mount("tmpfs", "memory", &["no-such-option"]), "echo ran").fails(125);
        assert!(output.stderr().contains("mount /x"), "{output}");
    });
}

#[test]
fn attributes_of_a_bind_are_its_own_or_those_of_all_below() {
    require!(root);
    in_both_modes(|mode| {
        // What is mounted below: a bind of a bind, by two mounts of one bundle.
        let (outer, inner) = (mode.env.files().join("outer"), mode.env.files().join("inner"));
        fs::create_dir_all(outer.join("in")).unwrap();
        fs::create_dir_all(&inner).unwrap();
        mode.env
            .other(["mount", "--bind", inner.to_str().unwrap(), outer.join("in").to_str().unwrap()])
            .output()
            .ok();
        let of = |words: &[&str]| {
            let all: Vec<&str> = ["rbind"].iter().chain(words).copied().collect();
            seen(mode, mount("none", outer.to_str().unwrap(), &all))
        };
        let has = |line: &str, word: &str| line.split([' ', ',']).any(|found| found == word);
        let seen_of = |words: &[&str], word: &str| {
            let lines = of(words);
            assert_eq!(lines.len(), 2, "{lines:?}");
            (has(&lines[0], word), has(&lines[1], word))
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (word, shown) in [
                ("ro", "ro"),
                ("nosuid", "nosuid"),
                ("nodev", "nodev"),
                ("noexec", "noexec"),
                ("noatime", "noatime"),
                ("nodiratime", "nodiratime"),
                ("nosymfollow", "nosymfollow"),
            ] {
                assert_eq!(seen_of(&[word], shown), (true, false), "{word}");
                assert_eq!(seen_of(&[&format!("r{word}")], shown), (true, true), "r{word}");
            }
            assert_eq!(seen_of(&["rro", "rw"], "ro"), (false, true));
            assert_eq!(seen_of(&["rnosuid", "rsuid", "ro"], "nosuid"), (false, false));
            assert_eq!(seen_of(&["rstrictatime"], "relatime"), (false, false));
            assert_eq!(seen_of(&["rnoatime", "rrelatime"], "relatime"), (true, true));
        }));
        mode.env.other(["umount", outer.join("in").to_str().unwrap()]).output().ok();
        result.unwrap();
    });
}

#[test]
fn every_kind_of_mount_spreads_as_it_says() {
    require!(root);
    in_both_modes(|mode| {
        for kind in ["tmpfs", "proc", "mqueue"] {
            for (word, shown) in [
                ("private", ""),
                ("rprivate", ""),
                ("slave", ""),
                ("rslave", ""),
                ("shared", "shared:"),
                ("rshared", "shared:"),
                ("unbindable", "unbindable"),
                ("runbindable", "unbindable"),
            ] {
                let lines = seen(mode, mount(kind, kind, &[word]));
                let fields = lines[0].splitn(3, ' ').nth(2).unwrap_or_default();
                assert!(
                    fields.starts_with(shown) && fields.is_empty() == shown.is_empty(),
                    "{word}: {lines:?}"
                );
            }
        }
        for (word, root, below) in [
            ("private", "", ""),
            ("rprivate", "", ""),
            ("slave", "", ""),
            ("shared", "shared:", ""),
            ("rshared", "shared:", "shared:"),
            ("unbindable", "unbindable", ""),
            ("runbindable", "unbindable", "unbindable"),
        ] {
            let change = |config: &mut Value| config["linux"]["rootfsPropagation"] = word.into();
            let script = "awk '$5 == \"/\" || $5 == \"/dev\" { print $7 }' /proc/self/mountinfo";
            let output = run(mode, change, script).ok();
            let fields: Vec<_> = output.stdout().lines().map(str::to_owned).collect();
            let is = |field: &str, wanted: &str| match wanted {
                "" => field == "-",
                wanted => field.starts_with(wanted),
            };
            assert!(is(&fields[0], root) && is(&fields[1], below), "{word}: {fields:?}");
        }
        let wrong = run(mode, |config| config["linux"]["rootfsPropagation"] = "sideways".into(), "echo ran");
        assert!(wrong.fails(125).stderr().contains("linux.rootfsPropagation"));
    });
}

#[test]
fn ids_are_mapped_by_a_mounts_own_mappings() {
    require!(root);
    in_both_modes(|mode| {
        let folder = mode.env.files().join("source");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        std::os::unix::fs::chown(folder.join("file"), Some(1), Some(2)).unwrap();
        let first = |config: &Value, ids: &str| config["linux"][ids][0]["hostID"].as_u64().unwrap_or(0);
        // On the disk 1:2, on the host 1001:2002 above what is root inside.
        let mapped = |options: &'static [&'static str], both: bool| {
            let folder = folder.clone();
            move |config: &mut Value| {
                let mut one = mount("bind", folder.to_str().unwrap(), options);
                let (users, groups) = (first(config, "uidMappings"), first(config, "gidMappings"));
                one["uidMappings"] = json!([{ "containerID": 1, "hostID": users + 1001, "size": 1 }]);
                if both {
                    one["gidMappings"] = json!([{ "containerID": 2, "hostID": groups + 2002, "size": 1 }]);
                }
                config["mounts"].as_array_mut().unwrap().push(one);
            }
        };
        for options in [&["bind", "idmap"][..], &["rbind", "ridmap"], &["rbind"]] {
            let output = run(mode, mapped(options, true), "stat -c %u:%g /x/file; stat -c %u /x").ok();
            assert_eq!(output.stdout(), "1001:2002\n65534\n", "{options:?}");
        }
        let output = run(mode, mapped(&["bind", "idmap"], false), "echo ran").fails(125);
        assert!(output.stderr().contains("come together"), "{output}");
        let memory = |config: &mut Value| {
            let mut one = mount("tmpfs", "tmpfs", &["idmap"]);
            for ids in ["uidMappings", "gidMappings"] {
                one[ids] = json!([{ "containerID": 0, "hostID": first(config, ids) + 7, "size": 9 }]);
            }
            config["mounts"].as_array_mut().unwrap().push(one);
        };
        assert_eq!(run(mode, memory, "stat -c %u:%g /x").ok().text(), "7:7");
    });
}

#[test]
fn memory_begins_with_what_lies_in_its_place() {
    require!(root);
    in_both_modes(|mode| {
        let mut over = mount("tmpfs", "tmpfs", &["tmpcopyup", "size=8m"]);
        over["destination"] = "/etc".into();
        let script = "stat -f -c %T /etc; head -1 /etc/passwd; stat -c %u:%g:%a /etc/passwd; touch /etc/new && echo written";
        let output = run_with_mount(mode, over.clone(), script).ok();
        let plain = run(mode, |_| {}, "head -1 /etc/passwd; stat -c %u:%g:%a /etc/passwd").ok();
        assert_eq!(output.stdout(), format!("tmpfs\n{}written\n", plain.stdout()));
        over["options"] = json!(["tmpcopyup", "mode=711", "ro"]);
        let script =
            "stat -c %a /etc; head -1 /etc/passwd | cut -c1-4; touch /etc/new 2> /dev/null || echo read-only";
        assert_eq!(run_with_mount(mode, over, script).ok().stdout(), "711\nroot\nread-only\n");
        let empty = run_with_mount(mode, mount("tmpfs", "tmpfs", &["tmpcopyup"]), "ls -A /x | wc -l").ok();
        assert_eq!(empty.text(), "0");
        let wrong = run_with_mount(mode, mount("proc", "proc", &["tmpcopyup"]), "echo ran").fails(125);
        assert!(wrong.stderr().contains("tmpcopyup is for tmpfs"), "{wrong}");
    });
}

#[test]
fn any_file_system_is_mounted_and_one_that_is_none_is_refused_by_name() {
    require!(root);
    in_both_modes(|mode| {
        let look = "stat -f -c %T /x";
        assert_eq!(run_with_mount(mode, mount("ramfs", "ramfs", &["mode=711"]), look).ok().text(), "ramfs");
        // Nothing but the host's rights mounts that.
        let device = run_with_mount(mode, mount("devtmpfs", "dev", &["ro"]), "test -e /x/null && echo there");
        assert_eq!(device.ok().text(), "there");
        for kind in ["no-such-fs", "none", ""] {
            let output = run_with_mount(mode, mount(kind, "x", &[]), "echo ran").fails(125);
            assert!(output.stderr().contains("/x"), "{output}");
        }
        let missing = run_with_mount(mode, mount("bind", "/no/such/source", &["rbind"]), "echo ran");
        assert!(missing.fails(125).stderr().contains("/no/such/source"));
    });
}

#[test]
fn places_are_made_inside_the_root_and_nowhere_else() {
    require!(root);
    in_both_modes(|mode| {
        let file = mode.env.file("source", "seen\n");
        for (target, script) in [
            ("/a/b/c/file", "cat /a/b/c/file"),
            ("relative/file", "cat /relative/file"),
            ("/etc/passwd", "cat /etc/passwd"),
            ("/../../escaped", "cat /escaped"),
        ] {
            let mut one = mount("bind", file.to_str().unwrap(), &["bind", "ro"]);
            one["destination"] = target.into();
            assert_eq!(run_with_mount(mode, one, script).ok().text(), "seen", "{target}");
        }
        assert!(!Path::new("/escaped").exists() && !Path::new("/relative").exists());
    });
}
