//! `ps`: its columns, its words, its forms for programs, its filters.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// The cells of a table, cut where its headings begin.
fn table(text: &str) -> Vec<Vec<String>> {
    let heading = text.lines().next().unwrap();
    let names = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "VOLUME", "NAMES"];
    let at: Vec<usize> = names.iter().map(|name| heading.find(name).unwrap()).collect();
    assert!(at.is_sorted(), "{heading}");
    let cell = |line: &str, number: usize| {
        let letters: String = line.chars().skip(at[number]).collect();
        let end = at.get(number + 1).map_or(usize::MAX, |next| next - at[number]);
        letters.chars().take(end).collect::<String>().trim_end().to_owned()
    };
    text.lines().map(|line| (0..names.len()).map(|number| cell(line, number)).collect()).collect()
}

fn state(env: &Env, name: &str) -> String {
    env.tinyd(["inspect", "-f", "{{.State.Status}}", name]).ok().text()
}

#[test]
fn the_columns_are_the_seeds() {
    require!(root);
    let env = Env::new();
    let image = image();
    let heading = "CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   VOLUME   NAMES\n";
    assert_eq!(env.tinyd(["ps"]).ok().stdout(), heading, "the headings are there without any container");
    let bind = format!("{}:/data", env.files().display());
    let clock = || env.other(["date", "+%H:%M"]).output().ok().text();
    let before = clock();
    let with = ["run", "-d", "--name", "with", "-v", &bind, &image, "/bin/sleep", "3000"];
    let with = env.tinyd(with).ok().text();
    let without = env.tinyd(["run", "-d", &image, "sh", "-c", "sleep  300"]).ok().text();
    let times = [before, clock()];
    let lines = table(&env.tinyd(["ps"]).ok().stdout());
    assert_eq!(lines.len(), 3);
    // The newest first; each with what is its own.
    for (line, id, command, volume, name) in [
        (&lines[1], &without, "sh -c sleep  300", "-".to_owned(), &without[..12]),
        (&lines[2], &with, "/bin/sleep 3000", format!("{bind};"), "with"),
    ] {
        assert_eq!(line[0], id[..12]);
        assert_eq!(line[1], image);
        assert_eq!(line[2], command);
        assert!(times.contains(&line[3]), "{} is not {times:?}", line[3]);
        assert_eq!(line[4], "RUNNING");
        assert_eq!(line[5], "-");
        assert_eq!(line[6], volume);
        assert_eq!(line[7], name);
    }
}

#[test]
fn the_status_says_how_it_stands() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["create", "--name", "created", &image, "true"]).ok();
    env.tinyd(["run", "-d", "--name", "running", &image, "sleep", "300"]).ok();
    env.tinyd(["run", "--name", "ended", &image, "true"]).ok();
    env.tinyd(["run", "--name", "failed", &image, "false"]).fails(1);
    env.tinyd(["run", "-d", "--name", "killed", &image, "sleep", "300"]).ok();
    env.tinyd(["kill", "killed"]).ok();
    let all = |words: &[&str]| {
        let words = ["ps", "--format", "{{.Names}}={{.Status}}"].iter().chain(words).copied();
        let mut lines: Vec<String> = env.tinyd(words).ok().stdout().lines().map(str::to_owned).collect();
        lines.sort();
        lines.join(" ")
    };
    assert_eq!(all(&[]), "running=RUNNING");
    assert_eq!(
        all(&["-a"]),
        "created=CREATED ended=STOPPED (0) failed=STOPPED (1) killed=STOPPED (137) running=RUNNING"
    );
    for (filters, expected) in [
        (&["status=created"][..], "created=CREATED"),
        (&["status=running"], "running=RUNNING"),
        (&["status=exited"], "ended=STOPPED (0) failed=STOPPED (1) killed=STOPPED (137)"),
        (&["exited=137"], "killed=STOPPED (137)"),
        (&["exited=0"], "ended=STOPPED (0)"),
        (
            &["status=exited", "status=created", "name=ed"],
            "created=CREATED ended=STOPPED (0) failed=STOPPED (1) killed=STOPPED (137)",
        ),
        (&["status=exited", "name=fail"], "failed=STOPPED (1)"),
        (&["name=running"], "running=RUNNING"),
        (&["name=nope"], ""),
    ] {
        let words: Vec<&str> = filters.iter().flat_map(|filter| ["--filter", filter]).collect();
        assert_eq!(all(&words), expected, "{filters:?}");
    }
    let id = env.tinyd(["inspect", "-f", "{{.Id}}", "ended"]).ok().text();
    assert_eq!(all(&["-a", "-f", &format!("id={}", &id[..6])]), "ended=STOPPED (0)");
}

