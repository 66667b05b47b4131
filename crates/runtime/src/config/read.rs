//! The reader: from JSON to a type, or to the property that is wrong.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// A property that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    property: String,
    problem: String,
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.property.as_str() {
            "" => f.write_str(&self.problem),
            property => write!(f, "{property}: {}", self.problem),
        }
    }
}

impl std::error::Error for Wrong {}

/// Where in a document something stands: `process.rlimits[2].soft`.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The document itself.
    Whole,
    Named(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    pub(super) fn wrong(&self, problem: impl Display) -> Wrong {
        Wrong { property: self.to_string(), problem: problem.to_string() }
    }

    /// That something of another kind stands there.
    fn is_no(&self, wanted: &str, value: &Value) -> Wrong {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::String(text) => format!("{text:?}"),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        self.wrong(format!("{found} is no {wanted}"))
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Whole => Ok(()),
            Place::Named(Place::Whole, name) => f.write_str(name),
            Place::Named(above, name) => write!(f, "{above}.{name}"),
            Place::Item(above, at) => write!(f, "{above}[{at}]"),
        }
    }
}

/// What can be read.
pub(crate) trait Read: Sized {
    /// Reads what stands at a place.
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong>;

    /// What it is where nothing stands.
    fn absent(place: &Place<'_>) -> Result<Self, Wrong> {
        Err(place.wrong("is missing"))
    }

    /// Reads a document.
    fn of(document: &Value) -> Result<Self, Wrong> {
        Self::read(document, &Place::Whole)
    }
}

impl Read for Value {
    fn read(value: &Value, _: &Place<'_>) -> Result<Self, Wrong> {
        Ok(value.clone())
    }
}

impl Read for bool {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        value.as_bool().ok_or_else(|| place.is_no("truth value", value))
    }
}

impl Read for String {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        value.as_str().map(str::to_owned).ok_or_else(|| place.is_no("text", value))
    }
}

impl Read for PathBuf {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        String::read(value, place).map(Self::from)
    }
}

/// Every number of the specification is a whole one of 64 bits or less, with a sign or without.
fn whole(value: &Value, place: &Place<'_>, least: i128, most: i128) -> Result<i128, Wrong> {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        Some(number) => Err(place.wrong(format!("{number} is not between {least} and {most}"))),
        None => Err(place.is_no("whole number", value)),
    }
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {$(
        impl Read for $kind {
            fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
                whole(value, place, <$kind>::MIN.into(), <$kind>::MAX.into()).map(|number| number as $kind)
            }
        }
    )*};
}

whole_numbers!(u16 u32 u64 i32 i64);

/// `null` is as good as nothing: engines write so what they were not told.
impl<T: Read> Read for Option<T> {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        if value.is_null() { Ok(None) } else { T::read(value, place).map(Some) }
    }

    fn absent(_: &Place<'_>) -> Result<Self, Wrong> {
        Ok(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        let items = value.as_array().ok_or_else(|| place.is_no("list", value))?;
        items.iter().enumerate().map(|(at, item)| T::read(item, &Place::Item(place, at))).collect()
    }
}

impl<T: Read> Read for HashMap<String, T> {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self, Wrong> {
        let object = value.as_object().ok_or_else(|| place.is_no("object", value))?;
        object
            .iter()
            .map(|(name, value)| Ok((name.clone(), T::read(value, &Place::Named(place, name))?)))
            .collect()
    }
}

/// An object, of which one property after the other is taken. What else it has is nobody's: newer versions may have it.
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    place: &'a Place<'a>,
}

impl<'a> Object<'a> {
    pub(super) fn of(value: &'a Value, place: &'a Place<'a>) -> Result<Self, Wrong> {
        let members = value.as_object().ok_or_else(|| place.is_no("object", value))?;
        Ok(Self { members, place })
    }

    pub(super) fn property<T: Read>(&self, name: &str) -> Result<T, Wrong> {
        let place = Place::Named(self.place, name);
        match self.members.get(name) {
            Some(value) => T::read(value, &place),
            None => T::absent(&place),
        }
    }

    /// One that is as usual where nothing stands; `null` is something.
    pub(super) fn property_or<T: Read>(&self, name: &str, usual: T) -> Result<T, Wrong> {
        if self.members.contains_key(name) { self.property(name) } else { Ok(usual) }
    }
}

