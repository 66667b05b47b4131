//! Parts of volumes: a folder or file that lies in one, mounted alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tinyd_tests::{Env, Mode, in_both_modes, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The folder of a new volume `data`.
fn volume(env: &Env, options: &[&str]) -> PathBuf {
    env.tinyd(["volume", "create"].iter().chain(options).copied().chain(["data"])).ok();
    env.tinyd(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok().text().into()
}

fn run(mode: &Mode, mount: &str, script: &str) -> tinyd_tests::Output {
    mode.run(["--mount", mount, &image(), "sh", "-c", script])
}

#[test]
fn a_part_of_a_volume_is_all_that_its_container_sees() {
    require!(root);
    in_both_modes(|mode| {
        let folder = volume(&mode.env, &[]);
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/file"), "part\n").unwrap();
        fs::write(folder.join("a/beside"), "not seen\n").unwrap();
        symlink("a/b", folder.join("current")).unwrap();
        let script = "ls -A /x; cat /x/file; echo w > /x/written; stat -c %u:%g /x/written; ls -A /x/..";
        let seen = run(mode, "type=volume,src=data,dst=/x,volume-subpath=a/b", script).ok();
        assert!(
            seen.stdout().starts_with("file\npart\n0:0\n") && !seen.stdout().contains("beside"),
            "{seen}"
        );
        assert_eq!(fs::read_to_string(folder.join("a/b/written")).unwrap(), "w\n");
        // A link that stays in the volume leads on; one file can be mounted too, and all of it read-only.
        assert_eq!(run(mode, "src=data,dst=/x,subpath=current", "cat /x/file").ok().text(), "part");
        let seen = run(mode, "src=data,dst=/f,subpath=a/./b//file,ro", "cat /f; ! echo x > /f").ok();
        assert_eq!(seen.text(), "part");
        // The whole volume and two parts of it, in one container.
        let words = ["-v", "data:/all", "--mount", "src=data,dst=/x,subpath=a/b", "--mount"];
        let rest = ["src=data,dst=/y,subpath=a", &image(), "sh", "-c", "cat /all/a/b/file /x/file /y/beside"];
        assert_eq!(mode.run(words.into_iter().chain(rest)).ok().text(), "part\npart\nnot seen");
    });
}

#[test]
fn a_part_is_shown_by_inspect_and_shared_with_other_containers() {
    require!(root);
    in_both_modes(|mode| {
        let folder = volume(&mode.env, &[]);
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/file"), "part\n").unwrap();
        let words = ["--name", "db", "--mount", "src=data,dst=/x,subpath=a/b", &image(), "sleep", "300"];
        let container = mode.start(words);
        let mount = &container.inspect()["Mounts"][0];
        assert_eq!((mount["SubPath"].as_str(), mount["Name"].as_str()), (Some("a/b"), Some("data")));
        let other = ["--volumes-from", "db", &image(), "sh", "-c", "ls -A /x"];
        assert_eq!(mode.run(other).ok().text(), "file");
        let whole = mode.start(["-v", "data:/x", &image(), "sleep", "300"]);
        assert_eq!(whole.inspect()["Mounts"][0].get("SubPath"), None);
    });
}

/// A driver that mounts its volumes only while they are used says late where they are.
#[test]
fn a_part_of_a_volume_in_memory_is_found_at_each_start() {
    require!(root);
    in_both_modes(|mode| {
        mode.env.tinyd(["volume", "create", "-d", "tmpfs", "data"]).ok();
        let keeper = mode.start(["-v", "data:/d", &image(), "sleep", "300"]);
        keeper.exec(&[], &["sh", "-c", "mkdir -p /d/a/b && echo part > /d/a/b/file"]).ok();
        assert_eq!(
            run(mode, "src=data,dst=/x,subpath=a/b", "ls -A /x; cat /x/file").ok().text(),
            "file\npart"
        );
    });
}

#[test]
fn a_part_that_is_missing_or_no_part_is_refused_before_anything_runs() {
    require!(root);
    in_both_modes(|mode| {
        let folder = volume(&mode.env, &[]);
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        symlink("/etc", folder.join("out")).unwrap();
        symlink("../..", folder.join("up")).unwrap();
        for (subpath, word) in [
            ("none", "make it first"),
            ("sub/none", "make it first"),
            ("file/none", "make it first"),
            ("out", "leads out of the whole"),
            ("up", "leads out of the whole"),
            ("sub/../..", "'..'"),
            ("..", "'..'"),
            ("/sub", "begins with '/'"),
            (".", "all of it"),
        ] {
            let mount = format!("src=data,dst=/x,volume-subpath={subpath}");
            let output = run(mode, &mount, "echo ran").fails(125);
            assert!(output.stderr().contains(word) && output.stdout().is_empty(), "{subpath}: {output}");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "nothing was made");
        assert_eq!(mode.env.containers().len(), 0);
        // It is looked up at each start: what was missing may be there by then.
        let words = ["create", "--userns", mode.userns(), "--mount", "src=data,dst=/x,subpath=later"];
        let script = ["sh", "-c", "echo x > /x/x"];
        let id = mode.env.tinyd(words.into_iter().chain([&*image()]).chain(script)).ok().text();
        assert!(mode.env.tinyd(["start", "-a", &id]).fails(125).stderr().contains("later"));
        fs::create_dir(folder.join("later")).unwrap();
        mode.env.tinyd(["start", "-a", &id]).ok();
        assert!(folder.join("later/x").exists());
        // One that would have been made is not, and an empty one is not filled when only a part of it is wanted.
        run(mode, "src=new,dst=/bin,subpath=a", "echo ran").fails(125);
        assert!(mode.env.tinyd(["volume", "inspect", "new"]).code() != Some(0));
    });
}
