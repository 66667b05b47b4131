use crate::testing::Bench;
use std::fs;

#[test]
fn sides_are_told_by_their_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_str().expect("a path").to_owned();
    fs::write(folder.path().join("f"), "text").expect("write");
    let calls = |line: &str| {
        let bench = Bench::new().with_input(b"an archive");
        let done = bench.run(&line.replace("HERE", &here));
        assert_eq!(done.code, 0, "{line}: {}", done.stderr);
        (bench.engine.calls(), done)
    };
    let (asked, done) = calls("cp HERE/f c1:/srv");
    assert_eq!(asked, ["stat c1 /srv true", "copy_in c1 /srv false something"]);
    assert_eq!(done.stderr, "tinyd: note: a remark\n");
    let (asked, done) = calls("cp -aq HERE c1:srv/missing");
    assert_eq!(asked, ["stat c1 srv/missing true", "stat c1 srv true", "copy_in c1 srv true something"]);
    assert_eq!(done.stderr, "");
    let (asked, _) = calls("cp - c1:/srv");
    assert_eq!(asked, ["copy_in c1 /srv true something"]);
    let (asked, done) = calls("cp c1:/etc/. -");
    assert_eq!(asked, ["copy_out c1 /etc/. false None"]);
    assert_eq!(done.stdout, "archive");
    let (mut asked, _) = calls("cp -L c1:/file c2:/srv");
    // The two sides work at the same time.
    asked.sort();
    assert_eq!(
        asked,
        [
            "copy_in c2 /srv false something",
            "copy_out c1 /file true Some(\"file\")",
            "stat c1 /file true",
            "stat c2 /srv true"
        ]
    );
}

#[test]
fn what_cannot_be_copied_is_refused_before() {
    for (line, code, said) in [
        ("cp /a /b", 2, "neither side is in a container"),
        ("cp - -", 2, "neither side is in a container"),
        ("cp ./c1:/a /b", 2, "neither side is in a container"),
        ("cp c1: /b", 2, "needs a container and a path"),
        ("cp c1:/a", 2, "required arguments were not provided"),
        ("cp c1:/missing /tmp", 1, "there is no c1:/missing"),
        ("cp /nowhere/at/all c1:/srv", 1, "there is no /nowhere/at/all"),
        ("cp /etc c1:/file", 1, "cannot copy a folder over"),
        ("cp /etc/passwd c1:/missing/", 1, "there is no folder"),
        ("cp none:/a /tmp", 1, "no container 'none'"),
    ] {
        let bench = Bench::new();
        let done = bench.run(line);
        assert_eq!(done.code, code, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(said), "{line}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{line}: {}", done.stderr);
        let asked = bench.engine.calls();
        assert!(asked.iter().all(|call| call.starts_with("stat ")), "{line}: {asked:?}");
    }
}

/// What the container's side says is told, not that the archive then was none.
#[test]
fn the_failure_that_came_first_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_str().expect("a path");
    let bench = Bench::new();
    // The scripted engine writes no archive.
    let done = bench.run(&format!("cp c1:/etc {here}"));
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.starts_with(&format!("tinyd: write to {here}: archive, at byte 7")),
        "{}",
        done.stderr
    );
}
