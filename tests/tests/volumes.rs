//! Volumes with names and without: data that outlives containers, and that several of them share.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use tinyd_tests::{Env, Mode, Output, in_both_modes, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn names(env: &Env) -> BTreeSet<String> {
    env.tinyd(["volume", "ls", "-q"]).ok().stdout().lines().map(str::to_owned).collect()
}

fn mountpoint(env: &Env, volume: &str) -> PathBuf {
    env.tinyd(["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok().text().into()
}

/// Runs a shell to its end.
#[track_caller]
fn shell(mode: &Mode, options: &[&str], script: &str) -> Output {
    mode.run(options.iter().copied().chain([&*image(), "sh", "-c", script]))
}

/// One line, with these parts, and no more volumes and containers than before.
#[track_caller]
fn refused(env: &Env, words: &[&str], code: i32, parts: &[&str]) {
    let before = (names(env), env.containers());
    let output = env.tinyd(words.iter().copied()).fails(code);
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    parts.iter().for_each(|part| assert!(output.stderr().contains(part), "{part:?}: {output}"));
    assert_eq!((names(env), env.containers()), before, "{words:?}");
}

/// I16.
#[test]
fn what_is_written_is_there_for_the_next_container_and_for_the_host() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        assert_eq!(env.tinyd(["volume", "create", "data"]).ok().stdout(), "data\n");
        shell(mode, &["-v", "data:/deep/data"], "echo kept > /deep/data/file && chown 33:5 /deep/data/file")
            .ok();
        let seen = shell(
            mode,
            &["-v", "data:/other:ro"],
            "cat /other/file; stat -c %u:%g /other/file; touch /other/x",
        );
        assert_eq!(seen.stdout(), "kept\n33:5\n");
        assert!(seen.fails(1).stderr().contains("Read-only"));
        // The owner on the disk is the number of the inside, whatever ids the container has on this machine.
        let file = mountpoint(env, "data").join("file");
        let meta = file.metadata().unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), meta.uid(), meta.gid()), ("kept\n", 33, 5));
        assert_eq!(env.tinyd(["volume", "rm", "data"]).ok().stdout(), "data\n");
        assert!(!file.exists() && names(env).is_empty());
    });
}

/// I17.
#[test]
fn two_containers_see_what_the_other_writes() {
    require!(root);
    in_both_modes(|mode| {
        let image = image();
        let [one, other] = [(), ()].map(|()| mode.start(["-v", "shared:/s", &image, "sleep", "300"]));
        for (writer, reader) in [(&one, &other), (&other, &one)] {
            writer.exec(&[], &["sh", "-c", &format!("echo {} > /s/file", writer.id)]).ok();
            assert_eq!(reader.exec(&[], &["cat", "/s/file"]).ok().text(), writer.id);
        }
        // Both at once, and each line is whole.
        let lines = "for i in $(seq 200); do echo $HOSTNAME-$i >> /s/log; done";
        let writing =
            [&one, &other].map(|container| mode.env.cmd(["exec", &container.id, "sh", "-c", lines]).spawn());
        writing.into_iter().for_each(|writer| drop(writer.wait().ok()));
        let log = one.exec(&[], &["sort", "-u", "/s/log"]).ok();
        assert_eq!(log.stdout().lines().count(), 400, "{log}");
        let output = mode.env.tinyd(["volume", "rm", "shared"]).fails(1);
        assert!(
            output.stderr().contains(&one.id[..12]) && output.stderr().contains(&other.id[..12]),
            "{output}"
        );
    });
}

#[test]
fn an_empty_volume_is_filled_from_the_image_and_one_that_is_not_stays_as_it_is() {
    require!(root);
    in_both_modes(|mode| {
        let root = roots::copy_of_busybox(&mode.env);
        let tree = root.join("srv/tree");
        fs::create_dir_all(tree.join("deep")).unwrap();
        fs::write(tree.join("file"), "image\n").unwrap();
        fs::hard_link(tree.join("file"), tree.join("deep/same")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).unwrap();
        std::os::unix::fs::chown(&tree, Some(7), Some(8)).unwrap();
        let root = root.to_str().unwrap();
        let run = |options: &[&str], script: &str| {
            mode.run(options.iter().copied().chain([root, "sh", "-c", script])).ok().text()
        };
        let look = "cat /srv/tree/file; readlink /srv/tree/link; stat -c %u:%g /srv/tree; stat -c %h /srv/tree/deep/same";
        assert_eq!(run(&["-v", "data:/srv/tree"], look), "image\n/etc/passwd\n7:8\n2");
        run(&["-v", "data:/srv/tree"], "echo mine > /srv/tree/file");
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "image\n", "the image is as it was");
        assert_eq!(run(&["-v", "data:/srv/tree"], "cat /srv/tree/deep/same"), "mine");
        assert_eq!(run(&["-v", "bare:/srv/tree:nocopy"], "ls -A /srv/tree"), "");
        assert_eq!(run(&["--mount", "src=bare2,dst=/srv/tree,volume-nocopy"], "ls -A /srv/tree"), "");
        // One that was emptied is filled again, and where the image has a link it is followed inside.
        std::os::unix::fs::symlink("/srv/tree", PathBuf::from(root).join("way")).unwrap();
        assert_eq!(run(&["-v", "bare:/way"], "cat /way/file"), "image");
        // A folder of this machine is shown as it is.
        let own = mode.env.files().join("own");
        assert_eq!(run(&["-v", &format!("{}:/srv/tree", own.display())], "ls -A /srv/tree"), "");
    });
}

