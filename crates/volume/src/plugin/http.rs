//! Answers of HTTP/1.1 (RFC 9112): as much of it as one question on a connection of its own needs.

/// What the whole of an answer may come to, in bytes; the list of ten thousand volumes has one million.
pub(crate) const MOST: usize = 4 << 20;

/// What its head may come to, in bytes.
const MOST_HEAD: usize = 64 << 10;

/// An answer that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 when all is well.
    pub status: u16,
    /// What it says.
    pub body: Vec<u8>,
}

/// A question, whose answer ends with the connection.
pub(crate) fn question(path: &str, body: &[u8]) -> Vec<u8> {
    // The name of a host that there is none of: Go's server wants one.
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\n\
         Accept: application/vnd.docker.plugins.v1.2+json\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads what came until now; `None` as long as more must come, of which there is none where the other side has `ended`.
/// What follows an answer is nobody's.
///
/// # Errors
/// What is wrong with it, in a clause.
pub fn parse(mut bytes: &[u8], ended: bool) -> Result<Option<Answer>, &'static str> {
    loop {
        let Some((head, rest)) = head(bytes)? else { return Ok(None) };
        let (status, framing) = read_head(head)?;
        let body = match status {
            // An answer before the answer.
            100 | 102..=199 => {
                bytes = rest;
                continue;
            }
            101 => return Err("changed the protocol"),
            204 | 304 => Some(Vec::new()),
            _ => framing.body(rest, ended)?,
        };
        return Ok(body.map(|body| Answer { status, body }));
    }
}

/// A part and what follows it, if the part is whole.
type Cut<'a> = Option<(&'a [u8], &'a [u8])>;

fn head(bytes: &[u8]) -> Result<Cut<'_>, &'static str> {
    const END: &[u8] = b"\r\n\r\n";
    let within = bytes.get(..MOST_HEAD).unwrap_or(bytes);
    match within.windows(END.len()).position(|window| window == END) {
        Some(end) => Ok(bytes.split_at_checked(end + END.len())),
        None if within.len() == MOST_HEAD => Err("has a head of more than 64 KiB"),
        // What cannot become an answer is told at once, and not when the time is over.
        None if !bytes.starts_with(b"HTTP/1.") && !b"HTTP/1.".starts_with(bytes) => Err("is not HTTP/1"),
        None => Ok(None),
    }
}

/// How long the body is.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunks,
    UntilTheEnd,
}

fn read_head(head: &[u8]) -> Result<(u16, Framing), &'static str> {
    let text = std::str::from_utf8(head).map_err(|_| "has a head that is no text")?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let status = status(lines.next().unwrap_or_default()).ok_or("is not HTTP/1")?;
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("has a head that is none")?;
        if name.is_empty() || name.contains(|letter: char| !letter.is_ascii_graphic()) {
            return Err("has a head that is none");
        }
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-length") {
            let new = number(value, 10).ok_or("has a length that is none")?;
            if length.is_some_and(|length| length != new) {
                return Err("has two lengths");
            }
            length = Some(new);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return Err("has a transfer encoding that is not \"chunked\"");
            }
            chunked = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err("has a length and chunks"),
        (Some(length), _) if length > MOST => Err(TOO_LONG),
        (Some(length), _) => Ok((status, Framing::Length(length))),
        (None, true) => Ok((status, Framing::Chunks)),
        (None, false) => Ok((status, Framing::UntilTheEnd)),
    }
}

pub(crate) const TOO_LONG: &str = "is longer than 4 MiB";

fn status(line: &str) -> Option<u16> {
    let line = line.strip_prefix("HTTP/1.")?;
    let rest = line.strip_prefix("1 ").or_else(|| line.strip_prefix("0 "))?;
    let digits = rest.split(' ').next()?;
    number(digits, 10).filter(|status| digits.len() == 3 && *status >= 100).map(|status| status as u16)
}

