//! What zbus says of the same bytes. The fake systemd of the tests speaks with it too, so that a mistake of ours in the
//! format cannot hide in both ends.

use super::*;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{Endian, to_bytes};
use zbus::{DynamicType, ObjectPath, Signature, Type, Variant};

/// A message's header as zbus reads it.
type Header<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Variant<'a>)>);

/// The value of a field. A body's signature stands without the brackets that zbus gives a structure's.
enum Field<'a> {
    Any(Variant<'a>),
    BodySignature(String),
}

impl Type for Field<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Field::Any(value) => value.serialize(serializer),
            Field::BodySignature(text) => {
                let mut value = serializer.serialize_struct("Variant", 2)?;
                value.serialize_field("signature", &Signature::Signature)?;
                value.serialize_field("value", text)?;
                value.end()
            }
        }
    }
}

/// A whole message of zbus's making. `fields` are the header's, but for the body's signature.
pub(in crate::systemd) fn encode<T: Serialize + DynamicType>(
    endian: Endian,
    kind: u8,
    serial: u32,
    fields: Vec<(u8, Variant<'_>)>,
    body: &T,
) -> Vec<u8> {
    let context = Context::new(endian, 0);
    let signature = body.signature().to_string_no_parens();
    let mut fields: Vec<_> = fields.into_iter().map(|(code, value)| (code, Field::Any(value))).collect();
    let body = to_bytes(context, body).unwrap();
    if !body.bytes().is_empty() {
        fields.push((8, Field::BodySignature(signature)));
    }
    let letter = if endian == Endian::Little { b'l' } else { b'B' };
    let length = u32::try_from(body.bytes().len()).unwrap();
    let header = (letter, kind, 0u8, 1u8, length, serial, fields);
    let mut bytes = to_bytes(context, &header).unwrap().bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body.bytes());
    bytes
}

/// A message that zbus has read: its number, its fields, and its body to read further.
pub(in crate::systemd) struct Decoded {
    pub(in crate::systemd) serial: u32,
    pub(in crate::systemd) fields: Vec<(u8, String)>,
    pub(in crate::systemd) body: Data<'static, 'static>,
}

impl Decoded {
    pub(in crate::systemd) fn field(&self, code: u8) -> Option<&str> {
        self.fields.iter().find(|(number, _)| *number == code).map(|(_, text)| text.as_str())
    }
}

