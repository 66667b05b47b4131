//! Records of extended headers: `LENGTH KEY=VALUE\n`, with the length of the whole (pax(1)).

use super::problem::Problem;

/// No honest header is longer: names, and attributes of 64 KiB each.
pub(super) const MOST: u64 = 8 << 20;

/// Appends a record.
pub(super) fn put(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Blank, `=` and line feed; then the digits of the length, which is counted too.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A name of an attribute as a part of a key, which ends with the first equals sign. As GNU tar writes it.
pub(super) fn keyword(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' => key.extend(b"%25"),
            b'=' => key.extend(b"%3D"),
            other => key.push(*other),
        }
    }
    key
}

/// The name of an attribute that is written so.
pub(super) fn attribute(mut key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    while let Some((first, rest)) = key.split_first() {
        let (byte, length) = match key.get(..3) {
            Some(b"%25") => (b'%', 3),
            Some(b"%3D" | b"%3d") => (b'=', 3),
            _ => (*first, 1),
        };
        name.push(byte);
        key = &rest[length - 1..];
    }
    name
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// A key and its value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// The records of a header, as keys and values. One that is malformed makes all of them void: what follows it is whatever
/// the archive's author wants one reader to see, and another not.
pub(super) fn parse(mut rest: &[u8]) -> Result<Vec<Record<'_>>, Problem> {
    let malformed = || Problem::Extension { most: MOST };
    let mut records = Vec::new();
    while !rest.is_empty() {
        let blank = rest.iter().take(10).position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let length: usize =
            decimal(&rest[..blank]).ok_or_else(malformed)?.try_into().map_err(|_| malformed())?;
        let record = rest.get(blank + 1..length).ok_or_else(malformed)?;
        let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
        records.push((&record[..equals], &record[equals + 1..]));
        rest = &rest[length..];
    }
    Ok(records)
}

/// A number of decimal digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// A time as seconds with a fraction.
pub(super) fn time(seconds: i64, nanoseconds: u32) -> String {
    // The fraction counts away from zero; a time before 1970 is so much after its second.
    let (sign, whole, fraction) = match (seconds < 0, nanoseconds) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, part) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - part),
        (false, part) => ("", seconds.unsigned_abs(), part),
    };
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The seconds and nanoseconds of such a time.
pub(super) fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = digits.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, part) => (seconds, part),
        (true, 0) => (-seconds, 0),
        (true, part) => (-seconds - 1, 1_000_000_000 - part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_the_length_counts_its_own_digits() {
        for length in (0..1100).chain([9_988, 9_989, 9_990, 99_000]) {
            let value = vec![b'v'; length];
            let mut records = Vec::new();
            put(&mut records, b"path", &value);
            put(&mut records, b"SCHILY.xattr.user.a=b", b"\n\0");
            let parsed = parse(&records).unwrap();
            assert_eq!(parsed.len(), 2);
            assert_eq!(parsed[0], (&b"path"[..], &value[..]), "{length}");
            assert_eq!(parsed[1], (&b"SCHILY.xattr.user.a"[..], &b"b=\n\0"[..]));
        }
    }

    #[test]
    fn pure_malformed_records_are_refused() {
        for bad in [
            "x",
            "6 a=b",
            "6 a=bc",
            "5 a=b\n",
            "99 a=b\n",
            "0 a=b\n",
            "-6 a=b\n",
            "+6 a=b\n",
            "6  a=b\n",
            "4 a\n",
            "2 \n",
            "18446744073709551615 a=b\n",
            "6 a=b\n7",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pure_times_are_written_as_they_are_read() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (981_173_106, 123_456_789, "981173106.123456789"),
            (1, 500_000_000, "1.5"),
            (-1, 0, "-1"),
            (-1, 500_000_000, "-0.5"),
            (-2, 999_999_999, "-1.000000001"),
            (i64::MAX, 1, "9223372036854775807.000000001"),
        ] {
            assert_eq!(time(seconds, nanoseconds), text);
            assert_eq!(parse_time(text.as_bytes()), Some((seconds, nanoseconds)));
        }
        assert_eq!(parse_time(b"1.1234567899"), Some((1, 123_456_789)));
        assert_eq!(parse_time(b"1."), Some((1, 0)));
        for bad in ["", ".5", "1.5.5", "1e9", "--1", "9223372036854775808", " 1"] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
