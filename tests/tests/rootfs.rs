//! The root file system: an overlay whose image is never written, and the root made from this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tinyd_tests::proc::mounts;
use tinyd_tests::{Env, in_both_modes, kernel_is_before, require, roots};

/// What can be seen of a file without reading it. A change of its contents shows in size or times.
type Look = (u64, u32, u32, u32, u64, i64, i64);

fn look(path: &Path) -> Option<Look> {
    let meta = fs::symlink_metadata(path).ok()?;
    let (seconds, part) = (meta.ctime(), meta.ctime_nsec());
    Some((meta.ino(), meta.mode(), meta.uid(), meta.gid(), meta.size(), seconds, part))
}

/// The same without what other programs of this machine change in a folder.
fn steady(path: &Path) -> Option<Look> {
    let found = look(path)?;
    if path.is_dir() { Some((found.0, found.1, found.2, found.3, 0, 0, 0)) } else { Some(found) }
}

/// Everything below a folder.
fn survey(top: &Path) -> BTreeMap<PathBuf, Look> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let seen = look(&path).expect("nobody writes in an image");
        if path.is_dir() && !path.is_symlink() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, seen);
    }
    found
}

#[test]
fn an_image_folder_is_as_before_after_everything_in_it_was_changed() {
    require!(root);
    let image = roots::busybox();
    let before = survey(&image);
    in_both_modes(|mode| {
        let script = "echo new > /new; rm /etc/passwd; echo more >> /etc/group; chmod 700 /bin; chown 5:5 /home; \
                      mv /var /moved; rm -rf /mnt; ln -s / /loop; touch -d 2001-01-01 /tmp; mkdir -p /a/b/c; \
                      [ -s /new ] && [ ! -e /etc/passwd ] && [ -d /moved/log ] && [ ! -e /mnt ] && echo changed";
        let image = image.to_str().unwrap();
        assert_eq!(mode.run([image, "sh", "-c", script]).ok().text(), "changed");
        // The seeds' form, which is detached: its output is in the log.
        let words = ["run", "-i", image, "--userns", mode.userns(), "--name", "seed", "sh", "-c", script];
        mode.env.tinyd(words).ok();
        assert_eq!(mode.env.tinyd(["wait", "seed"]).ok().text(), "0");
        assert_eq!(mode.env.tinyd(["logs", "seed"]).ok().text(), "changed");
    });
    assert_eq!(survey(&image), before);
}

#[test]
fn the_root_is_an_overlay_of_the_image_and_the_containers_own_folders() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        let container = mode.start([image.to_str().unwrap(), "sleep", "300"]);
        let folder = container.folder();
        let (upper, work, merged) = (folder.join("upper"), folder.join("work"), folder.join("merged"));
        let inside = mounts::of(container.pid).unwrap();
        let root = inside.iter().find(|mount| mount.point == Path::new("/")).unwrap();
        assert_eq!(root.fs, "overlay", "{}", root.line);
        assert!(root.has("rw"));
        if !mode.mapped {
            // Idmapped layers are detached mounts, of which the kernel shows no path.
            for (option, path) in [("lowerdir+", &image), ("upperdir", &upper), ("workdir", &work)] {
                let plain = option.trim_end_matches('+');
                let found =
                    [option, plain].iter().any(|name| root.has(&format!("{name}={}", path.display())));
                // Older kernels show what they were told: the path of a descriptor.
                let found = found
                    || kernel_is_before(6, 13) && root.line.contains(&format!("{plain}=/proc/self/fd/"));
                assert!(found, "{option} is not {}: {}", path.display(), root.line);
            }
        }
        // The same by effect: what is read comes from the image, what is written lands in the upper folder.
        let passwd = container.exec(&[], &["cat", "/etc/passwd"]).ok().stdout();
        assert_eq!(passwd, fs::read_to_string(image.join("etc/passwd")).unwrap());
        container.exec(&[], &["sh", "-c", "echo written > /var/log/one"]).ok();
        assert_eq!(fs::read_to_string(upper.join("var/log/one")).unwrap(), "written\n");
        assert!(!image.join("var/log/one").exists());
        assert!(work.join("work").is_dir(), "the kernel made its work folder there");
        // It is mounted for the container alone.
        assert_eq!(fs::read_dir(&merged).unwrap().count(), 0);
        assert!(!mounts::of_self().unwrap().iter().any(|mount| mount.line.contains(&container.id)));

        let said = container.inspect();
        let data = &said["GraphDriver"]["Data"];
        let paths = [("LowerDir", &image), ("UpperDir", &upper), ("WorkDir", &work), ("MergedDir", &merged)];
        for (name, path) in paths {
            assert_eq!(data[name].as_str(), path.to_str(), "{name}");
        }
    });
}

#[test]
fn overlay_is_the_only_driver_and_is_named_as_such() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let said = container.inspect();
        assert_eq!(said["GraphDriver"]["Name"], "overlay");
        assert_eq!(said["Driver"], "overlay");
        let roots = mounts::of(container.pid).unwrap();
        assert!(!roots.iter().any(|mount| mount.fs == "aufs"));
        let info = mode.env.tinyd(["system", "info", "--format", "json"]).ok().json();
        assert_eq!(info["Driver"], "overlay");
        let aufs = info["StorageDrivers"].as_array().unwrap().iter().find(|one| one["Name"] == "aufs");
        let aufs = aufs.expect("aufs is named");
        assert_eq!(aufs["Available"], false);
        assert!(aufs["Note"].as_str().unwrap().contains("no current kernel"), "{aufs}");
        let told = mode.env.tinyd(["system", "info"]).ok();
        assert!(told.stdout().contains("Not aufs: aufs is in no current kernel"), "{told}");
        for words in [&["--help"][..], &["run", "--help"], &["version"], &["inspect", &container.id]] {
            let output = mode.env.tinyd(words.iter().copied()).ok();
            assert!(!output.stdout().to_lowercase().contains("aufs"), "{output}");
        }
    });
}

