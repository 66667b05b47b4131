//! No source holds a promise instead of code.

use super::Text;
use super::source::has_word;

/// In two halves each, so that this very file does not hold what it looks for.
const MARKERS: [(&str, &str); 4] = [("TO", "DO"), ("FIX", "ME"), ("unimple", "mented"), ("to", "do")];

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in texts.iter().filter(|file| is_source(file)) {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(marker) = marker(line) {
                problems.push(format!("{}:{} has {marker}", file.path.display(), number + 1));
            }
        }
    }
    problems
}

fn is_source(file: &Text) -> bool {
    file.is_rust() || file.path.extension().is_some_and(|extension| extension == "c" || extension == "sh")
}

fn marker(line: &str) -> Option<String> {
    let whole = MARKERS.iter().map(|(start, end)| format!("{start}{end}"));
    // The small words are macros when a `!` follows, and plain English otherwise.
    whole.into_iter().find(|marker| {
        if marker.chars().all(char::is_uppercase) {
            has_word(line, marker)
        } else {
            line.contains(&format!("{marker}!"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_found_and_words_are_not() {
        let shout = format!("// {}{}: later\n", MARKERS[0].0, MARKERS[0].1);
        let call = format!("fn f() {{ {}{}!() }}\n", MARKERS[2].0, MARKERS[2].1);
        assert_eq!(check(&[Text::sample("a.rs", &shout), Text::sample("b.rs", &call)]).len(), 2);
        assert!(
            check(&[Text::sample("a.rs", "// what is left to do"), Text::sample("a.md", &shout)]).is_empty()
        );
    }
}
