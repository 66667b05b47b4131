//! Names that stand twice in an object: whoever checks a configuration and whoever reads it could take different ones.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// A text of JSON in which no object has a name twice.
struct Unique;

/// Finds the first name that stands twice.
pub(crate) fn check(json: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<Unique>(json).map(drop)
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<Unique>()?;
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format!("{name:?} stands twice in an object")));
            }
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unique, A::Error> {
        while list.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn pure_a_name_that_stands_twice_is_found_wherever_it_is() {
        for good in [r#"{"a": {"a": 1}, "b": [{"a": -1}, {"a": 1.5}], "c": null, "d": true, "e": ""}"#, "5"] {
            check(good.as_bytes()).unwrap();
        }
        for bad in
            [r#"{"a": 1, "b": 2, "a": 1}"#, r#"[{"b": {"a": [], "a": []}}]"#, r#"{"a": 1, "\u0061": 2}"#]
        {
            assert!(check(bad.as_bytes()).unwrap_err().to_string().contains("\"a\" stands twice"), "{bad}");
        }
        assert!(check(b"{").is_err());
    }
}
