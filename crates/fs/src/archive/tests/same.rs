use super::*;
use crate::copy::Owner;
use crate::listing::{list, make_everything, same};
use crate::mount::{DetachedMount, private_namespace};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;

#[test]
fn root_what_is_packed_is_unpacked() {
    if !is_root() {
        return;
    }
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (_folder, from, to) = two();
        make_everything(&from);
        let (bytes, summary) = packed(&from, &Pack { compression, ..Pack::default() });
        assert_eq!(summary.left_out, []);
        let theirs = unpacked(&bytes, &to, &faithful()).unwrap();
        assert_eq!(summary, theirs);
        same(&list(&from), &list(&to));
        // Once more, over what is there.
        unpacked(&bytes, &to, &faithful()).unwrap();
        same(&list(&from), &list(&to));
    }
}

#[test]
fn root_without_being_asked_nothing_gives_rights() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    let (bytes, _) = packed(&from, &Pack::default());
    assert!(matches!(problem(unpacked(&bytes, &to, &Unpack::default())), Problem::Device));
    let options = Unpack { devices: Devices::LeaveOut, ..Unpack::default() };
    let summary = unpacked(&bytes, &to, &options).unwrap();
    let mut reasons: Vec<_> =
        summary.left_out.iter().map(|left| (left.path.to_str().unwrap(), left.why.clone())).collect();
    reasons.sort_by_key(|(path, _)| *path);
    let attribute = |name: &str| Why::Attribute(name.into());
    assert_eq!(
        reasons,
        [
            ("disk", Why::Device),
            ("folder/absolute", attribute("trusted.of.a.link")),
            ("folder/capable", attribute("security.capability")),
            ("folder/setuid", Why::SetId),
            ("null", attribute("trusted.of.a.node")),
            ("null", Why::Device),
        ]
    );
    for (path, facts) in list(&to) {
        let is_device = matches!(facts.kind, FileType::CharacterDevice | FileType::BlockDevice);
        assert!(!is_device && facts.mode & 0o4000 == 0, "{}", path.display());
        assert!(facts.kind == FileType::Directory || facts.mode & 0o2000 == 0, "{}", path.display());
        assert!(!facts.xattrs.contains_key("security.capability"), "{}", path.display());
    }
}

#[test]
fn root_other_names_of_a_device_are_left_out_with_it() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    let device = from.join("device");
    let number = rustix::fs::makedev(0, 0);
    rustix::fs::mknodat(rustix::fs::CWD, &device, FileType::CharacterDevice, Mode::RUSR, number).unwrap();
    std::fs::create_dir(from.join("folder")).unwrap();
    for other in ["again", "folder/again"] {
        std::fs::hard_link(&device, from.join(other)).unwrap();
    }
    let (bytes, summary) = packed(&from, &Pack::default());
    assert_eq!(summary.left_out, []);
    let options = Unpack { devices: Devices::LeaveOut, ..Unpack::default() };
    let summary = unpacked(&bytes, &to, &options).unwrap();
    assert_eq!(summary.left_out.iter().filter(|left| left.why == Why::Device).count(), 3);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1, "the folder alone");
}

#[test]
fn root_owners_are_mapped_both_ways() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    let up = |owner: Owner| Owner { uid: owner.uid ^ 0x10_0000, gid: owner.gid ^ 0x20_0000 };
    let (bytes, _) = packed(&from, &Pack { map: Some(&up), ..Pack::default() });
    unpacked(&bytes, &to, &Unpack { map: Some(&up), ..faithful() }).unwrap();
    same(&list(&from), &list(&to));
    let (_folder, _, to) = two();
    unpacked(&bytes, &to, &Unpack { keep_top: true, ..faithful() }).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().uid(), 0, "the top keeps its owner");
    let file = fs::metadata(to.join("file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (0x10_0000, 0x20_0000));
}

#[test]
fn root_parts_of_a_tree_by_their_paths() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    // A link on the way is followed inside the root; it is absolute, as that of /var/run is.
    symlink("/folder", from.join("way")).unwrap();
    let source = File::open(&from).unwrap();
    let mut bytes = Vec::new();
    let what = ["/folder/deeper", "way/setuid", "file", "folder/absolute"].map(Path::new);
    pack(source.as_fd(), &what, &mut bytes, &Pack::default()).unwrap();
    // Below `at`, with a link in its way, and in folders that no entry tells of.
    fs::create_dir_all(to.join("real")).unwrap();
    symlink("/real", to.join("at")).unwrap();
    let options = Unpack { at: Some(Path::new("/at")), ..faithful() };
    unpacked(&bytes, &to, &options).unwrap();
    let found = list(&to.join("real"));
    let names: Vec<_> = found.keys().map(|path| path.to_str().unwrap()).collect();
    let expected = [
        "",
        "file",
        "folder",
        "folder/absolute",
        "folder/deeper",
        "folder/deeper/second",
        "folder/deeper/up",
    ];
    assert_eq!(names, [&expected[..], &["way", "way/setuid"]].concat());
    assert_eq!(found[Path::new("file")].first_name, found[Path::new("folder/deeper/second")].first_name);
    for bad in ["../from", "", "/", "."] {
        let result = pack(source.as_fd(), &[Path::new(bad)], &mut Vec::new(), &Pack::default());
        assert!(matches!(problem(result), Problem::Name(_)), "{bad:?}");
    }
    let result = pack(source.as_fd(), &[Path::new("file/x")], &mut Vec::new(), &Pack::default());
    assert_eq!(result.unwrap_err().io().unwrap().raw_os_error(), Some(Errno::NOTDIR.raw_os_error()));
}