#[test]
fn a_command_that_ends_by_itself_is_seen_to_have_ended() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", "sleep 0.2; exit 3"]).ok();
    wait_until("it has ended", || state(&env, "c1") == "exited");
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout(), "");
    assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Status}}"]).ok().text(), "STOPPED (3)");
}

#[test]
fn programs_get_ids_and_json() {
    require!(root);
    let env = Env::new();
    let image = image();
    let odd = "echo \"two  words\"\n\u{1b}[31mred";
    let a = env.tinyd(["run", "-d", "--name", "a", &image, "sleep", "300"]).ok().text();
    let b = env.tinyd(["run", "--name", "b", &image, "sh", "-c", odd]).fails(127);
    assert!(b.stderr().contains("red"), "{b}");
    let b = env.tinyd(["inspect", "-f", "{{.Id}}", "b"]).ok().text();
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout(), format!("{}\n", &a[..12]));
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout(), format!("{}\n{}\n", &b[..12], &a[..12]));
    assert_eq!(env.tinyd(["ps", "-a", "-q", "--no-trunc"]).ok().stdout(), format!("{b}\n{a}\n"));
    let text = env.tinyd(["ps", "-a", "--no-trunc", "--format", "json"]).ok().stdout();
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2, "an object a line: {text}");
    assert_eq!((&rows[0]["ID"], &rows[1]["ID"]), (&b.as_str().into(), &a.as_str().into()));
    assert_eq!(rows[0]["Command"], format!("sh -c {odd}"));
    assert_eq!((&rows[0]["State"], &rows[1]["State"]), (&"exited".into(), &"running".into()));
    assert_eq!((&rows[0]["ExitCode"], &rows[1]["ExitCode"]), (&127.into(), &serde_json::Value::Null));
    let pid = env.tinyd(["inspect", "-f", "{{.State.Pid}}", "a"]).ok().text();
    assert_eq!(rows[1]["Pid"].to_string(), pid);
    for key in ["CreatedAt", "StartedAt", "FinishedAt"] {
        let time = rows[0][key].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{key} {time}");
    }
    assert_eq!(rows[1]["FinishedAt"], serde_json::Value::Null);
    let titled = env.tinyd(["ps", "-a", "--format", "table {{.Names}}\\t{{.Status}}"]).ok().stdout();
    assert_eq!(titled, "NAMES   STATUS\nb       STOPPED (127)\na       RUNNING\n");
    assert_eq!(env.tinyd(["ps", "-a"]).ok().stdout().lines().count(), 3, "a row is a line whatever is in it");
}

#[test]
fn no_colour_and_no_control_character_reaches_a_terminal() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "a", &image(), "echo", "\u{1b}]0;title\u{7}\u{1b}[2J"]).ok();
    for words in
        [&["ps", "-a", "--no-trunc"][..], &["inspect", "a"], &["ps", "-a", "--format", "{{.Command}}"]]
    {
        let (status, text) = env.pty(words.iter().copied(), 24, 200).wait();
        assert_eq!(status.code(), Some(0));
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
        assert!(text.contains("title"), "{text:?}");
    }
}

#[test]
fn on_a_narrow_terminal_a_row_stays_a_line() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "a-rather-long-name-of-a-container", &image(), "sleep", &"9".repeat(60)])
        .ok();
    let (_, text) = env.pty(["ps", "-a"], 24, 100).wait();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{text}");
    let whole = env.tinyd(["ps", "-a", "--no-trunc"]).ok().stdout();
    assert!(whole.contains(&"9".repeat(60)), "{whole}");
}

#[test]
fn a_broken_record_keeps_nobody_from_the_list() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "good", &image(), "true"]).ok();
    let broken = env.tinyd(["create", "--name", "broken", &image(), "true"]).ok().text();
    std::fs::write(env.root().join("containers").join(&broken).join("container.json"), "{").unwrap();
    let output = env.tinyd(["ps", "-a", "--format", "{{.Names}}"]);
    assert!(output.stdout().contains("good"), "{output}");
    env.tinyd(["rm", "broken"]).ok();
    assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), "good");
}
