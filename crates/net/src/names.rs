//! Names of containers: a name server for each network, of which its containers ask everything.
//!
//! It is a small program of its own, without threads: one loop that waits for sockets. What it knows lies in a folder of
//! files that drivers write and remove ([`Zone`]); there is nothing to tell it and nothing to lose when it is killed. A name
//! of the network it answers itself. Any other it asks the host's servers, or those that the asker was given, from a new port
//! with a new number each time, except where it may not: addresses of names of one word are never asked of others, nor whose
//! an address of a network is, and nothing that only an internal network asks leaves this host ([`Lookup::open`]).
//!
//! *Invariant:* no client keeps another one waiting. No byte of a packet is believed before it was looked at.
//!
//! Sources: RFC 1035 (messages), RFC 2308 (names that are not there), RFC 5452 (numbers and ports of questions), RFC 6891
//! (longer answers), RFC 7766 (over TCP).

mod elsewhere;
mod forward;
pub(crate) mod fuzzing;
mod lookup;
mod message;
mod server;
mod stream;
mod upstream;
mod zone;

pub use lookup::Lookup;
pub use server::{Server, ServerSpec, Sockets};
pub use zone::{Entry, Prepared, Zone};

use crate::Companion;
use std::net::SocketAddr;

/// Whoever starts the program that serves a network's names.
pub trait NameService: Send + Sync {
    /// Sees to it that a network's names are served: where they should be, or at another port of the same address where
    /// somebody else is asked at that one. Once another port was taken it stays: whoever was led there need not be led back.
    ///
    /// # Errors
    /// Whatever keeps the program from being started.
    fn serve(&self, network: &ServerSpec) -> std::io::Result<Served>;

    /// Where a network's names are served, or were when they last were; `None` where they never were.
    fn last_served(&self, network: &ServerSpec) -> Option<Vec<SocketAddr>>;
}

/// A network's names are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where they are, in the order in which it was asked for.
    pub listen: Vec<SocketAddr>,
    /// What has to run for that.
    pub companion: Option<Companion>,
}
