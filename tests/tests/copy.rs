//! Files that go into containers and come out of them, what a container has changed, and its root as an archive.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use tinyd_tests::remove::remove_tree;
use tinyd_tests::{Dice, Env, Mode, Moments, in_both_modes, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// What is the same of a tree that was copied: kinds, modes, owners, links, contents, holes.
fn tree(env: &Env, folder: &Path) -> String {
    let script = "cd \"$0\" && find . -printf '%P %y %m %U %G %n %T@ %s %l\\n' | grep -v '^ ' | grep -v ' d ' | sort && \
                  find . -mindepth 1 -type d -printf '%P %m %U %G %T@\\n' | sort && find . -type f -exec sha256sum {} + | sort && \
                  du -s . | cut -f1 | awk '{ print $1 < 1000 }'";
    env.other(["sh", "-c", script, folder.to_str().unwrap()]).output().ok().stdout()
}

/// A bit of everything.
fn everything(env: &Env) -> std::path::PathBuf {
    let folder = env.files().join("everything");
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join("deep/file"), "text").unwrap();
    fs::hard_link(folder.join("deep/file"), folder.join("same")).unwrap();
    symlink("deep/file", folder.join("link")).unwrap();
    fs::set_permissions(folder.join("deep/er"), fs::Permissions::from_mode(0o1711)).unwrap();
    fs::File::create(folder.join("sparse")).unwrap().set_len(20_000_000).unwrap();
    fs::write(folder.join("a name with spaces: and ü"), "x").unwrap();
    std::os::unix::fs::chown(folder.join("deep/file"), Some(33), Some(5)).unwrap();
    fs::set_permissions(folder.join("deep/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    folder
}

/// Does the same with a container that runs and with one that has stopped.
fn running_and_still(mode: &Mode, options: &[&str], test: impl Fn(&str, bool)) {
    let image = image();
    let words = options.iter().copied().chain([&*image, "sleep", "300"]);
    let container = mode.start(words);
    test(&container.id, true);
    mode.env.tinyd(["stop", "-t", "0", &container.id]).ok();
    test(&container.id, false);
    // What was copied in is there at the next start.
    mode.env.tinyd(["start", &container.id]).ok();
    test(&container.id, true);
}

#[test]
fn a_tree_comes_back_as_it_was_with_everything_that_belongs_to_it() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let from = everything(env);
        let expected = tree(env, &from);
        running_and_still(mode, &["-v", "data:/data"], |id, runs| {
            for (number, place) in ["/srv", "/data/tree", "/dev/shm/x"].iter().enumerate() {
                // What is in memory goes with the processes.
                if *place == "/dev/shm/x" && !runs {
                    continue;
                }
                let inside = format!("{id}:{place}");
                env.tinyd(["cp", "-a", &format!("{}/.", from.display()), &inside]).ok();
                let back = env.files().join(format!("back-{number}"));
                env.tinyd(["cp", "-a", &inside, back.to_str().unwrap()]).ok();
                assert_eq!(tree(env, &back), expected, "{place}");
                remove_tree(&back).unwrap();
            }
            if runs {
                let seen = env.tinyd(["exec", id, "stat", "-c", "%u:%g %a %h", "/srv/deep/file"]).ok();
                assert_eq!(seen.text(), "33:5 4755 2");
            }
        });
    });
}

#[test]
fn without_being_asked_to_keep_owners_files_belong_to_who_gets_them() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let from = everything(env);
        running_and_still(mode, &[], |id, runs| {
            let output = env.tinyd(["cp", from.to_str().unwrap(), &format!("{id}:/")]).ok();
            assert!(output.stderr().contains("everything/deep/file has lost its set-id bits"), "{output}");
            if runs {
                let script = "stat -c '%u:%g %a' /everything/deep/file";
                assert_eq!(env.tinyd(["exec", id, "sh", "-c", script]).ok().text(), "0:0 755");
                env.tinyd(["exec", id, "chown", "7:8", "/everything/same"]).ok();
            }
            let back = env.files().join("back");
            env.tinyd(["cp", &format!("{id}:/everything/same"), back.to_str().unwrap()]).ok();
            let meta = back.metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (0, 0));
        });
    });
}

