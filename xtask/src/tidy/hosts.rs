//! No file names the host of a package registry: where packages come from is the machine's business.

use std::path::Path;

use super::Text;

/// Cargo writes where each package came from.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

/// In two halves each, so that this very file does not hold what it looks for.
const HOSTS: [(&str, &str); 10] = [
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("://crates", ".io"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("ftp.debian", ".org"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
];

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in texts.iter().filter(|file| !EXEMPT.iter().any(|name| file.path == Path::new(name))) {
        for (number, line) in file.text.lines().enumerate() {
            if HOSTS.iter().any(|(start, end)| line.contains(&format!("{start}{end}"))) {
                problems.push(format!("{}:{} names a package registry", file.path.display(), number + 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_but_in_the_lock_file() {
        let line = format!("a\nfetch from {}{}\n", HOSTS[3].0, HOSTS[3].1);
        assert_eq!(check(&[Text::sample("a.sh", &line)]), ["a.sh:2 names a package registry"]);
        assert!(
            check(&[Text::sample("Cargo.lock", &line), Text::sample("b.md", "from the registry")]).is_empty()
        );
    }
}
