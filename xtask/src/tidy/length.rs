//! No source file outgrows what one can hold in the head.

use super::Text;

const MOST: usize = 700;

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let long = texts.iter().filter(|file| file.is_rust()).map(|file| (file, file.text.lines().count()));
    long.filter(|(_, lines)| *lines > MOST)
        .map(|(file, lines)| format!("{} has {lines} lines, more than {MOST}", file.path.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let lines = |count: usize| "// x\n".repeat(count);
        assert_eq!(check(&[Text::sample("a.rs", &lines(701))]).len(), 1);
        assert!(check(&[Text::sample("a.rs", &lines(700)), Text::sample("a.md", &lines(900))]).is_empty());
    }
}
