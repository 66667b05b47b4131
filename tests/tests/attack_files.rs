//! Files that are copied out of containers, and into them, while somebody in there wants more of it (part B of the brief).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tinyd_tests::attack::{Attacker, Decoy, Rounds, SECRET};
use tinyd_tests::proc::mounts;
use tinyd_tests::{Mode, in_both_modes, require, roots};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A volume in which `d0` is a folder and a link to the decoy by turns, and whoever does that.
fn swapping<'env>(mode: &'env Mode, decoy: &Decoy) -> (String, Attacker<'env>) {
    let volume = mode.env.files().join("volume");
    fs::create_dir_all(volume.join("d0/sub")).unwrap();
    fs::write(volume.join("d0/secret"), "mine").unwrap();
    let volume = volume.to_str().unwrap().to_owned();
    let options = ["-v", &format!("{volume}:/volume")];
    let attacker =
        Attacker::start(mode, ATTACK, &options, "swap", &["/volume", decoy.path().to_str().unwrap()]);
    (volume, attacker)
}

/// Tries to get the host's words out of containers, running and not, and something into the host's folder.
fn nothing_leads_out(rounds: Rounds) {
    in_both_modes(|mode| {
        let env = &mode.env;
        let decoy = Decoy::folder(env);
        let (volume, attacker) = swapping(mode, &decoy);
        let running = attacker.container.id.clone();
        let still = env
            .tinyd([
                "create",
                "--userns",
                mode.userns(),
                "-v",
                &format!("{volume}:/volume"),
                &image(),
                "true",
            ])
            .ok()
            .text();
        let planted = env.file("planted", "planted");
        let (copied, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        rounds.run(|round| {
            let container = if round % 4 == 3 { &still } else { &running };
            let path = |path: &str| format!("{container}:{path}");
            let output = match round % 3 {
                0 => env.tinyd(["cp", &path("/volume/d0/secret"), "-"]),
                1 => env.tinyd(["cp", "-L", &path("/volume/"), "-"]),
                _ => env.tinyd(["cp", planted.to_str().unwrap(), &path("/volume/d0/sub/planted")]),
            };
            let bytes = output.stdout_bytes();
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "the host's words came out, round {round}");
            decoy.assert_unchanged();
            let counter = if output.code() == Some(0) { &copied } else { &refused };
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let swaps = attacker.stop()["swaps"];
        println!("{swaps} swaps, {copied:?} copied, {refused:?} not");
        assert!(copied.into_inner() > 0, "nothing could be copied at all");
        assert!(swaps > 1000, "the attack was too slow to be one: {swaps} swaps");
    });
}

/// B1, CVE-2018-15664.
#[test]
fn b1_links_exchanged_meanwhile_lead_nowhere_out() {
    require!(root);
    nothing_leads_out(Rounds::FEW);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn soak_b1_links_exchanged_meanwhile_lead_nowhere_out() {
    require!(root);
    nothing_leads_out(Rounds::MANY);
}

/// Links that stay as they are: what is said of them holds inside.
#[test]
fn b1_links_to_the_hosts_files_are_those_of_the_container() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let decoy = Decoy::folder(env);
        let target = decoy.path().to_str().unwrap();
        let image = image();
        let up = "../".repeat(40);
        let script = format!(
            "ln -s {target} /abs; ln -s {up}{target} /rel; ln -s {up}etc/by-link /up; ln -s {target}/secret /file; sleep 300"
        );
        let container = mode.start([&*image, "sh", "-c", &script]);
        container.exec(&[], &["sh", "-c", "until test -L /file; do sleep 0.01; done"]).ok();
        let planted = env.file("planted", "planted");
        let look = |when: &str| {
            for path in ["/abs/secret", "/rel/secret", "/file"] {
                let output = env.tinyd(["cp", "-L", &format!("{}:{path}", container.id), "-"]).fails(1);
                assert!(output.stderr().contains("there is no"), "{when}, {path}: {output}");
            }
            for path in ["/abs/", "/rel/new", "/abs/sub/x", "/file"] {
                env.tinyd(["cp", planted.to_str().unwrap(), &format!("{}:{path}", container.id)]).fails(1);
            }
            // What it leads to is the container's, however far up it says.
            env.tinyd(["cp", planted.to_str().unwrap(), &format!("{}:/up", container.id)]).ok();
            assert!(!Path::new("/etc/by-link").exists());
            decoy.assert_unchanged();
        };
        look("running");
        env.tinyd(["stop", "-t", "0", &container.id]).ok();
        assert_eq!(
            env.tinyd(["cp", &format!("{}:/etc/by-link", container.id), "-"])
                .ok()
                .stdout()
                .matches("planted")
                .count(),
            1
        );
        env.tinyd(["cp", &format!("{}:/rel", container.id), "-"]).ok();
        decoy.assert_unchanged();
    });
}

