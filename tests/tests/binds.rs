//! `-v`: folders and files of the host inside a container, with owners that are right on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use tinyd_tests::proc::mounts;
use tinyd_tests::{Mode, in_both_modes, require, roots};

/// A folder of the host that everybody may write, and the option that binds it to `/data`.
fn data(mode: &Mode) -> (std::path::PathBuf, String) {
    let folder = mode.env.files().join("data");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let option = format!("{}:/data", folder.display());
    (folder, option)
}

fn owner(path: impl AsRef<Path>) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn a_folder_of_the_host_is_visible_and_writable_inside() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        let (folder, option) = data(mode);
        fs::write(folder.join("from-host"), "h\n").unwrap();
        for image in ["host", image.to_str().unwrap()] {
            // The seeds write the option with two dashes as well.
            for flag in ["-v", "--v", "--volume"] {
                let script = "cat /data/from-host && echo c > /data/from-container && mkdir /data/deep && rmdir /data/deep";
                assert_eq!(mode.run([flag, &option, image, "sh", "-c", script]).ok().stdout(), "h\n");
                assert_eq!(fs::read_to_string(folder.join("from-container")).unwrap(), "c\n");
                fs::remove_file(folder.join("from-container")).unwrap();
            }
        }
        // What changes on the host while it runs is seen.
        let container = mode.start(["-v", &option, "host", "sleep", "300"]);
        fs::write(folder.join("later"), "l\n").unwrap();
        assert_eq!(container.exec(&[], &["cat", "/data/later"]).ok().stdout(), "l\n");
        let said = &container.inspect()["HostConfig"]["Binds"];
        assert!(said[0].as_str().unwrap().starts_with(&option), "{said}");
        let line =
            mounts::of(container.pid).unwrap().into_iter().find(|mount| mount.point == Path::new("/data"));
        assert_eq!(line.unwrap().has("idmapped"), mode.mapped);
    });
}

#[test]
fn owners_are_right_on_both_sides_and_both_ways() {
    require!(root);
    in_both_modes(|mode| {
        let (folder, option) = data(mode);
        let written_outside =
            [("root", (0, 0)), ("user", (1000, 1000)), ("mixed", (33, 5)), ("last", (65_535, 65_535))];
        for (name, (uid, gid)) in written_outside {
            fs::write(folder.join(name), "").unwrap();
            chown(folder.join(name), Some(uid), Some(gid)).unwrap();
        }
        let container = mode.start(["-v", &option, "host", "sleep", "300"]);
        for (name, (uid, gid)) in written_outside {
            let seen = container.exec(&[], &["stat", "-c", "%u:%g", &format!("/data/{name}")]).ok();
            assert_eq!(seen.text(), format!("{uid}:{gid}"), "{name}");
        }
        assert_eq!(container.exec(&[], &["stat", "-c", "%u:%g", "/data"]).ok().text(), "0:0");

        container.exec(&[], &["sh", "-c", "mkdir /data/made; ln -s x /data/link; mkfifo /data/pipe"]).ok();
        container.exec(&["-u", "1000:1000"], &["touch", "/data/by-user"]).ok();
        container.exec(&[], &["sh", "-c", "touch /data/given && chown 33:44 /data/given"]).ok();
        for (name, wanted) in [
            ("made", (0, 0)),
            ("link", (0, 0)),
            ("pipe", (0, 0)),
            ("by-user", (1000, 1000)),
            ("given", (33, 44)),
        ] {
            assert_eq!(owner(folder.join(name)), wanted, "{name}");
        }
        // The rights that go with the owners hold as well.
        fs::set_permissions(folder.join("user"), fs::Permissions::from_mode(0o600)).unwrap();
        container.exec(&["-u", "1000:1000"], &["sh", "-c", "echo mine > /data/user"]).ok();
        assert_ne!(container.exec(&["-u", "1001:1001"], &["cat", "/data/user"]).code(), Some(0));
        container.exec(&[], &["cat", "/data/user"]).ok();
    });
}

