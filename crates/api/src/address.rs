//! Where a daemon listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tinyd_engine::{Error, ErrorKind};

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this machine: `unix:///run/tinyd/tinyd.sock`.
    Unix(PathBuf),
    /// A port, by mutual TLS alone: `tcp://host:port`.
    Tcp {
        /// A name, or an address, without the brackets of IPv6.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// `HOST:PORT`, for one of TCP.
    pub(crate) fn authority(host: &str, port: u16) -> String {
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}", Self::authority(host, *port)),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem: &str| {
            Error::new(ErrorKind::InvalidInput, format!("the daemon's address {text:?} {problem}"))
                .with_hint("write it like unix:///run/tinyd/tinyd.sock or tcp://host:2377")
        };
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            return match path.is_absolute() {
                true => Ok(Self::Unix(path)),
                false => Err(wrong("names no absolute path")),
            };
        }
        let Some(rest) = text.strip_prefix("tcp://") else {
            return Err(wrong("begins neither with unix:// nor with tcp://"));
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("names no port"))?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("names no port"))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains(':')),
        };
        let plain = |host: &&str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        let host = host.filter(plain).ok_or_else(|| wrong("names no host"))?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written() {
        for text in [
            "unix:///run/tinyd/tinyd.sock",
            "tcp://example.org:2377",
            "tcp://10.0.0.1:1",
            "tcp://[fd00::1]:9",
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "/run/tinyd.sock",
            "unix://run/tinyd.sock",
            "http://a:1",
            "tcp://a",
            "tcp://a:0",
            "tcp://a:65536",
            "tcp://:1",
            "tcp://a:b:1",
            "tcp://[::1]x:1",
            "tcp://u@h:1",
            "tcp://a/b:1",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")) && error.hint().is_some(), "{error}");
        }
    }
}
