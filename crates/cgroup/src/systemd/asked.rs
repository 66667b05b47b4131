//! Properties that a caller asks for in words of its own: as annotations of bundles have them, a value is written as GVariant's
//! text format has it (`uint64 5000000`, `'inactive-or-failed'`, `['a.service', 'b.service']`).

use super::wire::Value;
use crate::{Error, Result};

/// A property and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) value: Value,
}

impl Asked {
    /// Reads both. What is said in seconds (`TimeoutStopSec`, as units' files have it) is asked for as systemd counts it.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let refused = |reason| Error::Setting { name: format!("the property {name} of a unit"), reason };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(refused("has no name of letters"));
        }
        let text = text.trim();
        if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
            let micros = seconds(text).ok_or_else(|| refused("is no number of seconds"))?;
            return Ok(Self { name: format!("{stem}USec"), value: Value::U64(micros) });
        }
        let value = value(text)
            .ok_or_else(|| refused("has no value such as true, 'text', uint64 7 or ['one', 'two']"))?;
        Ok(Self { name: name.to_owned(), value })
    }
}

fn value(text: &str) -> Option<Value> {
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    if let Some(list) = text.strip_prefix('[') {
        return texts(list);
    }
    if text.starts_with(['\'', '"']) {
        let (text, rest) = quoted(text)?;
        return rest.is_empty().then_some(Value::Text(text));
    }
    match text.split_once(' ') {
        Some(("uint64", number)) => number.trim().parse().ok().map(Value::U64),
        Some(("int64", number)) => number.trim().parse().ok().map(Value::I64),
        Some(("uint32", number)) => number.trim().parse().ok().map(Value::U32),
        Some(("int32", number)) => number.trim().parse().ok().map(Value::I32),
        // What a number without a type is.
        _ => text.parse().ok().map(Value::I32),
    }
}

/// What stands behind the bracket that opens a list of texts.
fn texts(list: &str) -> Option<Value> {
    let (mut all, mut rest) = (Vec::new(), list.trim_start());
    loop {
        let (text, behind) = quoted(rest)?;
        all.push(text);
        let behind = behind.trim_start();
        match behind.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return (behind == "]").then_some(Value::Texts(all)),
        }
    }
}

/// A text in quotes of either kind, with backslashes before quotes and backslashes; and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let mut word = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            // What stands for something else there (`\\n`) has no place in a property.
            '\\' => {
                word.push(chars.next().map(|(_, char)| char).filter(|char| ['\'', '"', '\\'].contains(char))?)
            }
            '\0' => return None,
            _ if char == quote => return Some((word, &text[at + 1..])),
            _ => word.push(char),
        }
    }
    None
}

/// Seconds, with a fraction or without, as microseconds.
fn seconds(text: &str) -> Option<u64> {
    const TYPES: [&str; 5] = ["uint64 ", "int64 ", "uint32 ", "int32 ", "double "];
    let number = TYPES.iter().find_map(|name| text.strip_prefix(name)).unwrap_or(text).trim();
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1_000_000);
    }
    let (whole, part) = number.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let micros: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_values_are_read_with_their_types() {
        for (text, expected) in [
            ("true", Value::Bool(true)),
            ("'inactive-or-failed'", Value::Text("inactive-or-failed".into())),
            (r#""it's""#, Value::Text("it's".into())),
            (r"'it\'s'", Value::Text("it's".into())),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("int64 -1", Value::I64(-1)),
            ("uint32  7", Value::U32(7)),
            ("int32 7", Value::I32(7)),
            (" -7 ", Value::I32(-7)),
            ("['a.service' , \"b.service\"]", Value::Texts(vec!["a.service".into(), "b.service".into()])),
        ] {
            let asked = Asked::parse("Some", text).unwrap();
            assert_eq!((asked.name.as_str(), asked.value), ("Some", expected), "{text}");
        }
        for text in [
            "",
            "text",
            "'a",
            "'a' 'b'",
            "['a'",
            "['a',]",
            "[]",
            "uint32 -1",
            "4294967296",
            "'\\",
            "'\0'",
            "'\\\0'",
            "'a\\nb'",
        ] {
            assert!(Asked::parse("Some", text).is_err(), "{text:?}");
        }
        for name in ["", "A B", "a.b", "é"] {
            assert!(Asked::parse(name, "true").is_err(), "{name:?}");
        }
    }

    #[test]
    fn pure_seconds_are_counted_as_systemd_does() {
        let micros = |text| Asked::parse("TimeoutStopSec", text).ok().map(|asked| (asked.name, asked.value));
        let expected = |micros| Some(("TimeoutStopUSec".to_owned(), Value::U64(micros)));
        assert_eq!(micros("5"), expected(5_000_000));
        assert_eq!(micros("uint64 5"), expected(5_000_000));
        assert_eq!(micros("double 1.25"), expected(1_250_000));
        assert_eq!((micros("'5s'"), micros("-1"), micros("1.2345678")), (None, None, None));
        let whole = Asked::parse("TimeoutStopUSec", "uint64 5").unwrap();
        assert_eq!(whole, Asked { name: "TimeoutStopUSec".into(), value: Value::U64(5) });
    }
}
