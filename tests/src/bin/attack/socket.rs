//! Talking to the monitor (CVE-2020-15257).

use std::io::Result;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, socket_with,
};

/// Says whether a connection can be made, and whether it is kept.
pub(crate) fn run(path: &str) {
    match reach(path) {
        Ok(kept) => println!("connected=1\nkept={}", u8::from(kept)),
        Err(error) => println!("connected=0\nkept=0\n{error}"),
    }
}

/// One that is refused is closed at once; one that is kept has nothing to read for a while.
fn reach(path: &str) -> Result<bool> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
    let mut buffer = [0u8; 16];
    Ok(recv(&socket, &mut buffer, RecvFlags::empty()).is_err())
}
