//! What a bundle says to this runtime alone: annotations, and a mount option, that other runtimes leave alone.

/// `USER[:GROUP]` as it was given, to be looked up in the container's own passwd and group files.
pub const USER: &str = "dev.tinyd.user";

/// `true` puts an init in front of the command.
pub const INIT: &str = "dev.tinyd.init";

/// The specification's: the signal that ends a container of this image, where nobody names another.
pub const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

/// The annotations that change what this runtime does.
pub(crate) const ALL: [&str; 3] = [INIT, USER, STOP_SIGNAL];

/// A mount option of a bind, `OPTION=a/b`: so much of the end of its source is looked up beneath the rest, and leads out of it by
/// no link. Others leave options that begin with `X-` alone (mount(8)), and mount the source as it stands.
pub const SUBPATH: &str = "X-tinyd.subpath";
