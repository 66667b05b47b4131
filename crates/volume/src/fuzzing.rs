//! What the fuzz targets of `fuzz/` call: the readers of what other programs said. No part of any interface.

pub use crate::plugin::fuzzing::understood;
pub use crate::plugin::http::{Answer, parse as answer};
