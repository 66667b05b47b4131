//! Questions as they come, and answers of our own.

use crate::Prefix;
use std::net::IpAddr;

/// A header.
pub(super) const HEADER: usize = 12;
/// The longest message over UDP where a client does not say that it takes more.
pub(super) const SHORT: usize = 512;
/// The longest that is ever sent over UDP, whatever a client takes: one that needs no fragments.
const LONG: usize = 1232;
/// Seconds that an answer of ours may be kept: containers come and go.
const KEEP: u32 = 5;

/// Types of records.
pub(super) const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
const OPT: u16 = 41;
const DS: u16 = 43;
const DNSKEY: u16 = 48;
const ANY: u16 = 255;
const INTERNET: u16 = 1;

/// How an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Good = 0,
    Malformed = 1,
    ServerFailed = 2,
    NoSuchName = 3,
    NotImplemented = 4,
}

/// A question, with what is needed to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// In lower case, with dots between its labels and none at its end.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
    /// Where the question ends in its message.
    end: usize,
    /// The longest answer that its asker takes over UDP.
    pub(super) longest: usize,
}

/// What a record of ours says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Name(String),
}

impl Question {
    /// Reads a packet; `Err` is what is to be answered to one that is no question we can read, `None` where nothing is.
    pub(super) fn read(packet: &[u8]) -> Result<Self, Option<Code>> {
        let header = packet.get(..HEADER).ok_or(None)?;
        // An answer is answered with nothing: two servers would talk for ever.
        if header[2] & 0x80 != 0 {
            return Err(None);
        }
        if header[2] & 0x78 != 0 {
            return Err(Some(Code::NotImplemented));
        }
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if count(4) != 1 || count(6) != 0 || count(8) != 0 {
            return Err(Some(Code::Malformed));
        }
        let (name, at) = read_name(packet).ok_or(Some(Code::Malformed))?;
        let fixed = packet.get(at..at + 4).ok_or(Some(Code::Malformed))?;
        let (kind, class) =
            (u16::from_be_bytes([fixed[0], fixed[1]]), u16::from_be_bytes([fixed[2], fixed[3]]));
        let end = at + 4;
        let longest = longest(&packet[end..], count(10));
        Ok(Self { name, kind, class, end, longest })
    }

    /// Whether an answer that came from elsewhere is one to this question.
    pub(super) fn is_answered_by(&self, answer: &[u8]) -> bool {
        let Some(header) = answer.get(..HEADER) else { return false };
        if header[2] & 0x80 == 0 || u16::from_be_bytes([header[4], header[5]]) != 1 {
            return false;
        }
        read_name(answer).is_some_and(|(name, at)| {
            let fixed = [self.kind.to_be_bytes(), self.class.to_be_bytes()].concat();
            name == self.name && answer.get(at..at + 4) == Some(&fixed[..])
        })
    }

    /// The address that a question for an address's name is about.
    pub(super) fn reverse(&self) -> Option<IpAddr> {
        if self.kind != PTR {
            return None;
        }
        // (What reads numbers would take signs, and zeros before them.)
        let plain = |digits: &str, most: usize| {
            let is_plain = |one: &str| one == "0" || !one.starts_with(['0', '+']);
            digits.split('.').all(|one| one.len() <= most && is_plain(one))
        };
        if let Some(digits) = self.name.strip_suffix(".in-addr.arpa").filter(|digits| plain(digits, 3)) {
            let octets: Vec<u8> = digits.split('.').rev().map(str::parse).collect::<Result<_, _>>().ok()?;
            return <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
        }
        let digits = self.name.strip_suffix(".ip6.arpa").filter(|digits| plain(digits, 1))?;
        let nibbles: Vec<u8> = digits
            .split('.')
            .rev()
            .map(|digit| u8::from_str_radix(digit, 16))
            .collect::<Result<_, _>>()
            .ok()?;
        if nibbles.len() != 32 {
            return None;
        }
        let octets: Vec<u8> = nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
    }

    /// The addresses that a name stands for which is one of addresses, whatever is asked of it: a single one, or all that begin as
    /// it says.
    pub(super) fn range(&self) -> Option<Prefix> {
        if let Some(labels) = self.name.strip_suffix(".in-addr.arpa") {
            let octets: Vec<u8> = labels.rsplit('.').take(4).map_while(|label| label.parse().ok()).collect();
            let mut address = [0; 4];
            address[..octets.len()].copy_from_slice(&octets);
            return Prefix::new(address.into(), u8::try_from(8 * octets.len()).ok()?);
        }
        let labels = self.name.strip_suffix(".ip6.arpa")?;
        let nibble = |label: &str| u8::from_str_radix(label, 16).ok().filter(|_| label.len() == 1);
        let nibbles: Vec<u8> = labels.rsplit('.').take(32).map_while(nibble).collect();
        let mut address = [0; 16];
        for (index, nibble) in nibbles.iter().enumerate() {
            address[index / 2] |= nibble << (4 * (1 - index % 2));
        }
        Prefix::new(address.into(), u8::try_from(4 * nibbles.len()).ok()?)
    }