#[test]
fn files_go_where_dockers_cp_has_them_go() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let image = image();
        let container =
            mode.start([&*image, "sh", "-c", "mkdir -p /d/sub; echo f > /d/f; ln -s d /l; sleep 300"]);
        container.exec(&[], &["sh", "-c", "until test -L /l; do sleep 0.01; done"]).ok();
        let id = &container.id;
        let here = env.files();
        let file = env.file("one", "1");
        let cp = |from: &str, to: &str| {
            let name =
                |text: &str| text.replace("C:", &format!("{id}:")).replace("HERE", here.to_str().unwrap());
            env.tinyd(["cp", &name(from), &name(to)])
        };
        let list = |path: &str| {
            container.exec(&[], &["sh", "-c", &format!("cd {path} && find . | sort")]).ok().stdout()
        };
        cp("HERE/one", "C:/d").ok();
        cp("HERE/one", "C:d/two").ok();
        cp("HERE/one", "C:/l/sub/").ok();
        assert_eq!(list("/d"), ".\n./f\n./one\n./sub\n./sub/one\n./two\n");
        cp("C:/d", "HERE").ok();
        cp("C:/d", "HERE/other").ok();
        cp("C:/d/.", "HERE/other").ok();
        cp("C:/l/", "HERE/by-link").ok();
        cp("C:/l", "HERE/the-link").ok();
        cp("-", "C:/d").fails(1);
        let listed = |path: &str| {
            let mut names: Vec<_> = fs::read_dir(here.join(path))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.join(" ")
        };
        for folder in ["d", "other", "by-link"] {
            assert_eq!(listed(folder), "f one sub two", "{folder}");
        }
        assert_eq!(fs::read_link(here.join("the-link")).unwrap(), Path::new("d"));
        // From one container to another, and over what is there.
        let other = mode.start([&*image, "sleep", "300"]);
        env.tinyd(["cp", &format!("{id}:/d"), &format!("{}:/", other.id)]).ok();
        fs::write(&file, "changed").unwrap();
        env.tinyd(["cp", file.to_str().unwrap(), &format!("{}:/d/f", other.id)]).ok();
        assert_eq!(other.exec(&[], &["cat", "/d/f", "/d/one"]).ok().stdout(), "changed1");
    });
}

/// As with Docker: the link stays, and the file that it leads to is another one, or is there now.
#[test]
fn what_is_copied_onto_a_link_goes_where_that_leads() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let here = env.files();
        let round = Cell::new(0);
        running_and_still(mode, &[], |id, _| {
            round.set(round.get() + 1);
            let text = format!("round {}\n", round.get());
            if round.get() == 1 {
                let script = "mkdir -p /d/sub && echo old > /d/real.conf && ln -s real.conf /d/app.conf && \
                              ln -s /d/sub /l && ln -s ../later /d/sub/up && \
                              ln -s ../../../../tinyd-cp-out /d/out && ln -s /none/file /d/astray";
                env.tinyd(["exec", id, "sh", "-c", script]).ok();
            }
            let new = env.file("new", &text);
            for (link, real) in
                [("/d/app.conf", "/d/real.conf"), ("/l/up", "/d/later"), ("/d/out", "/tinyd-cp-out")]
            {
                env.tinyd(["cp", new.to_str().unwrap(), &format!("{id}:{link}")]).ok();
                let output = env.tinyd(["cp", &format!("{id}:{real}"), "-"]).ok();
                assert!(output.stdout().contains(&text), "{link}: {output}");
                let back = here.join("back");
                // As the link that it is, and so also over itself.
                for _ in 0..2 {
                    env.tinyd(["cp", &format!("{id}:{link}"), back.to_str().unwrap()]).ok();
                    assert!(back.is_symlink(), "{link} is no link any more");
                }
                assert!(!here.join(back.read_link().unwrap()).exists(), "it was written through the link");
                fs::remove_file(back).unwrap();
            }
            assert!(
                !Path::new("/tinyd-cp-out").exists(),
                "a link of a container was followed on this machine"
            );
            let refused = env.tinyd(["cp", new.to_str().unwrap(), &format!("{id}:/d/astray")]).fails(1);
            assert!(refused.stderr().contains("there is no folder \"/none\""), "{refused}");
            // The same on this machine.
            fs::write(here.join("real"), "old").unwrap();
            for (link, real) in [("link", "real"), ("dangling", "later")] {
                let (link, real) = (here.join(link), here.join(real));
                symlink(real.file_name().unwrap(), &link).unwrap();
                env.tinyd(["cp", &format!("{id}:/d/real.conf"), link.to_str().unwrap()]).ok();
                assert_eq!(fs::read_to_string(&real).unwrap(), text);
                assert!(link.is_symlink());
                fs::remove_file(real).unwrap();
                fs::remove_file(link).unwrap();
            }
        });
    });
}

