use super::build::{archive, entries, entry, extended, file, folder, hard_link, symlink};
use super::*;
use crate::archive::header::kind;
use crate::listing::{Facts, list};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

/// A root to unpack into, beside a folder that must stay as it is.
pub(super) struct Scene {
    folder: tempfile::TempDir,
    before: BTreeMap<PathBuf, Facts>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root")).unwrap();
        fs::create_dir_all(folder.path().join("decoy/etc")).unwrap();
        fs::write(folder.path().join("decoy/etc/passwd"), "the host's").unwrap();
        let before = list(&folder.path().join("decoy"));
        Self { folder, before }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn decoy(&self) -> String {
        self.folder.path().join("decoy").to_str().unwrap().to_owned()
    }

    /// Unpacks, whatever comes of it, and looks at the decoy.
    pub(super) fn unpack(&self, bytes: &[u8], options: &Unpack<'_>) -> Result<Summary> {
        let result = unpacked(bytes, &self.root(), options);
        assert_eq!(list(&self.folder.path().join("decoy")), self.before, "the decoy was changed");
        let entries = fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(entries, 2, "something was made beside the root");
        result
    }
}

#[test]
fn root_links_that_are_planted_lead_nowhere_outside() {
    if !is_root() {
        return;
    }
    let all = [Existing::Refuse, Existing::Replace, Existing::ReplaceFolders];
    for existing in all {
        let options = Unpack { existing, ..faithful() };
        for up in ["../decoy", "../../../../../../../..", "/", "/proc/self/root", "/proc/self/cwd"] {
            let scene = Scene::new();
            let decoy = scene.decoy();
            for target in [up, &decoy] {
                // Through it; in its place; as a folder's; a link to a link; by a hard link to it.
                let _ =
                    scene.unpack(&entries(&[symlink("a", target), file("a/etc/passwd", "mine")]), &options);
                let _ = scene.unpack(&entries(&[symlink("b", target), file("b", "mine")]), &options);
                let _ = scene.unpack(
                    &entries(&[symlink("c", target), folder("c"), file("c/etc/x", "mine")]),
                    &options,
                );
                let _ = scene.unpack(
                    &entries(&[symlink("d", target), symlink("e", "d"), file("e/etc/passwd", "mine")]),
                    &options,
                );
                let _ = scene.unpack(
                    &entries(&[symlink("f", target), hard_link("g", "f"), file("g/etc/passwd", "mine")]),
                    &options,
                );
                let _ = scene.unpack(
                    &entries(&[folder("h"), symlink("h", target), file("h/etc/x", "mine")]),
                    &options,
                );
                let _ = scene.unpack(&entries(&[folder("i/"), symlink("i/.", target)]), &options);
                let _ = scene.unpack(&entries(&[symlink(".", target), file("etc/passwd", "mine")]), &options);
                let _ =
                    scene.unpack(&entries(&[symlink("j", target), hard_link("k", "j/etc/passwd")]), &options);
            }
            let host = fs::metadata(Path::new(&decoy).join("etc/passwd")).unwrap();
            assert_eq!(host.nlink(), 1, "a hard link to a file outside was made");
        }
    }
}

#[test]
fn root_a_link_is_followed_below_the_root() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let bytes =
        entries(&[folder("run"), folder("var"), symlink("var/run", "/run"), file("var/run/pid", "1")]);
    scene.unpack(&bytes, &faithful()).unwrap();
    assert_eq!(fs::read(scene.root().join("run/pid")).unwrap(), b"1");
    // A file is put in a link's place, not through it.
    let bytes = entries(&[file("real", "kept"), symlink("name", "real"), file("name", "new")]);
    scene.unpack(&bytes, &faithful()).unwrap();
    assert_eq!(fs::read(scene.root().join("real")).unwrap(), b"kept");
    assert_eq!(fs::read(scene.root().join("name")).unwrap(), b"new");
}