/// A number without a sign, which `parse` of std would take.
fn number(text: &str, radix: u32) -> Option<usize> {
    let has_sign = text.starts_with(['+', '-']);
    usize::from_str_radix(text, radix).ok().filter(|_| !has_sign)
}

impl Framing {
    fn body(self, rest: &[u8], ended: bool) -> Result<Option<Vec<u8>>, &'static str> {
        match self {
            Self::Length(length) => Ok(rest.get(..length).map(<[u8]>::to_vec)),
            Self::Chunks => chunks(rest),
            Self::UntilTheEnd if rest.len() > MOST => Err(TOO_LONG),
            Self::UntilTheEnd => Ok(ended.then(|| rest.to_vec())),
        }
    }
}

fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut body = Vec::new();
    loop {
        let Some((line, after)) = line(rest)? else { return Ok(None) };
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).ok().and_then(|size| number(size.trim_end(), 16));
        let size = size.ok_or("has a chunk without a size")?;
        if size == 0 {
            rest = after;
            break;
        }
        if body.len().checked_add(size).is_none_or(|length| length > MOST) {
            return Err(TOO_LONG);
        }
        let Some((chunk, after)) = after.split_at_checked(size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("has a chunk that is longer than it says"),
        };
    }
    // Trailers, which say nothing here.
    loop {
        match line(rest)? {
            None => return Ok(None),
            Some(([], _)) => return Ok(Some(body)),
            Some((_, after)) => rest = after,
        }
    }
}

/// The next line, which is short.
fn line(bytes: &[u8]) -> Result<Cut<'_>, &'static str> {
    const MOST_LINE: usize = 4096;
    let within = bytes.get(..MOST_LINE).unwrap_or(bytes);
    match within.windows(2).position(|window| window == b"\r\n") {
        Some(end) => Ok(bytes.get(..end).zip(bytes.get(end + 2..))),
        None if within.len() == MOST_LINE => Err("has a line of more than 4 KiB"),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn whole(text: &str) -> (u16, String) {
        // However it is cut, it is the same answer, and never one before its time.
        let answer = parse(text.as_bytes(), false).unwrap().unwrap();
        let first = (0..=text.len()).find(|end| parse(&text.as_bytes()[..*end], false).unwrap().is_some());
        assert!(first.is_some_and(|end| parse(&text.as_bytes()[..end], false).unwrap().unwrap() == answer));
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn pure_lengths_and_chunks_are_read() {
        assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), (200, "{}".into()));
        assert_eq!(whole("HTTP/1.0 500 No\r\ncontent-length:0\r\n\r\nrest"), (500, String::new()));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0A \r\n0123456789\r\n0\r\nT: x\r\n\r\n";
        assert_eq!(whole(chunked), (200, "abc0123456789".into()));
        assert_eq!(whole("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 204 None\r\n\r\n"), (204, String::new()));
    }

    #[test]
    fn pure_without_a_length_the_end_is_the_connections() {
        let text = b"HTTP/1.1 200 OK\r\n\r\n{}";
        assert_eq!(parse(text, false), Ok(None));
        assert_eq!(parse(text, true), Ok(Some(Answer { status: 200, body: b"{}".to_vec() })));
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}";
        assert_eq!(parse(cut, true), Ok(None));
        assert_eq!(parse(b"", true), Ok(None));
    }

    #[test]
    fn pure_what_is_no_answer_is_told_at_once() {
        for (text, problem) in [
            ("SSH-2.0-x\r\n", "not HTTP"),
            ("HTTP/2.0 200 OK\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 +20 OK\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 101 Switch\r\n\r\n", "changed"),
            ("HTTP/1.1 200 OK\r\nno head\r\n\r\n", "head"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n", "head"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two lengths"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "4 MiB"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "and chunks"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "longer than it says"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "4 MiB"),
        ] {
            let said = parse(text.as_bytes(), false).expect_err(text);
            assert!(said.contains(problem), "{text}: {said}");
        }
        assert!(
            parse(&[b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'x'; MOST_HEAD]].concat(), false).is_err()
        );
    }
}
