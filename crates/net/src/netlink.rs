//! The kernel's language for links, addresses, routes and rules (netlink(7)): messages that hold attributes, over a socket.
//!
//! It is written here and not taken from a library, because it is on the way of every start: the well-known one brings an
//! asynchronous runtime and its threads into programs that have neither, and a whole exchange is one `send` and one `recv`.

mod message;
mod reply;
mod socket;

pub(crate) use message::{Message, Part};
pub(crate) use reply::{Attributes, Replies, Reply, u32_at};
pub(crate) use socket::{Refused, Socket, entered};
