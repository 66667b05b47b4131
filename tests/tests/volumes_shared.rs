//! Volumes that more than one has to do with: a failure of one takes nothing from the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use tinyd_tests::remove::remove_tree;
use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A root with more in `/srv` than is room for in a small volume.
fn large(env: &Env) -> String {
    let root = roots::copy_of_busybox(env);
    fs::create_dir_all(root.join("srv/deep")).unwrap();
    for number in 0..6 {
        fs::write(root.join(format!("srv/{number}")), vec![b'x'; 4 << 20]).unwrap();
    }
    root.to_str().unwrap().to_owned()
}

#[test]
fn a_volume_that_could_not_be_filled_keeps_what_others_write_to_it() {
    require!(root);
    require!(command "mkfs.ext4");
    let env = Env::new();
    let (image, large) = (image(), large(&env));
    env.tinyd(["volume", "create", "--size", "16m", "data"]).ok();
    env.tinyd(["run", "-d", "--name", "a", "-v", "data:/d", &image, "sleep", "1000"]).ok();
    let write = |name: &str| {
        env.tinyd(["exec", "a", "sh", "-c", &format!("echo kept > /d/{name}")]).ok();
    };
    // One that has what the image has, too, by another way than this volume.
    let full = env.tinyd(["run", "--rm", "-v", "data:/srv", &large, "true"]).fails(125);
    assert!(full.stderr().contains("fill the volume") && full.stderr().contains("No space left"), "{full}");
    write("one");
    // Nor does the next one begin with emptying it, whether it fills it or not.
    env.tinyd(["run", "--rm", "-v", "data:/srv", &large, "true"]).ok();
    env.tinyd(["run", "--rm", "-v", "data:/d:nocopy", &image, "true"]).ok();
    write("two");
    assert_eq!(env.tinyd(["exec", "a", "ls", "-A", "/d"]).ok().stdout(), "one\ntwo\n");
    env.tinyd(["rm", "-f", "a"]).ok();
    env.tinyd(["volume", "rm", "data"]).ok();
    env.assert_checked();
}

/// Of a stopped container as of one that was never started: the start would have filled it, too.
#[test]
fn a_copy_into_a_volume_comes_to_what_the_image_has_there() {
    require!(root);
    require!(command "mkfs.ext4");
    require!(command "mkfs.btrfs");
    let (env, image) = (Env::new(), image());
    for kind in [&["--size", "16m"][..], &["-d", "btrfs"], &[]] {
        let words = [&["volume", "create"][..], kind, &["data"]].concat();
        env.tinyd(words).ok();
        env.tinyd(["create", "--name", "c", "-v", "data:/etc", &image, "sh", "-c", "cat /etc/new; ls /etc"])
            .ok();
        let file = env.root().with_file_name("new");
        fs::write(&file, "new\n").unwrap();
        env.tinyd(["cp", file.to_str().unwrap(), "c:/etc/new"]).ok();
        let seen = env.tinyd(["start", "-a", "c"]).ok().stdout();
        assert!(seen.starts_with("new\n") && seen.contains("passwd\n"), "{kind:?}: {seen}");
        env.tinyd(["rm", "c"]).ok();
        env.tinyd(["volume", "rm", "data"]).ok();
    }
    env.assert_checked();
}

