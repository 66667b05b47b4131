//! Bytes that a terminal would obey are shown instead: names, commands and messages come from others.

use std::borrow::Cow;

/// Line feeds and all other control characters as `\n`, `\u{1b}`, …
pub(crate) fn controls(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

/// The same for a text of several lines, and only where a terminal reads it.
pub(crate) fn for_terminal(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if !is_terminal {
        return Cow::Borrowed(text);
    }
    escaped(text, |letter| letter.is_control() && letter != '\n' && letter != '\t')
}

fn escaped(text: &str, dangerous: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if dangerous(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(controls("a\x1b]52;c;x\x07\nb"), "a\\u{1b}]52;c;x\\u{7}\\nb");
        assert_eq!(controls("\u{9b}31m"), "\\u{9b}31m", "the eight-bit introducer too");
        assert_eq!(for_terminal("a\tb\n\x1b", true), "a\tb\n\\u{1b}");
        assert_eq!(for_terminal("\x1b", false), "\x1b");
        assert!(matches!(controls("plain ünï"), Cow::Borrowed(_)));
    }
}