    /// Whether somebody elsewhere may be asked. A name of one word is this host's or nobody's, but for what the names of the world
    /// are held together by: the root, and what a whole domain is asked for.
    pub(super) fn may_leave(&self) -> bool {
        let of_a_domain = [NS, SOA, DS, DNSKEY].contains(&self.kind);
        self.name.is_empty() || self.name.contains('.') || of_a_domain
    }

    /// Whether a record is one that was asked for.
    pub(super) fn wants(&self, data: &Data) -> bool {
        self.class == INTERNET && (self.kind == ANY || self.kind == kind(data))
    }
}

/// An answer of ours to a packet whose question was read, or was not.
pub(super) fn answer(packet: &[u8], question: Option<&Question>, code: Code, records: &[Data]) -> Vec<u8> {
    let end = question.map_or(HEADER, |question| question.end);
    let mut bytes = packet.get(..end.min(packet.len())).unwrap_or_default().to_vec();
    bytes.resize(end, 0);
    // An answer, by one who knows; what the asker wants of recursion stays, and there is some.
    bytes[2] = 0x84 | (packet.get(2).copied().unwrap_or(0) & 0x01);
    bytes[3] = 0x80 | code as u8;
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    bytes[4..6].copy_from_slice(&u16::from(question.is_some()).to_be_bytes());
    bytes[6..8].copy_from_slice(&count.to_be_bytes());
    bytes[8..12].fill(0);
    for record in records.iter().take(count.into()) {
        // The name is that of the question, which begins behind the header.
        bytes.extend([0xc0, 12]);
        bytes.extend(kind(record).to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        bytes.extend(KEEP.to_be_bytes());
        let data = match record {
            Data::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Data::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Data::Name(name) => write_name(name),
        };
        bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

/// An answer that is too long for its asker becomes one that says so: it asks again over TCP.
pub(super) fn cut(mut answer: Vec<u8>, question: &Question) -> Vec<u8> {
    if answer.len() > question.longest {
        answer.truncate(question.end.max(HEADER));
        answer[2] |= 0x02;
        answer[6..12].fill(0);
    }
    answer
}

fn kind(data: &Data) -> u16 {
    match data {
        Data::Address(IpAddr::V4(_)) => A,
        Data::Address(IpAddr::V6(_)) => AAAA,
        Data::Name(_) => PTR,
    }
}

/// The name of the first question. A pointer cannot stand there: nothing comes before it that could be meant.
fn read_name(packet: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), HEADER);
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        match length {
            0 => return Some((name, at)),
            1..=63 => {}
            _ => return None,
        }
        let label = packet.get(at..at + length)?;
        at += length;
        if at - HEADER > 254 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label {
            // What is no letter of a host's name is kept apart from all that is, and from all else: as a number, the way that
            // files of zones have it (RFC 1035, section 5.1).
            match byte {
                b'.' | b'\\' => write_number(&mut name, *byte),
                byte if byte.is_ascii_graphic() => name.push(char::from(byte.to_ascii_lowercase())),
                byte => write_number(&mut name, *byte),
            }
        }
    }
}