#[test]
fn a_read_only_root_refuses_every_write() {
    require!(root);
    let image = roots::busybox();
    in_both_modes(|mode| {
        for image in [image.to_str().unwrap(), "host"] {
            let container = mode.start(["--read-only", image, "sleep", "300"]);
            for path in ["/x", "/etc/passwd", "/usr/bin/x", "/tmp/x", "/root/x", "/dev/x", "/etc/hosts"] {
                let output = container.exec(&[], &["sh", "-c", &format!("echo x >> {path}")]);
                let refused = output.stderr().contains("Read-only file system");
                // /dev is a tmpfs of the container's own, as Docker has it.
                assert!(
                    refused || (path == "/dev/x" && output.code() == Some(0)),
                    "{image} {path}: {output}"
                );
            }
            container.exec(&[], &["sh", "-c", "echo x > /dev/shm/x && rm /dev/shm/x"]).ok();
            let inside = mounts::of(container.pid).unwrap();
            for mount in inside.iter().filter(|mount| mount.fs == "overlay") {
                assert!(mount.options.iter().any(|option| option == "ro"), "{}", mount.line);
            }
            let output = container.exec(&[], &["mount", "-o", "remount,rw", "/"]);
            assert_ne!(output.code(), Some(0), "{output}");
        }
    });
}

/// A file of the host that a container must not find; it goes with the test.
struct Marker(PathBuf);

impl Marker {
    fn new(folder: &str, env: &Env) -> Marker {
        let path = Path::new(folder).join(format!("{}-marker", env.tag()));
        fs::write(&path, "of the host").unwrap();
        Marker(path)
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_hosts_own_files_are_not_in_a_root_made_from_it() {
    require!(root);
    in_both_modes(|mode| {
        let folders = ["/root", "/home", "/var/tmp", "/var/lib", "/opt", "/srv", "/tmp", "/run", "/mnt"];
        let present = folders.into_iter().filter(|folder| Path::new(folder).is_dir());
        let markers: Vec<Marker> = present.map(|folder| Marker::new(folder, &mode.env)).collect();
        assert!(markers.len() >= 6);
        let search =
            format!("find / -xdev -name '{}*'; ls -A /root /opt /srv /mnt /tmp | grep -v :", mode.env.tag());
        let output = mode.run(["host", "sh", "-c", &search]);
        assert_eq!(output.stdout().trim(), "", "{output}");

        // What /etc holds is a list of what may be there, not of what may not.
        let allowed = [
            "alternatives",
            "ca-certificates.conf",
            "group",
            "hostname",
            "hosts",
            "ld.so.cache",
            "ld.so.conf",
            "ld.so.conf.d",
            "localtime",
            "mtab",
            "nsswitch.conf",
            "passwd",
            "pki",
            "protocols",
            "resolv.conf",
            "services",
            "ssl",
            "timezone",
        ];
        let listed = mode.run(["host", "ls", "-A", "/etc"]).ok().stdout();
        for name in listed.lines() {
            assert!(allowed.contains(&name), "/etc/{name}");
        }
        for name in ["passwd", "group", "ld.so.cache", "ssl", "hosts"] {
            assert!(listed.lines().any(|line| line == name), "no /etc/{name}");
        }
        let secrets =
            mode.run(["host", "ls", "-d", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl/private"]);
        assert_eq!(secrets.stdout(), "", "{secrets}");
        let users = mode.run(["host", "cat", "/etc/passwd"]).ok().stdout();
        assert_ne!(users, fs::read_to_string("/etc/passwd").unwrap());
        assert!(users.lines().all(|line| line.split(':').nth(1) == Some("x")), "{users}");
    });
}

#[test]
fn the_machines_programs_are_as_before_after_they_were_changed_inside() {
    require!(root);
    let watched =
        ["/usr/bin", "/usr/bin/env", "/usr/lib", "/usr/share", "/usr/share/zoneinfo", "/etc/services"];
    let watched: Vec<&Path> = watched.iter().map(Path::new).filter(|path| path.exists()).collect();
    let looks = || -> Vec<_> { watched.iter().map(|path| (path.to_owned(), steady(path))).collect() };
    let before = looks();
    in_both_modes(|mode| {
        let tag = mode.env.tag();
        let script = format!(
            "echo evil > /usr/bin/{tag} && rm /usr/bin/env && echo x >> /etc/services && mkdir /opt/{tag} && \
             mv /usr/share/zoneinfo /usr/share/{tag} && chmod 700 /usr/lib && [ -s /usr/bin/{tag} ] && \
             [ ! -e /usr/bin/env ] && echo changed"
        );
        assert_eq!(mode.run(["host", "sh", "-c", &script]).ok().text(), "changed");
        for path in [format!("/usr/bin/{tag}"), format!("/opt/{tag}"), format!("/usr/share/{tag}")] {
            assert!(!Path::new(&path).exists(), "{path}");
        }
        // The next container starts from the same.
        let next = mode
            .run([
                "host",
                "sh",
                "-c",
                // Small machines have no such file but the one written above.
                &format!(
                    "ls /usr/bin/env; ls /usr/bin/{tag}; ! [ -e /etc/services ] || tail -n 1 /etc/services"
                ),
            ])
            .ok();
        assert!(
            next.stdout().starts_with("/usr/bin/env\n") && next.text().lines().all(|line| line != "x"),
            "{next}"
        );
        assert!(!next.stdout().contains(tag), "{next}");
    });
    assert_eq!(looks(), before);
}
