use super::*;
use crate::testing::Bench;
use std::time::{Duration, SystemTime};

fn headings(words: &str) -> Result<String, String> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    ps::columns(&words).map(|columns| columns.iter().map(|one| one.heading).collect::<Vec<_>>().join(" "))
}

#[test]
fn columns_are_those_of_ps() {
    let full = Ok("UID PID PPID C STIME TTY TIME CMD".to_owned());
    for words in ["", "-ef", "-f", "ax"] {
        assert_eq!(headings(words), full, "{words}");
    }
    assert_eq!(headings("aux"), Ok("USER PID %CPU VSZ RSS TTY STAT STIME TIME CMD".to_owned()));
    for words in
        ["-o pid,user,comm", "-opid,user,comm", "-eo pid,user,comm", "-o=pid,user -o comm", "pid,user COMM"]
    {
        assert_eq!(headings(words), Ok("PID USER COMMAND".to_owned()), "{words}");
    }
    assert!(
        headings("-o pid,nosuch")
            .expect_err("no such column")
            .starts_with("there is no column \"nosuch\"; there are uid ")
    );
    assert!(headings("-o").expect_err("none").contains("names no column"));
    assert!(headings("-o ,").expect_err("none").contains("no column is named"));
    for bad in ["-z", "--sort=pid", "-", "-of"] {
        assert!(headings(bad).is_err(), "{bad}");
    }
}

fn process() -> Process {
    Process {
        pid: 4711,
        inner_pid: 1,
        parent: 4700,
        uid: 0,
        host_uid: 268_435_456,
        state: 'S',
        name: "a)\n\x1b[31m".to_owned(),
        arguments: vec!["sh".to_owned(), "\x1b]0;owned\x07\n0 1 fake\t\u{9b}".to_owned()],
        cut: true,
        terminal: None,
        started: SystemTime::now() - Duration::from_secs(100),
        age_ns: 100_000_000_000,
        cpu_ns: 90_061_000_000_000,
        nice: -5,
        threads: 3,
        virtual_bytes: 2048,
        resident_bytes: 1024,
    }
}

#[test]
fn a_terminal_obeys_no_process() {
    let mut none = process();
    none.arguments.clear();
    for (format, lines) in
        [("table", 3), ("{{.comm}} {{.args}}", 2), ("table {{.pid}} {{.args}}", 3), ("json", 2)]
    {
        let format = ListFormat::parse(format).expect("a format");
        let columns = ps::columns(&[]).expect("columns");
        let text = shown(&format, &columns, &[process(), none.clone()]).expect("text");
        assert!(
            text.chars().all(|letter| !letter.is_control() || letter == '\n' || letter == '\u{9b}'),
            "{text:?}"
        );
        assert_eq!(text.lines().count(), lines, "{text}");
        assert!(matches!(format, ListFormat::Json) || !text.contains('\u{9b}'), "{text:?}");
    }
    let row = text(&(columns::find("cmd").expect("cmd").value)(&process()));
    assert!(row.ends_with('…'));
    assert_eq!(text(&(columns::find("args").expect("args").value)(&none)), "[a)\n\x1b[31m]");
    assert_eq!(text(&(columns::find("time").expect("time").value)(&process())), "1-01:01:01");
    assert_eq!(text(&(columns::find("c").expect("c").value)(&process())), "90061");
}

#[test]
fn it_is_asked_for_the_container_and_bad_columns_before_that() {
    let bench = Bench::new();
    let done = bench.run("top c1 -o pid,comm");
    assert_eq!((done.code, bench.engine.calls()), (0, vec!["top c1".to_owned()]));
    assert_eq!(done.stdout, "PID   COMMAND\n");
    let bench = Bench::new();
    let done = bench.run("top c1 -o nosuch");
    assert_eq!((done.code, bench.engine.calls()), (2, Vec::<String>::new()), "{}", done.stderr);
    assert_eq!(Bench::new().run("top").code, 2);
}
