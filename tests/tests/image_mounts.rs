//! Files of an image in a container that is made of another one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use tinyd_tests::proc::mounts;
use tinyd_tests::{Mode, Output, in_both_modes, require, roots};

/// An image with a program, files of two owners, a device, and links that lead out of it.
fn image(mode: &Mode) -> PathBuf {
    let image = roots::copy_of_busybox(&mode.env);
    fs::create_dir_all(image.join("app/conf")).unwrap();
    fs::write(image.join("app/conf/file"), "image\n").unwrap();
    fs::write(image.join("app/users"), "").unwrap();
    chown(image.join("app/users"), Some(33), Some(5)).unwrap();
    symlink("conf", image.join("app/current")).unwrap();
    symlink("/etc", image.join("app/out")).unwrap();
    symlink("../../../..", image.join("app/up")).unwrap();
    image
}

fn files(top: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(top)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

fn run(mode: &Mode, mount: &str, script: &str) -> Output {
    mode.run(["--mount", mount, "host", "sh", "-c", script])
}

#[test]
fn an_image_is_shown_with_its_owners_and_cannot_be_written() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode);
        let all = format!("type=image,src={},dst=/img", image.display());
        let script = "cat /img/app/conf/file; stat -c %u:%g /img/app/conf/file /img/app/users; /img/bin/true && echo ran; \
                      ! touch /img/x 2> /dev/null && ! rm /img/app/users 2> /dev/null && echo kept";
        assert_eq!(run(mode, &all, script).ok().text(), "image\n0:0\n33:5\nran\nkept");
        assert_eq!(files(&image.join("app")), ["conf", "current", "out", "up", "users"]);
        // A part of it, also by a link that stays inside.
        for part in ["app/conf", "app/current"] {
            let script = "ls -A /img; cat /img/file; ! touch /img/x 2> /dev/null";
            let seen = run(mode, &format!("{all},subpath={part}"), script).ok();
            assert_eq!(seen.text(), "file\nimage", "{part}");
        }
        let words = ["--mount", &all, "--name", "c", "host", "sleep", "300"];
        let container = mode.start(words);
        let seen = &container.inspect()["Mounts"][0];
        let source = image.to_str().unwrap();
        assert_eq!(
            (&seen["Type"], &seen["Source"], &seen["RW"]),
            (&"image".into(), &source.into(), &false.into())
        );
        let all = mounts::of(container.pid).unwrap();
        let mount = all.iter().find(|mount| mount.point == Path::new("/img")).unwrap();
        assert!(mount.has("ro") && mount.has("nodev") && mount.propagation.is_empty(), "{}", mount.line);
        assert!(mode.env.tinyd(["ps"]).ok().stdout().contains(":/img;"));
    });
}

#[test]
fn what_is_written_to_an_image_is_the_containers_own_and_goes_with_it() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode);
        let mount = format!("type=image,src={},dst=/img,rw", image.display());
        let part = format!("type=image,src={},dst=/part,subpath=app/conf,rw", image.display());
        let script = "cat /img/app/conf/file /part/file; echo mine > /img/app/conf/file; echo part > /part/file; \
                      touch /img/made /part/made; stat -c %u:%g /img/made /img/app/users";
        let words =
            ["create", "--userns", mode.userns(), "--mount", &mount, "--mount", &part, "host", "sh", "-c"];
        let id = mode.env.tinyd(words.iter().copied().chain([script])).ok().text();
        let first = mode.env.tinyd(["start", "-a", &id]).ok().text();
        assert_eq!(first, "image\nimage\n0:0\n33:5");
        // It is there at the next start, and in no other container.
        assert_eq!(mode.env.tinyd(["start", "-a", &id]).ok().text(), "mine\npart\n0:0\n33:5");
        assert_eq!(run(mode, &mount, "cat /img/app/conf/file; ls -A /img | grep -c made").text(), "image\n0");
        assert_eq!(fs::read_to_string(image.join("app/conf/file")).unwrap(), "image\n");
        assert_eq!(files(&image.join("app/conf")), ["file"]);
        assert!(!image.join("made").exists());
        mode.env.tinyd(["rm", &id]).ok();
    });
}

#[test]
fn the_image_host_is_shown_with_all_its_trees_and_none_of_the_machines_secrets() {
    require!(root);
    in_both_modes(|mode| {
        let busybox = roots::busybox();
        let run = |mount: &str, script: &str| {
            mode.run(["--mount", mount, busybox.to_str().unwrap(), "sh", "-c", script])
        };
        // It only looks: these are the folders of the machine.
        let script = "ls /img/etc/nsswitch.conf /img/usr/bin/env; ls -d /img/etc/shadow /img/root/* 2> /dev/null; \
                      ! grep ' /img[ /]' /proc/self/mountinfo | grep -v ' ro,' && echo kept";
        let seen = run("type=image,src=host,dst=/img", script).ok();
        assert_eq!(seen.text(), "/img/etc/nsswitch.conf\n/img/usr/bin/env\nkept");
        assert_eq!(
            run("type=image,src=host,dst=/img,subpath=usr/bin", "ls /img/env").ok().text(),
            "/img/env"
        );
        let script =
            "rm /img/usr/bin/env && touch /img/usr/x && ! ls /img/usr/bin/env 2> /dev/null && echo gone";
        assert_eq!(run("type=image,src=host,dst=/img,rw", script).ok().text(), "gone");
        assert!(Path::new("/usr/bin/env").exists() && !Path::new("/usr/x").exists());
    });
}

#[test]
fn an_image_or_a_part_that_is_not_there_is_refused() {
    require!(root);
    in_both_modes(|mode| {
        let image = image(mode);
        let image = image.display();
        for (words, part) in [
            ("src=/nowhere/at/all,dst=/img".to_owned(), "/nowhere/at/all"),
            (format!("src={image},dst=/proc/x"), "/proc"),
            (format!("src={image},dst=/img,subpath=none"), "must be there"),
            (format!("src={image},dst=/img,subpath=none,rw"), "must be there"),
            (format!("src={image},dst=/img,subpath=app/out"), "leads out"),
            (format!("src={image},dst=/img,subpath=app/up,rw"), "leads out"),
            (format!("src={image},dst=/img,subpath=../x"), "'..'"),
            (format!("src={},dst=/img", mode.env.root().display()), "engine's own state"),
        ] {
            let output = run(mode, &format!("type=image,{words}"), "echo ran").fails(125);
            assert!(output.stderr().contains(part) && output.stdout().is_empty(), "{words}: {output}");
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
        }
        let words = ["--mount", "type=image,src=host,dst=/x", "-v", "/x", "host", "true"];
        assert!(mode.run(words).fails(125).stderr().contains("given twice"));
        assert!(mode.env.containers().is_empty());
    });
}
