//! Which version talks to which.
//!
//! A client of ours names its version with every call, and a server its own with every answer. A minor version of a 0.x, and a
//! major one after that, may differ in more than the contract says. One that names none is somebody else's client of
//! `tinyd.v1`, and is served.

use tinyd_engine::{Error, ErrorKind};

/// The metadata that names it.
pub const VERSION_KEY: &str = "tinyd-version";

/// This version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether a client and a server of these versions understand each other; else an error that names both.
pub fn check(client: &str, server: &str) -> Result<(), Error> {
    match generation(client) == generation(server) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "this is tinyd {client}, and the daemon is tinyd {server}: they do not understand each other"
            ),
        )
        .with_hint("use the same version on both sides")),
    }
}

/// What has to be the same.
fn generation(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split(['.', '-', '+']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, if major == 0 { minor } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_generation_understand_each_other() {
        for (client, server) in [("0.1.0", "0.1.9"), ("1.2.3", "1.9.0-rc.1"), ("2.0.0", "2.1.0+build")] {
            assert_eq!(check(client, server), Ok(()), "{client} {server}");
        }
        for (client, server) in [("0.1.0", "0.2.0"), ("1.0.0", "2.0.0"), ("0.1.0", "1.1.0")] {
            let error = check(client, server).unwrap_err().to_string();
            assert!(error.contains(client) && error.contains(server), "{error}");
        }
        assert!(check("nonsense", VERSION).is_err());
        assert_eq!(check(VERSION, VERSION), Ok(()));
    }
}
