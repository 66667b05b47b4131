//! The values that properties of units have.

use super::Writer;

/// One value, as it stands in a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::systemd) enum Value {
    /// `b`
    Bool(bool),
    /// `t`
    U64(u64),
    /// `x`
    I64(i64),
    /// `u`
    U32(u32),
    /// `i`
    I32(i32),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `au`
    Numbers(Vec<u32>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    pub(super) fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::U64(_) => "t",
            Self::I64(_) => "x",
            Self::U32(_) => "u",
            Self::I32(_) => "i",
            Self::Text(_) => "s",
            Self::Texts(_) => "as",
            Self::Bytes(_) => "ay",
            Self::Numbers(_) => "au",
            Self::Pairs(_) => "a(ss)",
        }
    }

    /// Writes it as a variant: its type, then itself.
    pub(in crate::systemd) fn write(&self, writer: &mut Writer) {
        writer.signature(self.signature());
        match self {
            Self::Bool(value) => writer.u32((*value).into()),
            Self::U64(value) => writer.u64(*value),
            Self::I64(value) => writer.u64(value.cast_unsigned()),
            Self::U32(value) => writer.u32(*value),
            Self::I32(value) => writer.u32(value.cast_unsigned()),
            Self::Text(value) => writer.text(value),
            Self::Texts(values) => writer.array(4, |w| values.iter().for_each(|value| w.text(value))),
            Self::Bytes(values) => writer.array(1, |w| w.bytes(values)),
            Self::Numbers(values) => writer.array(4, |w| values.iter().for_each(|value| w.u32(*value))),
            Self::Pairs(values) => writer.array(8, |w| {
                for (first, second) in values {
                    w.align(8);
                    w.text(first);
                    w.text(second);
                }
            }),
        }
    }
}
