//! Volumes that are saved, moved, copied and turned back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use tinyd_tests::{Container, Dice, Env, in_both_modes, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Runs a shell with the volume at `/d`.
#[track_caller]
fn inside(env: &Env, volume: &str, script: &str) -> String {
    let mount = format!("{volume}:/d");
    env.tinyd(["run", "--rm", "-v", &mount, &image(), "sh", "-c", script]).ok().text()
}

/// What must be the same of a tree: each file's kind, mode, owners, links, time, attributes, contents.
fn tree(env: &Env, folder: &Path) -> String {
    let script = "cd \"$0\" && find . -printf '%P %y %m %U %G %n %T@ %l\\n' | grep -v '^ ' | sort && \
                  find . -type f -exec sha256sum {} + | sort";
    let mut text = env.other(["sh", "-c", script, folder.to_str().unwrap()]).output().ok().stdout();
    for name in ["user.note", "user.note=2", "user.100%3D"] {
        let mut note = [0_u8; 16];
        let length = rustix::fs::getxattr(folder.join("file"), name, &mut note).unwrap();
        text.push_str(std::str::from_utf8(&note[..length]).unwrap());
    }
    text
}

/// A volume with a bit of everything; gives the folder of its data.
fn with_everything(env: &Env, volume: &str) -> std::path::PathBuf {
    let script = "mkdir -p /d/deep/er; echo one > /d/file; ln /d/file /d/deep/same; ln -s /etc/passwd /d/link; \
                  mkfifo /d/fifo; chmod 4711 /d/deep/er; chown -R 33:5 /d/deep; touch -d 2001-02-03 /d/deep; \
                  dd if=/dev/zero of=/d/sparse bs=1 count=1 seek=50000000 2>/dev/null";
    inside(env, volume, script);
    let folder = env.root().join("volumes/local").join(volume);
    // Names may hold what ends them in an archive.
    for (name, value) in [("user.note", "kept"), ("user.note=2", "kept too"), ("user.100%3D", "as it is")] {
        let none = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(folder.join("file"), name, value.as_bytes(), none).unwrap();
    }
    folder
}

/// I18, row 22 of part 3: here saved, there made of it.
#[test]
fn what_is_exported_here_is_imported_there_with_all_that_belongs_to_it() {
    require!(root);
    let (here, there) = (Env::new(), Env::new());
    let data = with_everything(&here, "data");
    for (file, first) in
        [("a.tar", &b""[..]), ("a.tar.gz", &[0x1f, 0x8b]), ("a.tar.zst", &[0x28, 0xb5, 0x2f, 0xfd])]
    {
        let path = here.files().join(file);
        here.tinyd(["volume", "export", "data", "-o", path.to_str().unwrap()]).ok();
        assert!(fs::read(&path).unwrap().starts_with(first), "{file}");
        assert_eq!(
            there.tinyd(["volume", "import", "moved", path.to_str().unwrap()]).ok().stdout(),
            "moved\n"
        );
        let moved = there.root().join("volumes/local/moved");
        assert_eq!(tree(&there, &moved), tree(&here, &data), "{file}");
        use std::os::unix::fs::MetadataExt as _;
        let sparse = moved.join("sparse").metadata().unwrap();
        assert!(
            sparse.len() == 50_000_001 && sparse.blocks() < 200,
            "the holes are holes: {}",
            sparse.blocks()
        );
        there.tinyd(["volume", "rm", "moved"]).ok();
    }
    // By the standard streams, and as tar reads it.
    let stream = here.tinyd(["volume", "export", "data"]).ok().stdout_bytes().to_vec();
    let path = here.file("by-stream.tar", &stream);
    let listed = here.other(["tar", "tf", path.to_str().unwrap()]).output().ok();
    assert!(listed.stdout().lines().any(|line| line == "deep/same"), "{listed}");
    there.cmd(["volume", "import", "moved"]).stdin(stream).output().ok();
    assert_eq!(tree(&there, &there.root().join("volumes/local/moved")), tree(&here, &data));
}

