//! Each way of handing layers over is forced in turn, on layers that the kernel then shows.

use super::*;
use crate::mount::private_namespace;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

/// Said to the test binary that is run inside a user namespace.
const INSIDE: &str = "TINYD_FS_TEST_INSIDE";

struct Stack {
    folder: tempfile::TempDir,
    lowers: Vec<PathBuf>,
}

impl Stack {
    /// Layers with names longer than any option has room for; each holds its number, in `top` and in a file of its own.
    fn new(layers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join(format!("a:b,c\\{}", "x".repeat(200))).join("y".repeat(200));
        let lowers: Vec<_> = (0..layers).map(|number| deep.join(number.to_string())).collect();
        for (number, lower) in lowers.iter().enumerate() {
            fs::create_dir_all(lower).unwrap();
            fs::write(lower.join("top"), number.to_string()).unwrap();
            fs::write(lower.join(format!("only-{number}")), "x").unwrap();
        }
        for name in ["upper", "work", "merged"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, lowers }
    }

    fn with<T>(&self, use_it: impl FnOnce(Overlay<'_>) -> T) -> T {
        let (upper, work) = (self.folder.path().join("upper"), self.folder.path().join("work"));
        use_it(Overlay {
            lowers: &self.lowers,
            writable: Writable { upper: &upper, work: &work, volatile: false },
            attributes: MountAttrFlags::MOUNT_ATTR_NODEV,
            idmap: None,
            user_xattrs: needs_user_xattrs(),
        })
    }

    /// Looks through a mount that is attached nowhere.
    fn verify(&self, mount: &DetachedMount) {
        let text = read(mount, "top");
        assert_eq!(text, "0", "the first layer is the topmost");
        let names = rustix::fs::Dir::read_from(open(mount, ".")).unwrap();
        let only = names.filter(|entry| entry.as_ref().unwrap().file_name().to_bytes().starts_with(b"only-"));
        assert_eq!(only.count(), self.lowers.len());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        drop(openat(mount, "written", flags, Mode::RUSR).unwrap());
        assert!(self.folder.path().join("upper/written").exists());
    }
}

fn open(mount: &DetachedMount, name: &str) -> OwnedFd {
    openat(mount, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn read(mount: &DetachedMount, name: &str) -> String {
    let mut text = String::new();
    fs::File::from(open(mount, name)).read_to_string(&mut text).unwrap();
    text
}

fn needs_root() -> bool {
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        eprintln!("SKIPPED (needs root)");
    }
    skip
}

/// Whether this kernel has a way. Of one that it has not it must say so in a manner that leads on to the next.
fn has(way: Way) -> bool {
    let since = match way {
        Way::Descriptors => (6, 13),
        Way::Paths => (6, 8),
        Way::OneOption | Way::MountCall => return true,
    };
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let numbers: Vec<u32> = release.split(['.', '-']).take(2).map(|number| number.parse().unwrap()).collect();
    if (numbers[0], numbers[1]) >= since {
        return true;
    }
    eprintln!("kernel {release} does not have the way {way:?}");
    let error = Stack::new(2).with(|overlay| overlay.mount_by(way, &mut plainly)).unwrap_err();
    assert!(may_work_otherwise(&error), "{way:?}: {error} {:?}", error.io());
    false
}

fn plainly(_: (u32, u32), create: &mut dyn FnMut()) {
    create();
}

fn mounts_of(stack: &Stack) -> usize {
    let all = crate::mountinfo::read().unwrap();
    all.iter().filter(|mount| mount.mount_point.starts_with(stack.folder.path())).count()
}

#[test]
fn five_hundred_layers_are_mounted_by_every_way_that_has_the_room() {
    if needs_root() {
        return;
    }
    let proc_before = fs::metadata("/proc").unwrap().dev();
    for way in [Way::Descriptors, Way::Paths, Way::MountCall].into_iter().filter(|way| has(*way)) {
        for layers in [1, MAX_LOWERS] {
            let stack = Stack::new(layers);
            let mounted = stack.with(|overlay| overlay.mount_by(way, &mut plainly));
            let mounted =
                mounted.unwrap_or_else(|error| panic!("{way:?} {layers}: {error} {:?}", error.io()));
            stack.verify(&mounted.mount);
            assert_eq!(mounts_of(&stack), 0, "it is attached nowhere");
        }
    }
    assert_eq!(
        fs::metadata("/proc").unwrap().dev(),
        proc_before,
        "/proc was covered in another namespace only"
    );
}

#[test]
fn one_option_takes_a_few_layers_and_says_so_of_more() {
    if needs_root() {
        return;
    }
    let stack = Stack::new(8);
    let mounted = stack.with(|overlay| overlay.mount_by(Way::OneOption, &mut plainly)).unwrap();
    stack.verify(&mounted.mount);
    let stack = Stack::new(30);
    let error = stack.with(|overlay| overlay.mount_by(Way::OneOption, &mut plainly)).unwrap_err();
    assert!(matches!(error, Error::OptionsTooLong { call: "fsconfig", most: 255, .. }), "{error}");
    assert!(may_work_otherwise(&error));
}

#[test]
fn more_layers_than_the_kernel_takes_are_counted() {
    let lowers = vec![PathBuf::from("/"); MAX_LOWERS + 1];
    let overlay = Overlay {
        lowers: &lowers,
        writable: Writable { upper: Path::new("/x/upper"), work: Path::new("/x/work"), volatile: false },
        attributes: MountAttrFlags::empty(),
        idmap: None,
        user_xattrs: false,
    };
    let error = overlay.mount(plainly).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an overlay of 501 lower layers: the kernel takes 500; put some of them together into one"
    );
}

#[test]
fn what_cannot_be_a_layer_is_named_after_all_ways_were_tried() {
    if needs_root() {
        return;
    }
    let mut stack = Stack::new(2);
    stack.lowers.push(stack.folder.path().join("gone"));
    let error = stack.with(|overlay| overlay.mount(plainly)).unwrap_err();
    assert_eq!(error.to_string(), format!("open {}", stack.folder.path().join("gone").display()));
    stack.lowers.pop();
    // An upper on a file system that cannot have one.
    let (upper, work) = (Path::new("/proc/self/task"), Path::new("/proc/self/fd"));
    let error = stack.with(|overlay| {
        Overlay { writable: Writable { upper, work, volatile: false }, ..overlay }.mount(plainly).unwrap_err()
    });
    assert_eq!(
        error.io().and_then(std::io::Error::raw_os_error),
        Some(Errno::INVAL.raw_os_error()),
        "{error}"
    );
}

#[test]
fn both_apis_mount_onto_a_folder() {
    if needs_root() {
        return;
    }
    for api in [MountApi::Descriptors, MountApi::Classic] {
        let stack = Stack::new(220);
        let merged = stack.folder.path().join("merged");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                private_namespace().unwrap();
                let target = openat(CWD, &merged, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
                stack.with(|overlay| overlay.mount_at(api, target.as_fd(), plainly)).unwrap();
                assert_eq!(fs::read_to_string(merged.join("top")).unwrap(), "0");
                assert!(merged.join("only-219").exists());
                fs::write(merged.join("written"), "x").unwrap();
                let here = crate::mountinfo::read_thread().unwrap();
                let mount = here.iter().find(|mount| mount.mount_point == merged).unwrap();
                assert_eq!(mount.fs_type, "overlay");
                assert!(mount.options.contains(&"nodev".to_owned()));
            });
        });
        assert!(stack.folder.path().join("upper/written").exists());
        assert_eq!(mounts_of(&stack), 0);
    }
}