#[test]
fn root_names_that_lead_elsewhere_are_refused() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    for name in ["../decoy/x", "a/../../decoy/x", "..", "a/..", "/../x"] {
        let problem = problem(scene.unpack(&entries(&[file(name, "mine")]), &faithful()));
        assert!(matches!(problem, Problem::Name(_)), "{name}: {problem}");
        let bytes = entries(&[hard_link("x", &format!("{name}/passwd"))]);
        assert!(matches!(super::problem(scene.unpack(&bytes, &faithful())), Problem::Name(_)), "{name}");
    }
    // An absolute one begins at the root.
    let absolute = format!("{}/etc/passwd", scene.decoy());
    let bytes = archive(&[extended(kind::PAX, &[("path", absolute.as_bytes())]), file("x", "mine").bytes()]);
    scene.unpack(&bytes, &faithful()).unwrap();
    assert_eq!(fs::read(scene.root().join(&absolute[1..])).unwrap(), b"mine");
    let bytes = entries(&[hard_link("hard", "/etc/shadow")]);
    let error = scene.unpack(&bytes, &faithful()).unwrap_err();
    assert_eq!(error.io().unwrap().kind(), std::io::ErrorKind::NotFound);
    for path in [&b"a\0b"[..], b"", &[b'x'; 5000], &[b"d/".repeat(3000), b"f".to_vec()].concat()] {
        let bytes = archive(&[extended(kind::PAX, &[("path", path)]), file("", "mine").bytes()]);
        let error = scene.unpack(&bytes, &faithful()).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    let bytes = archive(&[extended(kind::PAX, &[("linkpath", b"a\0b")]), symlink("x", "").bytes()]);
    assert!(matches!(problem(scene.unpack(&bytes, &faithful())), Problem::Name(_)));
}