/// A file takes the place of a file: a device, a pipe and a link stay what they are.
#[test]
fn what_is_no_file_is_written_to_and_not_replaced() {
    require!(root);
    let env = Env::new();
    inside(&env, "data", "echo one > /d/file");
    let files = env.files();
    let (null, pipe, link, target) =
        (files.join("null"), files.join("pipe"), files.join("link.tar"), files.join("target.tar"));
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    let made = env.other([
        "sh",
        "-c",
        "mknod $0 c 1 3 && mkfifo $1",
        null.to_str().unwrap(),
        pipe.to_str().unwrap(),
    ]);
    made.output().ok();
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink("target.tar", &link).unwrap();
    let export = |path: &Path| env.tinyd(["volume", "export", "data", "-o", path.to_str().unwrap()]);
    export(&null).ok();
    let reading = env.other(["tar", "tf", pipe.to_str().unwrap()]).spawn();
    export(&pipe).ok();
    assert!(reading.wait().ok().stdout().contains("file"));
    export(&link).ok();
    use std::os::unix::fs::FileTypeExt as _;
    assert!(kind(&null).is_char_device() && kind(&pipe).is_fifo() && kind(&link).is_symlink());
    assert!(fs::read(&target).unwrap().len() > 1000);
    assert!(export(&files).fails(1).stderr().contains("directory"));
    let names: Vec<_> = fs::read_dir(&files).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains(".part-")), "{names:?}");
    [&null, &pipe].into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn what_would_be_forgotten_at_once_is_not_taken() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        inside(env, "data", "echo one > /d/file");
        env.tinyd(["volume", "create", "-d", "tmpfs", "fleeting"]).ok();
        let archive = env.tinyd(["volume", "export", "data"]).ok().stdout_bytes().to_vec();
        let import = env.cmd(["volume", "import", "-d", "tmpfs", "next"]).stdin(archive).output().fails(1);
        let clone = env.tinyd(["volume", "clone", "fleeting", "next"]).fails(1);
        for output in [import, clone] {
            assert!(output.stderr().contains("which forgets it with its last user"), "{output}");
        }
        // What is in it while somebody uses it can be kept.
        env.tinyd([
            "run",
            "-d",
            "--name",
            "c",
            "-v",
            "fleeting:/d",
            &image(),
            "sh",
            "-c",
            "echo two > /d/file; sleep 300",
        ])
        .ok();
        wait_until("it is written", || env.tinyd(["exec", "c", "cat", "/d/file"]).stdout() == "two\n");
        env.tinyd(["volume", "clone", "-d", "local", "fleeting", "next"]).ok();
        env.tinyd(["rm", "-f", "c"]).ok();
        assert_eq!(inside(env, "next", "cat /d/file"), "two");
        let listed = env.tinyd(["volume", "ls", "-q"]).ok().stdout();
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["data", "fleeting", "next"]);
    });
}

/// An archive of half a volume would look like one of all of it.
#[test]
fn a_volume_that_is_saved_is_removed_by_nobody() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        inside(env, "data", "dd if=/dev/zero of=/d/a bs=1M count=4 2>/dev/null; echo last > /d/z");
        // It goes on as soon as somebody reads.
        let saving = env.cmd(["volume", "export", "data"]).spawn();
        let marks = || env.run_root().join("unmount").read_dir();
        wait_until("it is being saved", || marks().is_ok_and(|mut marks| marks.next().is_some()));
        for words in [&["volume", "rm", "data"][..], &["volume", "rm", "-f", "data"]] {
            let output = env.tinyd(words).fails(1);
            assert!(output.stderr().contains("another command, which reads or writes it"), "{output}");
        }
        assert_eq!(env.tinyd(["volume", "prune", "-af"]).ok().stdout(), "");
        let saved = saving.wait().ok();
        let path = env.file("saved.tar", saved.stdout_bytes());
        let listed = env.other(["tar", "tf", path.to_str().unwrap()]).output().ok();
        assert!(listed.stdout().ends_with("z\n"), "{listed}");
        // A command that was killed holds it no longer.
        let saving = env.cmd(["volume", "export", "data"]).spawn();
        wait_until("it is being saved", || marks().is_ok_and(|mut marks| marks.next().is_some()));
        saving.signal(Signal::KILL);
        drop(saving);
        env.tinyd(["volume", "rm", "data"]).ok();
    });
}