/// With -L the file is copied that a link leads to, and has the link's name.
#[test]
fn a_link_that_is_followed_gives_its_name() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let here = env.files();
        fs::create_dir(here.join("into")).unwrap();
        let real = env.file("real", "text\n");
        symlink(&real, here.join("link")).unwrap();
        running_and_still(mode, &[], |id, _| {
            for (link, target) in [("to-passwd", "passwd"), ("as-link", "real")] {
                let link = here.join(link);
                symlink(target, &link).unwrap();
                env.tinyd(["cp", link.to_str().unwrap(), &format!("{id}:/etc/")]).ok();
                fs::remove_file(link).unwrap();
            }
            env.tinyd(["cp", "-L", here.join("link").to_str().unwrap(), &format!("{id}:/srv-link")]).ok();
            env.tinyd(["cp", "-L", here.join("link").to_str().unwrap(), &format!("{id}:/etc/")]).ok();
            let into = here.join("into");
            for (words, from, name, is_link) in [
                (&["cp"][..], "/srv-link", "srv-link", false),
                (&["cp"], "/etc/link", "link", false),
                (&["cp"], "/etc/as-link", "as-link", true),
                (&["cp", "-L"], "/etc/to-passwd", "to-passwd", false),
            ] {
                let from = format!("{id}:{from}");
                let sides = [from.as_str(), into.to_str().unwrap()];
                env.tinyd(words.iter().copied().chain(sides)).ok();
                let there = into.join(name);
                assert_eq!(there.is_symlink(), is_link, "{name}");
                fs::remove_file(there).unwrap();
            }
        });
    });
}

#[test]
fn archives_come_from_pipes_and_go_into_them() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let from = everything(env);
        for how in ["", "z", "-zstd"] {
            let option = if how.starts_with('-') { "--zstd".to_owned() } else { format!("-{how}c") };
            let words = ["tar", &option, "-cf", "-", "-C", from.to_str().unwrap(), "."];
            let words: Vec<&str> = words.into_iter().filter(|word| *word != "-c").collect();
            let archive = env.other(words).output().ok().stdout_bytes().to_vec();
            running_and_still(mode, &[], |id, runs| {
                env.cmd(["cp", "-", &format!("{id}:/srv")]).stdin(archive.clone()).output().fails(1);
                env.tinyd(["cp", &format!("{}/.", from.display()), &format!("{id}:/srv")]).ok();
                env.cmd(["cp", "-", &format!("{id}:/srv")]).stdin(archive.clone()).output().ok();
                if runs {
                    // Whoever made the archive said whose the files are.
                    let seen = env.tinyd(["exec", id, "stat", "-c", "%u:%g %a", "/srv/deep/file"]).ok();
                    assert_eq!(seen.text(), "33:5 4755");
                    env.tinyd(["exec", id, "rm", "-r", "/srv"]).ok();
                }
                let back = env.tinyd(["cp", &format!("{id}:/etc/passwd"), "-"]).ok();
                let seen = env.other(["tar", "xO", "passwd"]).stdin(back.stdout_bytes()).output().ok();
                assert!(seen.stdout().contains("root:"), "{seen}");
                if !runs {
                    env.tinyd(["start", id]).ok();
                    env.tinyd(["exec", id, "rm", "-r", "/srv"]).ok();
                    env.tinyd(["stop", "-t", "0", id]).ok();
                }
            });
        }
    });
}

