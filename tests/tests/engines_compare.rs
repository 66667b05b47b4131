//! What works under Docker and Podman with runc works with `tinyd-runtime`: `cargo xtask engines compare`.
//!
//! A list of scripts (`engines_compare/cases.txt`) is run with both. Those that may differ stand in `docs/engines.md`, each with
//! its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]
#![allow(clippy::print_stdout, reason = "what it found is what it is run for")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tinyd_tests::engines::{Docker, Podman, remove_groups};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Cmd, Env, Output, paths, require};

const CASES: &str = include_str!("engines_compare/cases.txt");
const PAGE: &str = "docs/engines.md";
const RUNC: &str = "/usr/sbin/runc";

/// The image, and how long a case may take.
const IMAGE: &str = "busybox";
const LIMIT: Duration = Duration::from_secs(200);
const PATIENCE: &str = "100";

/// What the scripts are written in. `$E` holds the engine's words, `$OPTIONS` those of a container.
const WORDS: &str = r#"
B=busybox
e() { $E "$@"; }
wired() { e run $OPTIONS "$@"; }
run() { e run $OPTIONS --net none "$@"; }
create() { e create $OPTIONS --net none "$@"; }
t() { "$@"; echo "= $?"; }
quoted() {
    case $1 in
        run) shift; set -- $E run $OPTIONS --net none "$@" ;;
        e) shift; set -- $E "$@" ;;
    esac
    for word; do printf "'%s' " "$word"; done
}
"#;

struct Case<'text> {
    name: &'text str,
    engine: Option<&'text str>,
    script: &'text str,
}

impl<'text> Case<'text> {
    fn all() -> Vec<Case<'text>> {
        CASES.split("\n== ").skip(1).map(Case::read).collect()
    }

    fn read(text: &'text str) -> Case<'text> {
        let (title, script) = text.split_once('\n').expect("a case has a script");
        let of = |engine: &'text str| title.strip_suffix(engine).map(|name| (name.trim(), Some(engine)));
        let (name, engine) = of("docker").or_else(|| of("podman")).unwrap_or((title.trim(), None));
        Case { name, engine, script }
    }

    fn is_for(&self, engine: &str) -> bool {
        self.engine.is_none_or(|own| own == engine)
    }
}

/// The cases that the page has a reason for: rows of tables that begin with an engine, and then have the case.
fn accepted(engine: &str) -> Vec<String> {
    let page = fs::read_to_string(paths::workspace().join(PAGE)).unwrap();
    let rows = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() == 7 && row[1].to_lowercase().contains(engine));
    rows.map(|row| row[2].to_owned()).collect()
}

/// Without what differs from one run to the next: ids.
fn normal(text: &str) -> String {
    let is_id =
        |word: &str| matches!(word.len(), 12 | 64) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let words = words.map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_id(bare) { format!("ID{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect()
}

/// Given a runtime and a text of sh.
type Script<'env> = Box<dyn Fn(&str, &str) -> Cmd + 'env>;

/// An engine with both runtimes.
struct Trial<'env> {
    engine: &'static str,
    env: &'env Env,
    /// Runs a script with the runtime of this name.
    script: Script<'env>,
}

impl Trial<'_> {
    /// Starts with an empty folder, and leaves no container.
    fn run(&self, runtime: &str, case: &Case<'_>) -> Output {
        let folder = self.env.files().join("case");
        tinyd_tests::remove::remove_tree(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        let text = format!("{WORDS}\nF={}\n{}", folder.display(), case.script);
        let output = (self.script)(runtime, &text).limit(LIMIT).output();
        let clean = "for c in one two; do e unpause $c; e kill $c; e rm -f $c; done 2>&1 | grep -iv 'no such'; e ps -a";
        let cleaned = (self.script)(runtime, &format!("{WORDS}\n{clean}")).limit(LIMIT).output();
        assert_eq!(
            cleaned.stdout().lines().filter(|line| line.contains(IMAGE)).count(),
            0,
            "{cleaned}\nafter {output}"
        );
        output
    }

    /// Runs all cases, and requires that none differs but those that the page lists.
    fn compare(&self) {
        let wanted = std::env::var("TINYD_CASE").ok();
        let accepted = accepted(self.engine);
        let mut wrong = Vec::new();
        let mut count = 0;
        for case in Case::all().iter().filter(|case| case.is_for(self.engine)) {
            if wanted.as_ref().is_some_and(|word| !case.name.contains(word.as_str())) {
                continue;
            }
            count += 1;
            let [theirs, ours] = ["runc", "tinyd"].map(|runtime| self.run(runtime, case));
            let same = theirs.code() == ours.code() && normal(&theirs.stdout()) == normal(&ours.stdout());
            let listed = accepted.iter().any(|name| name == case.name);
            // On a machine that is otherwise, what is listed may well be the same.
            let word = match (same, listed) {
                (true, _) => "same",
                (false, true) => "listed",
                (false, false) => "DIFFERENT",
            };
            println!("{} {:<9} {}", self.engine, word, case.name);
            if !same && !listed {
                println!("{}", changes(&theirs, &ours));
                wrong.push(case.name);
            }
        }
        println!("{}: {count} cases, {} listed as different", self.engine, accepted.len());
        assert!(count > 0, "no case has a name like that");
        assert!(wrong.is_empty(), "{} of {count}: {wrong:?}", wrong.len());
    }
}

/// The lines that only one of them has, and what they said otherwise.
fn changes(theirs: &Output, ours: &Output) -> String {
    let [left, right] = [theirs, ours].map(|output| normal(&output.stdout()));
    let only = |sign: &str, one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.lines().any(|same| same == *line));
        lines.map(|line| format!("    {sign} {line}\n")).collect::<String>()
    };
    format!(
        "    exit codes {:?} and {:?}\n{}{}    stderr: {}\n    ours:   {}",
        theirs.code(),
        ours.code(),
        only("-", &left, &right),
        only("+", &right, &left),
        theirs.stderr().trim(),
        ours.stderr().trim()
    )
}

#[test]
#[ignore = "takes minutes: cargo xtask engines compare"]
fn engines_compare_docker() {
    require!(root);
    require!(program);
    require!(command "dockerd");
    let env = Env::new();
    let docker = Docker::start(&env);
    let script = |runtime: &str, text: &str| {
        let options = format!("--runtime {runtime}");
        docker
            .inside(&["sh", "-c", text])
            .env("E", docker.words().join(" "))
            .env("OPTIONS", options)
            .env("RUNTIME", runtime)
    };
    Trial { engine: "docker", env: &env, script: Box::new(script) }.compare();
    docker.end();
}

#[test]
#[ignore = "takes minutes: cargo xtask engines compare"]
fn engines_compare_podman() {
    require!(root);
    require!(program);
    require!(command "podman");
    let env = Env::new();
    let of = |runtime: &str| -> PathBuf {
        if runtime == "runc" { Path::new(RUNC).into() } else { Oci::of(&env).program() }
    };
    Podman::new(&env).import("busybox");
    let script = |runtime: &str, text: &str| {
        let podman = Podman::with(&env, of(runtime));
        let words = podman.words().join(&OsString::from(" "));
        let script = env.other(["unshare", "--net", "timeout", PATIENCE, "sh", "-c", text]);
        podman.with_settings(script).env("E", words).env("OPTIONS", podman.parent()).env("RUNTIME", runtime)
    };
    Trial { engine: "podman", env: &env, script: Box::new(script) }.compare();
    remove_groups(&env);
}
