//! I12: the class of a container's packets, where cgroup v1's net_cls is mounted; where it is not, the reason is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, NO_NETWORK, ground, require, skip};

/// In mounts of its own, with net_cls beside what is there: runs the words behind the folder with that hierarchy mounted there,
/// says what class the container's group has, then and after an update, and takes the groups away, without which the hierarchy
/// would stay. It goes some time after its last mount, and is looked at again when it is mounted once more. (Other tests mount the
/// two controllers together.)
const MARKED: &str = r#"
    place=$1; shift
    mount -t cgroup -o net_cls,net_prio marks "$place" || exit 99
    "$@" >/dev/null || exit 98
    cat "$place"/tinyd/*/net_cls.classid
    "$1" --root "$3" --run-root "$5" update --net-cls-classid 10:2 one >/dev/null || exit 97
    cat "$place"/tinyd/*/net_cls.classid
    "$1" --root "$3" --run-root "$5" rm -f one >/dev/null || exit 96
    for try in 1 2 3 4 5 6 7 8 9; do
        rmdir "$place"/tinyd/* "$place"/tinyd 2>/dev/null
        [ -e "$place"/tinyd ] || break
        sleep 1
    done
    umount "$place"
    for try in 1 2 3 4 5 6 7 8 9; do
        grep -q "^net_cls.0." /proc/cgroups && break
        sleep 1
        mount -t cgroup -o net_cls,net_prio marks "$place" && umount "$place"
    done"#;

#[test]
fn without_net_cls_a_class_is_refused_and_the_controller_named() {
    require!(root);
    require!(program);
    if cgroups::hierarchy_of("net_cls").is_some() {
        return skip(module_path!(), "net_cls is mounted here");
    }
    let env = Env::new();
    let image = ground::image();
    for verb in ["run", "create"] {
        let said = env.tinyd([verb, "--net-cls-classid", "0x100001", &image, "true"]).fails(125).stderr();
        assert!(said.contains("net_cls"), "{said}");
    }
    for bad in ["", "10:", "-1", "x", "10000:1"] {
        let option = format!("--net-cls-classid={bad}");
        let said = env.tinyd(["run", &option, &image, "true"]).fails(125).stderr();
        assert!(said.contains("10:1"), "{said}");
    }
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout(), "");
}

#[test]
fn the_packets_of_a_container_have_its_class() {
    require!(root);
    require!(program);
    let image = ground::image();
    let env = Env::new();
    if let Some(mounted) = cgroups::hierarchy_of("net_cls") {
        let id = ground::start(&env, &["--name", "one", "--net-cls-classid", "10:1"], "exec sleep 1000");
        let class = |id: &str| class(&mounted.mount.join("tinyd").join(id));
        assert_eq!(class(&id), "1048577");
        env.tinyd(["update", "--net-cls-classid", "10:2", "one"]).ok();
        assert_eq!(class(&id), "1048578");
        env.tinyd(["rm", "-f", "one"]).ok();
        return;
    }
    let known = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let has = |name: &str| known.lines().any(|line| line.split('\t').next() == Some(name));
    if !has("net_cls") || !has("net_prio") {
        return skip(module_path!(), "this kernel does not mark packets");
    }
    let place = env.files().join("marks");
    fs::create_dir(&place).unwrap();
    let program = tinyd_tests::paths::tinyd();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let words = [
        text(&place),
        text(&program),
        "--root".to_owned(),
        text(&env.root()),
        "--run-root".to_owned(),
        text(&env.run_root()),
    ];
    let run = ["run", "-d", "--name", "one", "--net-cls-classid", "10:1", &image, "sleep", "1000"];
    let mut marked = Command::new("unshare");
    marked
        .args(["--mount", "--propagation", "private", "sh", "-c", MARKED, "sh"])
        .args(words)
        .args(run)
        .envs([NO_NETWORK]);
    let done = marked.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}: {said} {}", done.status, String::from_utf8_lossy(&done.stderr));
    // The monitors' group has none.
    let mut classes: Vec<_> = said.lines().filter(|line| *line != "0").collect();
    classes.dedup();
    assert_eq!(classes, ["1048577", "1048578"], "{said}");
}

fn class(group: &Path) -> String {
    fs::read_to_string(group.join("net_cls.classid")).unwrap().trim().to_owned()
}
