//! Every crate can be met by a stranger: it has a README, documentation of its library, and an example.

use std::path::{Path, PathBuf};

use super::{Text, crate_names};

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let mut problems = Vec::new();
    for name in crate_names(texts) {
        let folder = PathBuf::from("crates").join(&name);
        if !texts.iter().any(|file| file.path == folder.join("README.md") && !file.text.trim().is_empty()) {
            problems.push(format!("crates/{name} has no README.md"));
        }
        let examples = folder.join("examples");
        if !texts.iter().any(|file| file.is_rust() && file.path.starts_with(&examples)) {
            problems.push(format!("crates/{name} has no example"));
        }
        problems.extend(
            roots(texts, &folder)
                .filter(|file| !is_documented(file))
                .map(|file| format!("{} does not begin with its documentation", file.path.display())),
        );
    }
    problems
}

fn roots<'a>(texts: &'a [Text], folder: &Path) -> impl Iterator<Item = &'a Text> {
    let (library, program) = (folder.join("src/lib.rs"), folder.join("src/main.rs"));
    texts.iter().filter(move |file| file.path == library || file.path == program)
}

fn is_documented(file: &Text) -> bool {
    file.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//! "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(leave_out: &str) -> Vec<String> {
        let files = [
            ("crates/fs/Cargo.toml", "[package]"),
            ("crates/fs/README.md", "# fs"),
            ("crates/fs/src/lib.rs", if leave_out == "docs" { "mod a;" } else { "//! The file system.\n" }),
            ("crates/fs/examples/a.rs", "fn main() {}"),
        ];
        let kept = files.iter().filter(|(path, _)| leave_out.is_empty() || !path.contains(leave_out));
        check(&kept.map(|(path, text)| Text::sample(path, text)).collect::<Vec<_>>())
    }

    #[test]
    fn each_missing_piece_is_found() {
        assert_eq!(sample(""), Vec::<String>::new());
        assert_eq!(sample("README"), ["crates/fs has no README.md"]);
        assert_eq!(sample("examples"), ["crates/fs has no example"]);
        assert_eq!(sample("docs"), ["crates/fs/src/lib.rs does not begin with its documentation"]);
    }
}
