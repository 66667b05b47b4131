//! Signatures: what types a body or a variant has.

use super::{Malformed, Read};

/// The first whole type of a signature, and the rest.
pub(super) fn first(signature: &str) -> Read<(&str, &str)> {
    let mut open = Vec::new();
    for (at, letter) in signature.bytes().enumerate() {
        match letter {
            // What it is an array of follows.
            b'a' => continue,
            b'(' => open.push(b')'),
            b'{' => open.push(b'}'),
            // A pair of brackets with nothing between them is no type.
            b')' | b'}' if at > 0 && matches!(signature.as_bytes()[at - 1], b'(' | b'{' | b'a') => break,
            b')' | b'}' if open.pop() != Some(letter) => break,
            b')' | b'}' => {}
            b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'h'
            | b'v' => {}
            _ => break,
        }
        if open.is_empty() {
            return Ok(signature.split_at(at + 1));
        }
    }
    Err(Malformed("a signature names no type"))
}

/// What a value of the type begins at a multiple of.
pub(super) fn alignment(kind: &str) -> usize {
    match kind.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_one_whole_type_at_a_time() {
        for (signature, one, rest) in [
            ("uoss", "u", "oss"),
            ("a(sv)a(sa(sv))", "a(sv)", "a(sa(sv))"),
            ("aay", "aay", ""),
            ("(y(uu))s", "(y(uu))", "s"),
            ("a{sv}", "a{sv}", ""),
        ] {
            assert_eq!(first(signature), Ok((one, rest)));
        }
        for bad in ["", "a", "(", "()", "(a)", "(s}", ")", "z", "a{}", "é"] {
            assert!(first(bad).is_err(), "{bad}");
        }
    }
}