#[test]
fn a_volume_without_a_name_goes_with_its_container_where_that_is_wanted() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        shell(mode, &["-v", "/a", "-v", "/b", "-v", "data:/d"], "touch /a/1 /b/2 /d/3").ok();
        assert_eq!(names(env), BTreeSet::from(["data".to_owned()]), "--rm takes them along");
        let create = |name: &str| env.tinyd(["create", "--name", name, "-v", "/a", &image, "true"]).ok();
        create("goes");
        let of_one = names(env).into_iter().find(|name| name != "data").unwrap();
        refused(env, &["volume", "rm", &of_one], 1, &["is used by goes"]);
        env.tinyd(["rm", "-v", "goes"]).ok();
        assert!(!names(env).contains(&of_one));
        create("stays");
        env.tinyd(["rm", "stays"]).ok();
        let left = names(env);
        assert_eq!(left.len(), 2, "as with Docker, rm alone loses no data: {left:?}");
        refused(env, &["volume", "prune"], 1, &["--force"]);
        let pruned = env.tinyd(["volume", "prune", "--force"]).ok();
        assert_eq!((pruned.stdout().lines().count(), names(env).len()), (1, 1), "{pruned}");
        // One with a name outlives all of it, `rm -v` too.
        env.tinyd(["create", "--name", "c", "-v", "data:/d", &image, "true"]).ok();
        env.tinyd(["rm", "-v", "c"]).ok();
        assert_eq!(env.tinyd(["volume", "prune", "--all", "--force"]).ok().stdout(), "data\n");
    });
}

#[test]
fn a_container_that_is_detached_takes_its_volumes_along_when_it_ends() {
    require!(root);
    let env = Env::new();
    let image = image();
    let id = env
        .tinyd(["run", "-d", "--rm", "-v", "/a", &image, "sh", "-c", "echo x > /a/x; sleep 300"])
        .ok()
        .text();
    let own = names(&env).pop_first().unwrap();
    let data = mountpoint(&env, &own);
    tinyd_tests::wait_until("it has written", || data.join("x").exists());
    env.tinyd(["stop", "-t", "0", &id]).ok();
    assert!(!data.exists() && names(&env).is_empty());
    env.assert_clean();
}

#[test]
fn the_volumes_of_another_container_are_shared_at_the_same_places() {
    require!(root);
    in_both_modes(|mode| {
        let (env, image) = (&mode.env, image());
        let bind = format!("{}:/bind", env.files().join("folder").display());
        env.tinyd([
            "create",
            "--name",
            "db",
            "-v",
            "/own",
            "-v",
            "data:/data:ro",
            "-v",
            &bind,
            &image,
            "true",
        ])
        .ok();
        shell(mode, &["--volumes-from", "db"], "echo x > /own/x; echo y > /bind/y; ! touch /data/z").ok();
        let script = "cat /own/x /bind/y; ! touch /own/z && ! touch /bind/z";
        assert_eq!(shell(mode, &["--volumes-from", "db:ro"], script).ok().stdout(), "x\ny\n");
        // What it mounts itself is meant.
        assert_eq!(shell(mode, &["--volumes-from", "db", "-v", "/own"], "ls -A /own").ok().stdout(), "");
        refused(env, &["run", "--volumes-from", "nobody", &image, "true"], 125, &["nobody"]);
        // The one that it was made for may go: it is another's as well now.
        env.tinyd(["create", "--name", "heir", "--volumes-from", "db", &image, "true"]).ok();
        env.tinyd(["rm", "-v", "db"]).ok();
        assert_eq!(names(env).len(), 2);
        assert_eq!(shell(mode, &["--volumes-from", "heir"], "cat /own/x").ok().stdout(), "x\n");
        env.tinyd(["rm", "-v", "heir"]).ok();
        env.tinyd(["volume", "prune", "-f"]).ok();
        // What goes with a container by itself is nobody else's.
        mode.start(["--name", "brief", "--rm", "-v", "/own", &image, "sleep", "300"]);
        refused(env, &["run", "--volumes-from", "brief", &image, "true"], 125, &["brief", "removes itself"]);
        // Its monitor takes the volume away, and asks nobody.
        let seen = env.tinyd(["inspect", "brief"]).ok().json();
        let taken = format!("{}:/data", seen[0]["Mounts"][0]["Name"].as_str().unwrap());
        refused(env, &["run", "-v", &taken, &image, "true"], 125, &["volume", "removes itself"]);
        env.tinyd(["rm", "-f", "brief"]).ok();
        assert_eq!(env.tinyd(["volume", "prune", "-af"]).ok().stdout(), "data\n");
    });
}

