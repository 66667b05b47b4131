//! Mounts of a bundle in words that no option of ours would write, and ours before another runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::bundle::{Bundle, run_with_mount};
use tinyd_tests::{Env, in_both_modes, require, roots};

fn bind(source: &Path, options: &[&str]) -> Value {
    json!({ "destination": "/x", "type": "bind", "source": source, "options": options })
}

#[test]
fn what_the_specification_knows_of_binds_is_done_or_refused() {
    require!(root);
    in_both_modes(|mode| {
        let folder = mode.env.files().join("source");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/file"), "seen\n").unwrap();
        let see = |options: &[&str]| {
            run_with_mount(mode, bind(&folder, options), "stat -c %u /x/a/b/file; cat /x/a/b/file")
        };
        // Without mapped ids, root's files are nobody's in a user namespace.
        let owner = if mode.mapped { 65534 } else { 0 };
        for options in
            [&["rbind"][..], &["bind", "rprivate"], &["rbind", "runbindable"], &["bind", "unbindable"]]
        {
            assert_eq!(see(options).ok().text(), format!("{owner}\nseen"), "{options:?}");
        }
        match mode.mapped {
            true => {
                assert_eq!(see(&["rbind", "ridmap"]).ok().text(), "0\nseen");
                assert!(see(&["rbind", "rshared"]).fails(125).stderr().contains("rslave is possible"));
            }
            false => assert!(see(&["rbind", "idmap"]).fails(125).stderr().contains("user namespace")),
        }
        let part = folder.join("a/b");
        let seen = run_with_mount(mode, bind(&part, &["rbind", "X-tinyd.subpath=a/b"]), "cat /x/file").ok();
        assert_eq!(seen.text(), "seen");
        for subpath in ["b/a", "", "..", "/", "source/../a/b"] {
            let option = format!("X-tinyd.subpath={subpath}");
            let output = run_with_mount(mode, bind(&part, &["rbind", &option]), "echo ran").fails(125);
            assert!(output.stderr().contains("is not the end of its source"), "{output}");
        }
    });
}

#[test]
fn layers_of_a_mount_are_joined() {
    require!(root);
    in_both_modes(|mode| {
        let files = mode.env.files();
        for (folder, file) in
            [("top:1", "both"), (r"low\2", "both"), (r"low\2", "low"), ("upper", ""), ("work", "")]
        {
            fs::create_dir_all(files.join(folder)).unwrap();
            if !file.is_empty() {
                fs::write(files.join(folder).join(file), format!("{folder}\n")).unwrap();
            }
        }
        let at = |name: &str| files.join(name).display().to_string();
        let overlay = |more: &[&str]| {
            let lowers = format!(r"lowerdir={}\:1:{}\\2", at("top"), at("low"));
            let (upper, work) = (format!("upperdir={}", at("upper")), format!("workdir={}", at("work")));
            let options: Vec<&str> =
                [&*lowers, &upper, &work].into_iter().chain(more.iter().copied()).collect();
            json!({ "destination": "/x", "type": "overlay", "source": "overlay", "options": options })
        };
        let script = "cat /x/both /x/low; stat -c %u:%g /x/low; touch /x/made 2> /dev/null && echo made";
        let joined = "top:1\nlow\\2\n0:0";
        assert_eq!(run_with_mount(mode, overlay(&["ro"]), script).fails(1).text(), joined);
        assert!(!files.join("upper/made").exists());
        assert_eq!(run_with_mount(mode, overlay(&[]), script).ok().text(), format!("{joined}\nmade"));
        assert!(files.join("upper/made").exists() && !files.join("top:1/made").exists());
        for (bad, part) in [("index=on", "index"), ("lowerdir=relative", "absolute paths")] {
            assert!(
                run_with_mount(mode, overlay(&[bad]), "echo ran").fails(125).stderr().contains(part),
                "{bad}"
            );
        }
    });
}

/// What would be hidden of the host's by a mask of the container is not.
#[test]
fn a_path_that_is_hidden_does_not_lie_on_a_shared_mount() {
    require!(root);
    let env = Env::new();
    let folder = env.files().join("source");
    fs::create_dir(&folder).unwrap();
    let image = roots::busybox();
    for list in ["maskedPaths", "readonlyPaths"] {
        let words = ["--userns", "host", image.to_str().unwrap(), "echo", "ran"];
        let bundle = Bundle::create(&env, &words);
        bundle.edit(|config| {
            config["mounts"].as_array_mut().unwrap().push(bind(&folder, &["rbind", "rshared"]));
            config["linux"][list].as_array_mut().unwrap().push("/x/file".into());
        });
        let output = env.tinyd(["start", "-a", &bundle.id]).fails(125);
        assert!(output.stderr().contains("/x/file is mounted, or hidden, on a shared mount"), "{output}");
    }
}

/// Words of ours that others leave alone: what they mount is the same.
#[test]
fn another_runtime_mounts_the_same_part_of_a_volume() {
    require!(root);
    require!(command "runc");
    let env = Env::new();
    env.tinyd(["volume", "create", "data"]).ok();
    let folder = env.tinyd(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok().text();
    fs::create_dir_all(Path::new(&folder).join("a/b")).unwrap();
    fs::write(Path::new(&folder).join("a/b/file"), "part\n").unwrap();
    let image = roots::busybox();
    let (image, part) = (image.to_str().unwrap(), "src=data,dst=/x,subpath=a/b,ro");
    let script = "ls /x; cat /x/file; ! touch /x/y 2> /dev/null";
    let words = ["create", "--name", "c", "--userns", "host", "--mount", part, image, "sh", "-c", script];
    let id = env.tinyd(words).ok().text();
    env.tinyd(["mount", "c"]).ok();
    let state = env.files().join("runc");
    let bundle = env.root().join("containers").join(&id);
    let words = ["runc", "--root", state.to_str().unwrap(), "run", "-b", bundle.to_str().unwrap(), "c"];
    let by_runc = env.other(words).output();
    env.tinyd(["umount", "c"]).ok();
    assert_eq!(by_runc.ok().stdout(), "file\npart\n");
    assert_eq!(env.tinyd(["start", "-a", "c"]).ok().stdout(), "file\npart\n");
}