fn write_number(name: &mut String, byte: u8) {
    name.push('\\');
    name.extend([byte / 100, byte / 10 % 10, byte % 10].map(|digit| char::from(b'0' + digit)));
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| (1..=63).contains(&label.len())) {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// What an OPT record says behind the question: its class is a length.
fn longest(rest: &[u8], records: u16) -> usize {
    if records == 0 || rest.first() != Some(&0) || rest.len() < 11 {
        return SHORT;
    }
    match u16::from_be_bytes([rest[1], rest[2]]) {
        OPT => usize::from(u16::from_be_bytes([rest[3], rest[4]])).clamp(SHORT, LONG),
        _ => SHORT,
    }
}

#[cfg(test)]
pub(super) fn ask(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    packet.extend(write_name(name));
    packet.extend(kind.to_be_bytes());
    packet.extend(INTERNET.to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, kind: u16) -> Question {
        Question::read(&ask(7, name, kind)).unwrap()
    }

    #[test]
    fn pure_a_question_is_read_in_lower_case_and_answered_with_its_own_name() {
        let packet = ask(0x1234, "Web.Example", A);
        let question = Question::read(&packet).unwrap();
        assert_eq!((question.name.as_str(), question.kind, question.longest), ("web.example", A, SHORT));
        let bytes = answer(&packet, Some(&question), Code::Good, &[Data::Address([10, 0, 0, 2].into())]);
        assert_eq!(bytes[..12], [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert!(bytes.ends_with(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 2]));
        assert!(question.is_answered_by(&bytes));
        assert!(!read("web.example", AAAA).is_answered_by(&bytes));
        assert!(!read("other", A).is_answered_by(&bytes));
    }

    #[test]
    fn pure_names_that_differ_in_a_byte_are_not_taken_for_each_other() {
        let with = |label: &[u8]| {
            let mut packet = ask(7, "", A);
            let length = u8::try_from(label.len()).unwrap();
            packet.splice(HEADER..HEADER, [&[length], label].concat());
            packet
        };
        let labels: [&[u8]; 6] = [b"a\x01", b"a\x02", b"a.", b"a\xff", b"a\\", b"a\\001"];
        for asked in labels {
            let question = Question::read(&with(asked)).unwrap();
            assert!(!question.name.contains('.'), "{:?} is one word", question.name);
            for label in labels {
                let answer =
                    answer(&with(label), Question::read(&with(label)).ok().as_ref(), Code::Good, &[]);
                assert_eq!(question.is_answered_by(&answer), asked == label, "{asked:?} {label:?}");
            }
        }
    }

    #[test]
    fn pure_what_is_no_question_is_answered_as_it_should_be_or_not_at_all() {
        assert_eq!(Question::read(b"short"), Err(None));
        let mut reply = ask(1, "a", A);
        reply[2] |= 0x80;
        assert_eq!(Question::read(&reply), Err(None), "an answer");
        let mut update = ask(1, "a", A);
        update[2] |= 0x28;
        assert_eq!(Question::read(&update), Err(Some(Code::NotImplemented)));
        let mut two = ask(1, "a", A);
        two[5] = 2;
        assert_eq!(Question::read(&two), Err(Some(Code::Malformed)));
        // A pointer to itself, and a name that ends before it should.
        for name in [&[0xc0, 12][..], &[5, b'a'][..], &[64; 70][..], &[]] {
            let mut packet = ask(1, "", A);
            packet.truncate(HEADER);
            packet.extend(name);
            assert_eq!(Question::read(&packet), Err(Some(Code::Malformed)), "{name:?}");
        }
        let long = vec!["a".repeat(63); 5].join(".");
        assert_eq!(Question::read(&ask(1, &long, A)), Err(Some(Code::Malformed)));
        assert_eq!(answer(b"x", None, Code::Malformed, &[]).len(), HEADER);
    }

    #[test]
    fn pure_addresses_are_found_in_names() {
        assert_eq!(read("2.0.208.10.in-addr.arpa", PTR).reverse(), Some([10, 208, 0, 2].into()));
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(read(six, PTR).reverse(), Some("fd00::2".parse().unwrap()));
        for name in [
            "10.in-addr.arpa",
            "256.0.0.1.in-addr.arpa",
            "+2.0.208.10.in-addr.arpa",
            "02.0.208.10.in-addr.arpa",
            "x.ip6.arpa",
            &six.replacen("2.0", "+2.0", 1),
            &six.replacen("2.0", "2.00", 1),
            "web",
        ] {
            assert_eq!(read(name, PTR).reverse(), None, "{name}");
        }
        assert_eq!(read("2.0.208.10.in-addr.arpa", A).reverse(), None);
    }

    #[test]
    fn pure_ranges_are_found_in_names_whatever_is_asked_of_them() {
        for (name, range) in [
            ("2.0.208.10.in-addr.arpa", "10.208.0.2/32"),
            ("0.208.10.in-addr.arpa", "10.208.0.0/24"),
            ("lb._dns-sd._udp.0.0.208.10.in-addr.arpa", "10.208.0.0/32"),
            ("x.256.10.in-addr.arpa", "10.0.0.0/8"),
            ("0.0.d.f.ip6.arpa", "fd00::/16"),
            ("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", "fd00::2/128"),
            ("b.a.1.0.0.d.f.ip6.arpa", "fd00:1ab0::/28"),
        ] {
            for kind in [PTR, SOA, ANY] {
                assert_eq!(read(name, kind).range(), Some(range.parse().unwrap()), "{name}");
            }
        }
        assert_eq!(read("10.example", PTR).range(), None);
    }

    #[test]
    fn pure_one_word_stays_at_home_unless_a_domain_is_asked_for_what_domains_have() {
        for kind in [A, AAAA, PTR, ANY, 16, 65] {
            assert!(!read("com", kind).may_leave(), "{kind}");
            assert!(read("example.com", kind).may_leave() && read("", kind).may_leave(), "{kind}");
        }
        for kind in [NS, SOA, DS, DNSKEY] {
            assert!(read("com", kind).may_leave() && read("", kind).may_leave(), "{kind}");
        }
    }

    #[test]
    fn pure_a_long_answer_is_cut_for_those_who_cannot_take_it() {
        let mut packet = ask(1, "web", A);
        let many: Vec<_> = (0..60).map(|number| Data::Address([10, 0, 0, number].into())).collect();
        let question = Question::read(&packet).unwrap();
        let whole = answer(&packet, Some(&question), Code::Good, &many);
        assert!(whole.len() > SHORT);
        let short = cut(whole.clone(), &question);
        assert_eq!((short.len(), short[2] & 2, short[7]), (packet.len(), 2, 0));
        // The same, by somebody who takes 4,096 bytes.
        packet[11] = 1;
        packet.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        let question = Question::read(&packet).unwrap();
        assert_eq!(question.longest, LONG);
        assert_eq!(cut(whole.clone(), &question), whole);
    }
}
