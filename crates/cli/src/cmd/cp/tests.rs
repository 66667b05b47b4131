use super::local;
use super::pipe::piped;
use super::plan::{Kind, There};
use crate::testing::Bench;
use std::fs;
use std::os::unix::fs::symlink;

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
    assert_eq!(asked, ["stat c1 /srv false", "copy_in c1 /srv false something"]);
    assert_eq!(done.stderr, "tinyd: note: a remark\n");
    let (asked, done) = calls("cp -aq HERE c1:srv/missing");
    assert_eq!(asked, ["stat c1 srv/missing false", "stat c1 srv false", "copy_in c1 srv true something"]);
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
            "stat c2 /srv false"
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

/// The engine says of each name what it is; the file that the link leads to is replaced, not the link.
#[test]
fn a_link_inside_is_a_link_to_the_file_that_is_meant() {
    let bench = Bench::new();
    for (dest, folder) in
        [("/etc/link-file", "/srv"), ("/etc/link", "/etc/link"), ("/etc/link-missing", "/srv")]
    {
        let done = bench.run(&format!("cp /etc/passwd c1:{dest}"));
        assert_eq!(done.code, 0, "{dest}: {}", done.stderr);
        let last = bench.engine.calls().pop();
        assert_eq!(last, Some(format!("copy_in c1 {folder} false something")), "{dest}");
    }
    // What is copied is itself a link: it takes the place of the other.
    let place = tempfile::tempdir().expect("a folder");
    symlink("x", place.path().join("l")).expect("a link");
    assert_eq!(bench.run(&format!("cp {}/l c1:/etc/link-file", place.path().display())).code, 0);
    assert_eq!(bench.engine.calls().pop().as_deref(), Some("copy_in c1 /etc false something"));
    let refused = bench.run("cp /etc c1:/etc/link-file");
    assert!(refused.stderr.contains("cannot copy a folder over"), "{}", refused.stderr);
}

#[test]
fn a_link_here_leads_to_the_file_that_is_meant_and_may_lead_to_none_yet() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_str().expect("plain letters").to_owned();
    fs::create_dir(path("deep")).expect("a folder");
    fs::write(path("deep/real"), "").expect("write");
    for (link, target) in [
        ("link", "deep/real"),
        ("deep/back", "../link"),
        ("dangling", "deep/later"),
        ("folder", "deep"),
        ("round", "round"),
    ] {
        symlink(target, path(link)).expect("a link");
    }
    for (name, kind, leads) in [
        ("deep/real", Some(Kind::Other), "deep/real"),
        ("link", Some(Kind::Other), "deep/real"),
        ("deep/back", Some(Kind::Other), "deep/../deep/real"),
        ("dangling", None, "deep/later"),
        ("dangling/", None, "deep/later"),
        ("new", None, "new"),
        ("folder", Some(Kind::Folder), "folder"),
    ] {
        let there = local::there(&path(name)).expect(name);
        assert_eq!(there, There { kind, path: path(leads) }, "{name}");
    }
    assert!(local::there(&path("round")).is_err());
}

/// With -L it is the file that the link leads to, by the name of the link.
#[test]
fn a_link_that_is_followed_gives_its_name_to_what_is_copied() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_str().expect("plain letters").to_owned();
    fs::create_dir(path("into")).expect("a folder");
    fs::write(path("real"), "text").expect("write");
    symlink("real", path("link")).expect("a link");
    for follow in [true, false] {
        let copied = piped(
            None,
            |to| local::pack(&path("link"), follow, Some("link"), to),
            |from| local::unpack(&path("into"), false, from),
        );
        assert!(copied.is_ok(), "it was not copied");
        let there = fs::symlink_metadata(path("into/link")).expect("by the link's name");
        assert_eq!(there.is_symlink(), !follow);
        if follow {
            assert_eq!(fs::read_to_string(path("into/link")).expect("a file"), "text");
        }
    }
}