/// Row 13 of part 3: said in so many words, and where it cannot be had.
#[test]
fn mapped_owners_can_be_asked_for_and_a_file_system_without_them_is_named() {
    require!(root);
    in_both_modes(|mode| {
        let (folder, option) = data(mode);
        fs::write(folder.join("roots"), "").unwrap();
        fs::write(folder.join("users"), "").unwrap();
        chown(folder.join("users"), Some(1000), Some(1000)).unwrap();
        let long = format!("type=bind,src={},dst=/data,idmap", folder.display());
        for (number, words) in
            [["-v", &format!("{option}:idmap")], ["--mount", &long]].into_iter().enumerate()
        {
            let made = format!("made-{number}");
            let script = format!("stat -c %u:%g /data/roots /data/users; touch /data/{made}");
            let words = words.into_iter().chain(["host", "sh", "-c", &script]);
            assert_eq!(mode.run(words).ok().text(), "0:0\n1000:1000");
            assert_eq!(owner(folder.join(made)), (0, 0));
        }
        let container = mode.start(["-v", &format!("{option}:ro,idmap"), "host", "sleep", "300"]);
        let seen = container.inspect();
        assert_eq!(seen["Mounts"][0]["Mode"], "ro,idmap");
        assert_eq!(seen["Mounts"][0]["IDMapped"].as_bool().unwrap_or(false), mode.mapped);
        assert!(seen["HostConfig"]["Binds"][0].as_str().unwrap().ends_with(":/data:ro,idmap"), "{seen}");
        // sysfs shows no other owners than its own.
        let words = ["-v", "/sys/kernel:/kernel:idmap", "host", "echo", "ran"];
        match mode.mapped {
            true => {
                let output = mode.run(words).fails(125);
                assert_eq!(output.stderr().lines().count(), 1, "{output}");
                let parts = ["map the ids of /sys/kernel", "file system", "--userns host"];
                parts.iter().for_each(|part| assert!(output.stderr().contains(part), "{part}: {output}"));
            }
            false => drop(mode.run(words).ok()),
        }
    });
}

/// Labels of SELinux: words that people have in their scripts. Where it is off, they mean nothing, and nothing is said.
#[test]
fn words_for_labels_are_taken_and_shown() {
    require!(root);
    in_both_modes(|mode| {
        let (_, option) = data(mode);
        for word in ["z", "Z"] {
            let container = mode.start(["-v", &format!("{option}:{word}"), "host", "sleep", "300"]);
            assert_eq!(container.inspect()["Mounts"][0]["Mode"], word);
        }
        let output = mode.run(["-v", &format!("{option}:z,ro"), "-v", "vol:/vol:Z", "host", "true"]).ok();
        let is_on = Path::new("/sys/fs/selinux/enforce").exists();
        assert_eq!(output.stderr().contains("SELinux is on"), is_on, "{output}");
    });
}

#[test]
fn a_read_only_bind_refuses_writes() {
    require!(root);
    in_both_modes(|mode| {
        let (folder, option) = data(mode);
        fs::write(folder.join("file"), "kept\n").unwrap();
        let container = mode.start(["-v", &format!("{option}:ro"), "host", "sleep", "300"]);
        assert_eq!(container.exec(&[], &["cat", "/data/file"]).ok().text(), "kept");
        for script in [
            "echo x > /data/file",
            "echo x > /data/new",
            "rm /data/file",
            "mkdir /data/d",
            "chmod 777 /data/file",
        ] {
            let output = container.exec(&[], &["sh", "-c", script]);
            assert!(
                output.code() != Some(0) && output.stderr().contains("Read-only file system"),
                "{output}"
            );
        }
        let all = mounts::of(container.pid).unwrap();
        let mount = all.iter().find(|mount| mount.point == Path::new("/data")).unwrap();
        assert!(mount.options.iter().any(|option| option == "ro"), "{}", mount.line);
        assert_ne!(container.exec(&[], &["mount", "-o", "remount,bind,rw", "/data"]).code(), Some(0));
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "kept\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        // The same folder may be bound twice, and "rw" may be said.
        let words = [
            "-v",
            &format!("{option}:rw"),
            "-v",
            &format!("{}:/look:ro", folder.display()),
            "host",
            "sh",
            "-c",
        ];
        let output = mode
            .run(words.into_iter().chain(["echo y > /data/new && cat /look/new && ! echo z > /look/new"]));
        assert_eq!(output.ok().text(), "y");
    });
}

#[test]
fn a_missing_target_is_made_in_the_container_and_not_in_the_image() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        let (folder, _) = data(mode);
        fs::write(folder.join("file"), "f\n").unwrap();
        let host = folder.display();
        let (deep, file) = (format!("{host}:/quite/new/place"), format!("{host}/file:/etc/conf.d/one.conf"));
        for image in ["host", image.to_str().unwrap()] {
            let script = "cat /quite/new/place/file /etc/conf.d/one.conf && echo g > /etc/conf.d/one.conf";
            let output = mode.run(["-v", &deep, "-v", &file, image, "sh", "-c", script]).ok();
            assert_eq!(output.stdout(), "f\nf\n");
            assert_eq!(output.stderr(), "");
            assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "g\n");
            fs::write(folder.join("file"), "f\n").unwrap();
        }
        assert!(!image.join("quite").exists() && !image.join("etc/conf.d").exists());
        assert!(!Path::new("/quite").exists());
    });
}