/// A FIFO that nobody writes to would keep whoever opens it; a socket cannot be opened at all.
#[test]
fn root_nothing_but_files_and_folders_is_opened() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    let folder = File::open(&from).unwrap();
    rustix::fs::mknodat(&folder, "fifo", FileType::Fifo, Mode::RUSR, 0).unwrap();
    // No driver has it: opening it is an error.
    let device = rustix::fs::makedev(240, 1234);
    rustix::fs::mknodat(&folder, "device", FileType::CharacterDevice, Mode::RUSR, device).unwrap();
    let _listener = UnixListener::bind(from.join("socket")).unwrap();
    let (bytes, summary) = packed(&from, &Pack::default());
    assert_eq!(summary.left_out, [LeftOut { path: "socket".into(), why: Why::Socket }]);
    unpacked(&bytes, &to, &faithful()).unwrap();
    assert_eq!(list(&to).len(), 3);
}

#[test]
fn root_mounts_are_refused_or_empty_or_entered() {
    if !is_root() {
        return;
    }
    let (_folder, from, _) = two();
    fs::create_dir_all(from.join("a/mounted/b")).unwrap();
    fs::write(from.join("a/z"), "after it").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            let tmpfs = DetachedMount::new(c"tmpfs", [], MountAttrFlags::empty()).unwrap();
            tmpfs.attach(File::open(from.join("a/mounted")).unwrap().as_fd()).unwrap();
            fs::create_dir(from.join("a/mounted/c")).unwrap();
            let names = |mounts| {
                let (bytes, _) = packed(&from, &Pack { mounts, ..Pack::default() });
                let (_folder, _, to) = two();
                unpacked(&bytes, &to, &faithful()).unwrap();
                list(&to).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(names(Mounts::Empty), ["", "a", "a/mounted", "a/z"]);
            assert_eq!(names(Mounts::Enter), ["", "a", "a/mounted", "a/mounted/c", "a/z"]);
            let only = [Path::new("a/mounted")];
            assert_eq!(names(Mounts::Only(&only)), ["", "a", "a/mounted", "a/mounted/c", "a/z"]);
            assert_eq!(names(Mounts::Only(&[Path::new("a")])), ["", "a", "a/mounted", "a/z"]);
            let error =
                pack(File::open(&from).unwrap().as_fd(), &[], Vec::new(), &Pack::default()).unwrap_err();
            assert_eq!(error.io().unwrap().raw_os_error(), Some(Errno::XDEV.raw_os_error()));
            assert!(error.to_string().ends_with(", a/mounted"), "{error}");
        });
    });
}

#[test]
fn root_any_depth_is_packed() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    let mut path = from.clone();
    // As deep as a path can be unpacked to.
    for _ in 0..1_000 {
        path.push("dir");
        fs::create_dir(&path).unwrap();
    }
    fs::write(path.join("f"), "deep").unwrap();
    let (bytes, _) = packed(&from, &Pack::default());
    unpacked(&bytes, &to, &faithful()).unwrap();
    same(&list(&from), &list(&to));
}

/// `/proc/kmsg` would keep whoever reads it.
#[test]
fn root_what_the_kernel_shows_of_itself_is_not_packed() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    fs::create_dir_all(from.join("proc")).unwrap();
    fs::write(from.join("z"), "after it").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            private_namespace().unwrap();
            let proc = DetachedMount::new(c"proc", [], MountAttrFlags::empty()).unwrap();
            proc.attach(File::open(from.join("proc")).unwrap().as_fd()).unwrap();
            let options = Pack { mounts: Mounts::Enter, ..Pack::default() };
            let (bytes, _) = packed(&from, &options);
            unpacked(&bytes, &to, &faithful()).unwrap();
            let folder = File::open(&from).unwrap();
            for path in ["proc", "proc/version"] {
                let error = pack(folder.as_fd(), &[Path::new(path)], Vec::new(), &options).unwrap_err();
                assert!(matches!(error, Error::Archive { problem: Problem::Kernel, .. }), "{path}: {error}");
            }
            let top = pack(File::open(from.join("proc")).unwrap().as_fd(), &[], Vec::new(), &options);
            assert!(matches!(top, Err(Error::Archive { problem: Problem::Kernel, .. })), "{top:?}");
        });
    });
    assert_eq!(list(&to).into_keys().collect::<Vec<_>>(), ["", "proc", "z"].map(PathBuf::from));
}

#[test]
fn root_one_thing_may_have_another_name_in_the_archive() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/file"), "text").unwrap();
    fs::hard_link(from.join("a/b/file"), from.join("a/b/same")).unwrap();
    let options = Pack { name: Some("other".as_ref()), ..Pack::default() };
    let mut bytes = Vec::new();
    pack(File::open(&from).unwrap().as_fd(), &[Path::new("a/b")], &mut bytes, &options).unwrap();
    unpacked(&bytes, &to, &faithful()).unwrap();
    let names = list(&to).into_keys().collect::<Vec<_>>();
    assert_eq!(names, ["", "other", "other/file", "other/same"].map(PathBuf::from));
    let (_folder, _, to) = two();
    let (bytes, _) = packed(&from, &options);
    unpacked(&bytes, &to, &faithful()).unwrap();
    let names = list(&to).into_keys().collect::<Vec<_>>();
    let expected = ["", "other", "other/a", "other/a/b", "other/a/b/file", "other/a/b/same"];
    assert_eq!(names, expected.map(PathBuf::from));
}
