//! The heads of requests to the web page. A more lenient parser reads what is passed on: it must read the same.

use tinyd_daemon::fuzzing::{check_head, head_end};

/// Every beginning of a longer input is no news.
const MOST: usize = 2_048;

/// Reads the input as what has been received of a connection.
pub fn head(data: &[u8]) {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    // However it arrived.
    for seen in 0..end.unwrap_or(data.len() + 1).min(MOST) {
        assert_eq!(head_end(data, seen), end, "{seen} bytes were there before");
    }
    let whole = &data[..end.unwrap_or(data.len())];
    match check_head(whole) {
        Ok(()) => passed(whole),
        Err(status) => assert!([400, 411, 414, 431, 505].contains(&status), "{status}"),
    }
    assert!(end.is_some() || check_head(whole).is_err(), "half a head was passed on");
}

/// Looks at one that is passed on as the next reader does.
fn passed(whole: &[u8]) {
    assert!(whole.len() <= 32 * 1024);
    let mut room = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut room);
    // What that one refuses does no harm.
    let Ok(read) = request.parse(whole) else { return };
    assert_eq!(read, httparse::Status::Complete(whole.len()), "its end is elsewhere");
    let text = std::str::from_utf8(whole).expect("a head is text");
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first: Vec<&str> = lines.next().expect("there is a first line").split(' ').collect();
    assert_eq!((request.method, request.path), (Some(first[0]), Some(first[1])));
    assert!(first[1].starts_with('/') && first.len() == 3);
    let told: Vec<(&str, &[u8])> = request.headers.iter().map(|one| (one.name, one.value)).collect();
    let ours: Vec<(&str, &[u8])> = lines
        .map(|line| line.split_once(':').expect("a line has a colon"))
        .map(|(name, value)| (name, value.trim_matches([' ', '\t']).as_bytes()))
        .collect();
    assert_eq!(told, ours, "it reads other lines");
    let count = |name: &str| told.iter().filter(|(told, _)| told.eq_ignore_ascii_case(name)).count();
    assert_eq!(count("host"), 1);
    assert!(count("content-length") <= 1 && count("transfer-encoding") == 0 && count("upgrade") == 0);
}
