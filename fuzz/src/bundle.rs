//! A bundle's configuration: it may come from other engines, and from people.

use tinyd_runtime::fuzzing::plan;

/// Works a start out.
pub fn bundle(data: &[u8]) {
    let Ok(facts) = plan(data) else { return };
    assert_eq!(plan(data).as_ref().ok(), Some(&facts), "the same plan again");
    if let Some((uid, gid, groups)) = &facts.ids {
        assert!(
            [uid, gid].into_iter().chain(groups).all(|id| *id != u32::MAX),
            "to the kernel -1 is \"unchanged\""
        );
    }
    assert!(facts.filter.is_none_or(|instructions| (1..=4096).contains(&instructions)));
    assert!(facts.targets.iter().all(|target| target.to_bytes().starts_with(b"/")));
    assert!(facts.targets.len() <= 200, "more do not fit through the socket");
    for file in &facts.sysctls {
        let path = file.to_str().expect("ASCII");
        assert!(path.starts_with("sys/"), "{path}");
        assert!(path.split('/').all(|part| part != ".."), "{path}");
    }
    assert!(!facts.candidates.is_empty(), "a program may be somewhere");
}