/// Whether anything was opened in these folders. An archive of them would; nothing else may.
struct Watched(std::os::fd::OwnedFd);

impl Watched {
    fn new(folders: &[&Path]) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        for folder in folders {
            inotify::add_watch(&watch, *folder, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
        }
        Self(watch)
    }

    /// The names of files that were opened since.
    fn opened(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        while let Ok(event) = reader.next() {
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names
    }
}

/// B2 (CVE-2019-14271) and B3 (CVE-2026-41567): libraries and programs of the container are neither loaded nor run.
#[test]
fn b2_b3_nothing_of_the_container_is_loaded_or_run() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let marker = env.files().join("was-run");
        let folders = ["lib", "bin"].map(|name| env.files().join(name));
        fs::create_dir_all(&folders[0]).unwrap();
        fs::create_dir_all(&folders[1]).unwrap();
        for name in ["libnss_files.so.2", "libnss_compat.so.2", "libc.so.6", "libzstd.so.1"] {
            fs::write(folders[0].join(name), "not a library").unwrap();
        }
        for name in ["xz", "unxz", "gzip", "gunzip", "pigz", "unpigz", "zstd", "tar", "docker-untar"] {
            let program = folders[1].join(name);
            fs::write(&program, format!("#!/bin/sh\ntouch {}\n", marker.display())).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let binds = [
            format!("{}:/lib/x86_64-linux-gnu", folders[0].display()),
            format!("{}:/usr/bin", folders[1].display()),
        ];
        let image = image();
        let container = mode.start(["-v", &binds[0], "-v", &binds[1], &image, "/bin/sleep", "300"]);
        let watched = Watched::new(&[&folders[0], &folders[1]]);
        // The watch can see: a look from inside is noticed.
        container.exec(&[], &["/bin/cat", "/usr/bin/xz"]).ok();
        assert_eq!(watched.opened(), ["xz", "xz"], "opened, and read");
        let tree = env.files().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "text").unwrap();
        let archive = |how: &str| {
            let file = env.files().join(format!("archive.tar{how}"));
            let arguments = ["tar", "-caf", file.to_str().unwrap(), "-C", tree.to_str().unwrap(), "."];
            env.other(arguments).output().ok();
            fs::read(file).unwrap()
        };
        let (plain, gzip, xz) = (archive(""), archive(".gz"), archive(".xz"));
        let path = |path: &str| format!("{}:{path}", container.id);
        let try_all = || {
            for bytes in [&plain, &gzip] {
                env.cmd(["cp", "-", &path("/etc")]).stdin(bytes.clone()).output().ok();
            }
            let refused = env.cmd(["cp", "-", &path("/etc")]).stdin(xz.clone()).output().fails(1);
            assert!(refused.stderr().contains("compressed by xz"), "{refused}");
            env.tinyd(["cp", "-a", tree.to_str().unwrap(), &path("/etc/tree")]).ok();
            assert!(env.tinyd(["cp", &path("/etc"), "-"]).ok().stdout().contains("text"));
            env.tinyd(["export", "--compress", "gzip", &container.id]).ok();
            env.tinyd(["diff", &container.id]).ok();
            assert_eq!(watched.opened(), Vec::<String>::new());
            assert!(!marker.exists());
        };
        try_all();
        env.tinyd(["stop", "-t", "0", &container.id]).ok();
        try_all();
    });
}