#[test]
fn what_cannot_be_copied_is_said_in_one_line_and_changes_nothing() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let image = image();
        let source = env.files().join("source");
        fs::create_dir(&source).unwrap();
        let bind = format!("{}:/ro:ro", source.display());
        let container = mode.start(["--read-only", "-v", &bind, &image, "sleep", "300"]);
        let id = &container.id;
        let file = env.file("file", "x");
        let file = file.to_str().unwrap();
        let refusals = |when: &str| {
            for (words, code, said) in [
                (["cp", file, &format!("{id}:/x")], 1, "Read-only file system"),
                (["cp", file, &format!("{id}:/ro/x")], 1, "Read-only file system"),
                (["cp", file, &format!("{id}:/none/x")], 1, "there is no folder \"/none\""),
                (["cp", file, &format!("{id}:/etc/passwd/x")], 1, "Not a directory"),
                (["cp", "/etc", &format!("{id}:/etc/passwd")], 1, "cannot copy a folder over"),
                (["cp", &format!("{id}:/none"), "/tmp"], 1, "there is no"),
                (["cp", &format!("{id}:/etc/passwd/"), "/tmp"], 1, "Not a directory"),
                (["cp", "nobody:/etc", "/tmp"], 1, "there is no container \"nobody\""),
                (["cp", file, "/tmp/x"], 2, "neither side is in a container"),
            ] {
                let output = env.tinyd(words).fails(code);
                assert!(output.stderr().contains(said), "{when}, {words:?}: {output}");
                assert_eq!(output.stderr().lines().count(), 1, "{when}: {output}");
            }
        };
        refusals("running");
        // The kernel's own files are no data; nobody waits for what /proc/kmsg has to say.
        let output = env.tinyd(["cp", &format!("{id}:/proc/version"), "-"]).fails(1);
        assert!(output.stderr().contains("by exec"), "{output}");
        let all = env.files().join("all");
        env.tinyd(["cp", "-q", &format!("{id}:/"), all.to_str().unwrap()]).ok();
        assert_eq!(fs::read_dir(all.join("proc")).unwrap().count(), 0);
        env.tinyd(["stop", "-t", "0", id]).ok();
        refusals("stopped");
        assert_eq!(fs::read_dir(&source).unwrap().count(), 0);
        assert_eq!(env.tinyd(["diff", id]).ok().stdout(), "");
    });
}

/// In its place the name below would be replaced, and what is bound there would be gone from the container.
#[test]
fn nothing_is_put_in_the_place_of_what_is_bound() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let (bound, other) = (env.file("bound", "bound\n"), env.file("other", "other\n"));
        let bind = format!("{}:/bound", bound.display());
        let container = mode.start(["-v", &bind, &image(), "sleep", "300"]);
        let id = &container.id;
        for place in ["/bound", "/etc/hosts"] {
            let refused = env.tinyd(["cp", other.to_str().unwrap(), &format!("{id}:{place}")]).fails(1);
            assert!(refused.stderr().contains("busy"), "{refused}");
        }
        assert_eq!(env.tinyd(["exec", id, "cat", "/bound"]).ok().stdout(), "bound\n");
        assert!(!env.tinyd(["exec", id, "cat", "/etc/hosts"]).ok().stdout().contains("other"));
        assert_eq!(fs::read_to_string(&bound).unwrap(), "bound\n");
    });
}

#[test]
fn one_that_is_paused_or_mounted_is_told_apart() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let image = image();
        let container = mode.start([&*image, "sleep", "300"]);
        let id = &container.id;
        let file = env.file("file", "text");
        let inside = format!("{id}:/file");
        env.tinyd(["pause", id]).ok();
        env.tinyd(["cp", file.to_str().unwrap(), &inside]).ok();
        assert!(env.tinyd(["cp", &inside, "-"]).ok().stdout().contains("text"));
        env.tinyd(["unpause", id]).ok();
        env.tinyd(["stop", "-t", "0", id]).ok();
        env.tinyd(["mount", id]).ok();
        let output = env.tinyd(["cp", &inside, "-"]).fails(1);
        assert!(output.stderr().contains("tinyd umount"), "{output}");
        env.tinyd(["umount", id]).ok();
        assert!(env.tinyd(["cp", &inside, "-"]).ok().stdout().contains("text"));
    });
}

#[test]
fn what_was_changed_is_listed() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let root = roots::copy_of_busybox(env);
        fs::create_dir_all(root.join("old/sub")).unwrap();
        fs::write(root.join("old/sub/file"), "").unwrap();
        fs::write(root.join("gone"), "").unwrap();
        mode.env.cmd(["secret", "create", "word"]).stdin("text").output().ok();
        let options =
            ["-v", "v:/vol", "-w", "/made/here", "--secret", "word", "--secret", "word,target=/etc/word"];
        let container = mode.start(options.into_iter().chain([root.to_str().unwrap(), "sleep", "300"]));
        let id = &container.id;
        // What the start has made for mounts and the working folder is no change of anybody's.
        assert_eq!(env.tinyd(["diff", id]).ok().stdout(), "");
        let script = "echo x >> /etc/passwd; rm /gone; mkdir -p /new/deep; echo > '/new/a\nb'; rm -r /old; mkdir /old; \
                      echo > /vol/file; echo > /dev/shm/x";
        container.exec(&[], &["sh", "-c", script]).ok();
        let expected =
            "C /etc\nC /etc/passwd\nD /gone\nA /new\nA /new/a\\nb\nA /new/deep\nC /old\nD /old/sub\n";
        assert_eq!(env.tinyd(["diff", id]).ok().stdout(), expected);
        env.tinyd(["stop", "-t", "0", id]).ok();
        assert_eq!(env.tinyd(["diff", id]).ok().stdout(), expected);
        env.tinyd(["diff", "nobody"]).fails(1);
    });
}