#[test]
fn files_that_were_there_before_an_import_stay_as_they_are() {
    require!(root);
    let (env, image) = (Env::new(), image());
    env.tinyd([
        "run",
        "--rm",
        "-v",
        "origin:/d",
        &image,
        "sh",
        "-c",
        "echo new > /d/file; echo x > /d/other",
    ])
    .ok();
    let folder = env.root().with_file_name("www");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "old").unwrap();
    let archive = env.root().with_file_name("origin.tar");
    let (archive, device) = (archive.to_str().unwrap(), format!("device={}", folder.display()));
    env.tinyd(["volume", "export", "origin", "-o", archive]).ok();
    let import = |file: &str| {
        env.tinyd(["volume", "import", "-o", "type=none", "-o", "o=bind", "-o", &device, "www", file])
    };
    let refused = import(archive).fails(1);
    assert!(refused.stderr().contains("has files") && refused.stderr().contains("www"), "{refused}");
    let seen = |name: &str| fs::read_to_string(folder.join(name)).ok();
    assert_eq!((seen("file").as_deref(), seen("other")), (Some("old"), None));
    // An archive that ends too early leaves nothing in one that was empty.
    fs::remove_file(folder.join("file")).unwrap();
    let cut = env.root().with_file_name("cut.tar");
    let bytes = fs::read(archive).unwrap();
    fs::write(&cut, &bytes[..1700]).unwrap();
    import(cut.to_str().unwrap()).fails(1);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // Nor does it say anything of the folder itself, which stays as it is, unless the archive does.
    let alone = env.root().with_file_name("alone.tar");
    env.other(["tar", "-C", "/", "-cf", alone.to_str().unwrap(), "etc/hostname"]).output().ok();
    chown(&folder, Some(33), Some(44)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2751)).unwrap();
    import(alone.to_str().unwrap()).ok();
    let meta = folder.metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (33, 44, 0o2751));
    env.tinyd(["volume", "import", "plain", alone.to_str().unwrap()]).ok();
    let plain = env.root().join("volumes/local/plain").metadata().unwrap();
    assert_eq!((plain.uid(), plain.mode() & 0o7777), (0, 0o755));
    env.tinyd(["volume", "rm", "www", "plain"]).ok();
    remove_tree(&folder.join("etc")).unwrap();
    import(archive).ok();
    assert_eq!(seen("file").as_deref(), Some("new\n"));
    // What says where its data lies is not copied by the same words.
    let same = env.tinyd(["volume", "clone", "www", "twin"]).fails(1);
    assert!(same.stderr().contains("-d local"), "{same}");
    env.tinyd(["volume", "clone", "-d", "local", "www", "twin"]).ok();
    assert_eq!(fs::read_to_string(env.root().join("volumes/local/twin/file")).unwrap(), "new\n");
    env.tinyd(["volume", "rm", "www", "twin", "origin"]).ok();
    assert_eq!(seen("file").as_deref(), Some("new\n"));
    env.assert_checked();
}

