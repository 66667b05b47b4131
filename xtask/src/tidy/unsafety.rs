//! `unsafe` stands only in the files that `docs/unsafe.txt` lists, and a crate without one of them forbids it.

use std::path::Path;

use super::Text;
use super::source::{code, has_word};

const LIST: &str = "docs/unsafe.txt";

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let Some(list) = texts.iter().find(|file| file.path == Path::new(LIST)) else {
        return vec![format!("{LIST} is missing")];
    };
    let allowed: Vec<&str> = list.text.lines().map(str::trim).filter(|line| is_entry(line)).collect();
    let mut problems = Vec::new();
    for path in &allowed {
        match texts.iter().find(|file| file.path == Path::new(path)) {
            None => problems.push(format!("{LIST}: {path} is not there")),
            Some(file) if !uses(file) => problems.push(format!("{LIST}: {path} has no unsafe code any more")),
            Some(_) => {}
        }
    }
    for file in texts.iter().filter(|file| file.is_rust()) {
        let listed = allowed.iter().any(|path| file.path == Path::new(path));
        if !listed && uses(file) {
            problems.push(format!("{} has unsafe code and is not in {LIST}", file.path.display()));
        }
        let package = package(&file.path);
        let is_safe = !allowed.iter().any(|path| self::package(Path::new(path)) == package);
        if is_root(&file.path) && is_safe && !file.text.contains("#![forbid(unsafe_code)]") {
            problems
                .push(format!("{} does not forbid unsafe code, and its crate has none", file.path.display()));
        }
    }
    problems
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn uses(file: &Text) -> bool {
    code(&file.text).lines().any(|line| has_word(line, "unsafe"))
}

/// The folder of the crate that a source belongs to: what stands before `src`, `tests`, `examples`, `benches`.
fn package(path: &Path) -> &Path {
    let depth = if path.starts_with("crates") { 2 } else { 1 };
    path.ancestors().find(|ancestor| ancestor.components().count() == depth).unwrap_or(path)
}

/// Whether a file is the root of a library or a program.
fn is_root(path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(package(path)) else { return false };
    below == Path::new("src/lib.rs")
        || below == Path::new("src/main.rs")
        || below.parent().is_some_and(|parent| parent == Path::new("src/bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: &str = "#![forbid(unsafe_code)]\n";

    fn with_list(list: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut texts = vec![Text::sample(LIST, list)];
        texts.extend(files.iter().map(|(path, text)| Text::sample(path, text)));
        check(&texts)
    }

    #[test]
    fn listed_code_and_safe_crates_are_in_order() {
        let files = [
            ("crates/ns/src/lib.rs", "mod raw;"),
            ("crates/ns/src/raw.rs", "unsafe { call() }"),
            ("xtask/src/main.rs", SAFE),
            ("xtask/src/a.rs", "// unsafe in words only\n"),
        ];
        assert_eq!(with_list("# why\ncrates/ns/src/raw.rs\n", &files), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_listed_not_there_or_not_forbidden_is_found() {
        assert_eq!(with_list("", &[("crates/fs/src/a.rs", "unsafe fn f() {}")]).len(), 1);
        assert_eq!(with_list("crates/fs/src/gone.rs\n", &[]).len(), 1);
        assert_eq!(with_list("crates/fs/src/a.rs\n", &[("crates/fs/src/a.rs", "fn f() {}")]).len(), 1);
        assert_eq!(
            with_list("", &[("crates/fs/src/lib.rs", "//! x\n"), ("tests/src/lib.rs", SAFE)]).len(),
            1
        );
        assert_eq!(with_list("", &[("crates/cli/src/bin/b.rs", "fn main() {}")]).len(), 1);
        assert_eq!(check(&[]).len(), 1);
    }
}
