//! What the service manager is told: sd_notify(3), of which this much is a datagram to a socket.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The daemon serves.
pub(crate) fn ready() {
    tell("READY=1\nSTATUS=serving");
}

/// The daemon ends its containers and then itself.
pub(crate) fn stopping(status: &str) {
    tell(&format!("STOPPING=1\nSTATUS={status}"));
}

/// Nobody may be listening, and a daemon that cannot be heard works all the same.
fn tell(state: &str) {
    if let Some(place) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(&place, state);
    }
}

fn send(place: &OsStr, state: &str) -> io::Result<()> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_abstract_names_are_told() {
        let name = format!("tinyd-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let abstract_one = SocketAddr::from_abstract_name(&name).unwrap();
        let heard = [UnixDatagram::bind_addr(&abstract_one), UnixDatagram::bind(&path)];
        for (socket, place) in heard.into_iter().zip([format!("@{name}"), path.display().to_string()]) {
            send(OsStr::new(&place), "READY=1").unwrap();
            let mut buffer = [0; 64];
            let length = socket.unwrap().recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
        std::fs::remove_file(path).unwrap();
    }
}
