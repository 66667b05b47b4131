//! `-u`: users and groups by name and by number, and what only looks like one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use tinyd_tests::{Env, proc, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A user of the host's own root, and users who were root elsewhere by an overflow or an empty field (CVE-2024-40635).
const REFUSED: [&str; 20] = [
    "4294967296",
    "4294967295",
    "2147483648",
    "-1",
    "-0",
    "0x0",
    "00",
    "01",
    "+0",
    " 0",
    "0 ",
    "1000:",
    ":",
    ":0",
    "0:0:0",
    "65536:99999999999",
    "99999999999999999999999",
    "1e3",
    "",
    "a b",
];

#[test]
fn users_and_groups_by_name_and_number() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = Env::new();
        let image = image();
        for (user, ids) in [
            ("app", "1000:1000 29"),
            ("1000", "1000:1000 29"),
            ("app:tty", "1000:5"),
            ("app:app", "1000:1000"),
            ("1000:5", "1000:5"),
            ("4321", "4321:0"),
            ("4321:1234", "4321:1234"),
            ("root", "0:0"),
            ("0:0", "0:0"),
            ("nobody", "65534:65534"),
        ] {
            let script = "echo $(id -u):$(id -g) $(for g in $(id -G); do [ $g = $(id -g) ] || echo $g; done)";
            let words = ["run", "--rm", "--userns", userns, "-u", user, &image, "sh", "-c", script];
            assert_eq!(env.tinyd(words).ok().text(), ids, "{user}, --userns {userns}");
        }
    }
}

#[test]
fn another_user_than_root_has_no_capability() {
    require!(root);
    let env = Env::new();
    let words = ["run", "-d", "--name", "c1", "--userns", "host", "-u", "app", &image(), "sleep", "300"];
    env.tinyd(words).ok();
    let pid = env.tinyd(["inspect", "-f", "{{.State.Pid}}", "c1"]).ok().text().parse().unwrap();
    assert_eq!(proc::status(pid, "Uid").unwrap(), "1000\t1000\t1000\t1000");
    assert_eq!(proc::status(pid, "Gid").unwrap(), "1000\t1000\t1000\t1000");
    for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(proc::status(pid, field).unwrap(), "0000000000000000", "{field}");
    }
    env.tinyd(["exec", "c1", "sh", "-c", "echo x > /root/x"]).fails(1);
}

#[test]
fn what_only_looks_like_a_user_is_refused() {
    require!(root);
    let env = Env::new();
    let image = image();
    for user in REFUSED {
        let option = format!("--user={user}");
        for verb in ["run", "create"] {
            let output = env.tinyd([verb, &option, &image, "id", "-u"]).fails(125);
            assert_eq!(output.stdout(), "", "{user:?} {output}");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
        }
    }
    assert!(env.containers().is_empty());
    for user in ["nosuch", "app:nosuch", "nosuch:0"] {
        let output = env.tinyd(["run", "-u", user, &image, "id", "-u"]).fails(125);
        assert!(output.stderr().contains("nosuch") && output.stdout().is_empty(), "{output}");
    }
    env.assert_clean();
}

/// An image of the test's own: the busybox, with other account files.
fn image_with(env: &Env, make: impl Fn(&Path)) -> String {
    let root = env.files().join("image");
    env.other(["cp", "-a", &image(), root.to_str().unwrap()]).output().ok();
    make(&root.join("etc"));
    root.to_str().unwrap().to_owned()
}

#[test]
fn a_line_of_the_images_passwd_makes_no_number_a_name() {
    require!(root);
    let env = Env::new();
    let image = image_with(&env, |etc| {
        fs::write(
            etc.join("passwd"),
            "4294967296:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\nodd:x:4294967296:0::/:\n",
        )
        .unwrap();
    });
    env.tinyd(["run", "--rm", "-u", "4294967296", &image, "id", "-u"]).fails(125);
    assert_eq!(env.tinyd(["run", "--rm", "-u", "1000", &image, "id", "-u"]).ok().text(), "1000");
    let odd = env.tinyd(["run", "--rm", "-u", "odd", &image, "id", "-u"]);
    assert!(odd.code() == Some(125) && odd.stdout().is_empty(), "{odd}");
}

#[test]
fn account_files_that_are_none_do_no_harm() {
    require!(root);
    type Make = fn(&Path);
    let makers: [(&str, Make); 4] = [
        ("a link to the host's", |etc| {
            fs::remove_file(etc.join("passwd")).unwrap();
            std::os::unix::fs::symlink("/../../../../../../etc/passwd", etc.join("passwd")).unwrap();
        }),
        ("a pipe", |etc| {
            fs::remove_file(etc.join("passwd")).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(rustix::fs::CWD, etc.join("passwd"), rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        }),
        ("a huge one", |etc| {
            let file = fs::File::create(etc.join("passwd")).unwrap();
            file.set_len(1 << 32).unwrap();
        }),
        ("none", |etc| {
            fs::remove_file(etc.join("passwd")).unwrap();
            fs::remove_file(etc.join("group")).unwrap();
        }),
    ];
    for (what, make) in makers {
        let env = Env::new();
        let image = image_with(&env, make);
        let limit = std::time::Duration::from_secs(5);
        let named = env.cmd(["run", "--rm", "-u", "messagebus", &image, "id", "-u"]).limit(limit).output();
        assert!(named.code() == Some(125) && named.stdout().is_empty(), "{what}: {named}");
        let numbered =
            env.cmd(["run", "--rm", "-u", "7:8", &image, "sh", "-c", "echo up"]).limit(limit).output();
        assert!(matches!(numbered.code(), Some(0 | 125)), "{what}: {numbered}");
        if what == "none" {
            assert_eq!(numbered.text(), "up");
        }
    }
}