#[test]
fn a_missing_source_is_made_and_said() {
    require!(root);
    in_both_modes(|mode| {
        let folder = mode.env.files().join("not/yet/there");
        let option = format!("{}:/data", folder.display());
        let output = mode.run(["-v", &option, "host", "sh", "-c", "echo x > /data/x"]).ok();
        assert!(output.stderr().contains(folder.to_str().unwrap()), "no note: {output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
        assert!(output.stderr().starts_with("tinyd: note: "), "{output}");
        assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), "x\n");
        assert_eq!((owner(&folder), owner(folder.join("x"))), ((0, 0), (0, 0)));
        assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o755);
        // It is there now: nothing to say.
        let output = mode.run(["-v", &option, "host", "cat", "/data/x"]).ok();
        assert_eq!((output.text().as_str(), output.stderr().as_str()), ("x", ""));
    });
}

#[test]
fn binds_below_binds_and_over_standard_places_work_in_any_order() {
    require!(root);
    in_both_modes(|mode| {
        let (folder, outer) = data(mode);
        let below = mode.env.files().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("mark"), "below\n").unwrap();
        let hosts = mode.env.file("hosts", "127.0.0.1 mine\n");
        fs::set_permissions(&hosts, fs::Permissions::from_mode(0o644)).unwrap();
        let inner = format!("{}:/data/inner", below.display());
        let own_hosts = format!("{}:/etc/hosts", hosts.display());
        for options in [["-v", &inner, "-v", &outer], ["-v", &outer, "-v", &inner]] {
            let words = options.into_iter().chain([
                "-v",
                &own_hosts,
                "host",
                "cat",
                "/data/inner/mark",
                "/etc/hosts",
            ]);
            assert_eq!(mode.run(words).ok().stdout(), "below\n127.0.0.1 mine\n");
        }
        // The mount point was made in the outer folder, as Docker does.
        assert!(folder.join("inner").is_dir());
    });
}

#[test]
fn links_of_an_image_lead_a_bind_nowhere_on_the_host() {
    require!(root);
    in_both_modes(|mode| {
        let (_, option) = data(mode);
        let decoy = mode.env.files().join("decoy");
        fs::create_dir(&decoy).unwrap();
        fs::write(decoy.join("mark"), "untouched").unwrap();
        let image = mode.env.files().join("image");
        mode.env
            .other(["cp", "-a", roots::busybox().to_str().unwrap(), image.to_str().unwrap()])
            .output()
            .ok();
        symlink(&decoy, image.join("data")).unwrap();
        symlink("../../../../../../../..".to_owned() + decoy.to_str().unwrap(), image.join("relative"))
            .unwrap();
        let relative = option.replace(":/data", ":/relative/sub");
        for option in [&option, &relative] {
            let before = decoy.metadata().unwrap();
            // Whether it is refused or made inside, the host's folder is left alone.
            let _ = mode.run([
                "-v",
                option,
                image.to_str().unwrap(),
                "sh",
                "-c",
                "echo x > /data/x; echo x > /relative/sub/x",
            ]);
            let after = decoy.metadata().unwrap();
            assert_eq!(
                (before.ino(), before.mtime_nsec(), before.mode()),
                (after.ino(), after.mtime_nsec(), after.mode())
            );
            assert_eq!(fs::read_dir(&decoy).unwrap().count(), 1, "{option}");
        }
    });
}

#[test]
fn bad_binds_are_refused_with_one_line() {
    require!(root);
    in_both_modes(|mode| {
        for (option, word) in [
            ("/tmp:", ""),
            (":/data", ""),
            ("/tmp:data", "data"),
            ("/tmp:/data:rx", "rx"),
            ("/tmp:/", "/"),
            ("/tmp:/proc/x", "/proc"),
            ("/tmp:/a/../b", ".."),
        ] {
            let output = mode.run(["-v", option, "host", "true"]).fails(125);
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
            assert!(output.stderr().starts_with("tinyd: ") && output.stderr().contains(word), "{output}");
        }
        assert_eq!(mode.env.ids().len(), 0, "something was made");
    });
}