/// B4, CVE-2026-42306: a container that stands still is put together with its mounts, while another one exchanges the place
/// that one of them belongs to.
#[test]
fn b4_the_place_of_a_mount_may_become_a_link_while_files_are_copied() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let decoy = Decoy::folder(env);
        let (volume, attacker) = swapping(mode, &decoy);
        let source = env.files().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("word"), "of the source").unwrap();
        let binds = [format!("{volume}:/volume"), format!("{}:/volume/d0/sub", source.display())];
        let words = ["create", "--userns", mode.userns(), "-v", &binds[0], "-v", &binds[1], &image(), "true"];
        let still = env.tinyd(words).ok().text();
        let before = host_mounts(mode);
        let copied = AtomicUsize::new(0);
        let planted = env.file("planted", "planted");
        Rounds::FEW.run(|round| {
            let output = match round % 2 {
                0 => env.tinyd(["cp", &format!("{still}:/volume/d0/sub/word"), "-"]),
                _ => env.tinyd(["cp", planted.to_str().unwrap(), &format!("{still}:/volume/d0/sub/planted")]),
            };
            copied.fetch_add(usize::from(output.code() == Some(0)), Ordering::Relaxed);
            decoy.assert_unchanged();
        });
        attacker.stop();
        assert!(copied.into_inner() > 0, "nothing could be copied at all");
        assert_eq!(host_mounts(mode), before);
        assert_eq!(fs::read_to_string(source.join("word")).unwrap(), "of the source");
    });
}

/// The trap beside it (moby issue 52653): an absolute link on the way to what is mounted is an honest one.
/// What the engine resolved when it was asked may have become a link since: whoever may write beside it is not to choose what a
/// container that stands still is shown, nor what it is made of.
#[test]
fn b4_what_was_resolved_may_have_become_a_link_since() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let decoy = Decoy::folder(env);
        let shared = env.files().join("shared");
        fs::create_dir_all(shared.join("source")).unwrap();
        fs::write(shared.join("source/mine"), "mine").unwrap();
        let image = shared.join("image");
        env.other(["cp", "-a", &self::image(), image.to_str().unwrap()]).output().ok();
        let mount = format!("{}:/data", shared.join("source").display());
        let with_mount =
            ["create", "--name", "mounted", "--userns", mode.userns(), "-v", &mount, &self::image(), "true"];
        env.tinyd(with_mount).ok();
        let of_image = [
            "create",
            "--name",
            "made",
            "--userns",
            mode.userns(),
            image.to_str().unwrap(),
            "cat",
            "/secret",
        ];
        env.tinyd(of_image).ok();
        for (name, target) in [("source", decoy.path()), ("image", decoy.path())] {
            fs::rename(shared.join(name), shared.join(format!("{name}-was"))).unwrap();
            symlink(target, shared.join(name)).unwrap();
        }
        let planted = env.file("planted", "planted");
        let outputs = [
            env.tinyd(["cp", planted.to_str().unwrap(), "mounted:/data/"]),
            env.tinyd(["cp", "mounted:/data/secret", "-"]),
            env.tinyd(["start", "-a", "made"]),
            env.tinyd(["cp", "made:/secret", "-"]),
            env.tinyd(["diff", "made"]),
            env.tinyd(["start", "-a", "mounted"]),
        ];
        for output in outputs {
            assert_ne!(output.code(), Some(0), "{output}");
            assert!(!output.stdout().contains(SECRET), "{output}");
        }
        decoy.assert_unchanged();
        env.tinyd(["rm", "mounted", "made"]).ok();
    });
}

#[test]
fn b4_an_absolute_link_on_the_way_to_a_mount_is_followed_inside() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let root = roots::copy_of_busybox(env);
        fs::create_dir_all(root.join("run")).unwrap();
        fs::create_dir_all(root.join("var")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        let source = env.files().join("source");
        fs::create_dir(&source).unwrap();
        let bind = format!("{}:/var/run/app", source.display());
        let container = mode.start(["-v", &bind, root.to_str().unwrap(), "sleep", "300"]);
        let file = env.file("file", "text");
        for (name, stop) in [("one", false), ("two", true)] {
            if stop {
                env.tinyd(["stop", "-t", "0", &container.id]).ok();
            }
            env.tinyd(["cp", file.to_str().unwrap(), &format!("{}:/var/run/app/{name}", container.id)]).ok();
            assert_eq!(fs::read_to_string(source.join(name)).unwrap(), "text");
            let seen = env.tinyd(["cp", &format!("{}:/run/app/{name}", container.id), "-"]).ok();
            assert!(seen.stdout().contains("text"), "{seen}");
        }
        assert!(!Path::new("/run/app").exists());
    });
}