#[test]
fn a_root_is_exported_and_runs_elsewhere() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        running_and_still(mode, &["-v", "v:/vol", "--hostname", "here"], |id, runs| {
            if runs {
                let script =
                    "echo mine > /etc/mine && chown 33:5 /etc/mine && echo no > /vol/no; rm -f /bin/wget";
                env.tinyd(["exec", id, "sh", "-c", script]).ok();
            }
            let file = env.files().join("root.tar.zst");
            env.tinyd(["export", id, "-o", file.to_str().unwrap()]).ok();
            assert!(fs::read(&file).unwrap().starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
            let into = env.files().join("elsewhere");
            fs::create_dir(&into).unwrap();
            let words = [
                "tar",
                "--zstd",
                "-xpf",
                file.to_str().unwrap(),
                "--numeric-owner",
                "-C",
                into.to_str().unwrap(),
            ];
            env.other(words).output().ok();
            let meta = into.join("etc/mine").metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (33, 5));
            // What is mounted is not part of it, and what was removed is not there.
            for folder in ["vol", "proc", "sys", "dev"] {
                assert_eq!(fs::read_dir(into.join(folder)).unwrap().count(), 0, "{folder}");
            }
            assert_eq!(fs::read(into.join("etc/hostname")).unwrap(), b"");
            assert!(!into.join("bin/wget").exists());
            let ran = mode.run(["--rm", into.to_str().unwrap(), "cat", "/etc/mine"]).ok();
            assert_eq!(ran.stdout(), "mine\n");
            remove_tree(&into).unwrap();
        });
    });
}

/// A root that is made of this machine has several trees.
#[test]
fn a_root_of_several_trees_is_copied_and_exported_whole() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let container = mode.start(["host", "sleep", "300"]);
        let id = &container.id;
        let file = env.file("file", "text");
        for stop in [false, true] {
            if stop {
                env.tinyd(["stop", "-t", "0", id]).ok();
            }
            env.tinyd(["cp", file.to_str().unwrap(), &format!("{id}:/usr/local/file")]).ok();
            assert!(env.tinyd(["cp", &format!("{id}:/usr/local/file"), "-"]).ok().stdout().contains("text"));
            let diff = env.tinyd(["diff", id]).ok().stdout();
            assert_eq!(diff, "C /usr\nC /usr/local\nA /usr/local/file\n");
        }
        // As far as it takes to see that more than the first tree is in it: this machine may have many files.
        let script = "\"$0\" export \"$1\" 2>/dev/null | tar tf - 2>/dev/null | grep -m1 -x usr/bin/env";
        let program = tinyd_tests::paths::tinyd();
        let words = ["sh", "-c", script, program.to_str().unwrap(), id];
        let listing = env.other(words).env("TINYD_ROOT", env.root()).env("TINYD_RUN_ROOT", env.run_root());
        assert_eq!(listing.output().ok().stdout(), "usr/bin/env\n");
    });
}

