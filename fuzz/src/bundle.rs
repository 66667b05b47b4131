//! A bundle's configuration: it may come from other engines, and from people. What is refused is refused in one clear line, before
//! anything is made.

use std::collections::HashSet;
use std::ffi::CString;

use tinyd_runtime::fuzzing::{Facts, line, plan, plan_of_another_engine, process};
use tinyd_runtime::{Failure, FailureKind};

/// The longest failure: parts of 512 characters, few of them.
const LONGEST: usize = 16_384;

/// Works a start out, as our engine's and as another one's, and takes the same text for a process of `exec --process`.
pub fn bundle(data: &[u8]) {
    let own = plan(data);
    assert_eq!(plan(data).as_ref().ok(), own.as_ref().ok(), "the same plan again");
    let foreign = plan_of_another_engine(data);
    assert_eq!(plan_of_another_engine(data).as_ref().ok(), foreign.as_ref().ok(), "the same plan again");
    for planned in [&own, &foreign] {
        match planned {
            Ok(facts) => hold(facts),
            Err(failure) => hold_failure(failure),
        }
    }
    if let Ok(foreign) = &foreign {
        assert!(foreign.ids.is_some(), "a note of ours is nobody else's");
        let parts = foreign.cgroup.split('/');
        assert!(
            !foreign.cgroup.is_empty() && parts.clone().all(|part| !matches!(part, "" | "." | "..")),
            "a group of its own"
        );
    }
    match process(data) {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| assert!(warning.contains("process."), "{warning}"))
        }
        Err(failure) => hold_failure(&failure),
    }
}

fn hold(facts: &Facts) {
    if let Some((uid, gid, groups)) = &facts.ids {
        assert!(
            [uid, gid].into_iter().chain(groups).all(|id| *id != u32::MAX),
            "to the kernel -1 is \"unchanged\""
        );
    }
    assert!(facts.filter.is_none_or(|instructions| (1..=4096).contains(&instructions)));
    assert!(facts.targets.iter().chain(&facts.strays).all(|target| target.to_bytes().starts_with(b"/")));
    assert!(facts.targets.len() + facts.strays.len() <= 200, "more do not fit through the socket");
    for list in [&facts.masked, &facts.read_only] {
        assert_eq!(list.iter().collect::<HashSet<_>>().len(), list.len(), "each once");
    }
    let masked: HashSet<&CString> = facts.masked.iter().collect();
    assert!(
        facts.read_only.iter().all(|path| !masked.contains(path)),
        "what is hidden needs no more protection"
    );
    for file in &facts.sysctls {
        let path = file.to_str().expect("ASCII");
        assert!(!path.starts_with('/'), "{path}");
        assert!(path.split('/').all(|part| part != ".."), "{path}");
    }
    assert!(!facts.candidates.is_empty(), "a program may be somewhere");
}

fn hold_failure(failure: &Failure) {
    let text = line(failure);
    assert!(!text.is_empty() && text.len() <= LONGEST, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(!text.contains("SeccompOnly"), "a name of ours: {text}");
    let kinds = [FailureKind::Invalid, FailureKind::CommandNotFound, FailureKind::Unsupported];
    assert!(kinds.contains(&failure.kind), "{:?}: {text}", failure.kind);
}