/// Those of this test.
fn host_mounts(mode: &Mode) -> Vec<String> {
    let all = mounts::of_self().unwrap();
    all.into_iter().map(|mount| mount.line).filter(|line| line.contains(mode.env.tag())).collect()
}

/// B5 (CVE-2026-23954 and its sisters): whatever stands in the container where the engine keeps, or mounts, files of its own.
#[test]
fn b5_links_in_the_place_of_the_engines_own_files_are_not_followed() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let decoy = Decoy::folder(env);
        let secret = decoy.path().join("secret");
        let root = roots::copy_of_busybox(env);
        for name in ["hosts", "hostname", "resolv.conf"] {
            let _ = fs::remove_file(root.join("etc").join(name));
            symlink(&secret, root.join("etc").join(name)).unwrap();
        }
        for name in ["logs", "config.json", "container.json", "state.json", "exit.json", "upper", "hosts"] {
            symlink(decoy.path(), root.join(name)).unwrap();
        }
        let container = mode.start([root.to_str().unwrap(), "sh", "-c", "echo said; exec sleep 300"]);
        container.exec(&["-w", "/etc"], &["sh", "-c", "echo more; echo x > /dev/stderr"]).ok();
        assert_eq!(env.tinyd(["logs", &container.id]).ok().stdout(), "said\n");
        env.tinyd(["stop", "-t", "0", &container.id]).ok();
        env.tinyd(["cp", &format!("{}:/etc", container.id), "-"]).ok();
        env.tinyd(["start", &container.id]).ok();
        env.tinyd(["cp", &format!("{}:/logs", container.id), "-"]).ok();
        // What the links say was made inside, and is what the mounts lie on.
        let seen = container.exec(&[], &["cat", secret.to_str().unwrap()]).ok();
        assert!(!seen.stdout().contains(SECRET), "{seen}");
        // Nothing that the engine writes lies where the container can put anything: its own folders are none of the layers.
        let folder = container.folder();
        for name in ["logs", "config.json", "container.json"] {
            assert!(!fs::symlink_metadata(folder.join(name)).unwrap().is_symlink(), "{name}");
        }
        env.tinyd(["rm", "-f", &container.id]).ok();
        decoy.assert_unchanged();
    });
}

/// B9: whoever opened a FIFO would wait for ever, and a device is not a file.
#[test]
fn b9_fifos_and_devices_are_not_opened() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let image = image();
        let container = mode.start([&*image, "sleep", "300"]);
        container
            .exec(
                &[],
                &["sh", "-c", "mkdir /odd; mkfifo /odd/fifo; echo text > /odd/file; ln -s fifo /odd/link"],
            )
            .ok();
        let path = format!("{}:/odd", container.id);
        for stop in [false, true] {
            if stop {
                env.tinyd(["stop", "-t", "0", &container.id]).ok();
            }
            let copied = env.tinyd(["cp", &path, "-"]).ok();
            assert!(copied.stdout().contains("odd/fifo"), "{copied}");
            let one = env.tinyd(["cp", "-L", &format!("{path}/link"), "-"]).ok();
            assert!(one.stdout_bytes().len() >= 1024, "{one}");
            env.tinyd(["export", &container.id, "-o", env.files().join("x.tar").to_str().unwrap()]).ok();
        }
        // One is made here as one, and a file does not go into it but takes its place.
        let into = env.files().join("into");
        fs::create_dir(&into).unwrap();
        env.tinyd(["cp", &path, into.to_str().unwrap()]).ok();
        let fifo = fs::symlink_metadata(into.join("odd/fifo")).unwrap();
        assert!(std::os::unix::fs::FileTypeExt::is_fifo(&fifo.file_type()));
        let file = env.file("file", "new");
        env.tinyd(["cp", file.to_str().unwrap(), &format!("{path}/fifo")]).ok();
        assert!(env.tinyd(["cp", &format!("{path}/fifo"), "-"]).ok().stdout().contains("new"));
    });
}
