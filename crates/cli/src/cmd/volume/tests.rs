use crate::testing::Bench;

#[test]
fn every_option_of_a_new_volume_arrives() {
    let bench = Bench::new();
    let done = bench.run("volume create -d local -o a=b --opt c=d=e --label x=y --label z --size 1m data");
    assert_eq!((done.code, done.stdout.as_str()), (0, "data\n"), "{}", done.stderr);
    let calls = bench.engine.calls();
    for part in
        [r#"Some("data")"#, r#"Some("local")"#, "Some(1048576)", r#""c": "d=e""#, r#""x": "y", "z": """#]
    {
        assert!(calls[0].contains(part), "{part}: {}", calls[0]);
    }
    for (line, part) in [
        ("-o a data", "--opt"),
        ("--label =x data", "--label"),
        ("--size much data", "--size"),
        ("a b", "'b'"),
    ] {
        let bench = Bench::new();
        let done = bench.run(&format!("volume create {line}"));
        assert_eq!((done.code, done.stderr.lines().count()), (2, 1), "{line}: {}", done.stderr);
        assert!(done.stderr.contains(part) && bench.engine.calls().is_empty(), "{line}: {}", done.stderr);
    }
}

#[test]
fn a_list_is_for_people_for_programs_and_by_filter() {
    let run = |line: &str| Bench::new().run(&format!("volume ls {line}")).stdout;
    let table = run("");
    assert!(
        table.starts_with("DRIVER") && table.contains("VOLUME NAME") && table.contains("data"),
        "{table}"
    );
    assert_eq!(run("-q"), "data\nidle\n");
    assert_eq!(run("-q --filter dangling=true"), "idle\n");
    assert_eq!(run("-q --filter dangling=false"), "data\n");
    assert_eq!(run("-q -f driver=btrfs -f driver=local -f name=da"), "data\n");
    assert_eq!(run("-q -f label=stage"), "data\n");
    assert_eq!(run("-q -f label=stage=live"), "");
    assert!(run("--format json").contains(r#""CreatedAt":"2023-11-14T22:13:20Z""#));
    assert_eq!(run("--format {{.Name}}={{.Containers}}"), "data=2\nidle=0\n");
    assert_eq!(Bench::new().run("volume ls --filter size=1").code, 2);
}

#[test]
fn what_volumes_take_is_for_people_and_in_bytes_for_programs() {
    let run = |line: &str| Bench::new().run(&format!("volume df {line}")).stdout;
    let table = run("");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1..], [["data", "local", "3.00MiB", "64.0MiB", "1"], ["far", "remote", "-", "-", "1"]]);
    assert_eq!(run("-q"), "data\nfar\n");
    assert!(
        run("--format json").contains(r#""Limit":67108864"#)
            && run("--format json").contains(r#""Size":null"#)
    );
    assert_eq!(run("--format {{.Name}}={{.Size}}").lines().next(), Some("data=3145728"));
}

#[test]
fn removing_says_what_was_removed() {
    let bench = Bench::new();
    let done = bench.run("volume rm a none b");
    assert_eq!((done.code, done.stdout.as_str()), (1, "a\nb\n"));
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    let done = bench.run("volume remove -f a none");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "a\nnone\n", ""));
    assert_eq!(bench.run("volume rm").code, 2);
}

#[test]
fn what_nobody_can_be_asked_about_is_not_pruned() {
    let bench = Bench::new();
    let done = bench.run("volume prune");
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains("--force") && bench.engine.calls().is_empty(), "{}", done.stderr);
    assert_eq!(bench.run("volume prune --force").stdout, "a\nb\n");
    assert_eq!(bench.run("volume prune -af").code, 0);
    assert_eq!(bench.engine.calls(), ["prune_volumes false", "prune_volumes true"]);
}

#[test]
fn an_archive_goes_to_a_file_that_is_whole_or_not_there() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_str().expect("plain letters").to_owned();
    for (name, how) in [("a.tar", "None"), ("a.tar.gz", "Gzip"), ("a.tgz", "Gzip"), ("a.tar.zst", "Zstd")] {
        let bench = Bench::new();
        let done = bench.run(&format!("volume export data -o {}", path(name)));
        assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
        assert!(done.stderr.contains("a remark"));
        assert_eq!(bench.engine.calls(), [format!("export_volume data {how} None")]);
        assert_eq!(std::fs::read_to_string(path(name)).expect("a file"), "archive");
    }
    let bench = Bench::new();
    assert_eq!(bench.run(&format!("volume export none -o {}", path("b"))).code, 1);
    assert_eq!(bench.run(&format!("volume export data -o {}", path("no/such"))).code, 1);
    assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), 4, "nothing is left beside");
    let bench = Bench::new();
    let done = bench.run(&format!("volume export --freeze data -o {}", path("frozen.tar")));
    assert_eq!(
        (done.code, bench.engine.calls()),
        (0, vec!["export_volume data None None frozen".to_owned()])
    );
    assert_eq!(std::fs::read_to_string(path("frozen.tar")).expect("a file"), "archive");
    let done = Bench::new().run("volume export --compress gzip --snapshot first data");
    assert_eq!((done.code, done.stdout.as_str()), (0, "archive"));
    assert_eq!(Bench::new().run("volume export --compress lzma data").code, 2);
}

#[test]
fn an_archive_comes_from_a_file_or_from_the_input() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("a.tar");
    std::fs::write(&file, "from a file").expect("a file");
    let file = file.to_str().expect("plain letters");
    for (bench, words, text) in [
        (Bench::new(), format!("-d btrfs data {file}"), "from a file"),
        (Bench::new().with_input(b"from the input"), "-d btrfs data".to_owned(), "from the input"),
        (Bench::new().with_input(b"from the input"), "-d btrfs data -".to_owned(), "from the input"),
    ] {
        let done = bench.run(&format!("volume import {words}"));
        assert_eq!((done.code, done.stdout.as_str()), (0, "data\n"), "{}", done.stderr);
        assert_eq!(bench.engine.calls(), [format!(r#"import_volume Some("data") Some("btrfs") "{text}""#)]);
    }
    assert_eq!(Bench::new().run("volume import data /no/such/file").code, 1);
}

#[test]
fn states_are_kept_shown_gone_back_to_and_forgotten() {
    let bench = Bench::new();
    let run = |line: &str| {
        let done = bench.run(&format!("volume {line}"));
        (done.code, done.stdout)
    };
    assert_eq!(run("clone data copy"), (0, "copy\n".to_owned()));
    assert_eq!(run("snapshot create data first"), (0, "first\n".to_owned()));
    assert_eq!(run("snapshot create data"), (0, "now\n".to_owned()));
    assert_eq!(run("snapshot ls -q data"), (0, "first\nsecond\n".to_owned()));
    assert!(run("snapshot ls data").1.starts_with("SNAPSHOT"));
    assert!(run("snapshot ls --format json data").1.contains(r#""CreatedAt":"2023-11-14T22:13:20Z""#));
    assert_eq!(run("snapshot rm data first none second"), (1, "first\nsecond\n".to_owned()));
    assert_eq!(run("rollback data first"), (0, "data\n".to_owned()));
    assert_eq!(run("rollback data"), (2, String::new()));
    assert_eq!(bench.engine.calls().last().map(String::as_str), Some("rollback_volume data first"));
}