#[test]
fn an_archive_that_is_not_whole_or_lies_becomes_no_volume() {
    require!(root);
    let env = Env::new();
    with_everything(&env, "data");
    let path = env.files().join("whole.tar");
    env.tinyd(["volume", "export", "data", "-o", path.to_str().unwrap()]).ok();
    let whole = fs::read(&path).unwrap();
    let cut = env.file("cut.tar", &whole[..whole.len() / 2]);
    let noise = env.file("noise", vec![7; 5000]);
    for file in [cut, noise] {
        let output = env.tinyd(["volume", "import", "new", file.to_str().unwrap()]).fails(1);
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
        assert!(output.stderr().contains("import the volume new"), "{output}");
        assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().stdout(), "data\n");
        assert!(!env.root().join("volumes/local/new").exists());
    }
    let output = env.tinyd(["volume", "import", "data", path.to_str().unwrap()]).fails(1);
    assert!(output.stderr().contains("\"data\" already"), "{output}");
    let output = env.tinyd(["volume", "export", "nothing", "-o", path.to_str().unwrap()]).fails(1);
    assert!(output.stderr().contains("nothing"), "{output}");
    assert_eq!(fs::read(&path).unwrap(), whole, "what was exported before stays");
    env.assert_checked();
}

#[test]
fn an_import_that_is_killed_leaves_no_volume() {
    require!(root);
    unserved!("who is killed is the client, and the daemon goes on with what it was asked for");
    let env = Env::new();
    with_everything(&env, "data");
    for number in 0..300 {
        fs::write(env.root().join(format!("volumes/local/data/{number}")), vec![b'x'; 8192]).unwrap();
    }
    let path = env.files().join("whole.tar");
    env.tinyd(["volume", "export", "data", "-o", path.to_str().unwrap()]).ok();
    let mut dice = Dice::new();
    let (mut gone, mut whole) = (0, 0);
    for round in 0..30 {
        let mut client = env.cmd(["volume", "import", "new", path.to_str().unwrap()]).spawn();
        std::thread::sleep(std::time::Duration::from_micros(dice.below(60_000) as u64));
        if !client.has_ended() {
            client.signal(Signal::KILL);
        }
        client.wait();
        let names = env.tinyd(["volume", "ls", "-q"]).ok().text();
        let folder = env.root().join("volumes/local/new");
        match names.as_str() {
            "data" => assert!(!folder.exists(), "round {round}"),
            "data\nnew" => assert_eq!(fs::read_dir(&folder).unwrap().count(), 305, "round {round}"),
            other => panic!("round {round}: {other}"),
        }
        gone += usize::from(names == "data");
        whole += usize::from(names != "data");
        env.tinyd(["volume", "rm", "-f", "new"]).ok();
        env.assert_checked();
        assert!(!folder.exists(), "round {round}");
    }
    assert!(gone > 0, "{gone} were cut short, {whole} were done");
}

