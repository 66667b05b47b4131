//! Between the engine's types and the contract's messages.
//!
//! Each type of the engine is listed once, with all of its fields, in `messages!` or `enums!`: whoever adds a field to
//! the engine is told by the compiler that it does not travel yet.

mod containers;
mod inspect;
mod modes;
mod networks;
mod scalars;
mod secrets;
mod spec;
mod system;
mod volumes;

use std::fmt;

/// A value that travels as a `W`.
pub trait Wire<W>: Sized {
    /// As it travels.
    fn into_wire(self) -> W;

    /// What has travelled. It may come from anyone: what no engine would say is refused.
    fn from_wire(wire: W) -> Result<Self, Malformed>;
}

/// A message that is not what the contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    /// What is wrong, in a clause without a full stop.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    /// In which field.
    pub(crate) fn within(self, field: &str) -> Self {
        Self(format!("{field}: {}", self.0))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// `Type { field, … }`: a struct of the engine and the message of the same name and fields. A message that is absent where the
/// engine has one is one in which nothing is set.
macro_rules! messages {
    ($($name:ident { $($field:ident),* $(,)? })*) => { $(
        impl $crate::wire::Wire<$crate::proto::$name> for tinyd_engine::$name {
            fn into_wire(self) -> $crate::proto::$name {
                let Self { $($field),* } = self;
                $crate::proto::$name { $($field: $crate::wire::Wire::into_wire($field)),* }
            }

            fn from_wire(wire: $crate::proto::$name) -> Result<Self, $crate::wire::Malformed> {
                let $crate::proto::$name { $($field),* } = wire;
                Ok(Self { $(
                    $field: $crate::wire::Wire::from_wire($field)
                        .map_err(|malformed| malformed.within(stringify!($field)))?,
                )* })
            }
        }

        impl $crate::wire::Wire<Option<$crate::proto::$name>> for tinyd_engine::$name {
            fn into_wire(self) -> Option<$crate::proto::$name> {
                Some($crate::wire::Wire::into_wire(self))
            }

            fn from_wire(wire: Option<$crate::proto::$name>) -> Result<Self, $crate::wire::Malformed> {
                $crate::wire::Wire::from_wire(wire.unwrap_or_default())
            }
        }
    )* };
}

/// `Type { Variant, … }`: an enum of the engine and the contract's of the same name. What is unspecified is the first that is
/// listed: the engine's default, where it has one.
macro_rules! enums {
    ($($name:ident { $first:ident $(, $variant:ident)* $(,)? })*) => { $(
        impl $crate::wire::Wire<i32> for tinyd_engine::$name {
            fn into_wire(self) -> i32 {
                let wire = match self {
                    Self::$first => $crate::proto::$name::$first,
                    $(Self::$variant => $crate::proto::$name::$variant,)*
                };
                wire.into()
            }

            fn from_wire(wire: i32) -> Result<Self, $crate::wire::Malformed> {
                let known = $crate::proto::$name::try_from(wire).map_err(|_| {
                    $crate::wire::Malformed::new(format!("{wire} is no {}", stringify!($name)))
                })?;
                Ok(match known {
                    $crate::proto::$name::Unspecified | $crate::proto::$name::$first => Self::$first,
                    $($crate::proto::$name::$variant => Self::$variant,)*
                })
            }
        }
    )* };
}

use {enums, messages};
