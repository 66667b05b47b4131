use crate::testing::Bench;

#[test]
fn what_a_secret_holds_comes_from_a_file_or_from_the_input() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("key");
    std::fs::write(&file, "from a file").expect("a file");
    let file = file.to_str().expect("plain letters");
    for (bench, words, bytes) in [
        (Bench::new(), format!("--label a=b db {file}"), 11),
        (Bench::new().with_input(b"from the input"), "-l a=b db".to_owned(), 14),
        (Bench::new().with_input(b"from the input"), "-l a=b db -".to_owned(), 14),
    ] {
        let done = bench.run(&format!("secret create {words}"));
        assert_eq!((done.code, done.stdout.as_str()), (0, "db\n"), "{}", done.stderr);
        assert_eq!(bench.engine.calls(), [format!(r#"create_secret db {{"a": "b"}} {bytes}"#)]);
    }
    assert_eq!(Bench::new().run("secret create db /no/such/file").code, 1);
    assert_eq!(Bench::new().run("secret create").code, 2);
}

#[test]
fn a_list_is_for_people_for_programs_and_by_name() {
    let run = |line: &str| Bench::new().run(&format!("secret ls {line}")).stdout;
    assert!(run("").starts_with("NAME") && run("").contains("db"));
    assert_eq!(run("-q"), "db\nkey\n");
    assert_eq!(run("-q -f name=ke"), "key\n");
    assert_eq!(run("--format {{.Name}}={{.Containers}}"), "db=1\nkey=0\n");
    assert!(run("--format json").contains(r#""CreatedAt":"2023-11-14T22:13:20Z""#));
    assert_eq!(Bench::new().run("secret ls -f driver=x").code, 2);
    assert!(Bench::new().run("secret inspect db").stdout.contains(r#""Name": "db""#));
}

#[test]
fn forgetting_says_what_was_forgotten() {
    let bench = Bench::new();
    let done = bench.run("secret rm a none b");
    assert_eq!((done.code, done.stdout.as_str()), (1, "a\nb\n"));
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert_eq!(bench.run("secret rm -i a none").stdout, "a\nnone\n");
}
