//! Where systemd is talked to.

use super::fault::BusError;
use rustix::net::SocketAddrUnix;
use std::path::Path;

/// systemd's own socket, for root alone. It is there before the bus is, and needs no daemon in between.
const PRIVATE: &str = "/run/systemd/private";

/// Where the system bus is when nothing else is said.
const SYSTEM: &str = "unix:path=/run/dbus/system_bus_socket";

/// A socket that answers for systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    sockets: Vec<SocketAddrUnix>,
    text: String,
    direct: bool,
}

impl Bus {
    /// systemd's own socket where this process is root and it is there, else the system bus. An address, as the variable
    /// `DBUS_SYSTEM_BUS_ADDRESS` has it where the caller honours that, goes before both.
    ///
    /// # Errors
    /// [`BusError::Address`].
    pub fn of_host(address: Option<&str>) -> Result<Self, BusError> {
        match address {
            Some(address) => Self::system(address),
            None if rustix::process::geteuid().is_root() && Path::new(PRIVATE).exists() => {
                Self::direct(Path::new(PRIVATE))
            }
            None => Self::system(SYSTEM),
        }
    }

    /// A bus with its daemon, by an address such as `unix:path=/run/dbus/system_bus_socket`. Of several, with `;` between
    /// them, the first that answers is taken.
    ///
    /// # Errors
    /// [`BusError::Address`].
    pub fn system(address: &str) -> Result<Self, BusError> {
        let refuse = |reason| BusError::Address { address: address.to_owned(), reason };
        let mut sockets = Vec::new();
        for one in address.split(';').filter(|one| !one.is_empty()) {
            let Some(keys) = one.strip_prefix("unix:") else { continue };
            sockets.extend(socket(keys).map_err(refuse)?);
        }
        if sockets.is_empty() {
            return Err(refuse("it has no unix:path=… and no unix:abstract=…"));
        }
        Ok(Self { sockets, text: address.to_owned(), direct: false })
    }

    /// systemd itself, at a socket of its own.
    ///
    /// # Errors
    /// [`BusError::Address`] when the path is too long for a socket's.
    pub fn direct(path: &Path) -> Result<Self, BusError> {
        let text = path.display().to_string();
        let socket = SocketAddrUnix::new(path)
            .map_err(|_| BusError::Address { address: text.clone(), reason: TOO_LONG })?;
        Ok(Self { sockets: vec![socket], text, direct: true })
    }

    pub(super) fn sockets(&self) -> &[SocketAddrUnix] {
        &self.sockets
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether systemd itself is at the other end, and nobody else.
    pub(super) fn is_direct(&self) -> bool {
        self.direct
    }
}

const TOO_LONG: &str = "a path is longer than the 107 bytes that a socket's may have";

fn socket(keys: &str) -> Result<Option<SocketAddrUnix>, &'static str> {
    for pair in keys.split(',') {
        let Some((key, value)) = pair.split_once('=') else { return Err("a key has no value") };
        let value = unescape(value).ok_or("it has a % that two hexadecimal digits do not follow")?;
        match key {
            "path" => return SocketAddrUnix::new(value).map(Some).map_err(|_| TOO_LONG),
            "abstract" => {
                return SocketAddrUnix::new_abstract_name(&value).map(Some).map_err(|_| TOO_LONG);
            }
            _ => {}
        }
    }
    Ok(None)
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit()? << 4 | digit()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_addresses_of_the_specification() {
        let path = |text: &str| {
            let bus = Bus::system(text).unwrap();
            bus.sockets.iter().map(|s| s.path_bytes().map(<[u8]>::to_vec)).collect::<Vec<_>>()
        };
        assert_eq!(path("unix:path=/a"), [Some(b"/a".to_vec())]);
        assert_eq!(path("tcp:host=x;unix:guid=1,path=/a%20b;"), [Some(b"/a b".to_vec())]);
        assert_eq!(path("unix:path=/a;unix:path=/b").len(), 2);
        let name = &Bus::system("unix:abstract=/tmp/x,guid=00").unwrap().sockets[0];
        assert_eq!(name.abstract_name(), Some(&b"/tmp/x"[..]));
        let long = format!("unix:path=/{}", "x".repeat(108));
        for bad in ["", "tcp:host=x", "unix:", "unix:path", "unix:path=%2", "unix:path=%zz", &long] {
            let error = Bus::system(bad).unwrap_err();
            assert!(matches!(error, BusError::Address { .. }), "{bad}");
        }
        assert!(!Bus::of_host(Some("unix:path=/a")).unwrap().is_direct());
    }
}