#[test]
fn a_container_says_which_volumes_it_has() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "c", "-v", "data:/d:ro", &image(), "true"]).ok();
    let seen = env.tinyd(["inspect", "c"]).ok().json();
    let mount = &seen[0]["Mounts"][0];
    // By default a container has ids of its own, and what it shows of a disk has the owners that it has there.
    let expected = serde_json::json!({
        "IDMapped": true,
        "Type": "volume", "Name": "data", "Driver": "local", "Destination": "/d", "RW": false, "Mode": "ro",
        "Propagation": "rprivate", "Source": mountpoint(&env, "data"),
    });
    assert_eq!((mount, &seen[0]["HostConfig"]["Binds"][0]), (&expected, &"data:/d:ro".into()));
    assert!(env.tinyd(["ps", "-a"]).ok().stdout().contains(" data:/d; "));
    let id = seen[0]["Id"].as_str().unwrap();
    let volume = env.tinyd(["volume", "inspect", "data"]).ok().json();
    assert_eq!((&volume[0]["Containers"][id], &volume[0]["Scope"]), (&"c".into(), &"local".into()));
    env.tinyd(["rm", "c"]).ok();
    env.tinyd(["volume", "rm", "data"]).ok();
}

/// Row 30 of part 3: a wrong letter does not make a folder where that is not wanted.
#[test]
fn a_mount_in_many_words_is_strict() {
    require!(root);
    let env = Env::new();
    let (image, folder) = (image(), env.files().join("there"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "f\n").unwrap();
    let bind =
        |source: &str, rest: &str| format!("type=bind,src={}/{source},dst=/d{rest}", env.files().display());
    refused(
        &env,
        &["run", "--rm", "--mount", &bind("ther", ""), &image, "true"],
        125,
        &["ther\"", "does not exist"],
    );
    assert!(!env.files().join("ther").exists());
    let script = "cat /d/file; ! touch /d/x";
    let words = ["run", "--rm", "--mount", &bind("there", ",readonly"), &image, "sh", "-c", script];
    assert_eq!(env.tinyd(words).ok().stdout(), "f\n");
    let words = ["run", "--rm", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m", &image, "sh", "-c"];
    let full = "! dd if=/dev/zero of=/t/x bs=64k count=32 2>&1 | grep -o 'No space.*'";
    assert_eq!(env.tinyd(words.iter().copied().chain([full])).fails(1).stdout(), "No space left on device\n");
    // The short form makes it, and says so.
    let short = format!("{}:/d", env.files().join("new").display());
    let output = env.tinyd(["run", "--rm", "-v", &short, &image, "true"]).ok();
    assert!(output.stderr().contains("did not exist and was made"), "{output}");
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["volume", "create", "data"]).ok();
    // Made again it is the same one.
    env.tinyd(["volume", "create", "data"]).ok();
    for (words, code, parts) in [
        (&["volume", "create", "a/b"][..], 1, &["volume name", "a/b"][..]),
        (&["volume", "create", "-d", "floppy", "x"], 1, &["floppy", "local"]),
        (&["volume", "create", "-d", "bind", "data"], 1, &["\"data\" already"]),
        (&["volume", "create", "-o", "speed=9", "x"], 1, &["speed", "local"]),
        (&["volume", "rm", "dat"], 1, &["\"dat\"", "did you mean data?"]),
        (&["volume", "rm", "../data"], 1, &["../data"]),
        (&["volume", "inspect", "nothing"], 1, &["nothing"]),
        (&["run", "-v", "data:/d", "-v", "x:/d", &image, "true"], 125, &["/d", "twice"]),
        (&["run", "-v", "a/b:/d", &image, "true"], 125, &["a/b"]),
        (&["run", "-v", "x:/proc/y", &image, "true"], 125, &["/proc"]),
        (
            &["run", "--mount", "src=data,dst=/d,volume-driver=bind", &image, "true"],
            125,
            &["\"data\" already"],
        ),
        (&["run", "-v", "x:/d", "--volume-driver", "floppy", &image, "true"], 125, &["floppy"]),
    ] {
        refused(&env, words, code, parts);
    }
    // What was made on the way to a failure is taken back, and what was there stays.
    refused(
        &env,
        &["run", "-v", "new:/n", "-v", "data:/d", "-v", "/own", &image, "/nothing"],
        127,
        &["nothing"],
    );
    env.tinyd(["volume", "rm", "data"]).ok();
    env.assert_checked();
}

#[test]
fn of_many_that_name_a_new_volume_at_once_all_get_the_same() {
    require!(root);
    let env = Env::new();
    let image = image();
    let run = |number| {
        let script = format!("echo {number} > /d/{number}");
        env.cmd(["run", "--rm", "-v", "data:/d", &image, "sh", "-c", &script]).spawn()
    };
    let running: Vec<_> = (0..8).map(run).collect();
    running.into_iter().for_each(|one| drop(one.wait().ok()));
    let seen = fs::read_dir(mountpoint(&env, "data")).unwrap().count();
    assert_eq!((seen, names(&env).len()), (8, 1));
    env.tinyd(["volume", "rm", "data"]).ok();
}
