//! Users that are none, and account files that are traps (A16, A17).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::json;
use tinyd_tests::bundle::Bundle;
use tinyd_tests::{Mode, in_both_modes, require, roots};

/// CVE-2026-30892, CVE-2024-40635, CVE-2026-46680: what was taken for a name, or wrapped around, became root.
const NO_USERS: [&str; 12] = [
    "4294967296",
    "4294967295",
    "2147483648",
    "-1",
    "0x0",
    "00",
    "1000:",
    ":",
    "",
    "65536:99999999999",
    "+0",
    "0:-1",
];

/// A start that waits for longer waits for something that a container controls.
const LIMIT: Duration = Duration::from_secs(20);

/// An image of the test's own, with these account files.
fn image(mode: &Mode, name: &str, make: impl Fn(&Path)) -> String {
    let folder: PathBuf = mode.env.files().join(name);
    mode.env.other(["cp".into(), "-a".into(), roots::busybox(), folder.clone()]).output().ok();
    make(&folder.join("etc"));
    folder.to_str().unwrap().to_owned()
}

/// Accounts named as what is no number, all of them root's.
fn tempting(etc: &Path) {
    let names = NO_USERS.iter().flat_map(|user| user.split(':')).filter(|name| !name.is_empty());
    let lines: String = names.map(|name| format!("{name}:x:0:0::/:/bin/sh\n")).collect();
    fs::write(etc.join("passwd"), &lines).unwrap();
    fs::write(etc.join("group"), lines.replace(":0::/:/bin/sh", ":")).unwrap();
}

#[test]
fn a16_nothing_that_is_no_user_comes_to_mean_root() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode, "tempting", tempting);
        let container = mode.start([image.as_str(), "sleep", "300"]);
        for user in NO_USERS {
            let option = format!("--user={user}");
            let words = ["create", "--userns", mode.userns(), &option, &image, "id", "-u"];
            for output in [
                mode.run([option.as_str(), &image, "id", "-u"]),
                mode.env.tinyd(words),
                container.exec(&[&option], &["id", "-u"]),
            ] {
                let output = output.fails(125);
                assert_eq!(output.stdout(), "", "{user:?}: {output}");
                assert_eq!(output.stderr().lines().count(), 1, "{user:?}: {output}");
            }
        }
    });
}

/// The same said by a bundle, past the checks of our own options.
#[test]
fn a16_no_bundle_has_such_a_user_either() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode, "tempting", tempting);
        let words = ["--userns", mode.userns(), "-u", "7", &image, "id", "-u"];
        let bundle = Bundle::create(&mode.env, &words);
        for user in NO_USERS {
            bundle.edit(|config| config["annotations"]["dev.tinyd.user"] = json!(user));
            let output = mode.env.tinyd(["start", "-a", &bundle.id]).fails(125);
            assert_eq!(output.stdout(), "", "{user:?}: {output}");
        }
        bundle.edit(|config| config["annotations"]["dev.tinyd.user"] = json!("7"));
        assert_eq!(mode.env.tinyd(["start", "-a", &bundle.id]).ok().text(), "7");
    });
}

/// A user that this machine has and the image has not.
fn stranger() -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let known = ["root", "daemon", "app", "nobody"];
    let mut names = passwd.lines().filter_map(|line| line.split(':').next());
    names.find(|name| !known.contains(name)).expect("this machine has more users").to_owned()
}

/// CVE-2024-9676.
#[test]
fn a17_account_files_that_are_traps_do_no_harm() {
    require!(root);
    type Make = fn(&Path, &str);
    let fifo: Make = |etc, name| {
        mknodat(CWD, etc.join(name), FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
    };
    let traps: [(&str, Make); 5] = [
        ("absolute", |etc, name| symlink(Path::new("/etc").join(name), etc.join(name)).unwrap()),
        ("relative", |etc, name| {
            symlink(format!("../../../../../../../../../etc/{name}"), etc.join(name)).unwrap()
        }),
        ("fifo", fifo),
        ("folder", |etc, name| fs::create_dir(etc.join(name)).unwrap()),
        ("huge", |etc, name| fs::File::create(etc.join(name)).unwrap().set_len(1 << 32).unwrap()),
    ];
    let stranger = stranger();
    in_both_modes(|mode| {
        for (what, make) in traps {
            let image = image(mode, what, |etc| {
                for name in ["passwd", "group"] {
                    fs::remove_file(etc.join(name)).unwrap();
                    make(etc, name);
                }
            });
            let run = |user: &str| {
                let words = ["run", "--rm", "--userns", mode.userns(), "-u", user, &image, "echo", "up"];
                mode.env.cmd(words).limit(LIMIT).output()
            };
            let named = run(&stranger).fails(125);
            assert_eq!(named.stdout(), "", "{what}: {named}");
            let numbered = run("7:8");
            assert!(numbered.code() == Some(125) || numbered.text() == "up", "{what}: {numbered}");
        }
    });
}

/// The same in a container that replaces its files while it runs.
#[test]
fn a17_traps_that_a_container_sets_for_further_commands_do_no_harm() {
    require!(root);
    let stranger = stranger();
    let image = roots::busybox();
    in_both_modes(|mode| {
        for trap in [
            "mkfifo /etc/passwd /etc/group",
            "ln -s ../../../../../../../etc/passwd /etc/passwd",
            "ln -s /proc/self/fd/0 /etc/passwd",
            "ln -s /proc/1/root/etc/passwd /etc/passwd",
            // A link to itself, but for who resolves it on the host.
            "ln -s /etc/passwd /etc/passwd",
            "ln -s /dev/zero /etc/passwd",
            "truncate -s 4G /etc/passwd",
        ] {
            let script = format!("rm -f /etc/passwd /etc/group; {trap}; exec sleep 300");
            let container = mode.start([image.to_str().unwrap(), "sh", "-c", &script]);
            container.process(&["sleep", "300"]);
            let words = ["exec", "-u", &stranger, &container.id, "id", "-u"];
            let output = mode.env.cmd(words).limit(LIMIT).output().fails(125);
            assert_eq!(output.stdout(), "", "{trap}: {output}");
            mode.env.tinyd(["rm", "-f", &container.id]).ok();
        }
    });
}

/// No more than a mebibyte is read: what stands behind it is not found, however well it is written.
#[test]
fn a17_what_stands_beyond_a_mebibyte_is_not_read() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode, "long", |etc| {
            let filler = "x:x:9:9::/:/bin/sh\n".repeat((1 << 20) / 19 + 1);
            let text = format!("early:x:5:5::/:/bin/sh\n{filler}late:x:0:0::/:/bin/sh\n");
            fs::write(etc.join("passwd"), text).unwrap();
        });
        assert_eq!(mode.run(["-u", "early", image.as_str(), "id", "-u"]).ok().text(), "5");
        let late = mode.run(["-u", "late", image.as_str(), "id", "-u"]).fails(125);
        assert_eq!(late.stdout(), "", "{late}");
    });
}
