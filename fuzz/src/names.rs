//! Questions for names, which containers ask, and answers, which come from anywhere; the host's `resolv.conf`.

use std::net::IpAddr;

use tinyd_net::fuzzing::{self, Asked};

/// What goes over UDP to whoever did not say more, and what goes to anybody.
const SHORT: usize = 512;
const LONG: usize = 1232;
const HEADER: usize = 12;

/// Reads messages as they come over TCP, each behind its length: a question, and what comes to it from elsewhere. And the
/// input as a file.
pub fn names(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        files(text);
    }
    let mut messages = messages(data);
    let Some(packet) = messages.next() else { return };
    let asked = match Asked::read(packet) {
        Ok(asked) => asked,
        Err(None) => return,
        Err(Some(answer)) => {
            assert_eq!((answer.len(), &answer[..2]), (HEADER, &packet[..2]));
            silences(&answer);
            return;
        }
    };
    question(packet, &asked);
    own_answer(packet, &asked);
    for answer in messages.filter(|answer| asked.is_answered_by(answer)) {
        foreign_answer(packet, &asked, answer);
    }
}

/// A length that nothing is behind of takes what there is.
fn messages(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk()?;
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        data = rest;
        Some(message)
    })
}

/// Where the question of a message ends, whose name was read.
fn end(packet: &[u8]) -> usize {
    let mut at = HEADER;
    while packet[at] != 0 {
        at += usize::from(packet[at]) + 1;
    }
    at + 5
}

/// Two servers that answer each other's answers would never end.
fn silences(answer: &[u8]) {
    assert_eq!(Asked::read(answer), Err(None), "an answer is answered");
}

fn question(packet: &[u8], asked: &Asked) {
    let name = asked.name();
    assert!(end(packet) - HEADER - 4 <= 255, "a name has 255 bytes at most");
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name:?}");
    assert!((SHORT..=LONG).contains(&asked.longest()));
    let mut alone = packet[..end(packet)].to_vec();
    alone[10..12].fill(0);
    let again = Asked::read(&alone).expect("it is a question without what follows it");
    assert_eq!((again.name(), again.wanted(), again.longest()), (name, asked.wanted(), SHORT));
    if let Some(address) = asked.reverse() {
        assert_eq!(reversed(address), name, "an address has one name");
    }
}

/// The name that an address's name is asked for by.
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(six) => {
            let digits = format!("{:032x}", six.to_bits());
            let digits: Vec<_> = digits.chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
}

fn own_answer(packet: &[u8], asked: &Asked) {
    let end = end(packet);
    // As many as the question says, so that short answers and long ones are made.
    let addresses: Vec<IpAddr> = (0..packet[1])
        .map(|number| match number % 2 {
            0 => [10, 0, 0, number].into(),
            _ => [0xfd00, 0, 0, 0, 0, 0, 0, number.into()].into(),
        })
        .collect();
    let whole = asked.answer(&addresses, Some("web.example"));
    assert_eq!((&whole[..2], &whole[HEADER..end]), (&packet[..2], &packet[HEADER..end]));
    let [high, low] = (u16::from(packet[1]) + 1).to_be_bytes();
    assert_eq!(whole[4..12], [0, 1, high, low, 0, 0, 0, 0]);
    let mut rest = &whole[end..];
    let mut found = Vec::new();
    while let Some((fixed, data)) = rest.split_first_chunk::<12>() {
        assert_eq!(fixed[..2], [0xc0, 12], "a record of the name that was asked for");
        let (data, behind) = data.split_at(u16::from_be_bytes([fixed[10], fixed[11]]).into());
        found.push(data);
        rest = behind;
    }
    assert!(rest.is_empty());
    let last = found.pop().expect("a name");
    assert_eq!(last, b"\x03web\x07example\0");
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    assert_eq!(found, addresses.iter().map(octets).collect::<Vec<_>>());
    foreign_answer(packet, asked, &whole);
}

/// What is passed on, whoever made it.
fn foreign_answer(packet: &[u8], asked: &Asked, answer: &[u8]) {
    assert!(asked.is_answered_by(answer));
    let end = end(packet);
    assert!(
        answer[HEADER..end].eq_ignore_ascii_case(&packet[HEADER..end]),
        "an answer to another question: {:?}",
        answer[HEADER..end].escape_ascii().to_string()
    );
    silences(answer);
    let short = asked.over_udp(answer.to_vec());
    assert!(short.len() <= asked.longest());
    assert!(asked.is_answered_by(&short));
    if answer.len() <= asked.longest() {
        assert_eq!(short, answer);
    } else {
        assert_eq!((short.len(), short[2] & 2), (end, 2), "it says that it was cut");
        assert_eq!(short[6..12], [0; 6]);
    }
}

/// The host's file of servers, and one of a zone.
fn files(text: &str) {
    let (servers, domains) = fuzzing::resolv_conf(text);
    let mut written = String::new();
    for server in &servers {
        assert_eq!(server.port(), 53);
        written += &format!("nameserver {}\n", server.ip());
    }
    assert!(domains.iter().all(|domain| !domain.is_empty() && !domain.ends_with('.')), "{domains:?}");
    written += &format!("search {}\n", domains.join(" "));
    assert_eq!(fuzzing::resolv_conf(&written), (servers, domains));
    if let Some((entry, written)) = fuzzing::entry(text) {
        assert_eq!(fuzzing::entry(&written), Some((entry, written)));
    }
}
