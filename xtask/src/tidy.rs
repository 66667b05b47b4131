//! `cargo xtask tidy`: what no compiler checks and a review would forget.
//!
//! Each check is a function from what it looks at to a list of problems, so that its test can show it a bad sample.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

mod crates;
mod graph;
mod hosts;
mod ledgers;
mod length;
mod markers;
mod rules;
mod source;
mod unsafety;
mod weakened;

/// A file of the repository: its path below the root, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Text {
    fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Text {
        Text { path: path.into(), text: text.into() }
    }
}

/// Checks the repository; `false` when there are problems, which have been printed.
pub(crate) fn run() -> Result<bool> {
    let texts = texts()?;
    let checks: [(&str, Vec<String>); 9] = [
        ("crate graph", graph::check(&texts, &workspace::metadata()?)),
        ("file lengths", length::check(&texts)),
        ("ledgers", ledgers::check(&texts)),
        ("rules of the specification", rules::check(&texts)),
        ("crates", crates::check(&texts)),
        ("unsafe code", unsafety::check(&texts)),
        ("registry hosts", hosts::check(&texts)),
        ("open ends", markers::check(&texts)),
        ("weakened builds", weakened::check(&texts, &released())),
    ];
    let mut count = 0;
    for (name, problems) in &checks {
        println!("{name}: {}", if problems.is_empty() { "in order" } else { "NOT in order" });
        for problem in problems {
            println!("  {problem}");
        }
        count += problems.len();
    }
    println!("{} files, {count} problems", texts.len());
    Ok(count == 0)
}

/// The released programs that have been built here: their paths and contents.
fn released() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = tinyd_tests::paths::target().join("release");
    let programs = ["tinyd", "tinyd-runtime"].map(|name| folder.join(name));
    programs.into_iter().filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect()
}

/// All files of the repository that are text.
fn texts() -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for path in workspace::files()? {
        let whole: &Path = &workspace::root().join(&path);
        let bytes = fs::read(whole).with_context(|| format!("cannot read {}", whole.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push(Text { path, text });
        }
    }
    Ok(texts)
}

/// The names of the folders under `crates/` that have a manifest.
fn crate_names(texts: &[Text]) -> Vec<String> {
    let manifests = texts.iter().filter_map(|file| {
        let name = file.path.strip_prefix("crates").ok()?.parent()?;
        (file.path.ends_with("Cargo.toml")).then(|| name.to_string_lossy().into_owned())
    });
    manifests.filter(|name| !name.is_empty() && !name.contains('/')).collect()
}
