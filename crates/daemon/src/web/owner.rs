//! Whose a connection to the page is: it comes over the loopback, and of its other end the kernel knows who opened it (sock_diag(7)).

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::{IpAddr, SocketAddr};

/// `SOCK_DIAG_BY_FAMILY`, of a request and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const TCP: u8 = 6;
/// Bytes of a header and of `struct inet_diag_req_v2`.
const LENGTH: u32 = 16 + 56;
/// Where the user stands in an answer: behind a header, in `struct inet_diag_msg`.
const USER: usize = 16 + 64;

/// The user whose socket `peer` is, that is connected to `own`; `None` where the kernel does not say.
pub(super) fn of(peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, Some(SOCK_DIAG)).ok()?;
    rustix::net::send(&socket, &question(peer, own), SendFlags::empty()).ok()?;
    let mut answer = [0; 1024];
    // It is there when the question has been asked.
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
    user_in(answer.get(..length)?)
}

/// As the kernel sees the other end: its own address is the source.
fn question(peer: SocketAddr, own: SocketAddr) -> Vec<u8> {
    let family: u8 = if peer.is_ipv4() { 2 } else { 10 };
    let mut bytes = Vec::new();
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, TCP, 0, 0]);
    // In any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend(own.port().to_be_bytes());
    for address in [peer.ip(), own.ip()] {
        match address {
            IpAddr::V4(address) => {
                bytes.extend(address.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // By any link, whatever its cookie.
    bytes.extend([0; 4]);
    bytes.extend([u8::MAX; 8]);
    bytes
}

fn user_in(answer: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes([*answer.get(4)?, *answer.get(5)?]);
    let user = answer.get(USER..USER + 4)?.try_into().ok()?;
    (kind == BY_FAMILY).then(|| u32::from_ne_bytes(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn pure_a_question_is_as_long_as_it_says() {
        for own in ["127.0.0.1:808", "[::1]:808"] {
            let own = own.parse().unwrap();
            assert_eq!(question(own, own).len(), usize::try_from(LENGTH).unwrap());
        }
        assert_eq!((user_in(&[]), user_in(&[0; 200])), (None, None));
    }

    #[test]
    fn root_the_other_end_is_its_makers() {
        // Some kernels, and some sandboxes, have no such thing.
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let own = listener.local_addr().unwrap();
            let client = TcpStream::connect(own).unwrap();
            let (_served, peer) = listener.accept().unwrap();
            assert_eq!(client.local_addr().unwrap(), peer);
            let user = of(peer, own);
            if rustix::process::geteuid().is_root() {
                assert_eq!(user, Some(0), "{address}");
            }
            let free = TcpListener::bind(address).unwrap().local_addr().unwrap();
            assert_eq!(of(free, own), None, "nobody's");
        }
    }
}