/// kill -9 of who copies from, or into, a container that stands still, with volumes that have to be mounted for it.
#[test]
fn who_is_killed_in_the_middle_leaves_nothing_mounted() {
    require!(root);
    let env = Env::new();
    env.tinyd(["volume", "create", "-d", "tmpfs", "--size", "8m", "memory"]).ok();
    let words = ["create", "--net", "none", "-v", "memory:/m", "-v", "kept:/k", &image(), "true"];
    let id = env.tinyd(words).ok().text();
    let many = env.files().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..200 {
        fs::write(many.join(number.to_string()), vec![b'x'; 8192]).unwrap();
    }
    let mut dice = Dice::new();
    let (mut cut, mut done) = (0, 0);
    let mut moments = [(); 2].map(|()| Moments::of(Duration::from_millis(60)));
    for round in 0..40 {
        let (inside, here) = (format!("{id}:/k"), many.to_str().unwrap());
        let back = env.files().join(format!("back-{round}"));
        let words = match round % 2 {
            0 => ["cp", here, &inside],
            _ => ["cp", &inside, back.to_str().unwrap()],
        };
        let mut client = env.cmd(words).spawn();
        std::thread::sleep(moments[round % 2].next(&mut dice));
        let ended = client.has_ended();
        moments[round % 2].learn(ended);
        if !ended {
            client.signal(Signal::KILL);
        }
        client.wait();
        if ended {
            done += 1
        } else {
            cut += 1
        }
        // The next command finds the container free, and nothing of the copy is left.
        env.tinyd(["cp", &format!("{id}:/etc/passwd"), "-"]).ok();
        env.assert_checked();
    }
    assert!(cut > 0 && done > 0, "{cut} were cut short, {done} were done");
    env.tinyd(["start", &id]).ok();
    env.tinyd(["rm", "-f", &id]).ok();
}

/// What the words of a mount say holds for a container that stands still, too.
#[test]
fn parts_of_volumes_and_images_are_seen_as_the_container_sees_them() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let image = image();
        mode.run(["--rm", "-v", "data:/d", &image, "sh", "-c", "mkdir -p /d/a/b && echo part > /d/a/b/file"])
            .ok();
        let other = env.files().join("other");
        fs::create_dir_all(other.join("in/side")).unwrap();
        fs::write(other.join("in/side/word"), "of the image").unwrap();
        let mounts = [
            "type=volume,src=data,dst=/part,volume-subpath=a/b".to_owned(),
            format!("type=image,src={},dst=/image", other.display()),
            format!("type=image,src={},dst=/layer,rw", other.display()),
        ];
        let options: Vec<&str> = mounts.iter().flat_map(|mount| ["--mount", mount]).collect();
        running_and_still(mode, &options, |id, _| {
            let cp = |path: &str| env.tinyd(["cp", &format!("{id}:{path}"), "-"]).ok().stdout();
            assert!(cp("/part/file").contains("part"));
            assert!(cp("/image/in/side/word").contains("of the image"));
            let new = env.file("new", "new");
            let new = new.to_str().unwrap();
            env.tinyd(["cp", new, &format!("{id}:/layer/in/side/")]).ok();
            assert!(
                cp("/layer/in/side").contains("of the image") && cp("/layer/in/side/new").contains("new")
            );
            let refused = env.tinyd(["cp", new, &format!("{id}:/image/in/")]).fails(1);
            assert!(refused.stderr().contains("Read-only"), "{refused}");
            env.tinyd(["cp", new, &format!("{id}:/part/")]).ok();
            assert!(env.root().join("volumes/local/data/a/b/new").exists());
            assert_eq!(fs::read_dir(other.join("in/side")).unwrap().count(), 1);
        });
    });
}

#[test]
fn one_whose_writes_are_limited_is_copied_from_and_compared_alike() {
    require!(root);
    require!(command "mkfs.ext4");
    in_both_modes(|mode| {
        let env = &mode.env;
        let new = env.file("new", "new");
        let new = new.to_str().unwrap();
        let words = ["create", "--userns", mode.userns(), "--storage-size", "32m", &image(), "sleep", "300"];
        let id = env.tinyd(words).ok().text();
        assert_eq!(env.tinyd(["diff", &id]).ok().stdout(), "");
        env.tinyd(["cp", new, &format!("{id}:/before")]).ok();
        let mut expected = "A /before\n".to_owned();
        assert_eq!(env.tinyd(["diff", &id]).ok().stdout(), expected);
        env.tinyd(["start", &id]).ok();
        env.tinyd(["cp", new, &format!("{id}:/while")]).ok();
        expected.push_str("A /while\n");
        assert_eq!(env.tinyd(["diff", &id]).ok().stdout(), expected);
        env.tinyd(["stop", "-t", "0", &id]).ok();
        assert!(env.tinyd(["cp", &format!("{id}:/while"), "-"]).ok().stdout().contains("new"));
        let large = env.files().join("large");
        fs::write(&large, vec![b'x'; 40 << 20]).unwrap();
        let full = env.tinyd(["cp", large.to_str().unwrap(), &format!("{id}:/")]).fails(1);
        assert!(full.stderr().contains("No space left"), "{full}");
        env.tinyd(["rm", "-f", &id]).ok();
    });
}
