//! Device rules, in the vocabulary of the OCI runtime specification (`linux.resources.devices`).

use super::invalid;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A v2 rule takes up to eight instructions of the 4,096 that a BPF program had before Linux 5.2.
const MAX_RULES: usize = 500;

/// Linux packs a device's number into 12 and 20 bits (`MKDEV` in include/linux/kdev_t.h).
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

/// Which device files a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// All, of either kind; such a rule has no numbers and all of the access.
    #[default]
    #[serde(rename = "a")]
    All,
    /// Block devices.
    #[serde(rename = "b")]
    Block,
    /// Character devices.
    #[serde(rename = "c")]
    Char,
}

impl DeviceKind {
    /// `a`, `b` or `c`.
    pub fn letter(self) -> char {
        match self {
            Self::All => 'a',
            Self::Block => 'b',
            Self::Char => 'c',
        }
    }
}

/// A set of what may be done with a device file; as text any of the letters `rwm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    /// `m`: mknod(2).
    pub const MKNOD: Self = Self(1);
    /// `r`: opening for reading.
    pub const READ: Self = Self(2);
    /// `w`: opening for writing.
    pub const WRITE: Self = Self(4);
    /// `rwm`.
    pub const ALL: Self = Self(7);

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kernel's own bits (`BPF_DEVCG_ACC_…`, `DEVCG_ACC_…`).
    pub(crate) fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.0 & bit.0 != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl FromStr for DeviceAccess {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut access = Self(0);
        for letter in text.chars() {
            access = access.union(match letter {
                'r' => Self::READ,
                'w' => Self::WRITE,
                'm' => Self::MKNOD,
                _ => return invalid("device access", text, "it must be made of the letters r, w and m"),
            });
        }
        Ok(access)
    }
}

impl TryFrom<String> for DeviceAccess {
    type Error = crate::Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceAccess> for String {
    fn from(access: DeviceAccess) -> Self {
        access.to_string()
    }
}

/// One rule. In a list the **last** one that is about a device and an access decides; what no rule is about is
/// allowed as far as the group above allows it, so that a list of what is allowed begins with a denial of all.
///
/// As JSON it has the shape of the OCI runtime specification; as text (`c 10:200 rwm`) that of the v1 files and of
/// Docker's `--device-cgroup-rule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// Which kind of device.
    #[serde(rename = "type", default)]
    pub kind: DeviceKind,
    /// The major number, to 4,095; `None` is every one.
    #[serde(default)]
    pub major: Option<u32>,
    /// The minor number, to 1,048,575; `None` is every one.
    #[serde(default)]
    pub minor: Option<u32>,
    /// What may be done with it, or not.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// `a *:* rwm`: forgets all rules before it.
    pub fn all(allow: bool) -> Self {
        Self { allow, kind: DeviceKind::All, major: None, minor: None, access: DeviceAccess::ALL }
    }

    /// One device, or several by a number that is left out.
    pub fn new(
        allow: bool,
        kind: DeviceKind,
        major: Option<u32>,
        minor: Option<u32>,
        access: DeviceAccess,
    ) -> Self {
        Self { allow, kind, major, minor, access }
    }
}

/// Without the `allow`, which is the file in v1: `c 1:* rw`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let (major, minor) = (number(self.major), number(self.minor));
        write!(f, "{} {major}:{minor} {}", self.kind.letter(), self.access)
    }
}

/// Reads what [`Display`](fmt::Display) writes, as a rule that allows.
impl FromStr for DeviceRule {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || super::invalid_limit("device rule", text, "it must be such as c 10:200 rwm or b *:* m");
        let mut words = text.split(' ');
        let (Some(kind), Some(numbers), Some(access), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        let kind = match kind {
            "a" => DeviceKind::All,
            "b" => DeviceKind::Block,
            "c" => DeviceKind::Char,
            _ => return Err(bad()),
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map(Some).map_err(|_| bad())
            }
            _ => Err(bad()),
        };
        let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
        let (major, minor) = (number(major)?, number(minor)?);
        let rule = Self { allow: true, kind, major, minor, access: access.parse()? };
        check(&[rule])?;
        Ok(rule)
    }
}

pub(super) fn check(rules: &[DeviceRule]) -> Result<()> {
    if rules.len() > MAX_RULES {
        return invalid("number of device rules", rules.len(), "it must be at most 500: use wildcards");
    }
    for rule in rules {
        if rule.access.is_empty() {
            return invalid("device rule", rule, "it must name an access: r, w or m");
        }
        if rule.kind == DeviceKind::All && *rule != DeviceRule::all(rule.allow) {
            return invalid("device rule", rule, "a rule for all devices must be a *:* rwm: use b and c");
        }
        if rule.major.is_some_and(|n| n > MAX_MAJOR) {
            return invalid("device rule", rule, "a major number is at most 4095");
        }
        if rule.minor.is_some_and(|n| n > MAX_MINOR) {
            return invalid("device rule", rule, "a minor number is at most 1048575");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_text_and_json_of_the_oci_specification() {
        for text in ["c 10:200 rwm", "b *:* m", "c 136:* rw", "a *:* rwm"] {
            let rule: DeviceRule = text.parse().unwrap();
            assert!(rule.allow);
            assert_eq!(rule.to_string(), text);
        }
        let oci =
            r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"mr"}]"#;
        let rules: Vec<DeviceRule> = serde_json::from_str(oci).unwrap();
        let read_mknod = DeviceAccess::READ.union(DeviceAccess::MKNOD);
        let null = DeviceRule::new(true, DeviceKind::Char, Some(1), Some(3), read_mknod);
        assert_eq!(rules, [DeviceRule::all(false), null]);
        let text = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Vec<DeviceRule>>(&text).unwrap(), rules);
    }

    #[test]
    fn pure_refuses_what_no_kernel_takes() {
        for bad in [
            "",
            "c",
            "c 1:3",
            "c 1:3 ",
            "x 1:3 r",
            "c 1:3 rx",
            "c +1:3 r",
            "c :3 r",
            "c 1 r",
            "c 1:3 r w",
            "a 1:3 rwm",
            "a *:* r",
            "c 4096:0 r",
            "c 1:1048576 r",
            "c 1:99999999999 r",
            "u 1:3 r",
            "c 1:-1 r",
        ] {
            let error = bad.parse::<DeviceRule>().unwrap_err();
            assert!(matches!(error, crate::Error::InvalidLimit { .. }), "{bad}: {error}");
        }
        assert!(check(&[DeviceRule::all(false); 501]).is_err());
        assert!(check(&[DeviceRule::all(false); 500]).is_ok());
        assert!(serde_json::from_str::<DeviceRule>(r#"{"allow":true,"type":"c"}"#).is_err());
    }
}
