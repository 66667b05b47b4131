//! Whether the head of a request is one that is passed on. What is not plain is refused here, before a parser that is more
//! lenient sees it: bare line feeds, folded lines, lengths that contradict each other, chunked bodies.

/// Most bytes, lines, and bytes of the first line.
pub(crate) const MOST_BYTES: usize = 32 * 1024;
const MOST_LINES: usize = 100;
const LONGEST_TARGET: usize = 8 * 1024;

/// A status and its reason.
pub(crate) type Refused = (u16, &'static str);

/// The head is longer than [`MOST_BYTES`].
pub(crate) const TOO_LONG: Refused = (431, "the head is too long");

/// Where the head ends, as far as it has been received; an empty line ends it. It does not within the first `seen` bytes.
pub(crate) fn end(received: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let news = received.get(from..)?;
    news.windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4)
}

/// Looks at a whole head, with the empty line at its end.
pub(crate) fn check(head: &[u8]) -> Result<(), Refused> {
    let bad = |why| (400, why);
    if head.len() > MOST_BYTES {
        return Err(TOO_LONG);
    }
    let text = std::str::from_utf8(head).map_err(|_| bad("the head holds other bytes than text"))?;
    let text = text.strip_suffix("\r\n\r\n").ok_or(bad("the head has no end"))?;
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(bad("the head holds a line feed or a zero byte of its own"));
    }
    let mut lines = text.split("\r\n");
    first_line(lines.next().unwrap_or_default())?;
    let (mut hosts, mut lengths) = (0, 0);
    for (count, line) in lines.enumerate() {
        if count >= MOST_LINES {
            return Err((431, "the head has too many lines"));
        }
        let (name, value) = line.split_once(':').ok_or(bad("a line of the head has no colon"))?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(bad("a line of the head has no name, or is folded"));
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => {
                lengths += 1;
                let value = value.trim();
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(bad("the length of the body is no number"));
                }
            }
            "transfer-encoding" => return Err((411, "a body needs Content-Length and nothing else")),
            "upgrade" | "http2-settings" => return Err(bad("there is no other protocol here")),
            _ => {}
        }
    }
    match (hosts, lengths) {
        (1, 0 | 1) => Ok(()),
        (1, _) => Err(bad("the length of the body is said more than once")),
        _ => Err(bad("the head must name one host")),
    }
}

fn first_line(line: &str) -> Result<(), Refused> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err((400, "the first line has not three words"));
    };
    if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
        return Err((400, "the method is no word"));
    }
    if target.len() > LONGEST_TARGET {
        return Err((414, "the address is too long"));
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err((400, "the address is no path"));
    }
    match version {
        "HTTP/1.1" | "HTTP/1.0" => Ok(()),
        _ => Err((505, "only HTTP/1.1 is spoken here")),
    }
}

/// `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(head: &str) -> Result<(), u16> {
        check(head.as_bytes()).map_err(|(status, _)| status)
    }

    #[test]
    fn plain_heads_pass() {
        assert_eq!(checked("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(()));
        assert_eq!(checked("POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 12\r\nX: \r\n\r\n"), Ok(()));
        for seen in 0..=17 {
            assert_eq!(end(b"GET / HTTP/1.1\r\n\r\nbody", seen), Some(18), "{seen}");
        }
        assert_eq!(end(b"GET / HTTP/1.1\r\n\r", 0), None);
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (status, head) in [
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            (400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
            (400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
            (411, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"),
            (505, "PRI / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ] {
            assert_eq!(checked(head), Err(status), "{head:?}");
        }
    }

    #[test]
    fn long_heads_are_refused() {
        let many = "X: y\r\n".repeat(MOST_LINES);
        assert_eq!(checked(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")), Err(431));
        let long = "x".repeat(LONGEST_TARGET);
        assert_eq!(checked(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")), Err(414));
    }
}