/// Types that are read from objects: each field with the name of its property, and what it is where that is not there, unless it
/// must be.
macro_rules! objects {
    ($($(#[$attribute:meta])* $name:ident {
        $($(#[$field_attribute:meta])* $field:ident: $kind:ty = $property:literal $(or $default:expr)?,)*
    })*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $($(#[$field_attribute])* pub(crate) $field: $kind,)*
        }

        impl $crate::config::read::Read for $name {
            fn read(
                value: &serde_json::Value,
                place: &$crate::config::read::Place<'_>,
            ) -> Result<Self, $crate::config::read::Wrong> {
                let object = $crate::config::read::Object::of(value, place)?;
                // Not all at once: what is there when something is wrong would have to be given up in as many ways as there are fields.
                let mut read = Self::default();
                $(read.$field = $crate::config::read::property!(object, $property $(, $default)?);)*
                Ok(read)
            }
        }
    )*};
}

macro_rules! property {
    ($object:ident, $property:literal) => {
        $object.property($property)?
    };
    ($object:ident, $property:literal, $default:expr) => {
        $object.property_or($property, $default)?
    };
}

/// Types that are one of some words.
macro_rules! words {
    ($($(#[$attribute:meta])* $name:ident { $($variant:ident = $word:literal $(| $other:literal)*,)* })*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($variant,)*
        }

        /// The first.
        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0].1
            }
        }

        impl $name {
            /// The words, as far as this version of the specification has them.
            #[allow(dead_code, reason = "not all of them are told")]
            pub(crate) const ALL: &[(&'static str, Self)] = &[$(($word, Self::$variant),)*];
        }

        impl $crate::config::read::Read for $name {
            fn read(
                value: &serde_json::Value,
                place: &$crate::config::read::Place<'_>,
            ) -> Result<Self, $crate::config::read::Wrong> {
                let text = <String as $crate::config::read::Read>::read(value, place)?;
                match text.as_str() {
                    $($word $(| $other)* => Ok(Self::$variant),)*
                    other => Err(place.wrong(format!("{other:?} is none of {}", [$($word),*].join(", ")))),
                }
            }
        }
    )*};
}

pub(super) use {objects, property, words};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    objects! {
        Sample {
            name: String = "name",
            size: u32 = "size" or 3,
            list: Option<Vec<Item>> = "list",
            more: Option<HashMap<String, u16>> = "more",
        }

        Item {
            kind: Kind = "type",
        }
    }

    words! {
        Kind {
            Plain = "plain",
            Odd = "odd" | "strange",
        }
    }

    fn read(document: &Value) -> Result<Sample, String> {
        Sample::of(document).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn pure_what_is_not_said_is_nothing_or_what_is_usual() {
        for document in [json!({"name": "a"}), json!({"name": "a", "list": null, "other": [1]})] {
            let sample = read(&document).unwrap();
            assert_eq!((sample.name.as_str(), sample.size), ("a", 3));
            assert!(sample.list.is_none() && sample.more.is_none());
        }
        let all = json!({"name": "", "size": 4_294_967_295u32, "list": [{"type": "strange"}], "more": {"x": 65535}});
        let all = read(&all).unwrap();
        assert_eq!((all.size, all.list.unwrap()[0].kind), (u32::MAX, Kind::Odd));
        assert_eq!(all.more.unwrap()["x"], u16::MAX);
    }

    #[test]
    fn pure_what_is_wrong_is_told_by_its_property() {
        for (document, problem) in [
            (json!([]), "a list is no object"),
            (json!({}), "name: is missing"),
            (json!({"name": null}), "name: null is no text"),
            (json!({"name": 7}), "name: 7 is no text"),
            (json!({"name": "a", "size": null}), "size: null is no whole number"),
            (json!({"name": "a", "size": -1}), "size: -1 is not between 0 and 4294967295"),
            (json!({"name": "a", "size": 1.5}), "size: 1.5 is no whole number"),
            (json!({"name": "a", "size": "1"}), "size: \"1\" is no whole number"),
            (json!({"name": "a", "list": {}}), "list: an object is no list"),
            (json!({"name": "a", "list": [{"type": "plain"}, {}]}), "list[1].type: is missing"),
            (json!({"name": "a", "list": [{"type": "x"}]}), "list[0].type: \"x\" is none of plain, odd"),
            (json!({"name": "a", "more": {"y": true}}), "more.y: true is no whole number"),
        ] {
            assert_eq!(read(&document).unwrap_err(), problem, "{document}");
        }
        for number in [json!(i64::MIN), json!(u64::MAX)] {
            assert_eq!(i64::of(&number).is_ok(), number.is_i64());
            assert_eq!(u64::of(&number).is_ok(), number.is_u64());
        }
    }
}
