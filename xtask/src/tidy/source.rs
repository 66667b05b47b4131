//! The code of a Rust source without its comments and strings.

/// Replaces comments, strings and characters by blanks; lines stay where they were.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => comment_end(bytes, at),
            b'r' if !follows_word(bytes, at) => match raw_end(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'"' => string_end(bytes, at),
            b'\'' => match char_end(bytes, at) {
                Some(end) => end,
                // A lifetime.
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    // Only whole characters were replaced, for all that is looked for is ASCII.
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether `word` stands in `line` as a word of its own.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest.
fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#` and so on; the `b` or `c` before it does no harm.
fn raw_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let found = bytes[open + 1..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

fn char_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = &bytes[start + 1..];
    if rest.first() == Some(&b'\\') {
        let length = rest.iter().skip(2).position(|byte| *byte == b'\'')?;
        return Some(start + 1 + 2 + length + 1);
    }
    // One character, of up to four bytes, and then a quote; else it is a lifetime.
    let text = std::str::from_utf8(rest.get(..rest.len().min(8))?);
    let valid = match &text {
        Ok(text) => *text,
        Err(err) => std::str::from_utf8(&rest[..err.valid_up_to()]).unwrap_or(""),
    };
    let first = valid.chars().next()?;
    (rest.get(first.len_utf8()) == Some(&b'\'')).then(|| start + 1 + first.len_utf8() + 1)
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
    // `br"` and `cr"` are strings as well.
    before.is_some_and(|byte| (byte.is_ascii_alphanumeric() && !b"bc".contains(byte)) || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        let text = "a // unsafe\nb /* unsafe /* x */ unsafe */ c \"unsafe \\\" unsafe\" d r#\"unsafe \" \"# e 'u' '\\'' f";
        let left = code(text);
        assert!(!has_word(&left, "unsafe"), "{left}");
        let words: Vec<_> = left.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(left.lines().count(), text.lines().count());
    }

    #[test]
    fn lifetimes_and_names_stay() {
        let text = "fn f<'a>(x: &'a str, r: 'static) { for_r\"gone\"; 'ü'; 'ä }";
        let left = code(text);
        assert!(left.contains("<'a>(x: &'a str, r: 'static)") && left.contains("for_r"), "{left}");
        assert!(!left.contains("gone") && !left.contains('ü'), "{left}");
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("x = unsafe { 1 }", "unsafe"));
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
    }
}
