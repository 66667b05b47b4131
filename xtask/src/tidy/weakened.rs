//! The switches for the defences are in no program that anybody uses, and every case names what there is.

use std::path::{Path, PathBuf};

use super::{Text, ledgers};
use crate::ledger;
use crate::weakened::{self, CASES, VARIABLE};

/// What builds the programs on purpose.
const BUILDER: &str = "xtask/src/weakened.rs";

/// Where a defence has its name.
const NAMES: &str = "crates/runtime/src/defence/weakened.rs";

/// In halves, so that this very file does not hold what it looks for.
const FEATURE: &str = concat!("weak", "ened");
const ALL: &str = concat!("--all", "-features");

pub(super) fn check(texts: &[Text], released: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in texts {
        let path = file.path.display();
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| enables(&file.path, line)) {
            problems.push(format!("{path}:{} switches {FEATURE} on: {}", number + 1, line.trim()));
        }
    }
    for (path, content) in released {
        if content.windows(VARIABLE.len()).any(|window| window == VARIABLE.as_bytes()) {
            problems.push(format!("{} knows {VARIABLE}: it was built {FEATURE}", path.display()));
        }
    }
    problems.extend(cases(texts));
    problems
}

/// Whether a line of a manifest has the feature by default, or one of what builds and tests asks for it.
fn enables(path: &Path, line: &str) -> bool {
    if path.file_name().is_some_and(|name| name == "Cargo.toml") {
        let code = line.split('#').next().unwrap_or_default();
        let (key, value) = code.split_once('=').unwrap_or((code, ""));
        // A feature of this name may ask for the same one of another crate, and nothing else may.
        return value.contains(FEATURE) && key.trim() != FEATURE;
    }
    let builds = path.starts_with(".ci")
        || path.starts_with(".github")
        || path.starts_with(".cargo")
        || (path.starts_with("xtask/src") && path != Path::new(BUILDER));
    builds
        && (line.contains(ALL)
            || (line.contains("features\"") || line.contains("features=")) && line.contains(FEATURE))
}

/// Cases of known ids, tests that exist, and defences that have a name.
fn cases(texts: &[Text]) -> Vec<String> {
    let find = |path: &str| texts.iter().find(|file| file.path == Path::new(path)).map(|file| &file.text);
    let (Some(text), Some(names)) = (find(CASES), find(NAMES)) else {
        return vec![format!("{CASES} or {NAMES} is missing")];
    };
    let cases = match weakened::parse(text) {
        Ok(cases) => cases,
        Err(err) => return vec![format!("{CASES}: {err:#}")],
    };
    let ids = find("docs/security-ids.txt").map(|text| ledger::ids(text)).unwrap_or_default();
    let mut problems = Vec::new();
    for case in &cases {
        if !ids.contains(&case.id) {
            problems.push(format!("{CASES}: {} is no known id", case.id));
        }
        let unknown = case.off.iter().filter(|name| !names.contains(&format!("(\"{name}\", ")));
        problems.extend(unknown.map(|name| format!("{CASES}: there is no defence {name}")));
        let missing = case.tests.iter().filter(|test| !ledgers::exists(test, texts));
        problems.extend(missing.map(|test| format!("{CASES}: the test {test} is nowhere")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "[[case]]\nid='A1'\noff=['seccomp']\ntests=['run::works']\n";

    fn with(path: &str, text: &str) -> Vec<String> {
        let texts = [
            Text::sample(CASES, CASE),
            Text::sample(NAMES, "(\"seccomp\", Defence::Seccomp),"),
            Text::sample("docs/security-ids.txt", "A1\n"),
            Text::sample("tests/tests/run.rs", "#[test]\nfn works() {}\n"),
        ];
        let texts: Vec<Text> = texts
            .into_iter()
            .filter(|file| file.path != Path::new(path))
            .chain([Text::sample(path, text)])
            .collect();
        check(&texts, &[])
    }

    #[test]
    fn a_feature_of_that_name_may_be_and_no_more() {
        let own = format!("[features]\n{FEATURE} = [\"tinyd-fs/{FEATURE}\"]\n");
        assert_eq!(with("crates/runtime/Cargo.toml", &own), Vec::<String>::new());
        for line in [
            format!("default = [\"{FEATURE}\"]"),
            format!("tinyd-runtime = {{ path = \"x\", features = [\"{FEATURE}\"] }}"),
        ] {
            assert_eq!(with("crates/cli/Cargo.toml", &line).len(), 1, "{line}");
        }
        for line in [format!("cargo build --features={FEATURE}"), format!("cargo build {ALL}")] {
            assert_eq!(with(".ci/run", &line).len(), 1, "{line}");
        }
        let line = format!("command.args([\"--features\", \"{FEATURE}\"]);");
        assert_eq!(with("xtask/src/test.rs", &line).len(), 1);
    }

    #[test]
    fn a_released_program_that_knows_the_variable_is_found() {
        let program = |text: &str| vec![(PathBuf::from("tinyd"), text.as_bytes().to_vec())];
        let found = |text: &str| check(&[], &program(text)).len();
        assert_eq!(found(&format!("..{VARIABLE}..")), found("nothing") + 1);
    }

    #[test]
    fn cases_name_what_there_is() {
        assert_eq!(with(CASES, &CASE.replace("A1", "A999")).len(), 1);
        assert_eq!(with(CASES, &CASE.replace("seccomp", "luck")).len(), 1);
        assert_eq!(with(CASES, &CASE.replace("works", "sleeps")).len(), 1);
    }
}
