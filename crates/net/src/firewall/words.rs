//! What every firewall says of a port, and which ones none of them takes.

use super::Publication;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;

/// A port as errors name it: `the port 127.0.0.1:8080/tcp`.
pub(super) fn wording(publication: &Publication) -> String {
    let mut text = "the port ".to_owned();
    let port = publication.port;
    // A text takes everything that is written to it.
    let _ = match port.host {
        Some(IpAddr::V6(host)) => write!(text, "[{host}]:"),
        Some(host) => write!(text, "{host}:"),
        None => Ok(()),
    };
    let _ = write!(text, "{}/{}", port.host_port, port.protocol);
    text
}

/// Refuses what has no meaning.
pub(super) fn check(publication: &Publication) -> io::Result<()> {
    let Publication { port, to } = publication;
    let problem = if port.host_port == 0 || port.container_port == 0 {
        "0 is no port"
    } else if port.host.is_some_and(|host| host.is_ipv4() != to.is_ipv4()) {
        "it leads to an address of another family"
    } else {
        return Ok(());
    };
    let text = format!("cannot publish {} to {to}: {problem}", wording(publication));
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
