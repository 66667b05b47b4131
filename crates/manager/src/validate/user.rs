//! `USER[:GROUP]`, strictly: nothing that looks like a number and is none may come to mean root.

use crate::error::{Error, Result};

/// The highest id that is taken: what does not fit a signed 32-bit number was root's elsewhere (CVE-2024-40635).
const MAX: u32 = i32::MAX as u32;

/// A user as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The user's number; `None` for a name.
    pub uid: Option<u32>,
    /// The group's number; `None` for a name, or when no group was given.
    pub gid: Option<u32>,
}

impl User {
    /// Reads `USER[:GROUP]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refuse = |problem| Err(Error::invalid("user", text, problem));
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let mut numbers = [None, None];
        for (number, part) in numbers.iter_mut().zip([Some(user), group]) {
            let Some(part) = part else { continue };
            match part.bytes().next() {
                None => return refuse("is not USER or USER:GROUP"),
                Some(b'0'..=b'9') => {
                    let plain = part.bytes().all(|byte| byte.is_ascii_digit())
                        && (part == "0" || !part.starts_with('0'));
                    match part.parse::<u32>() {
                        Ok(value) if plain && value <= MAX => *number = Some(value),
                        _ => return refuse("holds a number outside 0 to 2147483647"),
                    }
                }
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-$".contains(&byte);
                    if part.len() > 256 || !part.bytes().all(allowed) {
                        return refuse("holds what no user or group name has");
                    }
                }
                Some(_) => return refuse("holds what no user or group name begins with"),
            }
        }
        Ok(Self { uid: numbers[0], gid: numbers[1] })
    }

    /// The highest number in it.
    pub(crate) fn highest(&self) -> u32 {
        self.uid.into_iter().chain(self.gid).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a16_nothing_comes_to_mean_root() {
        let bad = [
            "4294967296",
            "2147483648",
            "-1",
            "0x0",
            "00",
            "1000:",
            ":",
            ":5",
            "",
            "65536:99999999999",
            "1:-1",
            "1:2:3",
            "+1",
            " 1",
            "1 ",
            "root:00",
            "a b",
            "ro\not",
            "٣",
        ];
        for text in bad {
            assert!(User::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn pure_numbers_and_names() {
        let user = |uid, gid| User { uid, gid };
        assert_eq!(User::parse("0").unwrap(), user(Some(0), None));
        assert_eq!(User::parse("1000:50").unwrap(), user(Some(1000), Some(50)));
        assert_eq!(User::parse("www-data").unwrap(), user(None, None));
        assert_eq!(User::parse("2147483647:users").unwrap(), user(Some(MAX), None));
        assert_eq!(User::parse("7:900").unwrap().highest(), 900);
    }
}