#[test]
fn root_what_is_in_the_way_is_replaced_only_as_allowed() {
    if !is_root() {
        return;
    }
    let cases: [(&str, Vec<u8>); 3] = [
        ("a folder", entries(&[folder("a"), file("a/f", "x"), symlink("a", "b")])),
        ("a file", entries(&[file("a", "x"), folder("a"), file("a/f", "x")])),
        ("a link", entries(&[folder("b"), symlink("a", "b"), folder("a"), file("a/f", "x")])),
    ];
    for (what, bytes) in &cases {
        let scene = Scene::new();
        match problem(scene.unpack(bytes, &faithful())) {
            Problem::InTheWay { there } => assert_eq!(there, *what),
            other => panic!("{what}: {other}"),
        }
        let scene = Scene::new();
        let error = scene.unpack(bytes, &Unpack { existing: Existing::Refuse, ..faithful() }).unwrap_err();
        assert_eq!(error.io().unwrap().kind(), std::io::ErrorKind::AlreadyExists, "{what}");
        let scene = Scene::new();
        scene.unpack(bytes, &Unpack { existing: Existing::ReplaceFolders, ..faithful() }).unwrap();
        if *what == "a link" {
            assert_eq!(
                fs::read_dir(scene.root().join("b")).unwrap().count(),
                0,
                "written through a replaced link"
            );
        }
    }
    // Duplicates: the last one counts, also where the first was linked to.
    let scene = Scene::new();
    let bytes = entries(&[file("a", "first"), hard_link("b", "a"), file("a", "second"), hard_link("b", "b")]);
    scene.unpack(&bytes, &faithful()).unwrap();
    assert_eq!(fs::read(scene.root().join("a")).unwrap(), b"second");
    assert_eq!(fs::read(scene.root().join("b")).unwrap(), b"first");
    // A folder's attributes are not given to what came in its place.
    let scene = Scene::new();
    let mut closed = folder("a");
    closed.mode = 0o4000;
    let bytes = entries(&[closed, file("a", "x")]);
    scene.unpack(&bytes, &Unpack { existing: Existing::ReplaceFolders, ..faithful() }).unwrap();
    assert_eq!(fs::metadata(scene.root().join("a")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn root_what_readers_would_not_agree_on_is_refused() {
    if !is_root() {
        return;
    }
    let pax = |records: &[(&str, &[u8])]| extended(kind::PAX, records);
    let long = |kind, name: &str| {
        let mut long = entry(kind, "././@LongLink");
        long.data = name.as_bytes();
        long.bytes()
    };
    let plain = || file("x", "data").bytes();
    let smuggled = file("smuggled", "").bytes();
    let with = |kind, data: &[u8]| {
        let mut entry = entry(kind, "x");
        entry.data = data;
        entry.bytes()
    };
    let ambiguous = [
        [pax(&[("path", b"a")]), pax(&[("path", b"b")]), plain()].concat(),
        [pax(&[("path", b"a")]), long(kind::GNU_NAME, "b"), plain()].concat(),
        [long(kind::GNU_NAME, "a"), long(kind::GNU_NAME, "b"), plain()].concat(),
        with(kind::FOLDER, &smuggled),
        with(kind::SYMLINK, &smuggled),
        with(kind::HARD_LINK, &smuggled),
        with(kind::FIFO, &smuggled),
        [pax(&[("size", b"512")]), folder("x").bytes(), smuggled.clone()].concat(),
        pax(&[("path", b"a")]),
    ];
    for bytes in ambiguous {
        let scene = Scene::new();
        let problem = problem(scene.unpack(&archive(&[bytes]), &faithful()));
        assert!(matches!(problem, Problem::Ambiguous(_)), "{problem:?}");
        assert!(!scene.root().join("smuggled").exists());
    }
    // A size that the extended header has counts, also where names stand between it and the entry: what looks like a header
    // in the contents is none (the desync of CVE-2025-62518).
    let scene = Scene::new();
    let mut lying = file("x", "");
    let size = smuggled.len().to_string();
    lying.size = Some(0);
    let bytes = [
        pax(&[("size", size.as_bytes())]),
        long(kind::GNU_NAME, "long"),
        lying.bytes(),
        smuggled.clone(),
        file("last", "").bytes(),
    ];
    scene.unpack(&archive(&bytes), &faithful()).unwrap();
    assert_eq!(fs::read(scene.root().join("long")).unwrap(), smuggled);
    assert!(!scene.root().join("smuggled").exists() && scene.root().join("last").exists());
    type Expected = fn(&Problem) -> bool;
    let refused: [(Vec<u8>, Expected); 11] = [
        (archive(&[extended(kind::PAX_GLOBAL, &[("path", b"a")]), plain()]), |p| {
            matches!(p, Problem::Global(_))
        }),
        (archive(&[with(kind::PAX, b"7 a=b\n"), plain()]), |p| matches!(p, Problem::Extension { .. })),
        (archive(&[pax(&[("size", b"-1")]), plain()]), |p| matches!(p, Problem::Number("size"))),
        (archive(&[pax(&[("uid", b"4294967296")]), plain()]), |p| matches!(p, Problem::Number("user"))),
        (archive(&[pax(&[("mtime", b"now")]), plain()]), |p| matches!(p, Problem::Number("time"))),
        (archive(&[with(b'M', b"")]), |p| matches!(p, Problem::Kind(b'M'))),
        (archive(&[with(b'X', b"6 a=b\n")]), |p| matches!(p, Problem::Kind(b'X'))),
        ([archive(&[plain()]), archive(&[plain()])].concat(), |p| matches!(p, Problem::Trailing)),
        ([archive(&[plain()]), b"x".repeat(512)].concat(), |p| matches!(p, Problem::Trailing)),
        (b"no archive at all\n".repeat(100), |p| matches!(p, Problem::Checksum)),
        (b"\xfd7zXZ\0".repeat(100), |p| matches!(p, Problem::Compression("xz"))),
    ];
    for (number, (bytes, expected)) in refused.iter().enumerate() {
        let problem = problem(Scene::new().unpack(bytes, &faithful()));
        assert!(expected(&problem), "{number}: {problem:?}");
    }
    // Nobody is user -1: to the kernel, that is whoever has it now.
    let bytes = archive(&[pax(&[("uid", b"4294967295")]), plain()]);
    assert!(Scene::new().unpack(&bytes, &faithful()).is_err());
}

#[test]
fn root_overlay_attributes_are_never_taken() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let records: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.security.selinux", b"system_u:object_r:shadow_t:s0"),
        ("SCHILY.xattr.user.mine", b"kept"),
    ];
    let bytes = archive(&[extended(kind::PAX, &records), folder("a").bytes()]);
    let summary = scene.unpack(&bytes, &faithful()).unwrap();
    assert_eq!(summary.left_out_count, 3);
    let facts = &list(&scene.root())[Path::new("a")];
    assert_eq!(facts.xattrs.keys().collect::<Vec<_>>(), ["user.mine"]);
}

#[test]
fn root_bombs_end_at_the_limits() {
    if !is_root() {
        return;
    }
    let mut bomb = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let mut large = file("zeros", "");
    large.size = Some(256 << 20);
    std::io::Write::write_all(&mut bomb, &large.bytes()).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 256 << 20), &mut bomb).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let limits = Limits { bytes: 1 << 20, entries: 10 };
    let scene = Scene::new();
    let options = Unpack { limits, ..faithful() };
    assert!(matches!(
        problem(scene.unpack(&bomb, &options)),
        Problem::Limit { what: "bytes", most: 1_048_576 }
    ));
    assert!(fs::metadata(scene.root().join("zeros")).unwrap().len() <= 1 << 20);
    let many: Vec<_> = (0..11).map(|number| file(&format!("{number}"), "").bytes()).collect();
    assert!(matches!(
        problem(scene.unpack(&archive(&many), &options)),
        Problem::Limit { what: "entries", .. }
    ));
    scene.unpack(&archive(&many[..10]), &options).unwrap();
    // Zeros behind the end are read, and counted.
    let padded = [archive(&many[..1]), vec![0; 2 << 20]].concat();
    assert!(matches!(problem(scene.unpack(&padded, &options)), Problem::Limit { what: "bytes", .. }));
    // What says that its names are gigabytes long is not believed.
    let mut long = entry(kind::GNU_NAME, "x");
    long.size = Some(7 << 30);
    assert!(matches!(problem(scene.unpack(&long.bytes(), &faithful())), Problem::Extension { .. }));
}
