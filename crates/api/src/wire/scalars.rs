//! Numbers, texts, times, addresses, and what holds several of something.

use super::{Malformed, Wire};
use crate::proto;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tinyd_engine::PortProtocol;

macro_rules! as_they_are {
    ($($name:ty),*) => { $(
        impl Wire<$name> for $name {
            fn into_wire(self) -> $name {
                self
            }

            fn from_wire(wire: $name) -> Result<Self, Malformed> {
                Ok(wire)
            }
        }
    )* };
}

as_they_are!(bool, i32, u32, i64, u64, String, Vec<u8>);

macro_rules! numbers {
    ($($name:ty => $wire:ty),*) => { $(
        impl Wire<$wire> for $name {
            fn into_wire(self) -> $wire {
                // Every number of the engine's fits into the wire's.
                self as $wire
            }

            fn from_wire(wire: $wire) -> Result<Self, Malformed> {
                wire.try_into().map_err(|_| Malformed::new(format!("{wire} is too large")))
            }
        }
    )* };
}

numbers!(u8 => u32, u16 => u32, usize => u64);

impl<W, T: Wire<W>> Wire<Option<W>> for Option<T> {
    fn into_wire(self) -> Option<W> {
        self.map(T::into_wire)
    }

    fn from_wire(wire: Option<W>) -> Result<Self, Malformed> {
        wire.map(T::from_wire).transpose()
    }
}

impl<W, T: Wire<W>> Wire<Vec<W>> for Vec<T> {
    fn into_wire(self) -> Vec<W> {
        self.into_iter().map(T::into_wire).collect()
    }

    fn from_wire(wire: Vec<W>) -> Result<Self, Malformed> {
        wire.into_iter().map(T::from_wire).collect()
    }
}

impl<W, T: Wire<W>> Wire<BTreeMap<String, W>> for BTreeMap<String, T> {
    fn into_wire(self) -> BTreeMap<String, W> {
        self.into_iter().map(|(key, value)| (key, value.into_wire())).collect()
    }

    fn from_wire(wire: BTreeMap<String, W>) -> Result<Self, Malformed> {
        wire.into_iter().map(|(key, value)| Ok((key, T::from_wire(value)?))).collect()
    }
}

impl Wire<proto::StringList> for Vec<String> {
    fn into_wire(self) -> proto::StringList {
        proto::StringList { values: self }
    }

    fn from_wire(wire: proto::StringList) -> Result<Self, Malformed> {
        Ok(wire.values)
    }
}

impl Wire<proto::PortBindings> for Vec<tinyd_engine::PortBinding> {
    fn into_wire(self) -> proto::PortBindings {
        proto::PortBindings { bindings: self.into_wire() }
    }

    fn from_wire(wire: proto::PortBindings) -> Result<Self, Malformed> {
        Self::from_wire(wire.bindings)
    }
}

impl Wire<proto::Pair> for (String, String) {
    fn into_wire(self) -> proto::Pair {
        proto::Pair { key: self.0, value: self.1 }
    }

    fn from_wire(wire: proto::Pair) -> Result<Self, Malformed> {
        Ok((wire.key, wire.value))
    }
}

impl Wire<proto::ContainerPort> for (u16, PortProtocol) {
    fn into_wire(self) -> proto::ContainerPort {
        proto::ContainerPort { port: self.0.into_wire(), protocol: self.1.into_wire() }
    }

    fn from_wire(wire: proto::ContainerPort) -> Result<Self, Malformed> {
        Ok((Wire::from_wire(wire.port)?, Wire::from_wire(wire.protocol)?))
    }
}

impl Wire<String> for char {
    fn into_wire(self) -> String {
        self.into()
    }

    fn from_wire(wire: String) -> Result<Self, Malformed> {
        let mut letters = wire.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(Malformed::new(format!("{wire:?} is not one letter"))),
        }
    }
}

impl Wire<String> for PathBuf {
    /// The engine keeps paths as text, and refuses one that is none.
    fn into_wire(self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn from_wire(wire: String) -> Result<Self, Malformed> {
        Ok(wire.into())
    }
}

impl Wire<String> for IpAddr {
    fn into_wire(self) -> String {
        self.to_string()
    }

    fn from_wire(wire: String) -> Result<Self, Malformed> {
        wire.parse().map_err(|_| Malformed::new(format!("{wire:?} is no address")))
    }
}

/// A hardware address: `02:42:0a:d0:00:02`.
impl Wire<String> for [u8; 6] {
    fn into_wire(self) -> String {
        self.map(|byte| format!("{byte:02x}")).join(":")
    }

    fn from_wire(wire: String) -> Result<Self, Malformed> {
        let bytes: Option<Vec<u8>> = wire
            .split(':')
            .map(|digits| match digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                true => u8::from_str_radix(digits, 16).ok(),
                false => None,
            })
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Malformed::new(format!("{wire:?} is no hardware address")))
    }
}

impl Wire<prost_types::Timestamp> for SystemTime {
    fn into_wire(self) -> prost_types::Timestamp {
        self.into()
    }

    fn from_wire(wire: prost_types::Timestamp) -> Result<Self, Malformed> {
        wire.try_into().map_err(|error| Malformed::new(format!("no moment: {error}")))
    }
}

impl Wire<Option<prost_types::Timestamp>> for SystemTime {
    fn into_wire(self) -> Option<prost_types::Timestamp> {
        Some(self.into())
    }

    fn from_wire(wire: Option<prost_types::Timestamp>) -> Result<Self, Malformed> {
        Wire::from_wire(wire.unwrap_or_default())
    }
}

impl Wire<prost_types::Duration> for Duration {
    fn into_wire(self) -> prost_types::Duration {
        // What does not fit is some 292 billion years long.
        self.try_into().unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
    }

    fn from_wire(wire: prost_types::Duration) -> Result<Self, Malformed> {
        wire.try_into().map_err(|error| Malformed::new(format!("no length of time: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_what_fits_comes_back() {
        assert_eq!(u8::from_wire(255_u32), Ok(255));
        assert!(u8::from_wire(256_u32).is_err());
        assert!(u16::from_wire(65_536_u32).is_err());
        let mac = [2, 0x42, 10, 0xd0, 0, 2];
        let text: String = mac.into_wire();
        assert_eq!(text, "02:42:0a:d0:00:02");
        assert_eq!(<[u8; 6]>::from_wire(text), Ok(mac));
        for wrong in ["", "02:42", "02:42:0a:d0:00:0g", "02:42:0a:d0:00:002", "+2:42:0a:d0:00:02"] {
            assert!(<[u8; 6]>::from_wire(wrong.to_owned()).is_err(), "{wrong}");
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1_500_000_001);
        let wire: prost_types::Timestamp = before.into_wire();
        assert_eq!(SystemTime::from_wire(wire), Ok(before));
        assert_eq!(Duration::from_wire(prost_types::Duration { seconds: -1, nanos: 0 }).ok(), None);
        assert!(IpAddr::from_wire("10.0.0".to_owned()).is_err());
    }
}
