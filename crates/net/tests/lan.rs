//! The drivers macvlan and ipvlan on a network that the test makes: a switch with a neighbour on it, and a host with one cable
//! to it. Containers are namespaces and no more.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

#[path = "lan/contract.rs"]
mod contract;
mod ground;
#[path = "lan/life.rs"]
mod life;
#[path = "lan/place.rs"]
mod place;
#[path = "lan/refusals.rs"]
mod refusals;
#[path = "lan/traffic.rs"]
mod traffic;
