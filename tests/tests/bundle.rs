//! A container's folder is an OCI bundle: another runtime takes it as it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tinyd_tests::proc::{cgroups, mounts};
use tinyd_tests::{Env, Output, require, roots};

/// What is said by a command that looks at all that a bundle settles.
const LOOK: &str = r#"
    echo "variable=$A host=$(hostname) user=$(id -u):$(id -g) folder=$(pwd)"
    echo "maps=$(tr -s ' ' < /proc/self/uid_map | cut -d' ' -f3,4 | head -1)"
    cat /etc/hostname; grep -c . /etc/resolv.conf > /dev/null; cat /bound/file
    grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status
    cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max
    (echo x > /bound/file) 2>/dev/null && echo the bind can be written
    exit 7"#;

struct Case {
    userns: &'static str,
    image: PathBuf,
}

fn create(env: &Env, case: &Case, name: &str, command: &[&str]) -> String {
    let source = env.files().join("bound");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "bound\n").unwrap();
    let bind = format!("{}:/bound:ro", source.display());
    let options =
        ["create", "--name", name, "--hostname", "inside", "-e", "A=b c", "-u", "1000:33", "-w", "/tmp"];
    let more = ["-m", "64m", "--userns", case.userns, "-v", &bind, case.image.to_str().unwrap()];
    env.tinyd(options.into_iter().chain(more).chain(command.iter().copied())).ok().text()
}

fn runc(env: &Env, bundle: &Path, name: &str) -> Output {
    let state = env.files().join("runc");
    let words = ["runc", "--root", state.to_str().unwrap(), "run", "-b", bundle.to_str().unwrap(), name];
    env.other(words).output()
}

fn mounts_below(folder: &Path) -> usize {
    mounts::of_self().unwrap().iter().filter(|mount| mount.point.starts_with(folder)).count()
}

fn runs_under_runc(case: &Case) {
    let env = Env::new();
    let id = create(&env, case, "b", &["sh", "-c", LOOK]);
    let bundle = env.root().join("containers").join(&id);
    assert!(bundle.join("config.json").is_file());
    let merged = env.tinyd(["mount", "b"]).ok().text();
    assert_eq!(merged, bundle.join("merged").to_str().unwrap());
    assert!(Path::new(&merged).join("usr/bin/env").symlink_metadata().is_ok());
    let by_runc = runc(&env, &bundle, &id).fails(7);
    env.tinyd(["umount", "b"]).ok();
    assert_eq!(mounts_below(&bundle), 0);
    remove_empty_groups(&id);

    let by_tinyd = env.tinyd(["start", "-a", "b"]).fails(7);
    // One and the same command sees one and the same container, whoever runs it.
    assert_eq!(by_runc.stdout(), by_tinyd.stdout(), "{by_runc}\n{by_tinyd}");
    let said = by_tinyd.stdout();
    let maps = if case.userns == "auto" { "65536" } else { "4294967295" };
    assert!(said.contains("variable=b c host=inside user=1000:33 folder=/tmp\n"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("maps=") && line.ends_with(maps)), "{said}");
    assert!(said.contains("inside\nbound\n") && said.contains("\n67108864\n"), "{said}");
    assert!(said.contains("Seccomp:\t2\n") && !said.contains("can be written"), "{said}");
}

/// runc makes a group in every hierarchy, and removes its own.
fn remove_empty_groups(id: &str) {
    for hierarchy in cgroups::hierarchies() {
        let group =
            cgroups::walk(&hierarchy.mount).into_iter().find(|path| path.ends_with(format!("tinyd/{id}")));
        assert_eq!(group, None, "runc left its group");
    }
}

#[test]
fn runc_runs_the_bundle_of_the_host_image() {
    require!(root);
    require!(program);
    require!(command "runc");
    runs_under_runc(&Case { userns: "auto", image: "host".into() });
}

#[test]
fn runc_runs_the_bundle_of_the_host_image_in_the_hosts_user_namespace() {
    require!(root);
    require!(program);
    require!(command "runc");
    runs_under_runc(&Case { userns: "host", image: "host".into() });
}

#[test]
fn runc_runs_the_bundle_of_a_folder() {
    require!(root);
    require!(program);
    require!(command "runc");
    runs_under_runc(&Case { userns: "auto", image: roots::busybox() });
}

#[test]
fn runc_runs_the_bundle_of_a_folder_in_the_hosts_user_namespace() {
    require!(root);
    require!(program);
    require!(command "runc");
    runs_under_runc(&Case { userns: "host", image: roots::busybox() });
}

#[test]
fn what_is_written_through_the_mount_and_by_runc_is_the_containers() {
    require!(root);
    require!(program);
    require!(command "runc");
    for userns in ["auto", "host"] {
        let env = Env::new();
        let image = roots::busybox();
        let command = "cat /from-outside && stat -c %u:%g /from-outside; test -e /tmp/mark || echo 1 > /tmp/mark; cat /tmp/mark";
        let id = create(&env, &Case { userns, image: image.clone() }, "b", &["sh", "-c", command]);
        let bundle = env.root().join("containers").join(&id);
        let merged = PathBuf::from(env.tinyd(["mount", "b"]).ok().text());
        // As the mount shows owners, so it takes them: who is root in the container is the owner of its root. Other ids,
        // that of the host's root among them, are not to be written there.
        let owner = fs::metadata(&merged).unwrap().uid().to_string();
        let target = merged.join("from-outside");
        let words = ["setpriv", "--reuid", &owner, "--regid", &owner, "--clear-groups", "sh", "-c"];
        let write = format!("echo hello > {}", target.display());
        env.other(words.into_iter().chain([write.as_str()])).output().ok();
        runc(&env, &bundle, &id).ok();
        env.tinyd(["umount", "b"]).ok();
        let output = env.tinyd(["start", "-a", "b"]).ok();
        assert_eq!(output.stdout(), "hello\n0:0\n1\n", "{userns}");
        let mark = bundle.join("upper/tmp/mark");
        assert_eq!(fs::read_to_string(mark).unwrap(), "1\n");
        assert!(!image.join("from-outside").exists() && !image.join("tmp/mark").exists());
    }
}

#[test]
fn mounting_and_unmounting_are_repeatable_and_leave_nothing() {
    require!(root);
    require!(program);
    require!(controller "memory");
    for userns in ["auto", "host"] {
        let env = Env::new();
        let id = create(&env, &Case { userns, image: "host".into() }, "b", &["true"]);
        let bundle = env.root().join("containers").join(&id);
        for _ in 0..2 {
            env.tinyd(["mount", "b"]).ok();
            let count = mounts_below(&bundle);
            assert!(count > 0);
            // A second time adds no second layer, whether it is refused or says the same.
            env.tinyd(["mount", "b"]);
            assert_eq!(mounts_below(&bundle), count);
            env.tinyd(["umount", "b"]).ok();
            assert_eq!(mounts_below(&bundle), 0);
        }
        env.tinyd(["mount", "no-such"]).fails(1);
        // One that is removed takes its mount along.
        env.tinyd(["mount", "b"]).ok();
        env.tinyd(["rm", "b"]).ok();
        assert_eq!(mounts_below(&bundle), 0);
        assert!(!bundle.exists());
    }
}
