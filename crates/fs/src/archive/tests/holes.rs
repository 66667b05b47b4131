//! Maps of holes by those who mean ill.

use super::build::{archive, extended, file};
use super::hostile::Scene;
use super::*;
use crate::archive::header::kind;

#[test]
fn root_maps_of_holes_that_lie_are_refused() {
    if !is_root() {
        return;
    }
    let sparse = |records: &[(&str, &[u8])], data: &'static str| {
        let scene = Scene::new();
        let bytes = archive(&[extended(kind::PAX, records), file("GNUSparseFile.0/x", data).bytes()]);
        let result = scene.unpack(&bytes, &faithful());
        result.map(|_| fs::read(scene.root().join("x")).unwrap())
    };
    let one = |map: &'static str| -> [(&str, &[u8]); 3] {
        [("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", b"10"), ("GNU.sparse.name", b"x")]
    };
    assert_eq!(sparse(&one("2,4"), "data").unwrap(), b"\0\0data\0\0\0\0");
    for map in ["2,3", "2,5", "8,4", "4,2,2,2", "18446744073709551615,4", "2", "2,", "2,4,a,0", "-2,4"] {
        let result = sparse(&one(map), "data");
        assert!(matches!(result, Err(Error::Archive { problem: Problem::Sparse, .. })), "{map}: {result:?}");
    }
    let leading = |data: &'static str, size: &'static str| {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"x"),
            ("GNU.sparse.realsize", size.as_bytes()),
        ];
        let scene = Scene::new();
        let mut whole = data.as_bytes().to_vec();
        whole.resize(512, 0);
        whole.extend_from_slice(b"data");
        let mut entry = file("GNUSparseFile.0/x", "");
        entry.data = &whole;
        let bytes = archive(&[extended(kind::PAX, &records), entry.bytes()]);
        scene.unpack(&bytes, &faithful()).map(|_| fs::read(scene.root().join("x")).unwrap())
    };
    assert_eq!(leading("1\n2\n4\n", "10").unwrap(), b"\0\0data\0\0\0\0");
    for (data, size) in [
        ("1\n2\n3\n", "10"),
        ("1\n8\n4\n", "10"),
        ("\n2\n4\n", "10"),
        ("9\n2\n4\n", "10"),
        ("99999999999999999999\n", "10"),
        ("1\n2\n4\n", "9223372036854775808"),
        ("x\n", "10"),
    ] {
        assert!(leading(data, size).is_err(), "{data:?}, {size}");
    }
    // Half of what a version needs.
    for records in
        [&[("GNU.sparse.major", &b"1"[..])][..], &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")]]
    {
        assert!(sparse(records, "data").is_err());
    }
    assert!(sparse(&[("GNU.sparse.offset", b"1"), ("GNU.sparse.offset", b"1")], "data").is_err());
}