/// I20, and I02's size: what is kept is come back to.
#[test]
fn a_volume_of_btrfs_goes_back_to_what_it_was_and_is_held_to_its_size() {
    require!(root);
    require!(command "mkfs.btrfs");
    in_both_modes(|mode| {
        let env = &mode.env;
        env.tinyd(["volume", "create", "-d", "btrfs", "--size", "64m", "-o", "compress=zstd", "db"]).ok();
        inside(env, "db", "echo old > /d/file");
        assert_eq!(env.tinyd(["volume", "snapshot", "create", "db", "before"]).ok().stdout(), "before\n");
        inside(env, "db", "echo new > /d/file; echo more > /d/other");
        let named = env.tinyd(["volume", "snapshot", "create", "db"]).ok().text();
        let listed = env.tinyd(["volume", "snapshot", "ls", "-q", "db"]).ok();
        assert_eq!(listed.stdout(), format!("before\n{named}\n"));
        // A container that runs would lose what it works with.
        let container =
            Container::start(env, ["run", "-d", "--name", "c", "-v", "db:/d", &image(), "sleep", "300"]);
        let output = env.tinyd(["volume", "rollback", "db", "before"]).fails(1);
        assert!(output.stderr().contains("used by c, which runs"), "{output}");
        assert_eq!(container.exec(&[], &["cat", "/d/file"]).ok().stdout(), "new\n");
        // Meanwhile an earlier state can be saved, and one of now.
        let path = env.files().join("before.tar");
        env.tinyd(["volume", "export", "--snapshot", "before", "db", "-o", path.to_str().unwrap()]).ok();
        env.tinyd(["volume", "import", "saved", path.to_str().unwrap()]).ok();
        assert_eq!(inside(env, "saved", "cat /d/*"), "old");
        assert_eq!(env.tinyd(["volume", "clone", "db", "twin"]).ok().stdout(), "twin\n");
        env.tinyd(["rm", "-f", "c"]).ok();
        env.tinyd(["volume", "rollback", "db", "before"]).ok();
        assert_eq!(inside(env, "db", "cat /d/*"), "old");
        env.tinyd(["volume", "rollback", "db", &named]).ok();
        assert_eq!(inside(env, "db", "cat /d/*"), "new\nmore");
        assert_eq!(inside(env, "twin", "cat /d/*; echo own > /d/file"), "new\nmore");
        assert_eq!(inside(env, "db", "cat /d/file"), "new");
        let full =
            "dd if=/dev/urandom of=/d/big bs=1M count=80 2>&1 | grep -o 'Disk quota exceeded'; rm /d/big";
        assert_eq!(inside(env, "db", full), "Disk quota exceeded");
        env.tinyd(["volume", "snapshot", "rm", "db", "before", &named]).ok();
        let output = env.tinyd(["volume", "rollback", "db", "before"]).fails(1);
        assert!(output.stderr().contains("\"db\" has no snapshot \"before\""), "{output}");
        let output = env.tinyd(["volume", "snapshot", "create", "saved"]).fails(1);
        assert!(output.stderr().contains("keeps no states"), "{output}");
        // The file that holds them all stays; it is small then, and nothing is mounted.
        env.tinyd(["volume", "prune", "-af"]).ok();
        fs::remove_file(env.root().join("volumes/btrfs/pool.btrfs")).unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(env.run_root().to_str().unwrap()), "{mounts}");
    });
}

#[test]
fn what_takes_long_is_watched_on_a_terminal_and_nowhere_else() {
    require!(root);
    let env = Env::new();
    with_everything(&env, "data");
    fs::write(env.root().join("volumes/local/data/large"), vec![7; 3 << 20]).unwrap();
    let whole = env.tinyd(["volume", "export", "data"]).ok().stdout_bytes().to_vec();
    let pipe = env.files().join("pipe");
    let name = pipe.to_str().unwrap();
    env.other(["mkfifo", name]).output().ok();
    // The second half comes when `now` says so.
    let feed = |now: &mut dyn FnMut()| {
        let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
        std::io::Write::write_all(&mut writer, &whole[..2 << 20]).unwrap();
        now();
        std::io::Write::write_all(&mut writer, &whole[2 << 20..]).unwrap();
    };
    let mut watched = env.pty(["volume", "import", "new", name], 24, 80);
    feed(&mut || drop(watched.expect("read 2.00MiB")));
    let (status, seen) = watched.wait();
    assert!(status.success() && seen.contains("new"), "{seen:?}");
    let long = std::time::Duration::from_millis(1500);
    let quiet = env.pty(["volume", "import", "-q", "quiet", name], 24, 80);
    feed(&mut || std::thread::sleep(long));
    let (status, seen) = quiet.wait();
    assert!(status.success() && !seen.contains("read"), "{seen:?}");
    let piped = env.cmd(["volume", "import", "piped", name]).spawn();
    feed(&mut || std::thread::sleep(long));
    assert_eq!(piped.wait().ok().stderr(), "");
    // Cut off, it leaves nothing.
    let mut client = env.pty(["volume", "import", "cut", name], 24, 80);
    let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
    std::io::Write::write_all(&mut writer, &whole[..2 << 20]).unwrap();
    client.expect("read 2.00MiB");
    client.send([3]);
    let (status, seen) = client.wait();
    assert_eq!(status.code(), Some(130), "{seen:?}");
    assert_eq!(env.tinyd(["volume", "ls", "-q"]).ok().text(), "data\nnew\npiped\nquiet");
    env.assert_checked();
}