#[test]
fn one_that_cannot_be_removed_is_there_as_before_and_keeps_nobody_from_the_rest() {
    require!(root);
    let env = Env::new();
    for name in ["a", "b", "c"] {
        env.tinyd(["volume", "create", name]).ok();
    }
    let inner = env.root().join("volumes/local/b/inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.with_file_name("file"), "kept").unwrap();
    mount_bind(&inner, &inner).unwrap();
    let refused = env.tinyd(["volume", "rm", "b"]);
    let pruned = env.tinyd(["volume", "prune", "-af"]);
    let listed = env.tinyd(["volume", "ls", "-q"]);
    unmount(&inner, UnmountFlags::DETACH).unwrap();
    assert!(refused.fails(1).stderr().contains("busy"));
    let pruned = pruned.fails(1);
    assert!(pruned.stderr().contains("removed a, c, and not the rest"), "{pruned}");
    assert_eq!(listed.ok().stdout(), "b\n");
    assert_eq!(fs::read_to_string(inner.with_file_name("file")).unwrap(), "kept");
    env.tinyd(["volume", "rm", "b"]).ok();
    env.assert_checked();
}

#[test]
fn one_that_is_being_made_is_called_so() {
    require!(root);
    let (env, image) = (Env::new(), image());
    env.tinyd(["run", "--rm", "-v", "origin:/d", &image, "sh", "-c", "echo x > /d/file"]).ok();
    let archive = env.tinyd(["volume", "export", "origin"]).ok();
    let mut import = env.cmd(["volume", "import", "coming"]).piped().spawn();
    import.send(&archive.stdout_bytes()[..512]);
    wait_until("it is being made", || env.root().join("volumes/local/coming").exists());
    let output = env.tinyd(["volume", "rm", "coming"]).fails(1);
    assert!(output.stderr().contains("\"coming\" is being made"), "{output}");
    assert_eq!(env.tinyd(["volume", "prune", "-af"]).ok().stdout(), "origin\n");
    import.send(&archive.stdout_bytes()[512..]);
    import.close_stdin();
    import.wait().ok();
    assert!(Path::new(&env.root().join("volumes/local/coming/file")).exists());
    env.tinyd(["volume", "rm", "coming"]).ok();
    env.assert_checked();
}

#[test]
fn a_volume_that_is_there_is_not_taken_for_another_one() {
    require!(root);
    require!(command "mkfs.ext4");
    require!(command "mkfs.btrfs");
    let env = Env::new();
    env.tinyd(["volume", "create", "--label", "a=b", "data"]).ok();
    env.tinyd(["volume", "create", "--size", "16m", "small"]).ok();
    // The same words again are no error.
    env.tinyd(["volume", "create", "--label", "a=b", "data"]).ok();
    env.tinyd(["volume", "create", "-o", "size=16384k", "small"]).ok();
    for (words, part) in [
        (&["--size", "16m", "data"][..], "another size"),
        (&["--label", "a=c", "data"], "a=b"),
        (&["-o", "size=32m", "small"], "size=16777216"),
        (&["-o", "type=tmpfs", "-o", "device=tmpfs", "data"], "data"),
    ] {
        let output = env.tinyd([&["volume", "create"], words].concat()).fails(1);
        assert!(output.stderr().contains(part) && output.stderr().lines().count() == 1, "{output}");
    }
    // A clone may have another size than its origin, and has the same where nothing is said.
    env.tinyd(["volume", "clone", "--size", "32m", "small", "large"]).ok();
    env.tinyd(["volume", "create", "-d", "btrfs", "--size", "64m", "tree"]).ok();
    env.tinyd(["volume", "clone", "tree", "twin"]).ok();
    let sizes = env.tinyd(["volume", "df", "--format", "{{.Name}} {{.Limit}}"]).ok().stdout();
    assert!(sizes.contains("large 33554432") && sizes.contains("twin 67108864"), "{sizes}");
    env.tinyd(["volume", "prune", "-af"]).ok();
    env.assert_checked();
}

#[test]
fn nothing_is_copied_to_where_the_next_start_would_forget_it() {
    require!(root);
    let (env, image) = (Env::new(), image());
    env.tinyd(["volume", "create", "-d", "tmpfs", "memory"]).ok();
    let mounts = ["-v", "memory:/m", "--tmpfs", "/t", "-v", "data:/t/data"];
    let words =
        [&["create", "--name", "c"][..], &mounts, &[&image, "sh", "-c", "cat /t/data/file; sleep 1000"]];
    env.tinyd(words.concat()).ok();
    let file = env.root().with_file_name("file");
    fs::write(&file, "kept\n").unwrap();
    let copy = |to: &str| env.tinyd(["cp", file.to_str().unwrap(), &format!("c:{to}")]);
    for to in ["/m", "/m/file", "/t", "/lib/../t/"] {
        let refused = copy(to);
        assert!(refused.code() != Some(0) && refused.stderr().contains("memory"), "{refused}");
    }
    copy("/t/data").ok();
    env.tinyd(["start", "c"]).ok();
    wait_until("it has read the file", || env.tinyd(["logs", "c"]).ok().stdout() == "kept\n");
    // While it runs the memory is there.
    copy("/m").ok();
    assert_eq!(env.tinyd(["exec", "c", "cat", "/m/file"]).ok().stdout(), "kept\n");
    env.tinyd(["rm", "-f", "c"]).ok();
    env.tinyd(["volume", "prune", "-af"]).ok();
    env.assert_checked();
}