/// Reads a message of ours with zbus.
pub(in crate::systemd) fn decode(bytes: &[u8]) -> Decoded {
    let context = Context::new(Endian::Little, 0);
    let data = Data::new(bytes.to_vec(), context);
    let (header, end): (Header<'_>, usize) = data.deserialize().unwrap();
    let start = end.next_multiple_of(8);
    assert_eq!((header.0, header.3), (b'l', 1));
    assert_eq!(bytes.len() - start, usize::try_from(header.4).unwrap(), "the body's length");
    let text = |value: &Variant<'_>| match value {
        Variant::Str(text) => text.to_string(),
        Variant::ObjectPath(path) => path.to_string(),
        Variant::Signature(signature) => signature.to_string_no_parens(),
        Variant::U32(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    Decoded {
        serial: header.5,
        fields: header.6.iter().map(|(code, value)| (*code, text(value))).collect(),
        body: Data::new(bytes[start..].to_vec(), context),
    }
}

#[test]
fn pure_a_call_is_what_zbus_would_write() {
    let values = [
        ("Delegate", Value::Bool(true)),
        ("MemoryMax", Value::U64(u64::MAX)),
        ("Slice", Value::Text("é.slice".into())),
        ("AllowedCPUs", Value::Bytes(vec![3, 0, 1])),
        ("PIDs", Value::Numbers(vec![7, 8])),
        (
            "DeviceAllow",
            Value::Pairs(vec![("/dev/null".into(), "rwm".into()), ("char-*".into(), "m".into())]),
        ),
        ("Nothing", Value::Pairs(Vec::new())),
        ("Wants", Value::Texts(vec!["a.service".into(), String::new(), "é.target".into()])),
        ("Signed", Value::I64(-7)),
        ("Nice", Value::I32(-7)),
        ("Mask", Value::U32(u32::MAX)),
    ];
    // Behind a name of every length, each value stands at every alignment.
    for length in 0..9 {
        let name = "n".repeat(length);
        for (property, value) in &values {
            let ours = Call {
                destination: Some("org.freedesktop.systemd1"),
                path: "/org/freedesktop/systemd1",
                interface: "org.freedesktop.systemd1.Manager",
                member: "StartTransientUnit",
                body: Body::new("sa(sv)", |w| {
                    w.text(&name);
                    w.array(8, |w| {
                        w.align(8);
                        w.text(property);
                        value.write(w);
                    });
                }),
            };
            let theirs = match value.clone() {
                Value::Bool(value) => Variant::from(value),
                Value::U64(value) => Variant::from(value),
                Value::I64(value) => Variant::from(value),
                Value::U32(value) => Variant::from(value),
                Value::I32(value) => Variant::from(value),
                Value::Texts(values) => Variant::from(values),
                Value::Text(value) => Variant::from(value),
                Value::Bytes(values) => Variant::from(values),
                Value::Numbers(values) => Variant::from(values),
                Value::Pairs(values) => Variant::from(values),
            };
            let fields = vec![
                (1, Variant::from(ObjectPath::try_from("/org/freedesktop/systemd1").unwrap())),
                (2, Variant::from("org.freedesktop.systemd1.Manager")),
                (3, Variant::from("StartTransientUnit")),
                (6, Variant::from("org.freedesktop.systemd1")),
            ];
            let body = (name.as_str(), vec![(*property, theirs)]);
            assert_eq!(ours.encode(9), encode(Endian::Little, 1, 9, fields, &body), "{property} {name}");
        }
    }
}

#[test]
fn pure_a_call_without_arguments_has_no_signature() {
    let call = Call { destination: None, path: "/a", interface: "b.c", member: "D", body: Body::default() };
    let read = decode(&call.encode(77));
    assert_eq!((read.serial, read.body.bytes().len()), (77, 0));
    assert_eq!(read.fields, [(1, "/a".to_owned()), (2, "b.c".to_owned()), (3, "D".to_owned())]);
}

/// A signal with fields that nobody here asks for among those that are.
fn signal(endian: Endian) -> Vec<u8> {
    let path = |text: &'static str| ObjectPath::try_from(text).unwrap();
    let nested: Vec<(u8, Vec<Variant<'_>>)> = vec![(1, vec![Variant::from(2u64), Variant::from("three")])];
    let fields = vec![
        (1, Variant::from(path("/org/freedesktop/systemd1"))),
        (99, Variant::from(nested)),
        (2, Variant::from("org.freedesktop.systemd1.Manager")),
        (3, Variant::from("JobRemoved")),
        (9, Variant::from(0u32)),
        (7, Variant::from(":1.4")),
    ];
    encode(endian, 4, 3, fields, &(42u32, path("/org/freedesktop/systemd1/job/42"), "a.scope", "done"))
}

#[test]
fn pure_what_zbus_writes_is_read_in_both_byte_orders() {
    for endian in [Endian::Little, Endian::Big] {
        let bytes = signal(endian);
        assert_eq!(length(bytes.first_chunk().unwrap()), Ok(bytes.len()));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_deref()), (Kind::Signal, Some("JobRemoved")));
        assert_eq!((message.sender.as_deref(), message.signature.as_str()), (Some(":1.4"), "uoss"));
        let mut body = message.body();
        assert_eq!((body.u32(), body.text()), (Ok(42), Ok("/org/freedesktop/systemd1/job/42")));
        assert_eq!((body.text(), body.text()), (Ok("a.scope"), Ok("done")));
        assert!(body.byte().is_err());

        let fields = vec![(4, Variant::from("a.b.No")), (5, Variant::from(7u32))];
        let message = Message::parse(&encode(endian, 3, 1, fields, &("because",))).unwrap();
        assert_eq!((message.kind, message.reply_serial), (Kind::Error, Some(7)));
        assert_eq!((message.error_name.as_deref(), message.text()), (Some("a.b.No"), Some("because")));
    }
}

#[test]
fn pure_a_message_is_not_larger_than_what_is_taken() {
    let mut fixed = *signal(Endian::Little).first_chunk::<FIXED>().unwrap();
    for place in [4, 12] {
        let kept = fixed;
        for huge in [u32::MAX, 1 << 20, (1 << 20) - 16] {
            fixed[place..place + 4].copy_from_slice(&huge.to_le_bytes());
            assert_eq!(length(&fixed), Err(Malformed("it is larger than 1 MiB")));
        }
        fixed = kept;
    }
}

/// A fuzz target in small: what is read of spoiled messages may be an error or another message, and never a panic.
#[test]
fn pure_spoiled_messages_are_refused_or_understood() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut refused, mut understood) = (0, 0);
    let whole = [signal(Endian::Little), signal(Endian::Big)];
    for round in 0..40_000 {
        let mut bytes = whole[round % 2].clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = 0xff,
                1 => bytes[at] = u8::try_from(random(256)).unwrap(),
                2 => bytes[at] ^= 1 << random(8),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let whole = bytes.first_chunk().is_some_and(|fixed| length(fixed) == Ok(bytes.len()));
        match Message::parse(&bytes) {
            Ok(message) => {
                assert!(whole);
                let mut body = message.body();
                let _ = (body.u32(), body.text(), body.text(), body.text(), message.text());
                understood += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10_000 && understood > 1_000, "{refused} refused, {understood} understood");
}