/// A user namespace in which the ids below 1000 are themselves and 100000 stands for the outside's 1000.
struct Mapped(std::process::Child);

impl Mapped {
    fn new() -> (Self, fs::File) {
        let mut child =
            Command::new("unshare").args(["--user", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        while fs::read_link(format!("/proc/{pid}/ns/user")).unwrap() == own {
            assert!(child.try_wait().unwrap().is_none(), "unshare ended");
            std::thread::yield_now();
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{pid}/{map}"), "0 0 1000\n1000 100000 1000\n").unwrap();
        }
        let namespace = fs::File::open(format!("/proc/{pid}/ns/user")).unwrap();
        (Self(child), namespace)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ids_are_mapped_also_where_layers_must_be_attached_first() {
    if needs_root() {
        return;
    }
    let (_child, namespace) = Mapped::new();
    let ways = [Way::Descriptors, Way::MountCall].into_iter().filter(|way| has(*way)).map(Some);
    // Twice by the first that works: what was found out holds for the second too.
    for way in ways.chain([None, None]) {
        let stack = Stack::new(220);
        std::os::unix::fs::chown(stack.lowers[0].join("top"), Some(1000), Some(1001)).unwrap();
        let idmap = IdMap { user_namespace: namespace.as_fd(), root: (0, 0) };
        let mut created_as = Vec::new();
        let mounted = stack.with(|overlay| {
            let mut create = |root, create: &mut dyn FnMut()| {
                created_as.push(root);
                create();
            };
            let overlay = Overlay { idmap: Some(idmap), ..overlay };
            match way {
                Some(way) => overlay.mount_by(way, &mut create),
                None => overlay.mount(create),
            }
        });
        let mounted = mounted.unwrap_or_else(|error| panic!("{way:?}: {error} {:?}", error.io()));
        let top = rustix::fs::fstat(open(&mounted.mount, "top")).unwrap();
        assert_eq!((top.st_uid, top.st_gid), (100_000, 100_001), "{way:?}");
        stack.verify(&mounted.mount);
        assert_eq!(created_as, [(0, 0)]);
        assert_eq!(mounts_of(&stack), 0);
    }
}

#[test]
fn in_a_user_namespace_a_folder_can_be_removed_and_made_anew() {
    if std::env::var_os(INSIDE).is_some() {
        return inside_a_user_namespace();
    }
    assert!(
        !needs_user_xattrs() || fs::read_to_string("/proc/self/uid_map").unwrap().trim() != "0 0 4294967295"
    );
    // Whether an ordinary user may make one is the host's choice; the test itself needs no right.
    let own = std::env::current_exe().unwrap();
    let name = "overlay::tests::in_a_user_namespace_a_folder_can_be_removed_and_made_anew";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(own)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn inside_a_user_namespace() {
    assert!(needs_user_xattrs());
    for way in [Way::Descriptors, Way::MountCall].into_iter().filter(|way| has(*way)) {
        // With the marks that everybody may write, and then without.
        for user_xattrs in [true, false] {
            let stack = Stack::new(2);
            fs::create_dir(stack.lowers[1].join("folder")).unwrap();
            fs::write(stack.lowers[1].join("folder/below"), "x").unwrap();
            let mounted =
                stack.with(|overlay| Overlay { user_xattrs, ..overlay }.mount_by(way, &mut plainly)).unwrap();
            let at = &mounted.mount;
            let plain = rustix::fs::AtFlags::empty();
            let made = rustix::fs::unlinkat(at, "folder/below", plain)
                .and_then(|()| rustix::fs::unlinkat(at, "folder", rustix::fs::AtFlags::REMOVEDIR))
                .and_then(|()| rustix::fs::mkdirat(at, "folder", Mode::RWXU));
            if !user_xattrs {
                assert_eq!(made, Err(Errno::IO), "{way:?}: what the option is for");
                continue;
            }
            made.unwrap();
            let names = rustix::fs::Dir::read_from(open(at, "folder")).unwrap();
            assert_eq!(names.count(), 2, "nothing of the lower folder shows");
            let mut mark = [0; 8];
            let upper = stack.folder.path().join("upper/folder");
            let length = rustix::fs::getxattr(&upper, "user.overlay.opaque", &mut mark).unwrap();
            assert_eq!(&mark[..length], b"y");
        }
    }
}
