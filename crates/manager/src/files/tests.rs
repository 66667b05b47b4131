use super::path::Wanted;
use super::*;
use tinyd_fs::copy::Owner;

#[test]
fn pure_paths_are_those_of_the_inside() {
    let parsed = |text: &str| {
        let wanted = Wanted::parse(text).unwrap();
        (wanted.path.to_str().unwrap().to_owned(), wanted.folder, wanted.contents)
    };
    for (text, path, folder, contents) in [
        ("/etc/passwd", "/etc/passwd", false, false),
        ("etc//passwd", "/etc/passwd", false, false),
        ("/etc/", "/etc", true, false),
        ("/etc/.", "/etc", true, true),
        ("/", "/", true, false),
        (".", "/", true, true),
        ("/../../etc/./x/..", "/etc", false, false),
        ("/a/..b", "/a/..b", false, false),
    ] {
        assert_eq!(parsed(text), (path.to_owned(), folder, contents), "{text}");
    }
    assert!(Wanted::parse("").is_err());
}

#[test]
fn pure_owners_have_other_numbers_outside() {
    let owner = |uid, gid| Owner { uid, gid };
    assert_eq!(Owners::SAME.inside(owner(0, 70_000)), owner(0, 70_000));
    let (_place, store) = crate::testing::store();
    let record = crate::testing::record_with(&store, |record| record.slot = Some(2));
    let owners = Owners::of_processes(&record);
    let base = crate::ids::base(2);
    assert_eq!(owners.root(), Some(base));
    assert_eq!(owners.seen(owner(0, 33)), owner(base, base + 33));
    assert_eq!(owners.inside(owner(base, base + 33)), owner(0, 33));
    // Who has no number there is nobody, on both sides.
    assert_eq!(owners.inside(owner(0, base + crate::ids::RANGE)), owner(65534, 65534));
    assert_eq!(owners.seen(owner(4_000_000, 1)), owner(base + 65534, base + 1));
}
