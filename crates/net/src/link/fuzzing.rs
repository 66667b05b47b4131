//! What is read of messages about links, for the crate's [`fuzzing`](crate::fuzzing).

use super::{Link, Route, elsewhere, route as routes, wire};
use crate::Prefix;

/// A link.
pub fn link(payload: &[u8]) -> Option<Link> {
    wire::parse_link(payload)
}

/// An address of a link.
pub fn address(payload: &[u8]) -> Option<Prefix> {
    wire::parse_address(payload).map(|(_, address)| address)
}

/// A route.
pub fn route(payload: &[u8]) -> Option<Route> {
    routes::parse(payload)
}

/// The number of another namespace.
pub fn number(payload: &[u8]) -> Option<u32> {
    elsewhere::parse_number(payload)
}
