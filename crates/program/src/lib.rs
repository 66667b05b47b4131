//! The small program `tinyd-runtime`, as far as it is not in the crate of that name: the name service of networks.
//!
//! The program is a package of its own because it is built otherwise than the others (ADR 41): static, on a small C library, for
//! size. So it must not depend on what a client or a daemon is made of.

pub mod names;
