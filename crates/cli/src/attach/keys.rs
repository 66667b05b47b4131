//! The keys that leave a session: what is typed is watched for them.

use crate::failure::Failure;
use crate::settings::{Settings, schema};

/// Keys in a row; none at all when there is no such way to leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
}

impl Keys {
    /// `ctrl-p,ctrl-q`, `a`, `ctrl-]`; nothing is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let keys = text.split(',').filter(|_| !text.is_empty());
        Ok(Self { bytes: keys.map(key).collect::<Result<_, _>>()? })
    }

    /// What an option said, or else the environment, or else nobody.
    pub(super) fn wanted(option: Option<Self>, settings: &Settings) -> Result<Self, Failure> {
        match option {
            Some(keys) => Ok(keys),
            None => settings.parse_held(&schema::DETACH_KEYS, Self::parse),
        }
    }
}

fn key(text: &str) -> Result<u8, String> {
    let problem = || {
        format!(
            "{text:?} is no key: write a letter, or ctrl- and one of a-z @ [ \\ ] ^ _, with commas between keys"
        )
    };
    let byte = match *text.as_bytes() {
        [byte] if byte.is_ascii_graphic() || byte == b' ' => return Ok(byte),
        [b'c', b't', b'r', b'l', b'-', byte] => byte.to_ascii_uppercase(),
        _ => return Err(problem()),
    };
    // As terminals have it: the letter's number, from @ on.
    if (b'@'..=b'_').contains(&byte) { Ok(byte - b'@') } else { Err(problem()) }
}

/// Watches for the keys. What may be their beginning is held back until it is known to be something else.
#[derive(Debug)]
pub(super) struct Watch {
    keys: Keys,
    held: Vec<u8>,
}

/// What of the input goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, and then the keys came.
    Keys(Vec<u8>),
}

impl Watch {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, held: Vec::new() }
    }

    /// Takes what was typed.
    pub(super) fn take(&mut self, typed: &[u8]) -> Watched {
        let keys = &self.keys.bytes;
        if keys.is_empty() {
            return Watched::Bytes(typed.to_vec());
        }
        let mut passed = Vec::with_capacity(typed.len());
        for &byte in typed {
            self.held.push(byte);
            while !keys.starts_with(&self.held) {
                passed.push(self.held.remove(0));
            }
            if *keys == self.held {
                return Watched::Keys(passed);
            }
        }
        Watched::Bytes(passed)
    }

    /// What was held back, at the end of the input.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_control_letters() {
        let bytes = |text| Keys::parse(text).map(|keys| keys.bytes);
        assert_eq!(bytes("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(bytes("ctrl-P,x"), Ok(vec![16, b'x']));
        assert_eq!(bytes("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_"), Ok(vec![0, 27, 28, 29, 30, 31]));
        assert_eq!(bytes(""), Ok(Vec::new()));
        for bad in ["ctrl-", "ctrl-1", "ctrl-pp", "ab", "a,", ",a", "ctrl-p ctrl-q", "ä", "alt-x", "\u{1d}"]
        {
            assert!(bytes(bad).unwrap_err().contains("is no key"), "{bad:?}");
        }
    }

    #[test]
    fn they_may_be_set_where_no_option_names_them() {
        let wanted = |settings| Keys::wanted(None, &settings);
        let set = |text| wanted(Settings::of(&schema::DETACH_KEYS, text));
        assert_eq!(wanted(Settings::default()).expect("default").bytes, [29]);
        assert_eq!(set("ctrl-a,d").expect("keys").bytes, [1, b'd']);
        assert!(set("").expect("none").bytes.is_empty());
        let bad = set("hurry").expect_err("bad").line().expect("a line");
        assert!(bad.starts_with("$TINYD_DETACH_KEYS is \"hurry\": "), "{bad}");
    }

    #[test]
    fn they_are_found_wherever_the_pieces_end() {
        let mut watch = Watch::new(Keys::parse("ctrl-p,ctrl-q").expect("keys"));
        assert_eq!(watch.take(b"ls\x10"), Watched::Bytes(b"ls".to_vec()));
        assert_eq!(watch.take(b"x"), Watched::Bytes(b"\x10x".to_vec()));
        assert_eq!(watch.take(b"\x10\x10"), Watched::Bytes(b"\x10".to_vec()));
        assert_eq!(watch.take(b"\x11never"), Watched::Keys(Vec::new()));
        // The beginning of the keys may lie in what only looked like them.
        let mut watch = Watch::new(Keys::parse("a,a,b").expect("keys"));
        assert_eq!(watch.take(b"aaab"), Watched::Keys(b"a".to_vec()));
        let mut none = Watch::new(Keys::parse("").expect("none"));
        assert_eq!(none.take(b"\x1d\x10\x11"), Watched::Bytes(b"\x1d\x10\x11".to_vec()));
        let mut cut = Watch::new(Keys::parse("x,y").expect("keys"));
        assert_eq!((cut.take(b"x"), cut.rest()), (Watched::Bytes(Vec::new()), b"x".to_vec()));
    }
}
