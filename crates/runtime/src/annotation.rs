//! What a bundle says to this runtime alone: annotations that other runtimes leave alone.

/// `USER[:GROUP]` as it was given, to be looked up in the container's own passwd and group files.
pub const USER: &str = "dev.tinyd.user";

/// `true` puts an init in front of the command.
pub const INIT: &str = "dev.tinyd.init";
